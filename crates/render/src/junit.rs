//! JUnit XML: each cell a suite; each phase, and each of the package's own failing tests, a case.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use wheeltapper_core::{Exit, FailingTest, Outcome, Phase, PhaseReport, Record, Status};

use crate::{Error, groups::blamed, text::visible};

/// The records as one JUnit document. Tests that passed are counted in the suite's properties (`tests.passed` …).
///
/// # Errors
/// [`Error::Junit`], a bug.
pub fn junit(records: &[Record]) -> Result<String, Error> {
    let mut report = Report::new("wheeltapper");
    report.set_time(duration(records.iter().map(|record| record.wall_s).sum()));
    for record in records {
        report.add_test_suite(suite(record));
    }
    report.to_string().map_err(|error| Error::Junit(error.to_string()))
}

fn suite(record: &Record) -> TestSuite {
    let evidence = &record.evidence;
    let name = format!(
        "{} {} {} {}",
        evidence.project, evidence.version, evidence.environment.name, evidence.artifact
    );
    let mut suite = TestSuite::new(visible(&name).into_owned());
    suite.set_time(duration(record.wall_s));
    suite.add_property(("outcome", record.verdict.outcome.as_str()));
    suite.add_property(("result", record.id.as_str()));
    if let Some(reason) = record.verdict.reason {
        suite.add_property(("reason", reason.as_str()));
    }
    if let Some(tests) = &evidence.tests {
        let counts = [
            ("tests.passed", tests.passed),
            ("tests.failed", tests.failed),
            ("tests.errors", tests.errors),
            ("tests.skipped", tests.skipped),
            ("tests.xfailed", tests.xfailed),
            ("tests.xpassed", tests.xpassed),
            ("tests.subtests", tests.subtests),
        ];
        for (name, count) in counts {
            suite.add_property((name, count.to_string().as_str()));
        }
    }
    let class = evidence.project.as_str();
    if let Some(whole) = whole_cell(record) {
        let mut case = TestCase::new("cell", whole);
        case.set_classname(class);
        suite.add_test_case(case);
    }
    for (phase, report) in &evidence.phases {
        let mut case = TestCase::new(phase.as_str(), phase_status(record, *phase, report));
        case.set_classname(class);
        case.set_time(duration(report.wall_s));
        suite.add_test_case(case);
    }
    for test in evidence.tests.iter().flat_map(|tests| &tests.failing) {
        suite.add_test_case(failing(class, test));
    }
    suite
}

/// A case for what no phase can tell.
fn whole_cell(record: &Record) -> Option<TestCaseStatus> {
    let words = |text: &str| visible(text).into_owned();
    match record.verdict.outcome {
        Outcome::FarmError => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            let why = record.verdict.cause.as_ref().map(|cause| cause.detail.as_str());
            status.set_message(words(why.unwrap_or("farm error")));
            Some(status)
        }
        Outcome::Unsupported | Outcome::Untested => {
            let mut status = TestCaseStatus::skipped();
            let reason = record.verdict.reason.map_or("", |reason| reason.as_str());
            status.set_message(format!("{}: {reason}", record.verdict.outcome));
            Some(status)
        }
        _ => None,
    }
}

fn phase_status(record: &Record, phase: Phase, report: &PhaseReport) -> TestCaseStatus {
    match report.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(visible(report.reason.as_deref().unwrap_or("skipped")).into_owned());
            status
        }
        Status::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            match record.verdict.cause.as_ref().filter(|cause| cause.phase == phase) {
                Some(cause) => {
                    status.set_type(cause.id.as_str());
                    status.set_message(visible(&cause.title).into_owned());
                    let blame = blamed(cause.blame.as_str(), cause.dependency.as_ref());
                    let mut text =
                        format!("{}\nblame: {blame}, confidence: {}\n", cause.detail, cause.confidence);
                    for line in &cause.evidence {
                        text.push_str(&format!("{}:{}: {}\n", line.phase, line.line, line.text));
                    }
                    status.set_description(visible(&text).into_owned());
                }
                None => {
                    status.set_message(ended(report).unwrap_or_else(|| "failed".to_owned()));
                }
            }
            status
        }
    }
}

fn failing(class: &str, test: &FailingTest) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(visible(&test.message).into_owned());
    let mut case = TestCase::new(visible(&test.id).into_owned(), status);
    case.set_classname(format!("{class}.tests"));
    if let Some(seconds) = test.seconds {
        case.set_time(duration(seconds));
    }
    case
}

/// `time limit`, `signal 11`, `exit status 1`; none when nothing unusual is known.
pub(crate) fn ended(report: &PhaseReport) -> Option<String> {
    if let Some(limit) = report.limit {
        return Some(format!("{limit} limit"));
    }
    if let Some(signal) = report.signal {
        return Some(Exit::Signal(signal).to_string());
    }
    report.exit.filter(|code| *code != 0).map(|code| Exit::Code(code).to_string())
}

fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}
