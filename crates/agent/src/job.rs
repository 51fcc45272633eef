//! What an agent is asked to do, and what it brings back. Values only.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use wheeltapper_core::{
    Evidence, Options, Phase, ProjectName, Reason, Sha256, TestPlan, TestsRepository, Version,
    cycle::People,
    evidence::{Artifact, Selected},
};
use wheeltapper_index::File;
use wheeltapper_recipe::Override;

use crate::{environment::HostEnvironment, resolve::LockedWheel};

/// One cell to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// What is tapped.
    pub release: Release,
    /// Which kind of distribution it starts from.
    pub artifact: Artifact,
    /// Where.
    pub environment: Arc<HostEnvironment>,
    /// How.
    pub options: Options,
    /// What the user and this program wrote down of how its tests are run, strongest first.
    pub overrides: Arc<[Override]>,
    /// What a stored result used, when it is to be had again.
    pub replay: Option<Arc<Replay>>,
}

impl Job {
    /// The same for the environment that builds wheels on behalf of the job's own, where its own cannot.
    pub(crate) fn of_builder(&self) -> Option<Job> {
        let environment = Arc::clone(self.environment.builder.as_ref()?);
        Some(Job { environment, ..self.clone() })
    }
}

/// A release, with the files that this environment would use of it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its project.
    pub project: ProjectName,
    /// Its version.
    pub version: Version,
    /// True for a checkout whose version only its build can tell: any version is then right.
    pub tentative: bool,
    /// How it was chosen.
    pub selected: Selected,
    /// Its `Requires-Python`.
    pub requires_python: Option<String>,
    /// Whether it is yanked.
    pub yanked: bool,
    /// The project's status.
    pub project_status: Option<String>,
    /// Its sdist.
    pub sdist: Option<Origin>,
    /// The published wheel that the installer would pick.
    pub wheel: Option<Origin>,
}

impl Release {
    /// The file that a cell of this artifact starts from.
    pub fn origin(&self, artifact: Artifact) -> Option<&Origin> {
        match artifact {
            Artifact::Sdist => self.sdist.as_ref(),
            Artifact::Wheel => self.wheel.as_ref(),
        }
    }

    /// The end of the day on which this release was uploaded, as RFC 3339: 24 hours after the first of the files that this
    /// environment would use, so that what was released with it is there. `None` when the index does not say.
    pub fn day_of_upload(&self) -> Option<String> {
        let times = self.sdist.iter().chain(&self.wheel).filter_map(|origin| match origin {
            Origin::Index(file) => file.upload_time,
            Origin::Local { .. } => None,
        });
        let day = jiff::SignedDuration::from_hours(24);
        times.min().and_then(|time| time.checked_add(day).ok()).map(|time| time.to_string())
    }
}

/// Where a file comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The index lists it.
    Index(Box<File>),
    /// The user gave it: its file name, its path, its content's digest.
    Local {
        /// The name it has, or would have on an index.
        filename: String,
        /// Where it is.
        path: PathBuf,
        /// What it holds.
        sha256: Sha256,
    },
}

impl Origin {
    /// The file's name.
    pub fn filename(&self) -> &str {
        match self {
            Origin::Index(file) => &file.filename,
            Origin::Local { filename, .. } => filename,
        }
    }

    /// Its digest, when it is known beforehand.
    pub fn sha256(&self) -> Option<Sha256> {
        match self {
            Origin::Index(file) => file.sha256(),
            Origin::Local { sha256, .. } => Some(*sha256),
        }
    }
}

/// What a stored result used: taken instead of asking the resolver and the recipe again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// What was installed to build it.
    pub build: Vec<LockedWheel>,
    /// Its runtime requirements.
    pub runtime: Vec<LockedWheel>,
    /// Its tests' requirements.
    pub test: Vec<LockedWheel>,
    /// How its tests were run.
    pub plan: Option<TestPlan>,
    /// Where they were looked for beside the sdist.
    pub repository: Option<TestsRepository>,
    /// Why they were not.
    pub untested: Option<Reason>,
}

/// What requirements are prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Build,
    Runtime,
    Test,
}

impl Purpose {
    /// As records spell it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Purpose::Build => "build",
            Purpose::Runtime => "runtime",
            Purpose::Test => "test",
        }
    }
}

impl Replay {
    pub(crate) fn wheels(&self, purpose: Purpose) -> &[LockedWheel] {
        match purpose {
            Purpose::Build => &self.build,
            Purpose::Runtime => &self.runtime,
            Purpose::Test => &self.test,
        }
    }
}

/// What an agent brings back from one cell.
#[derive(Debug, Clone)]
pub struct Report {
    /// What happened.
    pub evidence: Evidence,
    /// The log of each phase.
    pub logs: BTreeMap<Phase, Vec<u8>>,
    /// Projects whose index pages the cell rests on, beside its own.
    pub asked: Vec<String>,
    /// Who is concerned with the release, as its metadata has it. Not part of the record, which is public.
    pub people: Option<People>,
}
