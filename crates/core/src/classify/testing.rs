//! Causes of a failed test phase, from what was counted test by test.

use std::sync::OnceLock;

use regex::Regex;

use crate::{
    cause::{Blame, Cause, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::Evidence,
    incomplete::{INCOMPLETE_SUITE, asks_for_absent, is_of_absent},
    next_step::{Variation, is_warning},
    phase::{Phase, PhaseReport, Status},
    tests_report::{FailingTest, TestCounts},
};

/// What a failing test's message says about its cause, when it says so plainly.
fn kinds() -> &'static [(CauseId, Blame, Regex)] {
    static KINDS: OnceLock<Vec<(CauseId, Blame, Regex)>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let kind = |id, blame, pattern: &str| {
            (id, blame, Regex::new(pattern).expect("a literal pattern compiles"))
        };
        vec![
            kind(
                CauseId::TestsNeedNetwork,
                Blame::Package,
                r"Temporary failure in name resolution|Name or service not known|getaddrinfo failed|NameResolutionError|Network is unreachable|Failed to resolve|Could not resolve host|Cannot connect to host|gaierror",
            ),
            kind(
                CauseId::MissingTestDependency,
                Blame::Package,
                r"ModuleNotFoundError: No module named|ImportError: No module named|fixture '\w+' not found",
            ),
            kind(
                CauseId::TestsNeedDisplay,
                Blame::Platform,
                r"no display name and no \$DISPLAY|[Cc]annot open display|could not connect to display",
            ),
            kind(
                CauseId::TestsNeedService,
                Blame::Package,
                r"(?:127\.0\.0\.1|localhost)\S*.*(?:Connection refused|ECONNREFUSED)|Connection refused.*(?:127\.0\.0\.1|localhost)|Error 111 connecting to|must be set via the \S+ environment variable|[Ee]nvironment variable \S*(?:KEY|TOKEN|SECRET|PASSWORD)\S* (?:is )?(?:not set|required|must be set)|KeyError: '[A-Z_]*(?:API_?KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)[A-Z_]*'|docker.*(?:not running|DockerException)|Unable to locate credentials",
            ),
            kind(
                CauseId::MissingTestData,
                Blame::Package,
                r"FileNotFoundError: \[Errno 2\] No such file or directory",
            ),
        ]
    })
}

/// A warning that the suite's configuration raises as an error. A run with warnings shown, not raised, makes sure; whoever
/// defines the warning's class, when that is an installed distribution, is to blame.
fn raised_warning(evidence: &Evidence, tests: &TestCounts) -> Cause {
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
    Cause {
        id: CauseId::WarningsAsErrors,
        phase: Phase::Test,
        blame: if guilty.is_some() { Blame::Dependency } else { Blame::Package },
        dependency: guilty.map(|installed| Dependency {
            project: installed.project.to_string(),
            version: Some(installed.version.clone()),
        }),
        title: "a warning raised as an error".to_owned(),
        detail,
        evidence: vec![EvidenceLine {
            phase: Phase::Test,
            line: 0,
            text: format!("{}: {}", first.id, first.message),
        }],
        confidence: if confirmed { Confidence::High } else { Confidence::Medium },
    }
}

/// A suite that was not shipped whole, when that is why most of it fails.
fn incomplete_suite(report: &PhaseReport, tests: &TestCounts) -> Option<Cause> {
    let finding = report.findings.iter().find(|finding| finding.id == INCOMPLETE_SUITE)?;
    let paths: Vec<&str> = finding.evidence.iter().filter_map(|line| line.split(' ').next()).collect();
    if !asks_for_absent(tests, &paths) {
        return None;
    }
    let first = tests.failing.iter().find(|test| is_of_absent(&test.message, &paths))?;
    Some(Cause {
        id: CauseId::MissingTestData,
        phase: Phase::Test,
        blame: Blame::Package,
        dependency: None,
        title: "the sdist lacks a part of its tests".to_owned(),
        detail: format!("{}: {}", finding.text, finding.evidence.join("; ")),
        evidence: vec![EvidenceLine {
            phase: Phase::Test,
            line: 0,
            text: format!("{}: {}", first.id, first.message),
        }],
        confidence: Confidence::High,
    })
}

/// The cause of a failed test phase, when tests were counted.
pub fn cause(evidence: &Evidence, report: &PhaseReport, lines: &[&str]) -> Option<Cause> {
    let tests = evidence.tests.as_ref()?;
    let first = tests.failing.first()?;
    let warnings = tests.failing.iter().filter(|test| is_warning(&test.message)).count();
    if warnings * 2 > tests.failing.len() {
        return Some(raised_warning(evidence, tests));
    }
    if let Some(cause) = incomplete_suite(report, tests) {
        return Some(cause);
    }
    // A kind names the cause when most failing tests are of that kind.
    let named = kinds().iter().find_map(|(id, blame, pattern)| {
        let of_kind: Vec<&FailingTest> =
            tests.failing.iter().filter(|test| pattern.is_match(&test.message)).collect();
        (of_kind.len() * 2 > tests.failing.len()).then(|| (*id, *blame, of_kind[0]))
    });
    let only_errors = tests.failed == 0 && tests.errors > 0;
    let (id, blame, decisive, confidence) = match named {
        Some((id, blame, test)) => (id, blame, test, Confidence::Medium),
        None if only_errors && report.exit == Some(2) => {
            (CauseId::CollectionError, Blame::Package, first, Confidence::High)
        }
        None => (CauseId::TestFailures, Blame::Package, first, Confidence::High),
    };
    let bad = tests.failed + tests.errors;
    let line = lines
        .iter()
        .position(|line| !decisive.message.is_empty() && line.contains(decisive.message.as_str()))
        .map_or(0, |index| index + 1);
    Some(Cause {
        id,
        phase: Phase::Test,
        blame,
        dependency: None,
        title: id.as_str().replace('-', " "),
        detail: format!(
            "{bad} of {} tests did not pass; first {}: {}",
            tests.ran(),
            decisive.id,
            decisive.message
        ),
        evidence: vec![EvidenceLine {
            phase: Phase::Test,
            line,
            text: format!("{}: {}", decisive.id, decisive.message),
        }],
        confidence,
    })
}
