//! The matrix: a row a release (and artifact, where it has both), a column an environment.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::UnicodeWidthStr as _;
use wheeltapper_core::{Artifact, Record};

use super::paint::Paint;
use crate::{
    groups::Cell,
    short_word,
    text::{cut, pad, visible},
};

/// Cells by release and environment.
pub(crate) struct Grid<'a> {
    /// Sorted.
    pub environments: Vec<&'a str>,
    /// Sorted by project, version, artifact.
    pub rows: Vec<Row<'a>>,
}

pub(crate) struct Row<'a> {
    pub project: &'a str,
    pub version: &'a str,
    pub artifact: Artifact,
    /// One an environment.
    pub cells: Vec<Option<&'a Cell>>,
}

impl<'a> Grid<'a> {
    pub fn of(cells: &'a [Cell]) -> Self {
        let environments: BTreeSet<&str> = cells.iter().map(|cell| cell.environment.as_str()).collect();
        let environments: Vec<&str> = environments.into_iter().collect();
        let mut rows: BTreeMap<(&str, &str, Artifact), Vec<Option<&Cell>>> = BTreeMap::new();
        for cell in cells {
            let key = (cell.project.as_str(), cell.version.as_str(), cell.artifact);
            let row = rows.entry(key).or_insert_with(|| vec![None; environments.len()]);
            if let Ok(column) = environments.binary_search(&cell.environment.as_str()) {
                row[column] = Some(cell);
            }
        }
        let row = |((project, version, artifact), cells)| Row { project, version, artifact, cells };
        Grid { environments, rows: rows.into_iter().map(row).collect() }
    }

    /// What all names of environments begin with, up to a `-`: it is said once.
    fn prefix(&self) -> &'a str {
        let [first, rest @ ..] = self.environments.as_slice() else { return "" };
        if rest.is_empty() {
            return "";
        }
        let mut dashes = first.match_indices('-').map(|(index, _)| &first[..=index]);
        dashes.rfind(|prefix| rest.iter().all(|name| name.starts_with(prefix))).unwrap_or("")
    }
}

impl Row<'_> {
    /// `six 1.17.0`, or `six 1.17.0 (wheel)`.
    pub fn label(&self) -> String {
        let version = if self.version.is_empty() { "–" } else { self.version };
        match self.artifact {
            Artifact::Sdist => format!("{} {version}", self.project),
            Artifact::Wheel => format!("{} {version} (wheel)", self.project),
        }
    }
}

/// The matrix of project × environment, for a terminal of so many columns: each cell a sign and a word. Too many
/// environments for one width become several blocks, one below the other. Empty without records.
pub fn matrix(records: &[Record], width: usize, colour: bool) -> String {
    let paint = Paint(colour);
    let cells: Vec<Cell> = records.iter().map(Cell::of).collect();
    let grid = Grid::of(&cells);
    let prefix = grid.prefix();
    let names: Vec<String> =
        grid.environments.iter().map(|name| visible(&name[prefix.len()..]).into_owned()).collect();
    let labels: Vec<String> = grid.rows.iter().map(|row| cut(&visible(&row.label()), 44)).collect();
    let label_width = labels.iter().map(|label| label.width()).chain([prefix.width()]).max().unwrap_or(0);
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = grid.rows.iter().filter_map(|row| row.cells[column]);
            cells.map(|cell| 2 + short_word(cell.outcome).width()).chain([name.width()]).max().unwrap_or(0)
        })
        .collect();

    let mut text = String::new();
    let mut start = 0;
    while start < names.len() {
        let mut end = start;
        let mut used = label_width;
        while end < names.len() && (end == start || used + 3 + widths[end] <= width) {
            used += 3 + widths[end];
            end += 1;
        }
        if start > 0 {
            text.push('\n');
        }
        let mut line = pad(prefix, label_width);
        (start..end).for_each(|column| line.push_str(&format!("   {}", pad(&names[column], widths[column]))));
        text.push_str(&paint.strong(line.trim_end()));
        text.push('\n');
        for (row, label) in grid.rows.iter().zip(&labels) {
            let mut line = pad(label, label_width);
            for (column, width) in widths.iter().enumerate().take(end).skip(start) {
                let (shown, painted) = match row.cells[column] {
                    Some(cell) => {
                        let shown = format!("{} {}", cell.outcome.sign(), short_word(cell.outcome));
                        let painted = paint.outcome(cell.outcome, &shown);
                        (shown, painted)
                    }
                    None => ("·".to_owned(), paint.faint("·")),
                };
                let blanks = if column + 1 == end { 0 } else { width - shown.width() };
                line.push_str(&format!("   {painted}{}", " ".repeat(blanks)));
            }
            text.push_str(&line);
            text.push('\n');
        }
        start = end;
    }
    text
}
