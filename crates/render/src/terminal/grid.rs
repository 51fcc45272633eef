//! The matrix: a row a release (and artifact, where it has both), a column an environment.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::UnicodeWidthStr as _;
use wheeltapper_core::{Artifact, Record, environment::platform_and_rest};

use super::paint::Paint;
use crate::{
    groups::Cell,
    short_word,
    text::{cut, pad, visible},
};

/// Cells by release and environment.
pub(crate) struct Grid<'a> {
    /// Sorted by platform, then by what follows.
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
        let mut environments: Vec<&str> = environments.into_iter().collect();
        environments.sort_by_key(|name| platform_and_rest(name));
        let mut rows: BTreeMap<(&str, &str, Artifact), Vec<Option<&Cell>>> = BTreeMap::new();
        for cell in cells {
            let key = (cell.project.as_str(), cell.version.as_str(), cell.artifact);
            let row = rows.entry(key).or_insert_with(|| vec![None; environments.len()]);
            if let Some(column) = environments.iter().position(|name| *name == cell.environment) {
                row[column] = Some(cell);
            }
        }
        let row = |((project, version, artifact), cells)| Row { project, version, artifact, cells };
        Grid { environments, rows: rows.into_iter().map(row).collect() }
    }

    /// The platform of each environment; empty where all have the same.
    fn platforms(&self) -> Vec<&'a str> {
        let platforms: Vec<&str> = self.environments.iter().map(|name| platform_and_rest(name).0).collect();
        let several = platforms.iter().any(|platform| *platform != platforms[0]);
        if several { platforms } else { Vec::new() }
    }

    /// What all names of environments begin with, up to a `-`: it is said once. Nothing where platforms are told apart.
    fn prefix(&self) -> &'a str {
        let [first, rest @ ..] = self.environments.as_slice() else { return "" };
        if rest.is_empty() || !self.platforms().is_empty() {
            return "";
        }
        let mut dashes = first.match_indices('-').map(|(index, _)| &first[..=index]);
        dashes.rfind(|prefix| rest.iter().all(|name| name.starts_with(prefix))).unwrap_or("")
    }
}

/// The names of platforms, each above the first of its columns.
fn platform_line(platforms: &[&str], widths: &[usize], label_width: usize) -> String {
    let mut line = String::new();
    let mut at = label_width;
    for (column, (platform, width)) in platforms.iter().zip(widths).enumerate() {
        if column == 0 || platforms[column - 1] != *platform {
            line = pad(&line, at + 3);
            line.push_str(&visible(platform));
        }
        at += 3 + width;
    }
    line
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
    let platforms = grid.platforms();
    let begins = |column: usize| if platforms.is_empty() { 0 } else { platforms[column].len() };
    let names: Vec<String> = grid
        .environments
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let name = &name[prefix.len().max(begins(column))..];
            visible(if platforms.is_empty() { name } else { name.trim_start_matches('-') }).into_owned()
        })
        .collect();
    let labels: Vec<String> = grid.rows.iter().map(|row| cut(&visible(&row.label()), 44)).collect();
    let label_width = labels.iter().map(|label| label.width()).chain([prefix.width()]).max().unwrap_or(0);
    let mut widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(column, name)| {
            let cells = grid.rows.iter().filter_map(|row| row.cells[column]);
            cells.map(|cell| 2 + short_word(cell.outcome).width()).chain([name.width()]).max().unwrap_or(0)
        })
        .collect();
    // A platform's name stands above its columns.
    for (column, platform) in platforms.iter().enumerate() {
        let own = platforms.iter().filter(|other| *other == platform).count();
        let first = column == 0 || platforms[column - 1] != *platform;
        if first {
            let room: usize = widths[column..column + own].iter().sum::<usize>() + 3 * (own - 1);
            widths[column] += platform.width().saturating_sub(room);
        }
    }

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
        if !platforms.is_empty() {
            text.push_str(&paint.strong(&platform_line(
                &platforms[start..end],
                &widths[start..end],
                label_width,
            )));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_stand_above_their_columns() {
        let platforms = ["a", "debian13", "debian13", "z"];
        assert_eq!(platform_line(&platforms, &[2, 5, 5, 1], 4), "       a    debian13        z");
    }
}
