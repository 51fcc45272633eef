//! What a release, its build or its tests require becomes layers: resolved on the trusted side, or, where code has to run to
//! find out, inside a sandbox.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use wheeltapper_core::{
    Limit, ProjectName, Sha256, Version,
    pep508_rs::{Requirement, VersionOrUrl},
};
use wheeltapper_sandbox::{ScratchLimits, World};

use crate::{
    agent::Agent,
    error::Error,
    installer::Task,
    job::{Job, Purpose},
    layout::Layout,
    resolve::{Asked, LockedWheel, Python, Question, Resolution},
    usable,
};

/// What came of preparing requirements.
pub(crate) enum Prepared {
    /// Layers, lowest first, the environment's own included; and the wheels in them.
    Ready { layers: Vec<PathBuf>, wheels: Vec<LockedWheel> },
    /// It cannot be done; the installer's words.
    Impossible { words: String, limit: Option<Limit> },
}

impl Agent {
    /// Makes ready what a question asks for, on top of the environment's own layers. Projects in `below` lie below already.
    pub(crate) fn prepare(
        &self,
        job: &Job,
        slot: usize,
        purpose: Purpose,
        below: &[ProjectName],
        question: &Question,
    ) -> Result<Prepared, Error> {
        let base = self.base_layers(job, slot)?;
        let question = match question.plain() {
            Ok(question) => question,
            Err(words) => return Ok(Prepared::Impossible { words, limit: None }),
        };
        let question = &question;
        let resolution = match &job.replay {
            Some(replay) => {
                let wheels = replay.wheels(purpose);
                if wheels.iter().any(|wheel| wheel.sha256.is_none()) {
                    // What was built inside a sandbox is no file of the index: the same versions are built again.
                    let pins = |wheel: &LockedWheel| format!("{}=={}", wheel.project, wheel.version);
                    let requirements = wheels.iter().map(pins).collect();
                    let pinned = Question { requirements, ..Question::default() };
                    return self.prepare_inside(job, slot, base, below, &pinned);
                }
                Resolution::Locked(wheels.to_vec())
            }
            None if job.environment.installer.resolves_outside() => {
                let python = Python::Here(self.asked_of(job, slot)?);
                let asked = Asked { uv: self.uv(&job.environment), python };
                self.resolver.resolve(&job.environment, &asked, question)?
            }
            None => return self.prepare_inside(job, slot, base, below, question),
        };
        match resolution {
            Resolution::Impossible(words) => Ok(Prepared::Impossible { words, limit: None }),
            Resolution::NeedsBuild(_) => self.prepare_inside(job, slot, base, below, question),
            Resolution::Locked(wheels) => {
                if job.replay.is_none()
                    && question.until.is_none()
                    && self.stepped_back(job, question, &wheels)?
                {
                    let prepared = self.prepare_inside(job, slot, base.clone(), below, question)?;
                    if is_the_users(&prepared, &wheels, below, purpose) {
                        return Ok(prepared);
                    }
                }
                let wanted: Vec<&LockedWheel> =
                    wheels.iter().filter(|wheel| !below.contains(&wheel.project)).collect();
                let mut layers = base;
                if !wanted.is_empty() {
                    match self.wheels_layer(job, slot, &layers, &wanted)? {
                        Ok(layer) => layers.push(layer),
                        Err((words, limit)) => return Ok(Prepared::Impossible { words, limit }),
                    }
                }
                Ok(Prepared::Ready { layers, wheels })
            }
        }
    }

    /// True when a resolver that may build could have chosen otherwise: of some project a newer release has only an sdist.
    fn stepped_back(&self, job: &Job, question: &Question, wheels: &[LockedWheel]) -> Result<bool, Error> {
        let said: Vec<Requirement> = question
            .requirements
            .iter()
            .chain(&question.constraints)
            .filter_map(|text| text.parse().ok())
            .collect();
        for wheel in wheels {
            let page = self.index.handle.block_on(self.index.proxy.page(&wheel.project))?;
            let admitted = |version: &Version| {
                let about = said.iter().filter(|one| one.name.as_ref() == wheel.project.as_str());
                about.into_iter().all(|requirement| match &requirement.version_or_url {
                    Some(VersionOrUrl::VersionSpecifier(specifiers)) => specifiers.contains(version),
                    Some(VersionOrUrl::Url(_)) | None => true,
                })
            };
            if usable::hides_a_newer_sdist(&page, wheel, &job.environment, admitted) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A layer of exactly these wheels, installed by the environment's installer and byte-compiled.
    fn wheels_layer(
        &self,
        job: &Job,
        slot: usize,
        base: &[PathBuf],
        wheels: &[&LockedWheel],
    ) -> Result<Result<PathBuf, Refusal>, Error> {
        let digest = job.environment.shown.digest.hex();
        let hashes: Vec<String> =
            wheels.iter().map(|wheel| format!("{} {:?}", wheel.filename, wheel.sha256)).collect();
        let parts = ["wheels", "1", digest.as_str()].into_iter().chain(hashes.iter().map(String::as_str));
        let mut refused = None;
        let made = self.layers.get::<Failure>(slot, &Sha256::of_parts(parts), |folder| {
            let named = tempfile::Builder::new()
                .prefix("wheels-")
                .tempdir_in(&self.work)
                .map_err(Error::file(&self.work))?;
            let world = self.world(job, self.slots + slot, base)?;
            let (mut files, mut leases) = (Vec::new(), Vec::new());
            for wheel in wheels {
                let fetched = self.index.fetch_wheel(wheel)?;
                // The store names files by what they hold; the installer goes by their names.
                let source = named.path().join(&wheel.filename);
                if std::fs::hard_link(fetched.path(), &source).is_err() {
                    std::fs::copy(fetched.path(), &source).map_err(Error::file(&source))?;
                }
                files.push(Self::shown(&world, &source, Path::new("/wheels").join(&wheel.filename)));
                leases.push(fetched);
            }
            let wheels: Vec<PathBuf> = files.iter().map(|bind| bind.target.clone()).collect();
            let task = Task::Put { wheels: &wheels, compile: true };
            let call = self.call(&world, &job.environment, task).seeing(files);
            let (words, execution) = self.install_in(&world, job, call, None)?;
            if !execution.exit.success() {
                // Which of them the installer refuses is in its words; none of it is the farm's doing.
                refused = Some((words, execution.limit));
                return Err(Failure::Refused);
            }
            world.export(folder, ScratchLimits::default())?;
            let _ = std::fs::remove_dir_all(folder.join("cache"));
            Ok(())
        });
        settled(made, refused)
    }

    /// Resolves and installs inside a sandbox whose one port is the index: what has only an sdist is built there.
    fn prepare_inside(
        &self,
        job: &Job,
        slot: usize,
        base: Vec<PathBuf>,
        below: &[ProjectName],
        question: &Question,
    ) -> Result<Prepared, Error> {
        // What is resolved inside is not known beforehand; index answers are frozen for a run, so the layer is the run's.
        let parts = ["inside", "1", &self.run, &job.environment.shown.digest.hex()];
        let parts = parts.into_iter().chain(question.requirements.iter().map(String::as_str));
        let parts = parts.chain(["constraints"]).chain(question.constraints.iter().map(String::as_str));
        let parts = parts.chain(["until"]).chain(question.until.as_deref());
        let key = Sha256::of_parts(parts.chain(["below"]).chain(below.iter().map(ProjectName::as_str)));
        let mut refused = None;
        let made = self.layers.get::<Failure>(slot, &key, |folder| {
            let world = self.world(job, self.slots + slot, &base)?;
            world.write(Path::new("requirements.txt"), question.requirements.join("\n").as_bytes(), 0o644)?;
            world.write(Path::new("constraints.txt"), question.constraints.join("\n").as_bytes(), 0o644)?;
            let index = format!("http://127.0.0.1:{}/simple/", world.port());
            let task = Task::Resolve {
                requirements: "requirements.txt",
                constraints: "constraints.txt",
                index: &index,
            };
            let call = self.call(&world, &job.environment, task);
            let at = question.until.as_deref().map(|until| self.index.as_of(until)).transpose()?;
            let served = at.as_ref().unwrap_or(&self.index);
            let (words, execution) = self.install_in(&world, job, call, Some(served))?;
            if !execution.exit.success() {
                let words = words.replace(&index, "the index");
                refused = Some((words, execution.limit));
                return Err(Failure::Refused);
            }
            self.remove(&world, job, below)?;
            world.export(folder, ScratchLimits::default())?;
            for name in ["cache", "requirements.txt", "constraints.txt"] {
                let path = folder.join(name);
                let _ =
                    if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            }
            Ok(())
        });
        match settled(made, refused)? {
            Ok(layer) => {
                let wheels = installed_in(&layer, &Layout::of(&job.environment.interpreter).site_packages);
                Ok(Prepared::Ready { layers: base.into_iter().chain([layer]).collect(), wheels })
            }
            Err((words, limit)) => Ok(Prepared::Impossible { words, limit }),
        }
    }

    /// Removes what lies below already from a world in which more was installed than was asked for.
    fn remove(&self, world: &World, job: &Job, projects: &[ProjectName]) -> Result<(), Error> {
        let site = Layout::of(&job.environment.interpreter).site_packages;
        let there: Vec<_> =
            world.list(&site)?.into_iter().filter_map(|entry| distribution(&entry.name)).collect();
        let superfluous: Vec<String> = projects
            .iter()
            .filter(|project| there.iter().any(|(installed, _)| installed == *project))
            .map(ToString::to_string)
            .collect();
        if superfluous.is_empty() {
            return Ok(());
        }
        let call = self.call(world, &job.environment, Task::Remove(&superfluous));
        let (words, execution) = self.install_in(world, job, call, None)?;
        match execution.exit.success() {
            true => Ok(()),
            false => Err(Error::Installer(format!("a layer cannot be made: {words}"))),
        }
    }
}

/// Whether what came of resolving inside stands, rather than the wheels that were chosen without building. The same versions
/// do not: as wheels of the index they have hashes, and their layer is kept. Nor does a refusal where it is about the tests'
/// requirements, which are our choice as much as the package's.
fn is_the_users(
    prepared: &Prepared,
    wheels: &[LockedWheel],
    below: &[ProjectName],
    purpose: Purpose,
) -> bool {
    match prepared {
        Prepared::Impossible { .. } => purpose != Purpose::Test,
        Prepared::Ready { wheels: inside, .. } => {
            let there = |wheel: &LockedWheel| {
                inside.iter().any(|other| other.project == wheel.project && other.version == wheel.version)
            };
            let wanted: Vec<_> = wheels.iter().filter(|wheel| !below.contains(&wheel.project)).collect();
            wanted.len() != inside.len() || !wanted.into_iter().all(there)
        }
    }
}

/// The installer's words about requirements that it does not install, and the limit that ended it.
type Refusal = (String, Option<Limit>);

fn settled(
    made: Result<PathBuf, Failure>,
    refused: Option<Refusal>,
) -> Result<Result<PathBuf, Refusal>, Error> {
    match (made, refused) {
        (Ok(layer), _) => Ok(Ok(layer)),
        (Err(Failure::Refused), Some(refusal)) => Ok(Err(refusal)),
        (Err(Failure::Refused), None) => {
            Err(Error::Installer("a layer was refused without a word".to_owned()))
        }
        (Err(Failure::Farm(error)), _) => Err(error),
    }
}

enum Failure {
    Refused,
    Farm(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Farm(error.into())
    }
}

/// The distributions whose `.dist-info` folders lie in a layer. What was built inside has no file on the index, so no hash.
/// Strangers wrote the layer: no link is followed, and a version must be one.
fn installed_in(layer: &Path, below: &Path) -> Vec<LockedWheel> {
    let mut site = layer.to_path_buf();
    for part in below {
        site.push(part);
        if !site.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Vec::new();
        }
    }
    let mut wheels: Vec<LockedWheel> = std::fs::read_dir(site)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let (project, version) = distribution(&entry.file_name())?;
            let version = version.parse::<Version>().ok()?.to_string();
            Some(LockedWheel { project, version, filename: String::new(), sha256: None })
        })
        .collect();
    wheels.sort_by(|left, right| left.project.cmp(&right.project));
    wheels
}

/// The project and version that a `.dist-info` folder is named for. The version is a text of strangers.
pub(crate) fn distribution(folder: &OsStr) -> Option<(ProjectName, String)> {
    let (project, version) = folder.to_str()?.strip_suffix(".dist-info")?.split_once('-')?;
    Some((project.parse().ok()?, version.to_owned()))
}
