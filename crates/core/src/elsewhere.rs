//! What another cell tells of tests that failed: the same tests of the same files, which pass on a newer interpreter. Pure over
//! two cells' evidence; who looks for the other cell is not decided here.

use std::{collections::BTreeMap, str::FromStr as _};

use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use crate::{
    cause::{Blame, Cause, CauseId, Confidence},
    evidence::Evidence,
    phase::{Phase, Status},
    project::ProjectName,
    tests_report::TestCounts,
};

/// A cell in which all tests pass that fail in this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The environment's name.
    pub environment: String,
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// The full version, e.g. `3.13.0`.
    pub python: String,
}

/// Tells that what fails in `failed` passes in `other`: the same file on the same platform, a newer interpreter of the same
/// kind, the same versions of whatever both have installed, and as many tests.
pub fn passes_in(failed: &Evidence, other: &Evidence) -> Option<Elsewhere> {
    let (here, there) = (&failed.environment, &other.environment);
    let (ours, theirs) = (failing(failed)?, other.tests.as_ref()?);
    let version = |text: &str| Version::from_str(text).ok();
    let is_newer = version(&there.python)? > version(&here.python)?;
    let same_place = (&here.os, &here.platform, &here.arch, &here.implementation)
        == (&there.os, &there.platform, &there.arch, &there.implementation);
    let file = |evidence: &Evidence| evidence.distribution.as_ref().map(|file| file.sha256);
    let same_file =
        failed.artifact == other.artifact && file(failed).is_some() && file(failed) == file(other);
    let reached = |tests: &TestCounts| tests.ran() + tests.skipped;
    let passes = !theirs.failing.iter().any(|test| ours.failing.iter().any(|one| one.id == test.id));
    let alike = is_newer && same_place && same_file && same_versions(failed, other);
    (alike && passes && reached(theirs) * 10 >= reached(ours) * 9).then(|| Elsewhere {
        environment: there.name.clone(),
        implementation: there.implementation.clone(),
        python: there.python.clone(),
    })
}

/// What was counted by tests that came to their end and failed one by one.
fn failing(evidence: &Evidence) -> Option<&TestCounts> {
    let report = evidence.phases.get(&Phase::Test)?;
    let ended = report.status == Status::Failed && report.limit.is_none() && report.signal.is_none();
    evidence.tests.as_ref().filter(|tests| ended && !tests.failing.is_empty())
}

fn same_versions(first: &Evidence, second: &Evidence) -> bool {
    let versions = |evidence: &Evidence| -> BTreeMap<ProjectName, String> {
        let of_tests = evidence.installed.iter().filter(|one| one.purpose != "build");
        of_tests.map(|one| (one.project.clone(), one.version.clone())).collect()
    };
    let (first, second) = (versions(first), versions(second));
    first.iter().all(|(project, version)| second.get(project).is_none_or(|other| other == version))
}

/// A cause with what the other cell adds. The interpreter is to blame where the release says that it supports this one and
/// nothing else is known of the failures.
pub(crate) fn compared(evidence: &Evidence, cause: Cause) -> Cause {
    let unexplained = cause.phase == Phase::Test && cause.id == CauseId::TestFailures;
    let Some(other) = evidence.elsewhere.as_ref().filter(|_| unexplained && cause.blame == Blame::Package)
    else {
        return cause;
    };
    let minor: Vec<&str> = evidence.environment.python.split('.').take(2).collect();
    let classifier = format!("Programming Language :: Python :: {}", minor.join("."));
    let detail = format!(
        "{}; the same tests of the same files pass on {} {}",
        cause.detail, other.implementation, other.python
    );
    if !evidence.classifiers.contains(&classifier) {
        return Cause { detail, ..cause };
    }
    Cause { blame: Blame::Interpreter, confidence: Confidence::Medium, detail, ..cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{classify::classify, phase::PhaseReport, tests_report::FailingTest};

    fn evidence(python: &str, failing: &[&str]) -> Evidence {
        let mut evidence: Evidence =
            serde_json::from_value(crate::samples::evidence()).expect("it is evidence");
        evidence.environment.python = python.to_owned();
        evidence.classifiers = vec!["Programming Language :: Python :: 3.11".to_owned()];
        evidence.distribution = Some(crate::evidence::Distribution {
            kind: evidence.artifact,
            filename: "thing-1.0.tar.gz".to_owned(),
            sha256: crate::Sha256::of(b"thing"),
        });
        let failing: Vec<FailingTest> = failing
            .iter()
            .map(|id| FailingTest {
                id: (*id).to_owned(),
                message: "assert 1 == 2".to_owned(),
                ..FailingTest::default()
            })
            .collect();
        let status = if failing.is_empty() { Status::Passed } else { Status::Failed };
        evidence.phases.insert(Phase::Test, PhaseReport::bare(status));
        let failed = failing.len() as u64;
        evidence.tests = Some(TestCounts { passed: 100, failed, failing, ..TestCounts::default() });
        evidence
    }

    #[test]
    fn what_passes_on_a_newer_interpreter_is_the_older_ones() {
        let mut failed = evidence("3.11.7", &["a"]);
        let blame = |evidence: &Evidence| {
            let verdict = classify(evidence, &BTreeMap::<Phase, String>::new());
            verdict.cause.map(|cause| (cause.blame, cause.confidence))
        };
        assert_eq!(blame(&failed), Some((Blame::Package, Confidence::High)));
        failed.elsewhere = passes_in(&failed, &evidence("3.13.0", &["b"]));
        assert_eq!(blame(&failed), Some((Blame::Interpreter, Confidence::Medium)));
        failed.classifiers.clear();
        assert_eq!(
            blame(&failed),
            Some((Blame::Package, Confidence::High)),
            "it never said that it supports this"
        );
    }

    #[test]
    fn other_files_versions_and_older_interpreters_tell_nothing() {
        let failed = evidence("3.11.7", &["a"]);
        assert!(passes_in(&failed, &evidence("3.13.0", &[])).is_some());
        assert!(passes_in(&failed, &evidence("3.13.0", &["a"])).is_none());
        assert!(passes_in(&failed, &evidence("3.10.1", &[])).is_none());
        let mut fewer = evidence("3.13.0", &[]);
        fewer.tests = Some(TestCounts { passed: 50, ..TestCounts::default() });
        assert!(passes_in(&failed, &fewer).is_none());
        let mut other = evidence("3.13.0", &[]);
        other.distribution = None;
        assert!(passes_in(&failed, &other).is_none());
    }
}
