//! `wheeltapper status`: what the last cycles did, what is running, what is late, and where the disk has gone.

use std::{fs::File, io::Write as _, path::Path};

use jiff::Timestamp;
use wheeltapper_coordinator::cycle::pause_file;
use wheeltapper_core::cycle::{Cycle, CycleSummary, State};
use wheeltapper_render::{bytes, seconds, visible};

use crate::{
    commands::show::blocking,
    exit::{Exit, Failure},
    paths::Paths,
};

/// Cycles that are told of.
const CYCLES: u32 = 10;

/// Prints the state of this data folder.
pub fn status(paths: &Paths) -> Result<Exit, Failure> {
    let (cycles, open, letters) = blocking(paths, async |store| {
        let cycles = store.cycles(CYCLES).await?;
        let open = match cycles.first().filter(|cycle| cycle.ended.is_none()) {
            Some(cycle) => Some(store.count_cycle(cycle.number).await?),
            None => None,
        };
        Ok((cycles, open, store.count_letters().await?))
    })?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", running(&paths.data, cycles.first(), open.as_ref()))?;
    if let Some(late) = late(&paths.data, Timestamp::now()) {
        writeln!(out, "{late}")?;
    }
    if pause_file(&paths.data).exists() {
        writeln!(out, "paused: `wheeltapper cycle resume` goes on")?;
    }
    if !cycles.is_empty() {
        writeln!(
            out,
            "\n{:>6}  {:<16}  {:>8}  {:>7}  {:>6}  {:>8}  {:>7}  {:>6}  {:>5}  {:>10}",
            "cycle",
            "begun (UTC)",
            "took",
            "wanted",
            "run",
            "failing",
            "newly",
            "fixed",
            "farm",
            "core hours"
        )?;
    }
    for cycle in &cycles {
        writeln!(out, "{}", line(cycle))?;
    }
    writeln!(out, "\ndisk, in {}", visible(&paths.data.display().to_string()))?;
    for (name, what) in FOLDERS {
        let size = size_of(&paths.data.join(name));
        if size > 0 {
            writeln!(out, "{:>10}  {name:<14}  {what}", bytes(size))?;
        }
    }
    writeln!(out, "\n{letters} letters written; none is ever sent from here")?;
    Ok(Exit::Success)
}

const FOLDERS: [(&str, &str); 9] = [
    ("results.sqlite", "results and small logs, kept for good"),
    ("blobs", "large logs"),
    ("files", "distributions, the least recently used go first"),
    ("layers", "installed requirements, made again when missing"),
    ("pages", "answers of the index"),
    ("uv-cache", "the installer's own"),
    ("site", "the site"),
    ("outbox", "letters"),
    ("runtime", "what lives as long as a run"),
];

fn running(data: &Path, last: Option<&Cycle>, open: Option<&CycleSummary>) -> String {
    let held = File::open(data.join("cycle.lock")).is_ok_and(|file| file.try_lock().is_err());
    match (held, last, open) {
        (true, Some(cycle), Some(summary)) => format!(
            "cycle {} is running, begun {}: {} of {} cells have settled",
            cycle.number,
            when(&cycle.started),
            summary.wanted() - summary.left,
            summary.wanted(),
        ),
        (true, ..) => "a cycle is running".to_owned(),
        (false, Some(cycle), Some(summary)) => format!(
            "nothing is running; cycle {} of {} is unfinished, {} cells are left; the same command goes on with it",
            cycle.number,
            when(&cycle.started),
            summary.left,
        ),
        (false, ..) => "nothing is running".to_owned(),
    }
}

/// What is late, by the schedule that `cycle --every` left.
fn late(data: &Path, now: Timestamp) -> Option<String> {
    let text = std::fs::read_to_string(super::again::schedule_file(data)).ok()?;
    let due: Timestamp = text.trim().parse().ok()?;
    let behind = now.duration_since(due).as_secs_f64();
    let kept = File::open(data.join("cycles.lock")).is_ok_and(|file| file.try_lock().is_err());
    match (behind > 0.0, kept) {
        (true, true) => Some(format!("late: the next cycle was due {} ago", seconds(behind))),
        (true, false) => Some(format!(
            "late: a cycle was due {} ago, and nobody begins cycles here any more",
            seconds(behind)
        )),
        (false, true) => Some(format!("the next cycle is due {} (UTC)", when(&due.to_string()))),
        (false, false) => None,
    }
}

fn when(time: &str) -> String {
    time.chars().take(16).collect::<String>().replace('T', " ")
}

fn line(cycle: &Cycle) -> String {
    let nothing = CycleSummary::default();
    let summary = cycle.summary.as_ref().unwrap_or(&nothing);
    let begun: Option<Timestamp> = cycle.started.parse().ok();
    let ended: Option<Timestamp> = cycle.ended.as_ref().and_then(|ended| ended.parse().ok());
    let took = match begun.zip(ended) {
        Some((begun, ended)) => seconds(ended.duration_since(begun).as_secs_f64()),
        None => "open".to_owned(),
    };
    format!(
        "{:>6}  {:<16}  {took:>8}  {:>7}  {:>6}  {:>8}  {:>7}  {:>6}  {:>5}  {:>10.2}",
        cycle.number,
        when(&cycle.started),
        summary.wanted(),
        summary.count_run(),
        summary.failing(),
        summary.count(State::NewlyFailing) + summary.count(State::FailingAtFirst),
        summary.count(State::Fixed),
        summary.count(State::FarmError),
        summary.core_seconds / 3600.0,
    )
}

/// Bytes of a file, or of everything below a folder; links are not followed.
pub fn size_of(path: &Path) -> u64 {
    let Ok(found) = std::fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size_of(&entry.path())).sum()
}
