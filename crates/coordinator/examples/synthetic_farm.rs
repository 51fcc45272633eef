//! For `cargo xtask bench --cycle`: a farm of made-up projects, its site, and an index of made-up names, each measured.
//! Prints one figure a line: name, value, unit.
//!
//! `synthetic_farm site FOLDER PROJECTS ENVIRONMENTS` · `synthetic_farm index NAMES` (serves until it is killed)

#![allow(clippy::print_stdout)] // A program for people and for xtask.

use std::{io::Read as _, path::Path, time::Instant};

use anyhow::{Context as _, Result, bail};
use tokio::runtime::Runtime;
use wheeltapper_coordinator::publish::{PublishOptions, publish};
use wheeltapper_core::{
    Artifact, Outcome,
    cycle::{CellName, Due, State, standing},
};
use wheeltapper_store::{Decision, Settled, Store};
use wheeltapper_testkit::{FakeIndex, synthetic};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| text.parse::<usize>().context("a number is wanted");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["site", folder, projects, environments] => {
            site(Path::new(folder), number(projects)?, number(environments)?)
        }
        ["index", names] => index(number(names)?),
        _ => bail!("site FOLDER PROJECTS ENVIRONMENTS, or index NAMES"),
    }
}

/// Serves so many names until standard input ends.
fn index(names: usize) -> Result<()> {
    let index = FakeIndex::start()?;
    index.grow(names);
    println!("{}", index.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn site(folder: &Path, projects: usize, environments: usize) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = runtime.block_on(Store::open(folder))?;
    let begun = Instant::now();
    bring(&runtime, &store, 0..projects, environments)?;
    println!("filling {:.1} s", begun.elapsed().as_secs_f64());
    let options = PublishOptions {
        site: folder.join("site"),
        program: "wheeltapper bench".to_owned(),
        address: None,
        ranks: Default::default(),
        workers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let made = |what: &str| -> Result<()> {
        let begun = Instant::now();
        let published = publish(runtime.handle(), &store, &options)?;
        println!("{what} {:.2} s", begun.elapsed().as_secs_f64());
        println!("{what}-files {} files", published.written);
        Ok(())
    };
    made("site-from-nothing")?;
    made("site-unchanged")?;
    bring(&runtime, &store, 0..50.min(projects), environments)?;
    stand(&runtime, &store, 50.min(projects)..projects, environments)?;
    made("site-50-changed")?;
    println!("site-memory {} MB", peak_memory()?);
    Ok(())
}

/// One cycle in which these projects are run.
fn bring(
    runtime: &Runtime,
    store: &Store,
    projects: std::ops::Range<usize>,
    environments: usize,
) -> Result<()> {
    runtime.block_on(async {
        let number = store.cycles(1).await?.first().map_or(1, |last| last.number + 1);
        let run = format!("cycle-{number}");
        store.begin_cycle(&run, "made-up projects", &format!("2026-11-{number:02}T00:00:00Z")).await?;
        for project in projects {
            for environment in 0..environments {
                let cell = CellName {
                    project: synthetic::name(project),
                    environment: synthetic::environment(environment),
                    artifact: Artifact::Sdist,
                };
                let round = u32::try_from(number).unwrap_or(1);
                let (record, logs) = synthetic::result(project, environment, &run, round);
                let state = match record.verdict.outcome {
                    Outcome::Passed => State::Passed,
                    Outcome::Untested => State::Untested,
                    _ if number == 1 => State::FailingAtFirst,
                    _ => State::StillFailing,
                };
                store.record(&record, &logs).await?;
                store.decide(number, &[(cell.clone(), Decision::Due(Due::NeverRun))]).await?;
                let settled = Settled { state, result: record.id, before: None, core_s: 1.0 };
                store.settle(number, &cell, &settled).await?;
            }
        }
        store.end_cycle(number, &format!("2026-11-{number:02}T01:00:00Z")).await?;
        Ok(())
    })
}

/// The other projects of the last cycle: their results stand.
fn stand(
    runtime: &Runtime,
    store: &Store,
    projects: std::ops::Range<usize>,
    environments: usize,
) -> Result<()> {
    runtime.block_on(async {
        let number = store.cycles(1).await?.first().map_or(1, |last| last.number);
        let mut cells = Vec::new();
        for (project, environment) in
            projects.flat_map(|one| (0..environments).map(move |other| (one, other)))
        {
            let (record, _) = synthetic::result(project, environment, "", 1);
            let name = CellName {
                project: record.evidence.project,
                environment: record.evidence.environment.name,
                artifact: Artifact::Sdist,
            };
            cells.push((name, Decision::Stands(standing(None, record.verdict.outcome))));
        }
        store.decide(number, &cells).await?;
        store.end_cycle(number, &format!("2026-11-{number:02}T01:00:00Z")).await?;
        Ok(())
    })
}

/// The most memory that this process has had, in MB.
fn peak_memory() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().split(' ').next().context("no number")?.parse()?;
    Ok(kib * 1024 / 1_000_000)
}
