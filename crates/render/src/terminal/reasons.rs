//! Why cells failed, told shortly, the most important first; and the one line that sums a run up.

use wheeltapper_core::{Outcome, Record};

use super::paint::Paint;
use crate::{
    Figures, Ranks,
    groups::{Cell, groups},
    measures::seconds,
    text::one_line,
};

impl Cell {
    /// True for failures of the package and faults of the farm.
    pub(crate) fn why_matters(&self) -> bool {
        self.outcome.is_failure() || self.outcome == Outcome::FarmError
    }
}

/// A short reason for each failure: the most downloaded projects first where ranks are given, then by how early they
/// fail. Cells of a release that fail alike are told once. Empty without failures.
pub fn reasons(records: &[Record], ranks: &Ranks, width: usize, colour: bool) -> String {
    let paint = Paint(colour);
    let cells: Vec<Cell> = records.iter().map(Cell::of).collect();
    let columns = width.max(40) - 3;
    let mut text = String::new();
    for group in groups(cells.iter().filter(|cell| cell.why_matters()), ranks) {
        let cell = group.first;
        let sign = paint.outcome(cell.outcome, &format!("{} {}", cell.outcome.sign(), cell.outcome));
        let release = one_line(&format!("{} {}", cell.project, cell.version), columns / 2);
        let room = columns.saturating_sub(cell.outcome.as_str().len() + release.chars().count() + 4);
        let places = one_line(&group.places.join(", "), room.max(12));
        text.push_str(&format!("{sign}  {}  {}\n", paint.strong(&release), paint.faint(&places)));
        let why = if cell.why.is_empty() { "no cause is known" } else { &cell.why };
        let blame = cell.blame.as_ref().map(|blame| format!(" (blame: {blame})")).unwrap_or_default();
        text.push_str(&format!("   {}\n", one_line(&format!("{why}{blame}"), columns)));
        if let Some(line) = &cell.decisive {
            let place =
                if line.line > 0 { format!("{}:{}", line.phase, line.line) } else { line.phase.to_string() };
            text.push_str(&format!(
                "   {}\n",
                paint.faint(&one_line(&format!("{place}  {}", line.text), columns))
            ));
        }
    }
    text
}

/// One line: how many cells came to what, over how many projects and environments, at what cost.
pub fn summary(figures: &Figures, colour: bool) -> String {
    let paint = Paint(colour);
    let counts: Vec<String> = figures
        .outcomes()
        .iter()
        .map(|(outcome, count)| paint.outcome(*outcome, &format!("{} {count} {outcome}", outcome.sign())))
        .collect();
    let mut line = format!(
        "{} in {} × {}",
        counted(figures.cells(), "cell"),
        counted(figures.projects() as u64, "project"),
        counted(figures.environments() as u64, "environment")
    );
    if !counts.is_empty() {
        line.push_str(&format!(": {}", counts.join(", ")));
    }
    if figures.unclassified() > 0 {
        let failures = counted(figures.failures(), "failure");
        line.push_str(&format!("; {} of {failures} with no cause that a rule names", figures.unclassified()));
    }
    if figures.reused() > 0 {
        line.push_str(&format!("; {} reused", figures.reused()));
    }
    line.push_str(&format!("; {} of CPU time", seconds(figures.core_seconds())));
    line
}

/// `1 cell`, `2 cells`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
