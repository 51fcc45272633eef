//! Tests that change their result although nothing else changed: how often each failed, of how many runs on identical inputs.
//! Derived from results; whoever stores one counts in those before it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    next_step::{TestAttempt, Variation},
    phase::Phase,
    tests_report::TestCounts,
};

/// How many tests are counted of a cell: a suite in which more change is told by the first of them.
const MOST: usize = 100;

/// A test that both failed and passed on identical inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlakyTest {
    /// The runner's own identifier.
    pub id: String,
    /// In how many runs it failed.
    pub failed: u64,
    /// Of how many.
    pub runs: u64,
}

/// The tests that failed in some of these results' runs and passed in others, those that fail most often first. All results are
/// of one cell, on identical inputs; the first says which they are. A run that was cut short, or reached fewer tests, does not
/// count: it says nothing of those that it did not reach.
pub fn flaky_tests<'e>(results: impl IntoIterator<Item = &'e Evidence>) -> Vec<FlakyTest> {
    let runs: Vec<&TestCounts> = results.into_iter().flat_map(runs).collect();
    let reached = |tests: &TestCounts| tests.ran() + tests.skipped;
    let most = runs.iter().map(|tests| reached(tests)).max().unwrap_or(0);
    let whole: Vec<&TestCounts> = runs.into_iter().filter(|tests| reached(tests) == most).collect();
    let mut failed: BTreeMap<&str, u64> = BTreeMap::new();
    for tests in &whole {
        let mut ids: Vec<&str> = tests.failing.iter().map(|test| test.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            *failed.entry(id).or_default() += 1;
        }
    }
    let runs = whole.len() as u64;
    let changed = failed.into_iter().filter(|(_, failed)| *failed < runs);
    let mut changed: Vec<FlakyTest> =
        changed.map(|(id, failed)| FlakyTest { id: id.to_owned(), failed, runs }).collect();
    changed.sort_by(|one, other| other.failed.cmp(&one.failed).then_with(|| one.id.cmp(&other.id)));
    changed.truncate(MOST);
    changed
}

/// What each run of the whole suite on identical inputs counted.
fn runs(evidence: &Evidence) -> impl Iterator<Item = &TestCounts> {
    let report = evidence.phases.get(&Phase::Test);
    let whole = report.is_some_and(|report| report.limit.is_none() && report.signal.is_none());
    let first = evidence.tests.as_ref().filter(|_| whole);
    let same = |attempt: &&TestAttempt| attempt.phase == Phase::Test && attempt.variation == Variation::Same;
    first.into_iter().chain(evidence.attempts.iter().filter(same).map(|attempt| &attempt.tests))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        phase::{PhaseReport, Status},
        samples,
        tests_report::FailingTest,
    };

    fn counts(ran: u64, failing: &[&str]) -> TestCounts {
        let failed = failing.len() as u64;
        let failing = failing.iter().map(|id| FailingTest { id: (*id).to_owned(), ..FailingTest::default() });
        TestCounts { passed: ran - failed, failed, failing: failing.collect(), ..TestCounts::default() }
    }

    fn result(first: TestCounts, same: Option<TestCounts>) -> Evidence {
        let mut evidence: Evidence = serde_json::from_value(samples::evidence()).unwrap();
        evidence.phases.insert(Phase::Test, PhaseReport::bare(Status::Failed));
        evidence.tests = Some(first);
        evidence.attempts = same
            .map(|tests| TestAttempt {
                variation: Variation::Same,
                phase: Phase::Test,
                status: Status::Failed,
                tests,
                changed: Vec::new(),
            })
            .into_iter()
            .collect();
        evidence
    }

    #[test]
    fn each_test_that_changed_is_counted_over_all_runs() {
        let results = [
            result(counts(9, &["a", "b", "c"]), Some(counts(9, &["a", "c"]))),
            result(counts(9, &["c"]), None),
        ];
        let found: Vec<_> =
            flaky_tests(&results).into_iter().map(|one| (one.id, one.failed, one.runs)).collect();
        assert_eq!(found, [("a".to_owned(), 2, 3), ("b".to_owned(), 1, 3)], "c fails each time");
        assert_eq!(flaky_tests(&results[1..]), [], "one run says nothing");
    }

    #[test]
    fn a_run_that_did_not_reach_all_tests_says_nothing_of_them() {
        let mut cut = result(counts(4, &[]), None);
        let whole = result(counts(9, &["a"]), Some(counts(9, &["a"])));
        assert_eq!(flaky_tests([&whole, &cut]), []);
        cut.tests = Some(counts(9, &[]));
        assert_eq!(flaky_tests([&whole, &cut]).len(), 1);
        let limit = Some(crate::phase::Limit::Time);
        cut.phases.insert(Phase::Test, PhaseReport { limit, ..PhaseReport::bare(Status::Failed) });
        assert_eq!(flaky_tests([&whole, &cut]), []);
    }
}
