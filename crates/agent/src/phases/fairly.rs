//! A plan's run that had its processor time. What failed by time in a run that did not is run once more, with nothing else of
//! this farm beside it; then that run counts, and the first is kept with the attempts.

use std::path::{Path, PathBuf};

use wheeltapper_core::{
    Finding, Phase, Status, TestPlan,
    next_step::{TestAttempt, Variation},
    starved::{RAN_ALONE, SEPARATOR, may_be_of_time},
};
use wheeltapper_sandbox::Execution;

use crate::{
    cell::{Cell, starved},
    error::Error,
    events::Events,
    phases::{install::Installation, running::run_once},
    source::Source,
    turns::Company,
};

/// Runs a plan in a fork of the installation with these layers on top; what it wrote elsewhere is recorded.
pub(crate) fn run_fairly(
    cell: &mut Cell<'_>,
    installation: &Installation,
    source: &Source,
    plan: &TestPlan,
    layers: &[PathBuf],
) -> Result<(Execution, Events), Error> {
    let before = (cell.phase(Phase::Test).clone(), cell.tests_left);
    let (first, events) = run_in_fork(cell, installation, source, plan, layers)?;
    let (limit, waited) = (first.limit, first.was_starved());
    if !waited || !may_be_of_time(limit, Some(&events.counts)) {
        return Ok((first, events));
    }
    let used = cell.phase(Phase::Test).clone();
    cell.evidence.attempts.push(TestAttempt {
        variation: Variation::Starved,
        phase: Phase::Test,
        status: Status::Failed,
        tests: events.counts,
        changed: Vec::new(),
    });
    let why = starved(&first).text;
    cell.note(
        Phase::Test,
        &format!("{SEPARATOR}: {why}; it is run once more, with nothing else of the farm beside it"),
    );
    // What the farm took from the first run is given back.
    *cell.phase(Phase::Test) = before.0;
    let report = cell.phase(Phase::Test);
    (report.cpu_s, report.cpu_wait_s) = (used.cpu_s, used.cpu_wait_s);
    cell.tests_left = before.1;
    cell.company = Company::None;
    let second = run_in_fork(cell, installation, source, plan, layers);
    cell.company = Company::Any;
    let (second, events) = second?;
    let text = format!(
        "a first run failed by time: {why}. This is a second one, with nothing else of the farm beside it"
    );
    cell.find(Phase::Test, Finding::new(RAN_ALONE, text, Vec::new()));
    if second.was_starved() && second.limit.is_none() {
        cell.find(Phase::Test, starved(&second));
    }
    Ok((second, events))
}

fn run_in_fork(
    cell: &mut Cell<'_>,
    installation: &Installation,
    source: &Source,
    plan: &TestPlan,
    layers: &[PathBuf],
) -> Result<(Execution, Events), Error> {
    let world = installation.world.fork_with(layers)?;
    let ran = run_once(cell, &world, source, plan)?;
    let working = |path: &Path| path.starts_with("src") || path.starts_with("empty");
    let changed = world.changes()?.list.into_iter().map(|change| change.path);
    cell.record_foreign_writes(changed.filter(|path| !working(path)));
    Ok(ran)
}
