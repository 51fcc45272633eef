//! Causes of a failed test phase, from what was counted test by test.

use std::collections::BTreeMap;

use super::{
    exceptions::{self, Exception},
    excerpt::Excerpt,
    found::Found,
    resolver::short,
    rules,
};
use crate::{
    cause::{Blame, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::Evidence,
    incomplete::{INCOMPLETE_SUITE, asks_for_absent, is_of_absent},
    next_step::{Variation, is_warning},
    phase::{Finding, Phase, PhaseReport, Status},
    tests_report::{FailingTest, TestCounts},
};

/// A warning that the suite's configuration raises as an error. A run with warnings shown, not raised, makes sure; whoever
/// defines the warning's class, when that is an installed distribution, is to blame.
fn raised_warning(evidence: &Evidence, tests: &TestCounts) -> (Found, Vec<EvidenceLine>) {
    let first = tests.failing.iter().find(|test| is_warning(&test.message)).unwrap_or(&tests.failing[0]);
    let again = evidence.attempts.iter().find(|attempt| attempt.variation == Variation::WarningsAtDefault);
    let confirmed = again.is_some_and(|attempt| attempt.status == Status::Passed);
    let module = first.message.split(['.', ':']).next().unwrap_or("").to_ascii_lowercase().replace('_', "-");
    let guilty = evidence.installed.iter().find(|installed| installed.project.as_str() == module);
    let detail = format!(
        "{warnings} of {all} failures are a warning raised as an error{seen}",
        warnings = tests.failing.iter().filter(|test| is_warning(&test.message)).count(),
        all = tests.failing.len(),
        seen = if confirmed { "; with warnings shown only, the suite passes" } else { "" },
    );
    let confidence = if confirmed { Confidence::High } else { Confidence::Medium };
    let found = Found::new(CauseId::WarningsAsErrors, Blame::Package, detail).confidence(confidence);
    let found = match guilty {
        Some(installed) => found.dependency(Dependency {
            project: installed.project.to_string(),
            version: Some(installed.version.clone()),
        }),
        None => found,
    };
    let text = short(&format!("{}: {}", first.id, first.message));
    (found, vec![EvidenceLine { phase: Phase::Test, line: 0, text }])
}

/// A suite that was not shipped whole, when that is why most of it fails.
fn incomplete_suite(report: &PhaseReport, tests: &TestCounts) -> Option<(Found, Vec<EvidenceLine>)> {
    let finding = report.findings.iter().find(|finding| finding.id == INCOMPLETE_SUITE)?;
    let paths: Vec<&str> = finding.evidence.iter().filter_map(|line| line.split(' ').next()).collect();
    if !asks_for_absent(tests, &paths) {
        return None;
    }
    let first = tests.failing.iter().find(|test| is_of_absent(&test.message, &paths))?;
    let detail = format!("{}: {}", finding.text, finding.evidence.join("; "));
    let found = Found::new(CauseId::MissingTestData, Blame::Package, detail)
        .title(Some("the sdist lacks a part of its tests".to_owned()))
        .subject(paths.first().copied().unwrap_or("a part of its tests"))
        .confidence(Confidence::High);
    let text = short(&format!("{}: {}", first.id, first.message));
    Some((found, vec![EvidenceLine { phase: Phase::Test, line: 0, text }]))
}

/// No test failed, and still the run is not believed: a test ended it, or wrote in the report on it.
fn untrue_report(report: &PhaseReport) -> Option<(Found, Vec<EvidenceLine>)> {
    let ours = |finding: &&Finding| ["runner-ended-early", "forged-report"].contains(&finding.id.as_str());
    let finding = report.findings.iter().find(ours)?;
    let found = Found::new(CauseId::TestFailures, Blame::Package, finding.text.clone())
        .title(Some("its tests do not let the others run".to_owned()))
        .confidence(Confidence::High);
    Some((found, Vec::new()))
}

/// The cause of a failed test phase, when tests were counted, and the line that it rests on.
pub(super) fn cause_of(
    evidence: &Evidence,
    phase: Phase,
    report: &PhaseReport,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    if phase != Phase::Test {
        return None;
    }
    let tests = evidence.tests.as_ref()?;
    let Some(first) = tests.failing.first() else { return untrue_report(report) };
    let warnings = tests.failing.iter().filter(|test| is_warning(&test.message)).count();
    if warnings * 2 > tests.failing.len() {
        return Some(raised_warning(evidence, tests));
    }
    if let Some(cause) = incomplete_suite(report, tests) {
        return Some(cause);
    }
    let named = common(evidence, tests);
    let only_errors = tests.failed == 0 && tests.errors > 0;
    let bad = tests.failed + tests.errors;
    let (found, decisive) = match named {
        Some((found, count, decisive)) => {
            let others = if count < tests.failing.len() {
                format!(" ({count} of {} failures)", tests.failing.len())
            } else {
                String::new()
            };
            (found.more(&format!("{others}; {bad} of {} tests did not pass", tests.ran())), decisive)
        }
        None => {
            let id = if only_errors && report.exit == Some(2) {
                CauseId::CollectionError
            } else {
                CauseId::TestFailures
            };
            let detail =
                format!("{bad} of {} tests did not pass; first {}: {}", tests.ran(), first.id, first.message);
            (Found::new(id, Blame::Package, detail).confidence(Confidence::High), first)
        }
    };
    let line = excerpt
        .lines
        .iter()
        .find(|line| !decisive.message.is_empty() && line.text.contains(decisive.message.as_str()))
        .map_or(0, |line| line.number);
    let text = short(&format!("{}: {}", decisive.id, decisive.message));
    Some((found, vec![EvidenceLine { phase: Phase::Test, line, text }]))
}

/// The cause that most of the failing tests that tell of one have in common, when that is a third of all: how many they are,
/// and the first of them.
fn common<'a>(evidence: &Evidence, tests: &'a TestCounts) -> Option<(Found, usize, &'a FailingTest)> {
    let mut kinds: BTreeMap<CauseId, (Found, usize, &FailingTest)> = BTreeMap::new();
    for test in &tests.failing {
        if let Some(found) = of_message(evidence, test) {
            let kind = kinds.entry(found.id()).or_insert((found, 0, test));
            kind.1 += 1;
        }
    }
    kinds
        .into_values()
        .max_by_key(|(_, count, _)| *count)
        .filter(|(_, count, _)| count * 3 >= tests.failing.len())
}

fn of_message(evidence: &Evidence, test: &FailingTest) -> Option<Found> {
    let line = test.message.trim_start_matches("E ").trim();
    let raised_in: Vec<&str> = test.raised_in.as_deref().into_iter().collect();
    let exception = Exception { phase: Phase::Test, line, frames: &raised_in };
    exceptions::cause_of(evidence, exception).or_else(|| {
        let (number, rule) = rules::shipped()
            .knowing(line)
            .find(|(_, rule)| rule.phases.contains(&Phase::Test) && !rule.consequence)?;
        let (subject, detail) = rules::shipped().particulars(number, line);
        let found = Found::new(rule.id, rule.blame, detail).title(rule.title.clone());
        Some(match subject {
            Some(subject) => found.subject(subject),
            None => found,
        })
    })
}
