//! The document: medians, ratios, and how each aim fared.

use std::fmt::Write;

use super::{
    Bench, Measured, Subject, Took,
    farm::PHASES,
    machine::{self, Machine},
};

/// Writes docs/BENCHMARKS.md.
pub fn write(machine: &Machine, bench: &Bench, measured: &Measured) -> String {
    let figures = Figures::of(measured);
    let mut text = String::from("# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit by hand.\n\n");
    facts(&mut text, machine, bench, measured);
    aims(&mut text, measured, &figures);
    packages(&mut text, measured, &figures);
    whole(&mut text, measured);
    phases(&mut text, measured);
    text.push_str(HOW);
    text
}

const HOW: &str = "\
## How it is measured

Each way starts from the same stored sdist and ends with nothing installed: a fresh environment, a wheel built from the \
sdist, that wheel installed with its requirements, its modules imported, the release uninstalled. Tests are off. No built \
wheel and no result is reused; downloaded files, the ready build layers of Wheeltapper (`--fresh` keeps them), the \
environments with build requirements of *uv, not isolated*, and every tool's cache of downloads are warm. The rounds of all ways \
are taken in turns, so that what else the machine does falls on all of them. A package's figure is its median over the rounds; \
for Wheeltapper it is the cell's time from the first step to the last, as its record says it. Imports run one interpreter a \
module under Wheeltapper, one for all elsewhere. A way that fails a package is left out of that package's figures. tox packages a wheel (`package = wheel`), the quickest of its ways; unpacking \
the sdist for it is not counted.

The sandbox's own cost is `/bin/true` in a fresh world (made, run, looked through, removed) minus `/bin/true` without, 200 of \
each in turns; under load, one endless loop a core runs beside. Reused results are those of a synthetic index of tiny wheels, whose \
answers have not changed: the time of the whole command, its start and the reading of each index page included.
";

struct Row<'a> {
    subject: &'a Subject,
    own: f64,
    peers: Vec<f64>,
}

/// What the aims ask for.
struct Figures<'a> {
    rows: Vec<Row<'a>>,
}

impl<'a> Figures<'a> {
    fn of(measured: &'a Measured) -> Self {
        let row = |(index, subject): (usize, &'a Subject)| {
            let cell = |round: &Vec<super::Record>| {
                round.iter().find(|record| record.project == subject.name).map(|record| record.wall)
            };
            Row {
                subject,
                own: median(measured.rounds.iter().filter_map(cell)),
                peers: measured.peers.iter().map(|(_, times)| median(times[index].iter().copied())).collect(),
            }
        };
        Figures { rows: measured.subjects.iter().enumerate().map(row).collect() }
    }

    /// Wheeltapper's share of this peer's time, package by package.
    fn ratios(&self, peer: usize, native: bool) -> impl Iterator<Item = f64> {
        self.rows
            .iter()
            .filter(move |row| row.subject.native == native)
            .map(move |row| row.own / row.peers[peer])
    }

    fn mean(&self, peer: usize, native: bool) -> f64 {
        geometric_mean(self.ratios(peer, native))
    }
}

const ISOLATED: usize = 0;
const PIP: usize = 2;
const TOX: usize = 3;

fn facts(text: &mut String, machine: &Machine, bench: &Bench, measured: &Measured) {
    let uv = super::output(std::process::Command::new(&bench.uv).arg("--version")).unwrap_or_default();
    let uv: String = uv.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let _ = writeln!(
        text,
        "{} · {} cores, {} · {:.0} GB of memory · Linux {} · Python {} · {uv} · tox {} · load average {} before, {} after · {} rounds, \
         {} of the slow ways{}\n",
        machine.date,
        machine.cores,
        machine.processor,
        machine.memory as f64 / 1e9,
        machine.kernel,
        bench.environment.1,
        bench.tox_version(),
        machine.load,
        machine::load(),
        measured.rounds.len(),
        measured.peers.get(TOX).and_then(|(_, times)| times.first()).map_or(0, Vec::len),
        if machine.priority < 0 {
            " · everything measured ran at a raised priority beside other work"
        } else {
            ""
        },
    );
}

fn aims(text: &mut String, measured: &Measured, figures: &Figures<'_>) {
    text.push_str("## Aims\n\n| aim | wanted | measured | |\n| --- | --- | --- | --- |\n");
    let mut at_most = |what: &str, wanted: f64, found: f64, unit: &str| {
        let verdict = match found {
            found if found <= wanted => "met".to_owned(),
            found => format!("**missed by {:.0} %**", (found / wanted - 1.0) * 100.0),
        };
        let _ = writeln!(text, "| {what} | ≤ {wanted}{unit} | {found:.2}{unit} | {verdict} |");
    };
    let worst = figures.ratios(ISOLATED, false).fold(0.0, f64::max);
    at_most("pure packages beside isolated uv, geometric mean", 0.5, figures.mean(ISOLATED, false), " ×");
    at_most("the worst pure package beside isolated uv", 0.8, worst, " ×");
    at_most(
        "packages that compile beside isolated uv, geometric mean",
        1.05,
        figures.mean(ISOLATED, true),
        " ×",
    );
    for (name, p50, p95, _) in &measured.sandbox {
        if name == "load" {
            at_most("the sandbox's own cost under load, p50", 8.0, *p50, " ms");
            at_most("the sandbox's own cost under load, p95", 25.0, *p95, " ms");
        } else {
            at_most("the sandbox's own cost beside nothing else, p50", 8.0, *p50, " ms");
        }
    }
    at_most("own memory (PSS, children apart) with 8 jobs", 150.0, measured.memory as f64 / 1e6, " MB");
    let mut at_least = |what: &str, wanted: f64, found: f64, unit: &str| {
        let verdict = match found {
            found if found >= wanted => "met".to_owned(),
            found => format!("**missed by {:.0} %**", (1.0 - found / wanted) * 100.0),
        };
        let _ = writeln!(text, "| {what} | ≥ {wanted}{unit} | {found:.1}{unit} | {verdict} |");
    };
    at_least("pure packages: times faster than tox", 15.0, 1.0 / figures.mean(TOX, false), " ×");
    at_least("pure packages: times faster than venv + pip", 10.0, 1.0 / figures.mean(PIP, false), " ×");
    let hourly = measured.throughput.per_second() * 3600.0;
    at_least("cells an hour, tests off, a job a core", 8000.0, hourly, "");
    match &measured.reuse {
        Some(reuse) => at_least("results reused a second", 1000.0, reuse.per_second(), ""),
        None => text.push_str("| results reused a second | ≥ 1000 | not measured | |\n"),
    }
    let cells = measured.throughput.cells;
    let _ = writeln!(text, "\nCells an hour: {cells} cells in {:.1} s.", measured.throughput.took.wall);
    if let Some(reuse) = &measured.reuse {
        let _ = writeln!(text, "Reused: {} results in {:.2} s.", reuse.cells, reuse.took.wall);
    }
    text.push('\n');
    misses(text, measured, figures);
}

/// What the time goes to where an aim is missed.
fn misses(text: &mut String, measured: &Measured, figures: &Figures<'_>) {
    let mut lines = Vec::new();
    if figures.ratios(ISOLATED, false).any(|ratio| ratio > 0.8) {
        lines.push(
            "A pure package with a light backend leaves little to save: starting interpreters, building, and compiling its modules to \
             bytecode at the first import is the same work on both sides, and the phases below are mostly CPU time of the package's own code.",
        );
    }
    if measured.sandbox.iter().any(|(name, p50, p95, _)| name == "load" && (*p50 > 8.0 || *p95 > 25.0)) {
        lines.push(
            "Under load a command waits for a core: whoever asked for it, the launcher's first moment, and the command itself queue behind \
             the endless loops.",
        );
    }
    if 1.0 / figures.mean(TOX, false) < 15.0 {
        lines.push(
            "Beside tox what is left is mostly the package's own work, as the phases below show: interpreters that start, the \
             backend, bytecode. tox pays for its environments, which are ready here; quick backends leave less of that to save.",
        );
    }
    if measured.reuse.as_ref().is_some_and(|reuse| reuse.per_second() < 1000.0) {
        lines.push(
            "Reused results pay the command's start (finding interpreters, opening store and index), then one look-up \
             each; sixteen are written together.",
        );
    }
    for line in &lines {
        let _ = writeln!(text, "- {line}");
    }
    if !lines.is_empty() {
        text.push('\n');
    }
}

fn packages(text: &mut String, measured: &Measured, figures: &Figures<'_>) {
    text.push_str("## Packages\n\nMedians in seconds with one job; in brackets Wheeltapper's share of that time.\n\n| package | Wheeltapper |");
    for (way, _) in &measured.peers {
        let _ = write!(text, " {} |", way.name());
    }
    text.push_str("\n| --- | --- |");
    text.push_str(&" --- |".repeat(measured.peers.len()));
    text.push('\n');
    for row in &figures.rows {
        let compiles = if row.subject.native { ", compiles C" } else { "" };
        let _ = write!(text, "| {} {}{compiles} | {:.2} |", row.subject.name, row.subject.version, row.own);
        for peer in &row.peers {
            let _ = match peer.is_nan() {
                true => write!(text, " fails |"),
                false => write!(text, " {peer:.2} ({:.2}) |", row.own / peer),
            };
        }
        text.push('\n');
    }
    for (native, name) in [(false, "pure, geometric mean"), (true, "compiled, geometric mean")] {
        let own =
            geometric_mean(figures.rows.iter().filter(|row| row.subject.native == native).map(|row| row.own));
        let _ = write!(text, "| *{name}* | {own:.2} |");
        for peer in 0..measured.peers.len() {
            let times =
                figures.rows.iter().filter(|row| row.subject.native == native).map(|row| row.peers[peer]);
            let _ = write!(text, " {:.2} ({:.2}) |", geometric_mean(times), figures.mean(peer, native));
        }
        text.push('\n');
    }
    text.push('\n');
}

fn whole(text: &mut String, measured: &Measured) {
    text.push_str(
        "## All packages, one job and two\n\nThe whole command in seconds, its start and planning included: medians.\n\n\
         | way | one job | CPU | two jobs | CPU |\n| --- | --- | --- | --- | --- |\n",
    );
    let walls = |rounds: &[Took]| median(rounds.iter().map(|took| took.wall));
    let cpus = |rounds: &[Took]| median(rounds.iter().map(|took| took.cpu));
    for ((way, one), (_, two)) in measured.one.iter().zip(&measured.two) {
        let (one_wall, two_wall) = (walls(one), walls(two));
        let _ = writeln!(
            text,
            "| {} | {one_wall:.2} | {:.2} | {two_wall:.2} | {:.2} |",
            way.name(),
            cpus(one),
            cpus(two)
        );
    }
    text.push('\n');
}

fn phases(text: &mut String, measured: &Measured) {
    text.push_str(
        "## What a cell's time goes to\n\nMedians in seconds, wall and (CPU inside the sandbox). *rest* is what lies between the phases: \
         fetching, requirements, the record.\n\n| package |",
    );
    for phase in PHASES {
        let _ = write!(text, " {phase} |");
    }
    text.push_str(" rest |\n| --- |");
    text.push_str(&" --- |".repeat(PHASES.len() + 1));
    text.push('\n');
    for subject in &measured.subjects {
        let cells: Vec<_> = measured
            .rounds
            .iter()
            .filter_map(|round| round.iter().find(|record| record.project == subject.name))
            .collect();
        let _ = write!(text, "| {} |", subject.name);
        for index in 0..PHASES.len() {
            let of =
                |pick: fn(&(f64, f64)) -> f64| median(cells.iter().map(|cell| pick(&cell.phases[index])));
            let _ = write!(text, " {:.3} ({:.3}) |", of(|pair| pair.0), of(|pair| pair.1));
        }
        let rest = median(
            cells.iter().map(|cell| cell.wall - cell.phases.iter().map(|(wall, _)| wall).sum::<f64>()),
        );
        let _ = writeln!(text, " {rest:.3} |");
    }
    text.push('\n');
}

/// The middle value of those there are; of an even number the mean of the two in the middle; NaN of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

/// Of those there are.
fn geometric_mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .filter(|value| !value.is_nan())
        .fold((0.0, 0), |(sum, count), value| (sum + value.ln(), count + 1));
    (sum / f64::from(count)).exp()
}

#[cfg(test)]
mod tests {
    use super::{geometric_mean, median};

    #[test]
    fn means_are_what_they_are_called() {
        assert!((median([3.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!((geometric_mean([1.0, f64::NAN, 4.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!((median([f64::NAN, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!(median(std::iter::empty()).is_nan());
    }
}
