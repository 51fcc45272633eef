//! One failure in plain words: what happened, why, whose fault, what differs from where it passes, and what to do.

use wheeltapper_core::{
    Blame, Cause, Confidence, FlakyTest, Outcome, Phase, Record, advice,
    difference::{Difference, differences, only_the_interpreter},
};

use super::{paint::Paint, record::test_counts};
use crate::{
    groups::blamed,
    text::{cut, one_line, visible, wrap},
};

/// How many differences are listed.
const SHOWN: usize = 12;

/// Stored results that shed light on one.
#[derive(Debug, Default)]
pub struct Surroundings<'a> {
    /// The newest earlier result of the same cell that passed.
    pub last_pass: Option<&'a Record>,
    /// A result of the same project that passed in the nearest other environment.
    pub nearest_pass: Option<&'a Record>,
    /// Other results of the project that passed, newest release first: what a user could take now.
    pub passing: Vec<&'a Record>,
}

/// Explains a result. `lines` are those around the decisive one, as the log has them.
pub fn explain(
    record: &Record,
    around: &Surroundings<'_>,
    lines: &[String],
    width: usize,
    colour: bool,
) -> String {
    let mut page = Page { text: String::new(), columns: width.max(48), paint: Paint(colour) };
    let (evidence, verdict) = (&record.evidence, &record.verdict);
    let environment = &evidence.environment;
    page.paragraph(&format!(
        "{} {} ({}) on {}, {} {}: {}.",
        evidence.project,
        evidence.version,
        evidence.artifact,
        environment.name,
        environment.implementation,
        environment.python,
        happened(record)
    ));
    if let Some(repository) = &evidence.repository {
        page.paragraph(&format!("Tests of the repository: {}.", repository.told()));
    }
    if let Some(cause) = &verdict.cause {
        page.heading("Why");
        page.paragraph(&format!("{} ({}): {}.", cause.title, cause.id, cause.detail.trim_end_matches('.')));
        page.decisive(cause, lines);
        page.heading("Whose fault");
        page.paragraph(&whose(cause, record, around));
    }
    page.flaky(&record.flaky_tests);
    page.elsewhere(record, around);
    if let Some(cause) = &verdict.cause {
        page.heading("What the maintainer could do");
        page.paragraph(&advice::for_maintainer(cause));
        if let Some(fix) = &evidence.fix {
            page.paragraph(&format!("{fix}."));
        }
        page.heading("What you could do now");
        page.paragraph(&advice::for_user(cause));
        page.passing(record, around);
    }
    page.text
}

fn happened(record: &Record) -> String {
    let (evidence, verdict) = (&record.evidence, &record.verdict);
    let tests = evidence.tests.as_ref().map(test_counts);
    match verdict.outcome {
        Outcome::Passed => format!("it passed; tests: {}", tests.unwrap_or_default()),
        Outcome::Untested => format!(
            "nothing failed, and no tests were run ({})",
            verdict.reason.map(|reason| reason.to_string()).unwrap_or_default()
        ),
        Outcome::Unsupported => format!(
            "the release says that it is not for this environment ({})",
            verdict.reason.map(|reason| reason.to_string()).unwrap_or_default()
        ),
        Outcome::FarmError => "the farm failed; nothing is said of the release".to_owned(),
        Outcome::FetchFailed => "it could not be fetched".to_owned(),
        Outcome::BuildFailed => "its wheel could not be built".to_owned(),
        Outcome::InstallFailed => "it was built and could not be installed".to_owned(),
        Outcome::ImportFailed => "it was installed and could not be imported".to_owned(),
        Outcome::TestFailed => match tests {
            Some(tests) => {
                format!("it was built, installed and imported, and its tests did not pass ({tests})")
            }
            None => "it was built, installed and imported, and its tests did not pass".to_owned(),
        },
        Outcome::UninstallFailed => "it works, and could not be removed cleanly".to_owned(),
    }
}

fn whose(cause: &Cause, record: &Record, around: &Surroundings<'_>) -> String {
    let project = &record.evidence.project;
    let whose = match cause.blame {
        Blame::Package => format!("{project}'s own"),
        Blame::Dependency => match &cause.dependency {
            Some(dependency) => format!("that of {}", blamed("its dependency", Some(dependency))),
            None => "a dependency's".to_owned(),
        },
        Blame::Interpreter => "the interpreter's".to_owned(),
        Blame::Platform => "this system's: what it lacks or does differently, not the release's".to_owned(),
        Blame::Recipe => "ours: its tests were run in a way that is not its maintainers'".to_owned(),
        Blame::Farm => "ours: the farm failed".to_owned(),
    };
    let sure = match cause.confidence {
        Confidence::High => "sure: a structured signal says so",
        Confidence::Medium => "fairly sure: the text of the log says so",
        Confidence::Low => "not sure: by elimination",
    };
    let proven = around.nearest_pass.filter(|passed| only_the_interpreter(record, passed)).map(|passed| {
        format!(
            " The same file with the same versions of everything passes on {} {}: this build of the interpreter makes the difference.",
            passed.evidence.environment.implementation, passed.evidence.environment.python
        )
    });
    format!("{whose} ({sure}).{}", proven.unwrap_or_default())
}

struct Page {
    text: String,
    columns: usize,
    paint: Paint,
}

impl Page {
    fn heading(&mut self, heading: &str) {
        let heading = self.paint.strong(heading);
        self.text.push_str(&format!("\n{heading}\n"));
    }

    fn paragraph(&mut self, text: &str) {
        for line in wrap(&one_line(text, 4000), self.columns - 2) {
            self.text.push_str(&format!("  {line}\n"));
        }
    }

    fn decisive(&mut self, cause: &Cause, lines: &[String]) {
        let columns = self.columns - 6;
        if lines.is_empty() {
            for line in &cause.evidence {
                let shown = format!("{}:{}  {}", line.phase, line.line, line.text);
                self.text.push_str(&format!("    {}\n", one_line(&shown, columns)));
            }
            return;
        }
        self.text.push('\n');
        for line in lines {
            let shown = cut(&visible(line), columns);
            let shown =
                if line.starts_with('>') { self.paint.strong(&shown) } else { self.paint.faint(&shown) };
            self.text.push_str(&format!("    {shown}\n"));
        }
    }

    fn flaky(&mut self, tests: &[FlakyTest]) {
        if tests.is_empty() {
            return;
        }
        self.heading("What changes from run to run, though nothing else does");
        for test in tests.iter().take(SHOWN) {
            self.paragraph(&format!("- {} failed in {} of {} runs", test.id, test.failed, test.runs));
        }
        if tests.len() > SHOWN {
            self.paragraph(&format!("… and {} more", tests.len() - SHOWN));
        }
    }

    fn elsewhere(&mut self, record: &Record, around: &Surroundings<'_>) {
        let phase = record.verdict.cause.as_ref().map_or(Phase::Test, |cause| cause.phase);
        let told = [
            (around.last_pass, "What differs from its last pass here"),
            (around.nearest_pass, "What differs from where it passes"),
        ];
        for (passed, heading) in told {
            let Some(passed) = passed else { continue };
            self.heading(heading);
            let evidence = &passed.evidence;
            self.paragraph(&format!(
                "{} {} on {} ({}):",
                evidence.project, evidence.version, evidence.environment.name, passed.started
            ));
            let found = differences(record, passed, phase);
            if found.is_empty() {
                self.paragraph("nothing that is recorded");
            }
            for difference in found.iter().take(SHOWN) {
                self.paragraph(&format!("- {}", shown(difference)));
            }
            if found.len() > SHOWN {
                self.paragraph(&format!("… and {} more", found.len() - SHOWN));
            }
        }
    }

    fn passing(&mut self, record: &Record, around: &Surroundings<'_>) {
        let other = around.passing.iter().find(|passed| {
            passed.evidence.environment.name == record.evidence.environment.name
                && passed.evidence.version != record.evidence.version
        });
        if let Some(passed) = other {
            self.paragraph(&format!(
                "{} {} was seen to work here.",
                passed.evidence.project, passed.evidence.version
            ));
        }
        let mut pythons: Vec<&str> = around
            .passing
            .iter()
            .filter(|passed| passed.evidence.version == record.evidence.version)
            .map(|passed| passed.evidence.environment.python.as_str())
            .filter(|python| *python != record.evidence.environment.python)
            .collect();
        pythons.sort_unstable();
        pythons.dedup();
        if !pythons.is_empty() {
            self.paragraph(&format!("This release was seen to work on Python {}.", pythons.join(", ")));
        }
        if other.is_none() && pythons.is_empty() {
            self.paragraph(
                "No release of it that works here is stored: run other versions or Pythons to find one.",
            );
        }
    }
}

fn shown(difference: &Difference) -> String {
    match (&difference.first, &difference.second) {
        (Some(first), Some(second)) => format!("{}: {first} here, {second} there", difference.what),
        (Some(first), None) => format!("{}: {first} here, not there", difference.what),
        (None, Some(second)) => format!("{}: not here, {second} there", difference.what),
        (None, None) => difference.what.clone(),
    }
}
