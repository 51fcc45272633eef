//! How a cell is run: recorded with its result, so that the result can be had again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::repository::TestSource;

/// How cells are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Whether tests are run.
    pub tests: bool,
    /// Whether `setup.py` is used wherever there is one.
    pub setup_py: bool,
    /// Where tests may come from.
    #[serde(default)]
    pub source: TestSource,
    /// Limits of each phase.
    pub limits: Limits,
}

/// Limits of each phase of a cell. Times in seconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time of a build.
    pub build_s: u64,
    /// Wall time of an install, an import of all modules, an uninstall.
    pub step_s: u64,
    /// Wall time of the tests.
    pub test_s: u64,
    /// Time without output or CPU use.
    pub inactivity_s: u64,
    /// Memory of all processes together.
    pub memory: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Output of a phase.
    pub output: u64,
    /// What a cell may write.
    pub disk: u64,
}

impl Default for Limits {
    /// 15 minutes to build, 5 to install, import or uninstall, 10 to test; 2 without a sign of life; 2 GiB of memory, 1,024
    /// processes, 64 MiB of output, 2 GiB of disk.
    fn default() -> Self {
        Limits {
            build_s: 900,
            step_s: 300,
            test_s: 600,
            inactivity_s: 120,
            memory: 2 << 30,
            processes: 1024,
            output: 64 << 20,
            disk: 2 << 30,
        }
    }
}

impl Limits {
    /// Wall time of a build.
    pub const fn build(&self) -> Duration {
        Duration::from_secs(self.build_s)
    }

    /// Wall time of an install, an import of all modules, an uninstall.
    pub const fn step(&self) -> Duration {
        Duration::from_secs(self.step_s)
    }

    /// Wall time of the tests.
    pub const fn test(&self) -> Duration {
        Duration::from_secs(self.test_s)
    }

    /// Time without output or CPU use.
    pub const fn inactivity(&self) -> Duration {
        Duration::from_secs(self.inactivity_s)
    }

    /// All limits as text, for fingerprints.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}
