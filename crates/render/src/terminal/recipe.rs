//! How a release's tests would be run, as `recipe` prints it: the first plan in full with where each part comes from, the
//! others in short, what all of it rests on, and what was seen and not used.

use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;
use wheeltapper_core::{Reason, TestPlan, TestsRepository, plan::Working};

use super::paint::Paint;
use crate::text::{one_line, pad, wrap};

/// Plans with what they rest on. Serialises as `recipe --format json` prints it.
#[derive(Debug, Clone, Serialize)]
pub struct RecipeView {
    /// Version of this object's form.
    pub schema: u32,
    /// The project.
    pub project: String,
    /// The release's version.
    pub version: String,
    /// The environment that the plans are for.
    pub environment: String,
    /// The sdist that was read.
    pub sources: String,
    /// The wheel that says what is installed; null when the sources had to tell.
    pub wheel: Option<String>,
    /// Where tests were looked for beside the sdist; null where they were not.
    pub repository: Option<TestsRepository>,
    /// Best first; the others are for when the first cannot start the tests.
    pub plans: Vec<PlanView>,
    /// Why there is no plan.
    pub none: Option<Reason>,
    /// Test functions and methods counted in the sources.
    pub expected_tests: u64,
    /// What the plans rest on, strongest first.
    pub rests_on: Vec<Ground>,
    /// What was seen and not used.
    pub not_used: Vec<Unused>,
}

/// One plan.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// The plan as a record would have it.
    #[serde(flatten)]
    pub plan: TestPlan,
    /// Its requirements and extras, each with where it comes from.
    pub origins: Vec<Need>,
}

/// A requirement or an extra of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Need {
    /// The specifier, or `[name]` for an extra of the release.
    pub requirement: String,
    /// What declares it; null when it was inferred.
    pub declared_by: Option<String>,
    /// The file, relative to the sources' root; `METADATA` for the wheel's.
    pub file: Option<String>,
    /// Counted from 1.
    pub line: Option<u32>,
    /// What needs it.
    pub needed_for: Option<String>,
}

/// Something that plans rest on.
#[derive(Debug, Clone, Serialize)]
pub struct Ground {
    /// The file, relative to the sources' root.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// What it says.
    pub says: String,
    /// From 0 (a hint) to 100 (what the maintainers run).
    pub weight: u8,
}

/// Something that was seen and not used.
#[derive(Debug, Clone, Serialize)]
pub struct Unused {
    /// The file, relative to the sources' root.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// The requirement, command or value.
    pub what: String,
    /// Why it was not used.
    pub because: String,
}

/// Columns of the labels on the left.
const LABEL: usize = 13;
/// How many rows of a long list are shown.
const SHOWN: usize = 25;

/// The plans of a release for a terminal of so many columns.
pub fn recipe_text(view: &RecipeView, width: usize, colour: bool) -> String {
    let mut page = Page { text: String::new(), width: width.max(60), paint: Paint(colour) };
    let title = format!("{} {} · tests on {}", view.project, view.version, view.environment);
    let title = page.paint.strong(&one_line(&title, page.width));
    page.line(&title);
    let installs = match &view.wheel {
        Some(wheel) => format!("installs what {wheel} holds"),
        None => "no wheel was read: what it installs is told by the sources alone".to_owned(),
    };
    page.faint(&format!("sources {}; {installs}", view.sources));
    if let Some(repository) = &view.repository {
        let told = format!("tests of the repository: {}", repository.told());
        for text in std::iter::once(&told).chain(&repository.notes) {
            for line in wrap(&one_line(text, 1000), page.width) {
                page.faint(&line);
            }
        }
    }
    page.line("");
    match view.plans.split_first() {
        None => {
            let reason = view.none.map_or("no-tests-shipped", Reason::as_str);
            page.line(&page.paint.strong(&format!("○ no plan: {reason}")));
        }
        Some((first, others)) => {
            page.first(first);
            page.others(first, others);
        }
    }
    page.grounds(&view.rests_on);
    page.unused(&view.not_used);
    page.text
}

struct Page {
    text: String,
    width: usize,
    paint: Paint,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn faint(&mut self, text: &str) {
        let shown = self.paint.faint(&one_line(text, self.width));
        self.line(&shown);
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        let shown = self.paint.strong(text);
        self.line(&shown);
    }

    /// A labelled paragraph, wrapped.
    fn item(&mut self, label: &str, text: &str) {
        let shown = one_line(text, 2000);
        for (number, line) in wrap(&shown, self.width - LABEL).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(&format!("{}{line}", pad(label, LABEL)));
        }
    }

    fn first(&mut self, first: &PlanView) {
        let plan = &first.plan;
        let shown = self.paint.strong(&one_line(&shell(&plan.command), 4000));
        self.line(&format!("$ {shown}"));
        self.item("  in", &place(plan));
        for (number, (name, value)) in plan.environment.iter().enumerate() {
            let label = if number == 0 { "  with" } else { "" };
            self.item(label, &format!("{name}={value}"));
        }
        if let Some(expected) = plan.expected_tests {
            self.item("  expects", &format!("{expected} test functions, parametrisation not counted"));
        }
        if let Some(seconds) = plan.timeout_s {
            self.item("  ends after", &format!("{seconds} s, or at the limit of the run if that is shorter"));
        }
        if !plan.system_packages.is_empty() {
            self.item("  wants", &format!("{} of the system", plan.system_packages.join(", ")));
        }
        for (number, one) in plan.deselected.iter().enumerate() {
            self.item(if number == 0 { "  leaves out" } else { "" }, one);
        }
        for (number, why) in plan.why.iter().filter(|why| !why.starts_with("requirement")).enumerate() {
            self.item(if number == 0 { "  why" } else { "" }, &format!("• {why}"));
        }
        if !first.origins.is_empty() {
            self.heading("requires");
            self.needs(&first.origins);
        }
    }

    /// A row a requirement: what, who declares it where, what for.
    fn needs(&mut self, needs: &[Need]) {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let first = widest(&mut needs.iter().map(|need| need.requirement.width())).min(self.width / 3);
        let by = |need: &Need| match &need.declared_by {
            Some(list) => list.clone(),
            None => "inferred".to_owned(),
        };
        let second = widest(&mut needs.iter().map(|need| by(need).width())).min(self.width / 3);
        for need in needs {
            let mut why = at(need.file.as_deref(), need.line);
            if let Some(needed) = &need.needed_for {
                // A reason that opens with the place says it once.
                why = if why.is_empty() || needed.starts_with(&why) {
                    needed.clone()
                } else {
                    format!("{why}  {needed}")
                };
            }
            let third = self.width.saturating_sub(first + second + 6).max(20);
            let row = format!(
                "  {}  {}  {}",
                pad(&one_line(&need.requirement, first), first),
                pad(&one_line(&by(need), second), second),
                self.paint.faint(&one_line(&why, third))
            );
            self.line(&row);
        }
    }

    fn others(&mut self, first: &PlanView, others: &[PlanView]) {
        if others.is_empty() {
            return;
        }
        self.heading("where that cannot start the tests, in this order");
        for (number, other) in others.iter().enumerate() {
            let plan = &other.plan;
            let command = one_line(&shell(&plan.command), self.width.saturating_sub(6));
            self.line(&format!("  {}. {command}", number + 2));
            let mut differs = Vec::new();
            if plan.directory != first.plan.directory || plan.working != first.plan.working {
                differs.push(format!("in {}", place(plan)));
            }
            let have = &first.plan.requirements;
            let more: Vec<&str> =
                plan.requirements.iter().filter(|one| !have.contains(one)).map(String::as_str).collect();
            let fewer: Vec<&str> =
                have.iter().filter(|one| !plan.requirements.contains(one)).map(String::as_str).collect();
            if !more.is_empty() {
                differs.push(format!("with {}", more.join(", ")));
            }
            if !fewer.is_empty() {
                differs.push(format!("without {}", fewer.join(", ")));
            }
            let why = plan.why.iter().find(|why| !first.plan.why.contains(why));
            differs.extend(why.cloned());
            for line in wrap(&one_line(&differs.join("; "), 400), self.width - 5) {
                let line = self.paint.faint(&line);
                self.line(&format!("     {line}"));
            }
        }
    }

    fn grounds(&mut self, grounds: &[Ground]) {
        if grounds.is_empty() {
            return;
        }
        self.heading("rests on");
        let places: Vec<String> =
            grounds.iter().take(SHOWN).map(|ground| at(Some(&ground.file), ground.line)).collect();
        let widest = places.iter().map(|place| place.width()).max().unwrap_or(0).min(self.width / 2);
        for (ground, place) in grounds.iter().zip(&places) {
            let says = one_line(&ground.says, self.width.saturating_sub(widest + 10).max(20));
            let row = format!("  {:>3}  {}  {says}", ground.weight, pad(&one_line(place, widest), widest));
            self.line(&row);
        }
        self.more(grounds.len());
    }

    fn unused(&mut self, unused: &[Unused]) {
        if unused.is_empty() {
            return;
        }
        self.heading("not used");
        for one in unused.iter().take(SHOWN) {
            let what = format!("{}  {}", at(Some(&one.file), one.line), one.what);
            let what = one_line(&what, self.width.saturating_sub(4));
            let because = one_line(&one.because, self.width.saturating_sub(6));
            if what.width() + because.width() + 6 <= self.width {
                let because = self.paint.faint(&format!("— {because}"));
                self.line(&format!("  {what} {because}"));
            } else {
                let because = self.paint.faint(&because);
                self.line(&format!("  {what}"));
                self.line(&format!("    {because}"));
            }
        }
        self.more(unused.len());
    }

    fn more(&mut self, all: usize) {
        if all > SHOWN {
            self.line(&format!("  … and {} more", all - SHOWN));
        }
    }
}

/// `file:line`, as far as they are known.
fn at(file: Option<&str>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.to_owned(),
        (None, _) => String::new(),
    }
}

fn place(plan: &TestPlan) -> String {
    match plan.working {
        Working::Empty => "an empty directory; the tests are installed with the package".to_owned(),
        Working::SourceTree if plan.directory == "." => "the root of a copy of the sources".to_owned(),
        Working::SourceTree => format!("{} of a copy of the sources", plan.directory),
    }
}

/// A command as a shell would take it.
fn shell(words: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}
