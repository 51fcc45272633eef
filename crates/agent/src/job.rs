//! What an agent is asked to do, and what it brings back. Values only.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use wheeltapper_core::{
    Evidence, Phase, ProjectName, Sha256, Version,
    evidence::{Artifact, Selected},
};
use wheeltapper_index::File;

use crate::environment::HostEnvironment;

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
}

/// A release, with the files that this environment would use of it.
#[derive(Debug, Clone)]
pub struct Release {
    /// Its project.
    pub project: ProjectName,
    /// Its version.
    pub version: Version,
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

/// How cells are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether tests are run.
    pub tests: bool,
    /// Whether `setup.py` is used wherever there is one.
    pub setup_py: bool,
    /// Limits of each phase.
    pub limits: Limits,
}

/// Limits of each phase of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Wall time of a build.
    pub build: Duration,
    /// Wall time of an install, an import of all modules, an uninstall.
    pub step: Duration,
    /// Wall time of the tests.
    pub test: Duration,
    /// Time without a sign of life.
    pub inactivity: Duration,
    /// Bytes of memory of all processes together.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Bytes printed in a phase.
    pub output: u64,
    /// Bytes written in a cell.
    pub disk: u64,
}

impl Default for Limits {
    /// 15 minutes to build, 5 to install, import or uninstall, 10 to test; 2 without a sign of life; 2 GiB of memory, 1,024
    /// processes, 16 MiB of output, 2 GiB of disk.
    fn default() -> Self {
        Limits {
            build: Duration::from_secs(900),
            step: Duration::from_secs(300),
            test: Duration::from_secs(600),
            inactivity: Duration::from_secs(120),
            memory: 2 << 30,
            processes: 1024,
            output: 16 << 20,
            disk: 2 << 30,
        }
    }
}

impl Limits {
    /// All limits as text, for fingerprints.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
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
}
