//! Runs that did not get the processor time they asked for: which failures that may explain, and whose they are then.

use std::sync::OnceLock;

use regex::RegexSet;

use crate::{
    cause::{Blame, Cause, Confidence},
    evidence::Evidence,
    phase::{Limit, Phase, PhaseReport},
    tests_report::TestCounts,
};

/// The finding of a phase whose run waited for a processor for a fifth of its time or more.
pub const STARVED: &str = "starved";

/// The finding of a test phase that was run once more, with nothing beside it, since the first run was starved.
pub const RAN_ALONE: &str = "ran-again-alone";

/// How the log of a test phase separates a starved run from the one that counts.
pub const SEPARATOR: &str = "--- did not get its processor time";

/// True for the message of a test that was too slow, or waited in vain.
fn is_of_time(message: &str) -> bool {
    static SET: OnceLock<RegexSet> = OnceLock::new();
    SET.get_or_init(|| {
        RegexSet::new([
            r"(?i)deadline|time[d]?[ _-]?out\b|timeout|too slow|extremely slow|unreliable test timings",
            r"(?i)\b(?:elapsed|duration|seconds|latency|took|perf_counter|monotonic|complexities)\b",
            // Two measured times: `assert 0.31 < 0.25`, `1.2034 not less than 1.1`, `assert 0.2 == 0.1 ± 0.02`.
            r"assert -?\d+\.\d+ (?:[<>]=?|==) -?\d+(?:\.\d+)?|\d+\.\d+ (?:is )?not (?:less|greater|almost equal)",
        ])
        .expect("literal patterns compile")
    })
    .is_match(message)
}

/// True when want of processor time may be why a run ended as it did: at a limit of time, or with a test that was too slow.
pub fn may_be_of_time(limit: Option<Limit>, tests: Option<&TestCounts>) -> bool {
    matches!(limit, Some(Limit::Time | Limit::Inactivity))
        || tests.is_some_and(|tests| tests.failing.iter().any(|test| is_of_time(&test.message)))
}

/// True when all that failed in a phase failed by time, in a run that did not get its processor time.
pub(crate) fn is_starved(report: &PhaseReport, tests: Option<&TestCounts>) -> bool {
    let all_by_time = |tests: &TestCounts| {
        !tests.failing.is_empty() && tests.failing.iter().all(|test| is_of_time(&test.message))
    };
    report.findings.iter().any(|finding| finding.id == STARVED)
        && (matches!(report.limit, Some(Limit::Time | Limit::Inactivity)) || tests.is_some_and(all_by_time))
}

/// A cause with what starvation makes of it: the farm's fault, and nothing is said of the release.
pub(crate) fn excused(evidence: &Evidence, report: &PhaseReport, cause: Cause) -> Cause {
    let tests = evidence.tests.as_ref().filter(|_| cause.phase == Phase::Test);
    let why = report.findings.iter().find(|finding| finding.id == STARVED);
    let Some(why) = why.filter(|_| is_starved(report, tests)) else { return cause };
    Cause {
        blame: Blame::Farm,
        dependency: None,
        confidence: Confidence::Low,
        detail: format!("{}; {}", cause.detail, why.text),
        ..cause
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        classify::classify,
        outcome::Outcome,
        phase::{Finding, Status},
        tests_report::FailingTest,
    };

    #[test]
    fn what_was_too_slow_says_so() {
        for message in [
            "hypothesis.errors.DeadlineExceeded: Test took 331.79ms, which exceeds the deadline of 200.00ms.",
            "Failed: Timeout (>5.0s) from pytest-timeout.",
            "TimeoutError",
            "queue.Empty: timed out waiting for a result",
            "AssertionError: assert 0.3121 < 0.25",
            "AssertionError: 1.204 not less than 1.1",
            "assert elapsed < 2",
        ] {
            assert!(is_of_time(message), "{message}");
        }
        for message in
            ["AssertionError: assert 3 == 4", "ValueError: x", "assert 'a' == 'b'", "KeyError: 'time'"]
        {
            assert!(!is_of_time(message), "{message}");
        }
    }

    #[test]
    fn what_failed_by_time_in_a_starved_run_is_the_farms() {
        let slow = "DeadlineExceeded: Test took 331.79ms, which exceeds the deadline of 200.00ms.";
        let judged = |messages: &[&str], starved: bool| {
            let mut evidence: Evidence =
                serde_json::from_value(crate::samples::evidence()).expect("it is one");
            let mut report = PhaseReport::bare(Status::Failed);
            if starved {
                report.findings.push(Finding::new(STARVED, "it waited", Vec::new()));
            }
            evidence.phases.insert(Phase::Test, report);
            let failing: Vec<FailingTest> = messages
                .iter()
                .map(|message| FailingTest {
                    id: "t".to_owned(),
                    message: (*message).to_owned(),
                    ..FailingTest::default()
                })
                .collect();
            evidence.tests = Some(TestCounts { passed: 9, failed: 1, failing, ..TestCounts::default() });
            classify(&evidence, &BTreeMap::<Phase, String>::new()).outcome
        };
        assert_eq!(judged(&[slow], true), Outcome::FarmError);
        assert_eq!(judged(&[slow], false), Outcome::TestFailed);
        assert_eq!(judged(&[slow, "assert 3 == 4"], true), Outcome::TestFailed);
    }
}
