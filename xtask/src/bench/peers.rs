//! How the others do the same: a fresh environment, a build from the sdist, an install with its requirements, an import, an
//! uninstall. All of them use the machine's index configuration, with caches of their own that are warm.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::{Bench, Subject, Took, output, succeed, timed};

/// A way to tap a release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// This program, its sandbox on.
    Wheeltapper,
    /// `uv venv`, `uv build`, `uv pip install`, an import, `uv pip uninstall`.
    UvIsolated,
    /// The same with `--no-build-isolation`, in an environment with the build's requirements that is made beforehand.
    UvReady,
    /// `python -m venv`, `pip install`, an import, `pip uninstall`.
    Pip,
    /// tox with a wheel as package, which imports and uninstalls.
    Tox,
}

impl Way {
    /// As the document calls it.
    pub fn name(self) -> &'static str {
        match self {
            Way::Wheeltapper => "Wheeltapper",
            Way::UvIsolated => "uv, isolated",
            Way::UvReady => "uv, not isolated",
            Way::Pip => "venv + pip",
            Way::Tox => "tox",
        }
    }

    /// Whether a release takes it many seconds.
    pub fn is_slow(self) -> bool {
        matches!(self, Way::Pip | Way::Tox)
    }
}

impl Bench {
    /// Installs tox into an environment of its own, and makes the environments of builds without isolation.
    pub fn prepare_peers(&self, subjects: &[Subject]) -> Result<(), String> {
        let (_, _, python) = &self.environment;
        if !self.tox().is_file() {
            succeed(
                self.uv(&["venv", "--quiet", "--clear", "--python"]).arg(python).arg(self.folder.join("tox")),
            )?;
            let inside = self.folder.join("tox/bin/python");
            succeed(self.uv(&["pip", "install", "--quiet", "tox", "--python"]).arg(inside))?;
        }
        for subject in subjects {
            let ready = self.ready(subject);
            succeed(self.uv(&["venv", "--quiet", "--clear", "--python"]).arg(python).arg(&ready))?;
            let mut install = self.uv(&["pip", "install", "--quiet", "--compile-bytecode", "--python"]);
            succeed(
                install.arg(ready.join("bin/python")).args(&subject.requires).args(["setuptools", "wheel"]),
            )?;
        }
        Ok(())
    }

    /// The version of tox.
    pub fn tox_version(&self) -> String {
        let text = output(Command::new(self.tox()).arg("--version")).unwrap_or_default();
        let version = |word: &&str| word.starts_with(|first: char| first.is_ascii_digit());
        text.split_whitespace().find(version).unwrap_or_default().to_owned()
    }

    fn tox(&self) -> PathBuf {
        self.folder.join("tox/bin/tox")
    }

    fn ready(&self, subject: &Subject) -> PathBuf {
        self.folder.join("ready").join(&subject.name)
    }

    fn uv(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.uv);
        command.args(arguments).env("UV_CACHE_DIR", self.folder.join("uv-cache"));
        command
    }

    /// One round through all subjects: what each took, and the whole. NaN where this way fails; that is told.
    pub fn peer_round(
        &self,
        way: Way,
        subjects: &[Subject],
        jobs: usize,
    ) -> Result<(Vec<f64>, Took), String> {
        let work = self.folder.join("work");
        let _ = std::fs::remove_dir_all(&work);
        for subject in subjects {
            let folder = work.join(&subject.name);
            std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            if way == Way::Tox {
                self.prepare_tree(subject)?;
            }
        }
        let next = AtomicUsize::new(0);
        let results = Mutex::new(vec![0.0; subjects.len()]);
        let one = || {
            while let Some((index, subject)) = Some(next.fetch_add(1, Ordering::Relaxed))
                .and_then(|index| Some((index, subjects.get(index)?)))
            {
                let begun = Instant::now();
                let ended = self.tap(way, subject);
                let took = if ended.is_ok() { begun.elapsed().as_secs_f64() } else { f64::NAN };
                results.lock().unwrap_or_else(PoisonError::into_inner)[index] = took;
                if let Err(wrong) = ended {
                    eprintln!("warning: {} fails with {}: {wrong}", subject.name, way.name());
                }
            }
        };
        let ((), took) = timed(|| {
            std::thread::scope(|scope| {
                for _ in 0..jobs {
                    scope.spawn(one);
                }
            });
            Ok(())
        })?;
        Ok((results.into_inner().unwrap_or_else(PoisonError::into_inner), took))
    }

    /// tox works in a source tree; unpacking it is not counted.
    fn prepare_tree(&self, subject: &Subject) -> Result<(), String> {
        let folder = self.folder.join("work").join(&subject.name);
        let unpack = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
        let (_, _, python) = &self.environment;
        let mut command = Command::new(python);
        succeed(command.args(["-W", "ignore", "-c", unpack]).arg(&subject.sdist).arg(folder.join("src")))?;
        let imports = imports(subject);
        let text = format!(
            "[tox]\nenv_list = py\n[testenv]\nbase_python = {}\npackage = wheel\nchange_dir = {{env_tmp_dir}}\ncommands =\n    python -c \"{imports}\"\n    \
             python -m pip uninstall --quiet --yes {}\n",
            python.display(),
            subject.name
        );
        std::fs::write(folder.join("tox.ini"), text).map_err(|error| error.to_string())
    }

    fn tap(&self, way: Way, subject: &Subject) -> Result<(), String> {
        let folder = self.folder.join("work").join(&subject.name);
        let environment = folder.join("env");
        let inside = environment.join("bin/python");
        let (_, _, python) = &self.environment;
        let run = |arguments: &[&str]| {
            let mut command = Command::new(&inside);
            command.args(arguments).env("PIP_CACHE_DIR", self.folder.join("pip-cache"));
            command
        };
        match way {
            Way::Wheeltapper => unreachable!("it is measured by its own records"),
            Way::UvIsolated | Way::UvReady => {
                succeed(self.uv(&["venv", "--quiet", "--python"]).arg(python).arg(&environment))?;
                let mut build = self.uv(&["build", "--quiet", "--wheel", "--out-dir"]);
                build.arg(folder.join("out"));
                if way == Way::UvReady {
                    build
                        .args(["--no-build-isolation", "--python"])
                        .arg(self.ready(subject).join("bin/python"));
                } else {
                    build.arg("--python").arg(python);
                }
                succeed(build.arg(&subject.sdist))?;
                let wheel = std::fs::read_dir(folder.join("out"))
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path())
                    .find(|path| path.extension().is_some_and(|end| end == "whl"))
                    .ok_or("uv build made no wheel")?;
                succeed(self.uv(&["pip", "install", "--quiet", "--python"]).arg(&inside).arg(wheel))?;
                succeed(&mut run(&["-c", &imports(subject)]))?;
                succeed(self.uv(&["pip", "uninstall", "--quiet", "--python"]).arg(&inside).arg(&subject.name))
            }
            Way::Pip => {
                succeed(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
                succeed(run(&["-m", "pip", "install", "--quiet"]).arg(&subject.sdist))?;
                succeed(&mut run(&["-c", &imports(subject)]))?;
                succeed(&mut run(&["-m", "pip", "uninstall", "--quiet", "--yes", &subject.name]))
            }
            Way::Tox => {
                let tree = std::fs::read_dir(folder.join("src"))
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path())
                    .find(|path| path.is_dir())
                    .ok_or("the sdist holds no folder")?;
                let mut command = Command::new(self.tox());
                command.args(["run", "-q", "-e", "py", "-c"]).arg(folder.join("tox.ini"));
                command.arg("--root").arg(tree).arg("--workdir").arg(folder.join("tox"));
                succeed(command.env("PIP_CACHE_DIR", self.folder.join("pip-cache")))
            }
        }
    }
}

fn imports(subject: &Subject) -> String {
    format!("import {}", subject.modules.join(", "))
}
