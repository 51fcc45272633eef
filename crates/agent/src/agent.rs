//! A job becomes a report: the phases in their order, and the layers they stand on.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use wheeltapper_core::{Phase, Popularity, ProjectName, Reason, Sha256, Status, evidence::Artifact};
use wheeltapper_repository::Repositories;
use wheeltapper_sandbox::{Bind, CELL_PATH, Cancel, Command, Execution, Host, Network, ScratchLimits, World};

use crate::{
    cell::Cell,
    error::Error,
    index::{Fetched, Index},
    installer::{Call, Installer, Task},
    job::{Job, Report},
    layers::Layers,
    layout::Layout,
    phases,
    places::as_in_a_cell,
    resolve::Resolver,
    skeleton,
    source::Source,
    turns::{Company, Turns},
    work::Work,
};

/// Where the driver lies that makes an environment of a Python from before PEP 405, below the cell's root.
const LEGACY_ENV: &str = "legacy_env.py";

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
    /// Projects' repositories; `None` where there is no git.
    pub repositories: Option<Repositories>,
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
                if built.is_none() && cell.evidence.unsupported.is_none() {
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

    /// Runs a command in a world, with the index's proxy behind its one port where it has one.
    pub(crate) fn execute(
        &self,
        world: &World,
        command: &Command,
        company: Company,
        index: &Index,
    ) -> Result<Execution, Error> {
        let _turn = self.turns.take(company);
        let mut serving = None;
        let mut refused = None;
        let mut serve = |listener| match index.serve(listener) {
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

    /// The environment's own layers: an empty virtual environment, and what its installer needs in it: pip itself, or what uv
    /// learned of the interpreter.
    pub(crate) fn base_layers(&self, job: &Job, slot: usize) -> Result<Vec<PathBuf>, Error> {
        let environment = &job.environment;
        let digest = environment.shown.digest.hex();
        let skeleton_key = Sha256::of_parts(["skeleton", "2", &digest]);
        let skeleton =
            self.layers.get::<Error>(slot, &skeleton_key, |folder| skeleton::write(folder, environment))?;
        let seeded_key = Sha256::of_parts(["seeded", "1", &digest]);
        let seeded = self.layers.get::<Error>(slot, &seeded_key, |folder| {
            let world = self.world(job, self.slots + slot, std::slice::from_ref(&skeleton))?;
            let run = |call: Call| {
                let shown = call.shown.clone();
                let (words, execution) = self.install_in(&world, job, call, None)?;
                if execution.exit.success() {
                    return Ok(());
                }
                Err(Error::Installer(format!("`{shown}` in an empty environment: {words}")))
            };
            if environment.interpreter.is_legacy() {
                world.write(Path::new(LEGACY_ENV), include_bytes!("drivers/legacy_env.py"), 0o644)?;
                run(Call::of_driver(
                    &world,
                    &environment.interpreter,
                    LEGACY_ENV,
                    &[world.root().join("env")],
                ))?;
            }
            let (call, _fetched) = match &environment.installer {
                Installer::Uv(_) => {
                    let python = world.root().join(Layout::of(&environment.interpreter).python());
                    (self.call(&world, environment, Task::Look(&python)), None)
                }
                Installer::Pip(None) => return Err(Error::Bug("no pip was chosen".to_owned())),
                Installer::Pip(Some(wheel)) => {
                    let fetched = self.index.fetch_wheel(wheel)?;
                    let target = Path::new("/installer").join(&wheel.filename);
                    let bind = Self::shown(&world, fetched.path(), target);
                    let call = self.seeding_call(&world, &environment.interpreter, &bind.target);
                    (call.seeing([bind]), Some(fetched))
                }
            };
            run(call)?;
            world.export(folder, ScratchLimits::default())?;
            let _ = std::fs::remove_file(folder.join(LEGACY_ENV));
            Ok(())
        })?;
        Ok(vec![skeleton, seeded])
    }

    /// Runs the installer in a world of its own, outside of any cell, with this index for its network; returns its words and
    /// how it ended.
    pub(crate) fn install_in(
        &self,
        world: &World,
        job: &Job,
        call: Call,
        index: Option<&Index>,
    ) -> Result<(String, Execution), Error> {
        let root = world.root().to_path_buf();
        let log = tempfile::NamedTempFile::new_in(&self.work).map_err(Error::file(&self.work))?;
        let mut environment = wheeltapper_sandbox::base_environment(&root, world.temporary());
        environment.push(("VIRTUAL_ENV".into(), root.join("env").into()));
        environment.extend(call.environment);
        let mut binds = job.environment.binds();
        binds.extend(call.binds);
        let limits = &job.options.limits;
        let command = Command {
            program: call.program,
            arguments: call.arguments,
            environment,
            directory: root,
            binds,
            network: if index.is_some() { Network::Port } else { Network::None },
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
        let execution = self.execute(world, &command, Company::Any, index.unwrap_or(&self.index))?;
        if let Some(error) = &execution.start_error {
            return Err(Error::Installer(format!("`{}` could not be started: {error}", call.shown)));
        }
        let words = as_in_a_cell(std::fs::read(log.path()).map_err(Error::file(log.path()))?, world.root());
        Ok((String::from_utf8_lossy(&words).into_owned(), execution))
    }
}
