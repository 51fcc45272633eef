//! Which installer an environment is used with, and how it is called inside a sandbox: uv of the host, which lies in no
//! environment, or pip, which lies in its own. What is asked of an installer is the phases' business.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use wheeltapper_sandbox::{Bind, World};

use crate::{
    agent::Agent, environment::HostEnvironment, error::Error, index::Index, interpreter::Interpreter,
    layout::Layout, resolve::LockedWheel,
};

/// Where uv stands inside a sandbox.
const UV: &str = "/installer/uv";

/// What installs into an environment and removes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Installer {
    /// uv, of this version.
    Uv(String),
    /// pip, of this wheel; `None` until it is known which one the index has for the interpreter.
    Pip(Option<LockedWheel>),
}

/// Shown with its version where that is known: `uv 0.13.9`, `pip 20.3.4`.
impl fmt::Display for Installer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version) = match self {
            Installer::Uv(version) => ("uv", version.as_str()),
            Installer::Pip(wheel) => ("pip", wheel.as_ref().map_or("", |wheel| wheel.version.as_str())),
        };
        f.write_str(format!("{name} {version}").trim_end())
    }
}

impl Installer {
    /// What an interpreter's users install with when they do not choose: uv of this version, or pip where uv does not speak
    /// to the interpreter.
    pub fn usual(interpreter: &Interpreter, uv: &str) -> Installer {
        if interpreter.is_legacy() { Installer::Pip(None) } else { Installer::Uv(uv.to_owned()) }
    }

    /// The newest pip that the index has for an environment, as its users get it.
    ///
    /// # Errors
    /// When the index is lost, or has none.
    pub fn newest_pip(index: &Index, environment: &HostEnvironment) -> Result<Installer, Error> {
        let project = "pip".parse().map_err(|_| Error::Bug("pip is a name".to_owned()))?;
        let page = index.handle.block_on(index.proxy.page(&project))?;
        let newest = page
            .files
            .iter()
            .filter(|file| file.yanked.is_none() && !file.distribution.version().any_prerelease())
            .filter(|file| environment.admits(file) && environment.rank(file).is_some())
            .max_by_key(|file| file.distribution.version());
        let none = || Error::Installer(format!("the index has no pip for {}", environment.shown.python));
        let file = newest.ok_or_else(none)?;
        Ok(Installer::Pip(Some(LockedWheel {
            project,
            version: file.distribution.version().to_string(),
            filename: file.filename.clone(),
            sha256: file.sha256(),
        })))
    }

    /// Whether requirements can be resolved on the trusted side, in the installer's own way.
    pub(crate) const fn resolves_outside(&self) -> bool {
        matches!(self, Installer::Uv(_))
    }

    /// Paths below a cell's root that the installer leaves on its own account.
    pub(crate) const fn own_files(&self) -> &'static [&'static str] {
        match self {
            Installer::Uv(_) => &["env/.lock"],
            Installer::Pip(_) => &[],
        }
    }
}

/// What an installer is asked to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task<'a> {
    /// Learn what this interpreter is.
    Look(&'a Path),
    /// Install exactly these wheels, from where the sandbox shows them.
    Put { wheels: &'a [PathBuf], compile: bool },
    /// Install what files of requirements and of constraints, below the cell's root, ask for.
    Resolve { requirements: &'a str, constraints: &'a str, index: &'a str },
    /// Remove these projects.
    Remove(&'a [String]),
}

/// One call of an installer, ready to be run in a world.
#[derive(Debug)]
pub(crate) struct Call {
    pub program: OsString,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
    pub binds: Vec<Bind>,
    /// As a user would write it.
    pub shown: String,
}

impl Call {
    /// A driver of ours below the cell's root, run by the interpreter itself, which reads no `.pth` file.
    pub(crate) fn of_driver(
        world: &World,
        interpreter: &Interpreter,
        driver: &str,
        arguments: &[PathBuf],
    ) -> Self {
        let flags = interpreter.isolation().iter().chain(&["-S"]).map(OsString::from);
        let driver_at = world.root().join(driver).into_os_string();
        Call {
            program: interpreter.executable.clone().into(),
            arguments: flags.chain([driver_at]).chain(arguments.iter().map(OsString::from)).collect(),
            environment: Vec::new(),
            binds: Vec::new(),
            shown: driver.to_owned(),
        }
    }

    /// The call with more files of the host to be seen.
    pub(crate) fn seeing(mut self, binds: impl IntoIterator<Item = Bind>) -> Self {
        self.binds.extend(binds);
        self
    }
}

impl Agent {
    /// The uv of the host that an environment is used with.
    pub(crate) fn uv(&self, environment: &HostEnvironment) -> &Path {
        if environment.root.is_some() { &self.uv_inside } else { &self.uv }
    }

    /// How the environment's installer is called for a task in this world.
    pub(crate) fn call(&self, world: &World, environment: &HostEnvironment, task: Task<'_>) -> Call {
        match &environment.installer {
            Installer::Uv(_) => self.uv_call(world, environment, task),
            Installer::Pip(_) => {
                let python = vec!["-m".into(), "pip".into()];
                pip_call(world, &environment.interpreter, python, task)
            }
        }
    }

    fn uv_call(&self, world: &World, environment: &HostEnvironment, task: Task<'_>) -> Call {
        let root = world.root();
        // uv compiles by what `py_compile` has since then.
        let compiles = environment.interpreter.minor() >= (3, 7) && !environment.interpreter.is_emscripten();
        let mut arguments = words(match task {
            Task::Look(_) => &["pip", "list", "--offline"],
            Task::Put { compile: true, .. } if compiles => {
                &["pip", "install", "--no-deps", "--no-index", "--compile-bytecode", "--quiet"]
            }
            Task::Put { .. } => &["pip", "install", "--no-deps", "--no-index"],
            Task::Resolve { .. } => &["pip", "install"],
            Task::Remove(_) => &["pip", "uninstall"],
        });
        arguments.extend(words(&["--no-config", "--color", "never", "--python"]));
        arguments.push(match task {
            Task::Look(python) => python.into(),
            Task::Put { .. } | Task::Resolve { .. } | Task::Remove(_) => {
                root.join(Layout::of(&environment.interpreter).python()).into()
            }
        });
        if let Task::Resolve { index, .. } = task {
            arguments.extend(["--default-index".into(), index.into()]);
        }
        arguments.extend(subject(root, task));
        let uv = Self::shown(world, self.uv(environment), UV.into());
        Call {
            program: uv.target.clone().into(),
            arguments,
            environment: vec![
                ("UV_CACHE_DIR".into(), root.join("cache/uv").into()),
                ("UV_PYTHON_DOWNLOADS".into(), "never".into()),
                ("UV_LINK_MODE".into(), "hardlink".into()),
                ("UV_NO_PROGRESS".into(), "1".into()),
            ],
            binds: vec![uv],
            shown: format!("uv {}", shown(task)),
        }
    }

    /// How a pip that the environment does not hold yet is put into it: by itself, out of its own wheel.
    pub(crate) fn seeding_call(&self, world: &World, interpreter: &Interpreter, wheel: &Path) -> Call {
        let task = Task::Put { wheels: &[wheel.to_path_buf()], compile: true };
        pip_call(world, interpreter, vec![wheel.join("pip").into()], task)
    }
}

/// pip of the environment; `pip` is how the interpreter finds it.
fn pip_call(world: &World, interpreter: &Interpreter, pip: Vec<OsString>, task: Task<'_>) -> Call {
    let root = world.root();
    let mut arguments = words(interpreter.isolation());
    arguments.extend(pip);
    arguments.extend(words(match task {
        Task::Look(_) => &["list"],
        Task::Put { .. } => &["install", "--no-deps", "--no-index", "--no-warn-script-location"],
        // Built as its own `setup.py install` would be, an old sdist would leave what pip cannot remove.
        Task::Resolve { .. } => &["install", "--use-pep517", "--no-warn-script-location"],
        Task::Remove(_) => &["uninstall", "--yes"],
    }));
    arguments.extend(words(&["--isolated", "--no-input", "--no-cache-dir", "--disable-pip-version-check"]));
    if let Task::Resolve { index, .. } = task {
        arguments.extend(["--index-url".into(), index.into()]);
    }
    arguments.extend(subject(root, task));
    Call {
        program: root.join(Layout::of(interpreter).python()).into(),
        arguments,
        environment: Vec::new(),
        binds: Vec::new(),
        shown: shown(task),
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// What a task is about, as both installers take it.
fn subject(root: &Path, task: Task<'_>) -> Vec<OsString> {
    match task {
        Task::Look(_) => Vec::new(),
        Task::Put { wheels, .. } => wheels.iter().map(OsString::from).collect(),
        Task::Resolve { requirements, constraints, .. } => {
            vec!["-r".into(), root.join(requirements).into(), "-c".into(), root.join(constraints).into()]
        }
        Task::Remove(projects) => projects.iter().map(OsString::from).collect(),
    }
}

fn shown(task: Task<'_>) -> String {
    let names = |wheels: &[PathBuf]| {
        let names = wheels.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        names.collect::<Vec<_>>().join(" ")
    };
    match task {
        Task::Look(_) => "pip list".to_owned(),
        Task::Put { wheels, .. } => format!("pip install --no-deps {}", names(wheels)),
        Task::Resolve { requirements, .. } => format!("pip install -r {requirements}"),
        Task::Remove(projects) => format!("pip uninstall {}", projects.join(" ")),
    }
}
