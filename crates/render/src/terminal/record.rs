//! One result in full, as `show` prints it.

use wheeltapper_core::{FlakyTest, PhaseReport, Record, Status, TestCounts, TestPlan, TriedPlan};

use super::paint::{Paint, sign};
use crate::{
    groups::blamed,
    junit::ended,
    measures::{bytes, seconds},
    text::{one_line, pad, wrap},
};

/// Columns of the labels on the left.
const LABEL: usize = 12;
/// How many items of a long list are shown.
const SHOWN: usize = 12;

/// A result in full: outcome, cause with its decisive lines, phases, tests, plan, findings, leftovers, provenance.
pub fn record_text(record: &Record, width: usize, colour: bool) -> String {
    let mut page = Page { text: String::new(), columns: width.max(48) - LABEL, paint: Paint(colour) };
    let (evidence, verdict) = (&record.evidence, &record.verdict);
    let environment = &evidence.environment;
    let title =
        format!("{} {} · {} · {}", evidence.project, evidence.version, evidence.artifact, environment.name);
    let title = page.paint.strong(&one_line(&title, width.max(48)));
    page.line(&title);
    let reason = verdict.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let outcome = format!("{} {}{reason}", verdict.outcome.sign(), verdict.outcome);
    let outcome = page.paint.outcome(verdict.outcome, &outcome);
    let flaky =
        record.flaky.map(|share| format!("  flaky, fails {:.0} %", share * 100.0)).unwrap_or_default();
    let reused = record.reused_from.as_ref().map(|id| format!("  reused from {id}")).unwrap_or_default();
    page.line(&format!("{outcome}{}{}", flaky, one_line(&reused, 80)));
    if let Some(fault) = &evidence.farm_error {
        page.item("farm error", fault);
    }
    if let Some(cause) = &verdict.cause {
        page.blank();
        page.item("cause", &format!("{} ({})", cause.title, cause.id));
        page.item("", &cause.detail);
        let blame = blamed(cause.blame.as_str(), cause.dependency.as_ref());
        page.item("blame", &format!("{blame}; confidence {}", cause.confidence));
        for line in &cause.evidence {
            page.quote("", &format!("{}:{}  {}", line.phase, line.line, line.text));
        }
    }
    if let Some(fix) = &evidence.fix {
        page.item("fix", &fix.to_string());
    }
    page.blank();
    page.line(
        &page.paint.strong("phase       status      wall          CPU           peak memory  ended by"),
    );
    for (phase, report) in &evidence.phases {
        let row = phase_row(report, page.paint);
        page.line(&format!("{}{row}", pad(phase.as_str(), LABEL)));
    }
    if let Some(tests) = &evidence.tests {
        page.blank();
        page.tests(tests, evidence.test_plan.as_ref());
    }
    page.flaky(&record.flaky_tests);
    if let Some(plan) = &evidence.test_plan {
        page.blank();
        page.plan(plan);
        page.tried(&evidence.tried_plans);
    }
    if let Some(repository) = &evidence.repository {
        page.item("repository", &repository.told());
        page.list("", &repository.notes);
    }
    page.findings(record);
    page.blank();
    page.item(
        "environment",
        &format!(
            "{} {}, {} {}, {}, {}",
            environment.implementation,
            environment.python,
            environment.platform,
            environment.arch,
            environment.libc.as_deref().unwrap_or("no libc known"),
            environment.installer
        ),
    );
    let limits = &environment.limits;
    page.item(
        "sandbox",
        &format!("{}, cgroup {}, network {}", limits.sandbox, limits.cgroup, limits.network),
    );
    if let Some(file) = &evidence.distribution {
        page.item("file", &format!("{} ({})", file.filename, evidence.selected.why));
    }
    page.item("result", &format!("{} of run {}", record.id, record.run));
    page.item("started", &format!("{}, took {}", record.started, seconds(record.wall_s)));
    page.item("reproduce", &crate::repro_line(record));
    page.text
}

struct Page {
    text: String,
    columns: usize,
    paint: Paint,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn blank(&mut self) {
        self.line("");
    }

    /// A labelled paragraph, wrapped.
    fn item(&mut self, label: &str, text: &str) {
        let shown = one_line(text, 2000);
        for (number, line) in wrap(&shown, self.columns).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(&format!("{}{line}", pad(label, LABEL)));
        }
    }

    /// A labelled single line, cut and faint.
    fn quote(&mut self, label: &str, text: &str) {
        let shown = self.paint.faint(&one_line(text, self.columns));
        self.line(&format!("{}{shown}", pad(label, LABEL)));
    }

    fn list<T: AsRef<str>>(&mut self, label: &str, items: &[T]) {
        for (number, item) in items.iter().take(SHOWN).enumerate() {
            let label = if number == 0 { label } else { "" };
            let shown = one_line(item.as_ref(), self.columns);
            self.line(&format!("{}{shown}", pad(label, LABEL)));
        }
        if items.len() > SHOWN {
            self.line(&format!("{}… and {} more", pad("", LABEL), items.len() - SHOWN));
        }
    }

    fn tests(&mut self, tests: &TestCounts, plan: Option<&TestPlan>) {
        let expected = plan.and_then(|plan| plan.expected_tests);
        let expected = expected.map(|count| format!(" ({count} expected)")).unwrap_or_default();
        self.item("tests", &format!("{}{expected}", test_counts(tests)));
        for test in tests.failing.iter().take(SHOWN) {
            let name = one_line(&format!("✗ {}", test.id), self.columns);
            self.line(&format!("{}{name}", pad("", LABEL)));
            self.quote("", &format!("  {}", test.message));
        }
        if tests.failing.len() > SHOWN {
            self.line(&format!("{}… and {} more", pad("", LABEL), tests.failing.len() - SHOWN));
        }
    }

    /// The tests that changed their result on identical inputs.
    fn flaky(&mut self, tests: &[FlakyTest]) {
        let row = |test: &FlakyTest| format!("{} of {} runs  {}", test.failed, test.runs, test.id);
        self.list("at times", &tests.iter().map(row).collect::<Vec<_>>());
    }

    fn plan(&mut self, plan: &TestPlan) {
        self.item("test plan", &plan.command.join(" "));
        self.item("", &format!("in {} ({}), tests from the {}", plan.directory, plan.working, plan.source));
        if !plan.requirements.is_empty() {
            self.item("requires", &plan.requirements.join(", "));
        }
        self.list("why", &plan.why);
    }

    /// The plans that were tried, where there was more than one.
    fn tried(&mut self, tried: &[TriedPlan]) {
        if tried.len() > 1 {
            let row = |one: &TriedPlan| format!("{}: {} ({})", one.became, one.command.join(" "), one.why);
            self.list("tried", &tried.iter().map(row).collect::<Vec<_>>());
        }
    }

    fn findings(&mut self, record: &Record) {
        let evidence = &record.evidence;
        let mut found = Vec::new();
        for (phase, report) in &evidence.phases {
            found.extend(
                report.findings.iter().map(|finding| format!("{phase}: {} ({})", finding.text, finding.id)),
            );
        }
        let failed: Vec<&str> = evidence
            .imports
            .iter()
            .filter(|import| import.status == Status::Failed)
            .map(|import| import.module.as_str())
            .collect();
        let lists = [
            !found.is_empty(),
            !failed.is_empty(),
            !evidence.leftovers.is_empty(),
            !evidence.foreign_writes.is_empty(),
        ];
        if lists.contains(&true) {
            self.blank();
        }
        self.list("findings", &found);
        self.list("not imported", &failed);
        self.list("leftovers", &evidence.leftovers);
        self.list("written out", &evidence.foreign_writes);
    }
}

fn phase_row(report: &PhaseReport, paint: Paint) -> String {
    let status = format!("{} {}", sign(report.status), report.status);
    let blanks = " ".repeat(12_usize.saturating_sub(2 + report.status.as_str().len()));
    let status = format!("{}{blanks}", paint.status(report.status, &status));
    if report.status == Status::Skipped {
        return format!("{status}{}", one_line(report.reason.as_deref().unwrap_or_default(), 60));
    }
    let cpu = report.cpu_s.map(seconds).unwrap_or_default();
    let memory = report.peak_memory.map(bytes).unwrap_or_default();
    let wall = seconds(report.wall_s);
    format!(
        "{status}{}{}{}{}",
        pad(&wall, 14),
        pad(&cpu, 14),
        pad(&memory, 13),
        ended(report).unwrap_or_default()
    )
}

/// `200 passed, 3 skipped`; counts of nothing are left out.
pub(crate) fn test_counts(tests: &TestCounts) -> String {
    let counts = [
        (tests.passed, "passed"),
        (tests.failed, "failed"),
        (tests.errors, "errors"),
        (tests.skipped, "skipped"),
        (tests.xfailed, "failed as expected"),
        (tests.xpassed, "passed unexpectedly"),
        (tests.subtests, "subtests passed"),
    ];
    let told: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if told.is_empty() { "none ran".to_owned() } else { told.join(", ") }
}
