//! What a cycle came to, in a few lines for a terminal.

use wheeltapper_core::cycle::{CycleSummary, State};

use crate::measures::seconds;

/// The figures of a cycle. Each cell that it wanted is in exactly one line of the second part.
pub fn cycle_summary(number: i64, summary: &CycleSummary, colour: bool) -> String {
    let bold = |text: String| if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text };
    let mut lines = vec![bold(format!(
        "cycle {number}: {} cells of {} projects: {} reused, {} run, {} left",
        summary.wanted(),
        summary.projects,
        summary.count_reused(),
        summary.count_run(),
        summary.left,
    ))];
    for state in State::ALL.iter().filter(|state| summary.count(**state) > 0) {
        let run = summary.run.get(state).copied().unwrap_or_default();
        let word = words(*state);
        lines.push(format!(
            "  {:>7} {word}{}",
            summary.count(*state),
            match run {
                0 => String::new(),
                run => format!(" ({run} run)"),
            }
        ));
    }
    let due: Vec<String> = summary.due.iter().map(|(due, count)| format!("{count} {due}")).collect();
    if !due.is_empty() {
        lines.push(format!("  due: {}", due.join(", ")));
    }
    if summary.absent > 0 {
        lines.push(format!("  {} projects could not be planned", summary.absent));
    }
    lines.push(format!("  {} of processor time", seconds(summary.core_seconds)));
    lines.join("\n")
}

/// A state in words for people.
pub(crate) const fn words(state: State) -> &'static str {
    match state {
        State::Fixed => "fixed",
        State::NewlyFailing => "newly failing",
        State::FailingAtFirst => "failing when first seen",
        State::StillFailing => "still failing",
        State::Unconfirmed => "failed once, not yet confirmed",
        State::Flaky => "flaky",
        State::Passed => "passed",
        State::Untested => "untested",
        State::Unsupported => "unsupported",
        State::FarmError => "farm errors",
        State::Left => "left for later",
    }
}
