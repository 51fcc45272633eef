//! A summary of many cells as GitHub-flavoured Markdown, for the page of a CI job.

use wheeltapper_core::Record;

use crate::{
    Ranks,
    figures::Figures,
    groups::{Cell, groups},
    measures::seconds,
    short_word,
    terminal::counted,
    terminal::grid::Grid,
    text::one_line,
};

/// The figures, a table of project × environment, and the reasons of failures.
pub fn markdown(records: &[Record], ranks: &Ranks) -> String {
    let figures = Figures::of(records);
    let cells: Vec<Cell> = records.iter().map(Cell::of).collect();
    let mut text = String::from("## Wheeltapper\n\n");
    let counts: Vec<String> =
        figures.outcomes().iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    text.push_str(&format!(
        "**{}**: {} ({} of CPU time)\n\n",
        counted(figures.cells(), "cell"),
        if counts.is_empty() { "none".to_owned() } else { counts.join(", ") },
        seconds(figures.core_seconds()),
    ));
    table(&mut text, &Grid::of(&cells));
    let failures = groups(cells.iter().filter(|cell| cell.why_matters()), ranks);
    if !failures.is_empty() {
        text.push_str("\n### Reasons\n\n");
    }
    for group in failures {
        let cell = group.first;
        let blame =
            cell.blame.as_ref().map(|blame| format!(" (blame: {})", escape(blame))).unwrap_or_default();
        text.push_str(&format!(
            "- **{} {}** {}: {}{blame}, on {}\n",
            escape(cell.project.as_str()),
            escape(&cell.version),
            cell.outcome,
            escape(&cell.why),
            escape(&group.places.join(", ")),
        ));
        if let Some(line) = &cell.decisive {
            text.push_str(&format!("  <br><code>{}</code>\n", escape(&line.text)));
        }
    }
    text
}

fn table(text: &mut String, grid: &Grid<'_>) {
    if grid.environments.is_empty() {
        return;
    }
    text.push_str("| project |");
    grid.environments.iter().for_each(|name| text.push_str(&format!(" {} |", escape(name))));
    text.push_str("\n| --- |");
    grid.environments.iter().for_each(|_| text.push_str(" --- |"));
    text.push('\n');
    for row in &grid.rows {
        text.push_str(&format!("| {} |", escape(&row.label())));
        for cell in &row.cells {
            match cell {
                Some(cell) => {
                    text.push_str(&format!(" {} {} |", cell.outcome.sign(), short_word(cell.outcome)))
                }
                None => text.push_str(" · |"),
            }
        }
        text.push('\n');
    }
}

/// Text as text, whatever it holds: one line, markup as character references, no links made by themselves.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in one_line(text, 300).replace("www.", "www\u{1}").chars() {
        match character {
            '\u{1}' => escaped.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '~' | '|' | '@' | '!'
            | '&' | ':' | '$' => {
                escaped.push_str(&format!("&#{};", character as u32));
            }
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_and_links_stay_text() {
        assert_eq!(escape("a|b <img> `x`"), "a&#124;b &#60;img&#62; &#96;x&#96;");
        assert_eq!(escape("www.example.org @me"), "www&#46;example.org &#64;me");
    }
}
