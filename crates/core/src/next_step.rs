//! What to do next in a cell whose tests failed: settle it, or run them once more to tell the cause. Pure: the agent asks,
//! runs, and asks again; one report carries all attempts. A second run never turns a failure into a pass.

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    phase::{Phase, Status},
    tests_report::TestCounts,
    words::words,
};

words! {
    /// How a further attempt differs from the first.
    Variation: "variation" {
        /// Not at all: what fails once and passes once on identical inputs is flaky.
        Same = "same",
        /// Warnings are shown, not raised: tells a new deprecation from a defect.
        WarningsAtDefault = "warnings-at-default",
    }
}

/// A further run of the tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestAttempt {
    /// How it differed.
    pub variation: Variation,
    /// How it ended.
    pub status: Status,
    /// What it counted.
    pub tests: TestCounts,
}

/// What the agent does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing: the evidence is all there.
    Settled,
    /// Run the tests again, so.
    TestAgain(Variation),
}

/// The longest test phase that is run again, in seconds: a suite that takes longer is believed the first time.
const LONGEST: f64 = 60.0;

/// Decides from the evidence so far. `test_wall_s` is what the first run of the tests took.
pub fn next_step(evidence: &Evidence, test_wall_s: f64) -> NextStep {
    let failed = evidence.phases.get(&Phase::Test).filter(|report| report.status == Status::Failed);
    let (Some(report), Some(tests)) = (failed, &evidence.tests) else { return NextStep::Settled };
    if report.limit.is_some() || report.signal.is_some() || tests.failing.is_empty() || test_wall_s > LONGEST
    {
        return NextStep::Settled;
    }
    let tried = |variation| evidence.attempts.iter().any(|attempt| attempt.variation == variation);
    let warnings = tests.failing.iter().filter(|test| is_warning(&test.message)).count();
    if warnings * 2 > tests.failing.len() {
        return if tried(Variation::WarningsAtDefault) {
            NextStep::Settled
        } else {
            NextStep::TestAgain(Variation::WarningsAtDefault)
        };
    }
    if tried(Variation::Same) { NextStep::Settled } else { NextStep::TestAgain(Variation::Same) }
}

/// True for the message of a warning that was raised as an error: `DeprecationWarning: …`, `a.b.SomeWarning: …`.
pub fn is_warning(message: &str) -> bool {
    let Some((class, _)) = message.split_once(": ") else { return false };
    let name = class.trim_start_matches("E ").trim().rsplit('.').next().unwrap_or("");
    name.ends_with("Warning") && name.chars().all(char::is_alphanumeric)
        || name.starts_with("PytestRemovedIn")
}

/// Marks each failing test that a run on identical inputs confirms or does not.
pub fn mark_flaky(evidence: &mut Evidence) {
    let again = evidence.attempts.iter().find(|attempt| attempt.variation == Variation::Same);
    let (Some(again), Some(tests)) = (again, evidence.tests.as_mut()) else { return };
    // A second run that was cut short says nothing of the tests that it did not reach.
    if again.tests.ran() + again.tests.skipped < tests.ran() + tests.skipped {
        return;
    }
    for test in &mut tests.failing {
        test.flaky = Some(!again.tests.failing.iter().any(|other| other.id == test.id));
    }
}

/// The share of failed runs of a cell that both failed and passed on identical inputs; `None` when it did not.
pub fn flaky_rate(evidence: &Evidence) -> Option<f64> {
    let first = evidence.phases.get(&Phase::Test)?.status;
    let again = evidence.attempts.iter().filter(|attempt| attempt.variation == Variation::Same);
    let runs: Vec<Status> = std::iter::once(first).chain(again.map(|attempt| attempt.status)).collect();
    let failed = runs.iter().filter(|status| **status == Status::Failed).count();
    (failed > 0 && failed < runs.len()).then(|| failed as f64 / runs.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_raised_warning() {
        assert!(is_warning("DeprecationWarning: x is deprecated"));
        assert!(is_warning("pytest.PytestRemovedIn9Warning: Marks applied to fixtures have no effect"));
        assert!(!is_warning("AssertionError: no Warning: raised"));
        assert!(!is_warning("assert 1 == 2"));
    }
}
