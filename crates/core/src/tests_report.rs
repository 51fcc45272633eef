//! What a suite's run counted, test by test.

use serde::{Deserialize, Serialize};

/// One test that did not pass.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FailingTest {
    /// The runner's own identifier, e.g. a pytest node id.
    pub id: String,
    /// The first line of its failure.
    pub message: String,
    /// How long it ran.
    pub seconds: Option<f64>,
    /// True when it both failed and passed on identical inputs; null while it was run once.
    pub flaky: Option<bool>,
    /// The file that raised, where the runner told; of a module that cannot be loaded the innermost that is not the interpreter's.
    #[serde(default)]
    pub raised_in: Option<String>,
}

/// Counts of a suite's run. Expected failures, unexpected passes and subtests are counted apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestCounts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests or modules that ended in an error outside the test itself.
    pub errors: u64,
    /// Tests that were skipped.
    pub skipped: u64,
    /// Expected failures that failed.
    pub xfailed: u64,
    /// Expected failures that passed.
    pub xpassed: u64,
    /// Subtests that passed.
    pub subtests: u64,
    /// The tests that failed or ended in an error.
    pub failing: Vec<FailingTest>,
}

impl TestCounts {
    /// Tests that really ran.
    pub const fn ran(&self) -> u64 {
        self.passed + self.failed + self.errors + self.xfailed + self.xpassed
    }
}
