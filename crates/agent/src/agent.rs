//! A job becomes a report: the phases in their order, and the layers they stand on.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltapper_core::{Phase, Popularity, ProjectName, Reason, Sha256, Status, evidence::Artifact};
use wheeltapper_sandbox::{Bind, CELL_PATH, Cancel, Command, Execution, Host, Network, ScratchLimits, World};

use crate::{
    cell::Cell,
    environment::HostEnvironment,
    error::Error,
    index::{Fetched, Index},
    interpreter::Interpreter,
    job::{Job, Report},
    layers::Layers,
    phases,
    resolve::Resolver,
    source::Source,
    turns::{Company, Turns},
    work::Work,
};

/// Where the installer stands inside a sandbox.
pub(crate) const UV: &str = "/installer/uv";

/// What every slot shares.
pub struct Agent {
    /// The sandbox.
    pub host: Arc<Host>,
    /// The index.
    pub index: Index,
    /// The installer on the host.
    pub uv: PathBuf,
    /// The installer for root file systems: a program that wants no library of its system's. The same, where that does.
    pub uv_inside: PathBuf,
    /// The trusted resolver.
    pub resolver: Resolver,
    /// Layers kept ready.
    pub layers: Layers,
    /// A folder for temporary files.
    pub work: Work,
    /// How many slots run cells; layers are made in slots beyond them.
    pub slots: usize,
    /// Whose turn it is where a command wants the machine for itself.
    pub turns: Turns,
    /// Which projects are well known: a requirement that we infer must be one of them.
    pub popularity: Popularity,
    /// Identifies the run.
    pub run: String,
    /// Set when the user wants to stop.
    pub cancel: Cancel,
}

/// The folder of pure modules below the cell's root.
pub(crate) fn site_packages(interpreter: &Interpreter) -> PathBuf {
    let (major, minor) = interpreter.minor();
    let name = if interpreter.implementation == "pypy" { "pypy" } else { "python" };
    let threads = if interpreter.free_threaded { "t" } else { "" };
    PathBuf::from(format!("env/lib/{name}{major}.{minor}{threads}/site-packages"))
}

impl Agent {
    /// Runs one cell.
    ///
    /// # Errors
    /// When the farm itself fails; the cell is then to be retried.
    pub fn tap(&self, slot: usize, job: &Job, progress: &(dyn Fn(Phase) + Sync)) -> Result<Report, Error> {
        let report = Cell::new(self, job, slot, progress).and_then(|mut cell| {
            self.phases(&mut cell)?;
            Ok(cell.finish())
        });
        self.layers.release(slot);
        report
    }

    fn phases(&self, cell: &mut Cell<'_>) -> Result<(), Error> {
        let job = cell.job;
        let skip_rest = |cell: &mut Cell<'_>, phases: &[Phase]| {
            for phase in phases {
                cell.skip(*phase, Reason::EarlierPhaseFailed.as_str());
            }
        };
        let Some(origin) = job.release.origin(job.artifact) else {
            cell.evidence.unsupported = Some(Reason::NoCompatibleFile);
            return Ok(());
        };
        let Some(file) = phases::fetch::fetch(cell, origin)? else {
            skip_rest(cell, &[Phase::Build, Phase::Install, Phase::Import, Phase::Test, Phase::Uninstall]);
            return Ok(());
        };
        let source = if cell.starts_from_source() {
            match self.source(cell, &file)? {
                Ok(source) => Some(source),
                Err(reason) => {
                    cell.begin(Phase::Build);
                    cell.fail(
                        Phase::Build,
                        wheeltapper_core::Finding::new("invalid-archive", reason, Vec::new()),
                    );
                    cell.end(Phase::Build);
                    None
                }
            }
        } else {
            cell.skip(Phase::Build, Reason::PublishedWheel.as_str());
            self.published_source(cell)?
        };
        if let Some(source) = &source
            && (!cell.admitted(source) || cell.is_skipped(source))
        {
            return Ok(());
        }
        let built = match (&source, cell.starts_from_source()) {
            (Some(source), true) => {
                let built = phases::build::build(cell, source)?;
                if built.is_none() {
                    let tried = phases::trials::of_build(cell, source);
                    cell.tried(Phase::Build, tried)?;
                }
                built
            }
            (None, true) => None,
            (_, false) => Some(cell.with_its_name(file.path(), origin.filename())?),
        };
        // The published wheel of a release whose build fails has a cell of its own, or was not asked for.
        let Some(wheel) = built else {
            skip_rest(cell, &[Phase::Install, Phase::Import, Phase::Test, Phase::Uninstall]);
            return Ok(());
        };
        let Some((wheel, mut installation)) = phases::install::install(cell, wheel)? else {
            skip_rest(cell, &[Phase::Import, Phase::Test, Phase::Uninstall]);
            return Ok(());
        };
        phases::import::import(cell, &wheel, &mut installation)?;
        if cell.phase(Phase::Import).status == Status::Failed {
            let tried = phases::trials::of_import(cell, &wheel);
            cell.tried(Phase::Import, tried)?;
        }
        phases::test::test(cell, source.as_ref(), &wheel, &installation)?;
        phases::uninstall::uninstall(cell, &installation)
    }

    /// The project to ask for a top-level module that nobody declared: one that the table knows to provide it, or a
    /// well-known one of the same name. Never a guess that nobody vouches for.
    pub(crate) fn provider(&self, module: &str) -> Option<ProjectName> {
        match wheeltapper_recipe::provider(module) {
            Some(project) => project.parse().ok(),
            None => module.parse().ok().filter(|project| self.popularity.rank(project).is_some()),
        }
    }

    fn source(&self, cell: &Cell<'_>, archive: &Fetched) -> Result<Result<Source, String>, Error> {
        let Some(distribution) = &cell.evidence.distribution else {
            return Ok(Err("the sdist has no digest".to_owned()));
        };
        let (filename, sha256) = (&distribution.filename, &distribution.sha256);
        Source::unpacked(&self.layers, cell.slot, archive.path(), filename, sha256)
    }

    /// The sdist of a release whose published wheel is tapped: its tests are in there.
    fn published_source(&self, cell: &mut Cell<'_>) -> Result<Option<Source>, Error> {
        let release = &cell.job.release;
        let Some(origin) = release.origin(Artifact::Sdist).filter(|_| cell.job.options.tests) else {
            return Ok(None);
        };
        let fetched = match self.index.fetch(origin) {
            Ok(fetched) => fetched,
            Err(error) if phases::fetch::is_packages_fault(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let filename = origin.filename();
        Ok(Source::unpacked(&self.layers, cell.slot, fetched.path(), filename, &fetched.sha256())?.ok())
    }

    /// A fresh world for this slot's cell.
    pub(crate) fn world(&self, job: &Job, slot: usize, layers: &[PathBuf]) -> Result<World, Error> {
        // One limit on the disk is two: files of no size fill a disk as well. As many for each byte as the defaults have.
        let default = ScratchLimits::default();
        let bytes = job.options.limits.disk;
        let inodes = (bytes / (default.bytes / default.inodes)).max(4096);
        let limits = ScratchLimits { bytes, inodes };
        Ok(self.host.world_on(job.environment.root.as_ref(), slot, layers, limits)?)
    }

    /// Runs a command in a world, with the proxy behind its one port where it has one.
    pub(crate) fn execute(
        &self,
        world: &World,
        command: &Command,
        company: Company,
    ) -> Result<Execution, Error> {
        let _turn = self.turns.take(company);
        let mut serving = None;
        let mut refused = None;
        let mut serve = |listener| match self.index.serve(listener) {
            Ok(started) => serving = Some(started),
            Err(error) => refused = Some(error),
        };
        let listener: Option<&mut dyn FnMut(std::net::TcpListener)> = match command.network {
            Network::Port => Some(&mut serve),
            Network::None => None,
        };
        let execution = match world.run(command, &self.cancel, listener) {
            Err(wheeltapper_sandbox::Error::Cancelled) => return Err(Error::Stopped),
            other => other?,
        };
        if let Some(error) = refused {
            return Err(error.into());
        }
        if let Some(serving) = serving
            && !execution.exit.success()
            && let Some(failure) = serving.recording().failures.first()
        {
            return Err(Error::Installer(format!("the index failed: {failure}")));
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Stopped);
        }
        Ok(execution)
    }

    /// Where a world shows a file of the host, and the bind that does so. Without namespaces a file is where it is.
    pub(crate) fn shown(world: &World, source: &Path, target: PathBuf) -> Bind {
        let target = if world.root() == Path::new(CELL_PATH) { target } else { source.to_path_buf() };
        Bind { source: source.to_path_buf(), target }
    }

    /// The installer of an environment.
    pub(crate) fn uv(&self, environment: &HostEnvironment) -> &Path {
        if environment.root.is_some() { &self.uv_inside } else { &self.uv }
    }

    /// The installer, as this world shows it.
    pub(crate) fn uv_bind(&self, world: &World, environment: &HostEnvironment) -> Bind {
        Self::shown(world, self.uv(environment), UV.into())
    }

    pub(crate) fn uv_environment(&self, root: &Path) -> Vec<(OsString, OsString)> {
        vec![
            ("UV_CACHE_DIR".into(), root.join("cache/uv").into()),
            ("UV_PYTHON_DOWNLOADS".into(), "never".into()),
            ("UV_LINK_MODE".into(), "hardlink".into()),
            ("UV_NO_PROGRESS".into(), "1".into()),
        ]
    }

    /// The environment's own layers: an empty virtual environment, and what the installer learned of its interpreter.
    pub(crate) fn base_layers(&self, job: &Job, slot: usize) -> Result<Vec<PathBuf>, Error> {
        let environment = &job.environment;
        let skeleton_key = Sha256::of_parts(["skeleton", "1", &environment.shown.digest.hex()]);
        let skeleton =
            self.layers.get::<Error>(slot, &skeleton_key, |folder| skeleton(folder, environment))?;
        let warm_key = Sha256::of_parts(["warm", "1", &environment.shown.digest.hex()]);
        let warm = self.layers.get::<Error>(slot, &warm_key, |folder| {
            let world = self.world(job, self.slots + slot, std::slice::from_ref(&skeleton))?;
            let arguments = ["pip", "list", "--no-config", "--offline", "--python"].map(OsString::from);
            let execution = self.install_in(&world, job, arguments.into(), &[], None, Network::None)?;
            if !execution.1.exit.success() {
                return Err(Error::Installer(format!(
                    "uv pip list in an empty environment: {}",
                    execution.0
                )));
            }
            world.export(folder, ScratchLimits::default())?;
            Ok(())
        })?;
        Ok(vec![skeleton, warm])
    }

    /// What the resolver is to take for the environment's interpreter: the interpreter itself, or what stands in for it.
    pub(crate) fn asked_of(&self, job: &Job, slot: usize) -> Result<PathBuf, Error> {
        let environment = &job.environment;
        if environment.root.is_none() {
            return Ok(environment.interpreter.executable.clone());
        }
        let base = self.base_layers(job, slot)?;
        let key = Sha256::of_parts(["stand-in", "1", &environment.shown.digest.hex()]);
        let folder = self.layers.get::<Error>(slot, &key, |folder| {
            let world = self.world(job, self.slots + slot, &base)?;
            let [asked, answer] = ["ask/python", "ask/answer"].map(|name| world.root().join(name));
            let python = world.root().join("env/bin/python");
            let [python, path] = [&python, &answer].map(|path| path.display().to_string());
            let script = format!("#!/bin/sh\n{python} \"$@\" > {path} && exec cat {path}\n");
            world.write(Path::new("ask/python"), script.as_bytes(), 0o755)?;
            let mut arguments: Vec<OsString> =
                ["pip", "list", "--no-config", "--offline", "--python"].map(OsString::from).into();
            arguments.push(asked.into());
            let (words, execution) = self.run_installer(&world, job, arguments, &[], Network::None)?;
            if !execution.exit.success() {
                return Err(Error::Installer(format!("uv does not understand the interpreter: {words}")));
            }
            stand_in(folder, &world.read(Path::new("ask/answer"), 1 << 20)?)
        })?;
        Ok(folder.join("python"))
    }

    /// Runs the installer on a world's own environment, outside of any cell; returns its words and how it ended.
    pub(crate) fn install_in(
        &self,
        world: &World,
        job: &Job,
        mut arguments: Vec<OsString>,
        files: &[Bind],
        packages: Option<Vec<OsString>>,
        network: Network,
    ) -> Result<(String, Execution), Error> {
        arguments.push(world.root().join("env/bin/python").into());
        arguments.extend(packages.unwrap_or_default());
        self.run_installer(world, job, arguments, files, network)
    }

    /// Runs the installer in a world, outside of any cell; returns its words and how it ended.
    fn run_installer(
        &self,
        world: &World,
        job: &Job,
        arguments: Vec<OsString>,
        files: &[Bind],
        network: Network,
    ) -> Result<(String, Execution), Error> {
        let root = world.root().to_path_buf();
        let log = tempfile::NamedTempFile::new_in(&self.work).map_err(Error::file(&self.work))?;
        let mut environment = wheeltapper_sandbox::base_environment(&root, world.temporary());
        environment.extend(self.uv_environment(&root));
        let mut binds = job.environment.binds();
        let uv = self.uv_bind(world, &job.environment);
        let program = uv.target.clone().into_os_string();
        binds.push(uv);
        binds.extend(files.iter().cloned());
        let limits = &job.options.limits;
        let command = Command {
            program,
            arguments,
            environment,
            directory: root,
            binds,
            network,
            limits: wheeltapper_sandbox::Limits {
                wall: limits.build(),
                inactivity: limits.inactivity(),
                memory: limits.memory,
                processes: limits.processes,
                output: limits.output,
                ..wheeltapper_sandbox::Limits::default()
            },
            log: log.path().to_path_buf(),
        };
        let execution = self.execute(world, &command, Company::Any)?;
        if let Some(error) = &execution.start_error {
            return Err(Error::Installer(format!("uv could not be started: {error}")));
        }
        let words = std::fs::read(log.path()).map_err(Error::file(log.path()))?;
        Ok((String::from_utf8_lossy(&words).into_owned(), execution))
    }
}

/// What stands in on the host for the interpreter of a root file system, which cannot run there: a program that answers the
/// installer's one question, what it is, with the words that the interpreter itself gave inside.
fn stand_in(folder: &Path, answer: &[u8]) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    for (name, text) in
        [("answer.json", answer), ("python", b"#!/bin/sh\nexec cat \"${0%/*}/answer.json\"\n".as_slice())]
    {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(Error::file(&path))?;
    }
    executable(&folder.join("python"))
}

/// An empty virtual environment (PEP 405), written by us: no package code, nor any interpreter, is needed for it.
fn skeleton(folder: &Path, environment: &HostEnvironment) -> Result<(), Error> {
    let interpreter = &environment.interpreter;
    let (major, minor) = interpreter.minor();
    let bin = folder.join("env/bin");
    for path in [
        bin.clone(),
        folder.join("env/include"),
        folder.join(site_packages(interpreter)),
        folder.join("home"),
    ] {
        std::fs::create_dir_all(&path).map_err(Error::file(&path))?;
    }
    let link = |target: &Path, name: &Path| symlink(target, name).map_err(Error::file(name));
    link(&interpreter.executable, &bin.join("python"))?;
    for name in [format!("python{major}"), format!("python{major}.{minor}")] {
        link(Path::new("python"), &bin.join(name))?;
    }
    if interpreter.bits == 64 && interpreter.implementation != "pypy" {
        link(Path::new("lib"), &folder.join("env/lib64"))?;
    }
    let home = interpreter.executable.parent().unwrap_or(Path::new("/"));
    let text = format!(
        "home = {}\nimplementation = {}\nversion_info = {}\ninclude-system-site-packages = false\n",
        home.display(),
        interpreter.implementation,
        interpreter.version,
    );
    let path = folder.join("env/pyvenv.cfg");
    std::fs::write(&path, text).map_err(Error::file(&path))
}

#[cfg(unix)]
fn executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(Error::file(path))
}

#[cfg(not(unix))]
fn executable(_: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, name: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, name)
}

#[cfg(not(unix))]
fn symlink(_: &Path, name: &Path) -> std::io::Result<()> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        format!("{}: environments on this system are not made of links", name.display()),
    ))
}
