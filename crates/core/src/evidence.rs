//! What an agent brings home from one cell: facts, no judgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    contact::Contact,
    digest::Sha256,
    elsewhere::Elsewhere,
    environment::Environment,
    fix::Fix,
    next_step::TestAttempt,
    outcome::Reason,
    phase::{Phase, PhaseReport},
    plan::{TestPlan, TriedPlan},
    project::ProjectName,
    repository::TestsRepository,
    tests_report::TestCounts,
    words::words,
};

words! {
    /// Which kind of distribution a cell starts from.
    Artifact: "artifact" {
        /// Built here from source.
        Sdist = "sdist",
        /// The published wheel that the installer would pick.
        Wheel = "wheel",
    }
}

/// Which release was chosen, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selected {
    /// The newest final release on the index, whatever the interpreter.
    pub newest: Option<String>,
    /// `newest`, `newest-for-this-python`, `pinned`, `pre-release-only`, `local-file`.
    pub why: String,
}

/// A file that was published, or given by the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// `sdist` or `wheel`.
    pub kind: Artifact,
    /// Its file name.
    pub filename: String,
    /// Its content.
    pub sha256: Sha256,
}

/// How the wheel was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The build backend, e.g. `setuptools.build_meta`.
    pub backend: Option<String>,
    /// `build-system.requires` and what the backend asked for beyond it.
    pub requires: Vec<String>,
    /// `pep517` or `setup.py`.
    pub via: String,
}

/// The wheel that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WheelFile {
    /// Its file name.
    pub filename: String,
    /// Its content.
    pub sha256: Sha256,
}

/// The import of one module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportResult {
    /// Its dotted name.
    pub module: String,
    /// `passed` or `failed`.
    pub status: crate::phase::Status,
    /// False for modules whose failure is a finding only.
    pub decides: bool,
}

/// A distribution that was installed beside the release, or to build it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// Its project.
    pub project: ProjectName,
    /// Its version.
    pub version: String,
    /// The file it came from; null when it was built from an sdist inside the sandbox.
    pub sha256: Option<Sha256>,
    /// `build`, `runtime` or `test`.
    #[serde(rename = "for")]
    pub purpose: String,
}

/// Everything that happened in one cell. Times in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The project.
    pub project: ProjectName,
    /// The release's version; empty when none could be chosen.
    pub version: String,
    /// What the cell starts from.
    pub artifact: Artifact,
    /// How the release was chosen.
    pub selected: Selected,
    /// Its `Requires-Python`.
    pub requires_python: Option<String>,
    /// Whether it is yanked (PEP 592).
    pub yanked: bool,
    /// The project's status (PEP 792).
    pub project_status: Option<String>,
    /// Where it ran.
    pub environment: Environment,
    /// The file it started from.
    pub distribution: Option<Distribution>,
    /// How it was built.
    pub build: Option<Build>,
    /// The wheel that was installed.
    pub wheel: Option<WheelFile>,
    /// The file whose installation was tested; differs from `distribution` after a failed build.
    pub tested: Option<String>,
    /// Phase by phase.
    #[serde(default)]
    pub phases: BTreeMap<Phase, PhaseReport>,
    /// Module by module.
    #[serde(default)]
    pub imports: Vec<ImportResult>,
    /// How the tests were run.
    pub test_plan: Option<TestPlan>,
    /// Every plan that was tried, in order; the believed one is `test_plan`.
    #[serde(default)]
    pub tried_plans: Vec<TriedPlan>,
    /// Where tests were looked for beside the sdist; null where they were not.
    #[serde(default)]
    pub repository: Option<TestsRepository>,
    /// What they counted.
    pub tests: Option<TestCounts>,
    /// Further runs of the tests, made to tell the cause.
    #[serde(default)]
    pub attempts: Vec<TestAttempt>,
    /// Another cell in which the tests pass that failed here.
    #[serde(default)]
    pub elsewhere: Option<Elsewhere>,
    /// A change of one line with which it works, when one was found.
    #[serde(default)]
    pub fix: Option<Fix>,
    /// Files of the release that stayed after it was removed.
    #[serde(default)]
    pub leftovers: Vec<String>,
    /// Files written outside the environment's prefix, HOME aside where the phase may.
    #[serde(default)]
    pub foreign_writes: Vec<String>,
    /// What was installed beside it.
    #[serde(default)]
    pub installed: Vec<Installed>,
    /// The release's trove classifiers.
    #[serde(default)]
    pub classifiers: Vec<String>,
    /// What its maintainers wish of mail.
    #[serde(default)]
    pub contact: Option<Contact>,
    /// Set when the release itself says that it is not for this environment.
    pub unsupported: Option<Reason>,
    /// Set when no tests were run although nothing failed.
    pub untested: Option<Reason>,
    /// Set when the farm failed; nothing else is then believed.
    pub farm_error: Option<String>,
}

/// The logs of a cell, one a phase, as text.
pub trait Logs {
    /// The log of this phase; empty when there is none.
    fn log(&self, phase: Phase) -> std::borrow::Cow<'_, str>;
}

impl Logs for BTreeMap<Phase, String> {
    fn log(&self, phase: Phase) -> std::borrow::Cow<'_, str> {
        self.get(&phase).map_or("".into(), |text| text.as_str().into())
    }
}
