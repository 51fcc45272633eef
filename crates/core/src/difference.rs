//! What differs between two results of a project: the interpreter, the release, the versions of what was installed. Pure over
//! records; says what differs, not what of it is the reason.

use std::collections::BTreeMap;

use crate::{Record, phase::Phase};

/// One thing that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What: `python`, `release`, `platform`, `file`, `installer`, or a distribution with what it was installed for.
    pub what: String,
    /// In the first result; null where it is not there.
    pub first: Option<String>,
    /// In the second.
    pub second: Option<String>,
}

/// What differs between two results, as far as it can matter to this phase: the requirements of a build matter to builds only.
pub fn differences(first: &Record, second: &Record, phase: Phase) -> Vec<Difference> {
    let facts = |record: &Record| {
        let (evidence, environment) = (&record.evidence, &record.evidence.environment);
        [
            ("release", evidence.version.clone()),
            ("started from", evidence.artifact.to_string()),
            ("interpreter", format!("{} {}", environment.implementation, environment.python)),
            ("platform", environment.platform.clone()),
            ("architecture", environment.arch.clone()),
            ("installer", environment.installer.clone()),
            ("tests from", if phase == Phase::Test { tests_from(record) } else { String::new() }),
        ]
    };
    let mut found: Vec<Difference> = facts(first)
        .into_iter()
        .zip(facts(second))
        .filter(|((_, first), (_, second))| first != second)
        .map(|((what, first), (_, second))| Difference {
            what: what.to_owned(),
            first: Some(first),
            second: Some(second),
        })
        .collect();
    let (ours, theirs) = (versions(first, phase), versions(second, phase));
    let keys: std::collections::BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (ours, theirs) = (ours.get(key), theirs.get(key));
        if ours != theirs {
            let what = if key.1 == "runtime" { key.0.clone() } else { format!("{} ({})", key.0, key.1) };
            found.push(Difference { what, first: ours.cloned(), second: theirs.cloned() });
        }
    }
    found
}

/// Where a result's tests come from.
fn tests_from(record: &Record) -> String {
    let taken = record.evidence.repository.as_ref().filter(|repository| repository.refused.is_none());
    match taken.and_then(|repository| repository.commit.as_ref()) {
        Some(commit) => format!("the repository at {}", commit.get(..12).unwrap_or(commit)),
        None => "the sdist".to_owned(),
    }
}

fn versions(record: &Record, phase: Phase) -> BTreeMap<(String, String), String> {
    let matters = |purpose: &str| match phase {
        Phase::Build => purpose == "build",
        Phase::Fetch | Phase::Install | Phase::Import | Phase::Uninstall => purpose == "runtime",
        Phase::Test => purpose != "build",
    };
    record
        .evidence
        .installed
        .iter()
        .filter(|installed| matters(&installed.purpose))
        .map(|installed| {
            ((installed.project.to_string(), installed.purpose.clone()), installed.version.clone())
        })
        .collect()
}

/// Whether the interpreter alone makes the difference: the same release, started from the same file with the same versions of
/// everything installed on the same system, passes on another build of the same minor version.
pub fn only_the_interpreter(failed: &Record, passed: &Record) -> bool {
    let minor = |record: &Record| {
        let python = &record.evidence.environment.python;
        let mut parts = python.split('.').map(str::to_owned);
        (record.evidence.environment.implementation.clone(), parts.next(), parts.next())
    };
    let phases = [Phase::Build, Phase::Import, Phase::Test];
    minor(failed) == minor(passed)
        && failed.evidence.environment.python != passed.evidence.environment.python
        && failed.evidence.environment.name != passed.evidence.environment.name
        && phases.iter().all(|phase| {
            differences(failed, passed, *phase).iter().all(|difference| difference.what == "interpreter")
        })
}
