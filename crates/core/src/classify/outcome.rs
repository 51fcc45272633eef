//! The one word for a cell, from its phases.

use super::first_failed;
use crate::{
    evidence::Evidence,
    outcome::{Outcome, Reason},
    phase::{Phase, Status},
};

/// The outcome and, for `untested` and `unsupported`, why.
pub fn outcome(evidence: &Evidence) -> (Outcome, Option<Reason>) {
    if evidence.farm_error.is_some() {
        return (Outcome::FarmError, None);
    }
    if let Some(reason) = evidence.unsupported {
        return (Outcome::Unsupported, Some(reason));
    }
    if let Some((phase, _)) = first_failed(evidence) {
        if names_only_other_systems(evidence) {
            return (Outcome::Unsupported, Some(Reason::OsClassifier));
        }
        return (Outcome::failed_in(phase), None);
    }
    let tests_passed =
        evidence.phases.get(&Phase::Test).is_some_and(|report| report.status == Status::Passed)
            && evidence.tests.as_ref().is_some_and(|tests| tests.ran() > 0);
    if tests_passed {
        (Outcome::Passed, None)
    } else {
        (Outcome::Untested, Some(evidence.untested.unwrap_or(Reason::TestsCouldNotRun)))
    }
}

/// True when the operating-system classifiers name systems, and none of them is this one.
fn names_only_other_systems(evidence: &Evidence) -> bool {
    let ours: &[&str] = match evidence.environment.os.as_str() {
        "linux" => &["OS Independent", "POSIX", "Unix", "Linux"],
        "macos" => &["OS Independent", "POSIX", "Unix", "MacOS"],
        "windows" => &["OS Independent", "Microsoft"],
        _ => return false,
    };
    let named: Vec<&str> = evidence
        .classifiers
        .iter()
        .filter_map(|classifier| classifier.strip_prefix("Operating System ::"))
        .collect();
    // `POSIX :: BSD` names another system than `POSIX` or `POSIX :: Linux`.
    let admits = |classifier: &&str| {
        let other_posix = classifier.contains("POSIX :: ")
            && !classifier.contains("Linux")
            && !classifier.contains("Other");
        let other_unix = evidence.environment.os == "linux" && classifier.contains("MacOS");
        !other_posix && !other_unix && ours.iter().any(|word| classifier.contains(word))
    };
    !named.is_empty() && !named.iter().any(admits)
}
