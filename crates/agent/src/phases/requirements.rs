//! What the tests of a plan need beside the release: asked for, installed as layers, thinned where it cannot be had whole.

use std::path::PathBuf;

use wheeltapper_core::{Phase, TestPlan};

use crate::{
    cell::{Cell, WheelAtHand},
    error::Error,
    job::Purpose,
    phases::{install::Installation, test::Stage},
    prepare::Prepared,
    resolve::{LockedWheel, Question},
    thinning::{MOST_CHANGES, thinned},
};

/// The plan with what could be installed of its requirements, and the layers, or the resolver's words. Where it may be thinned, a
/// requirement that stands in the way of the others does not end it.
pub(super) fn installed(
    cell: &mut Cell<'_>,
    stage: &Stage<'_>,
    plan: &TestPlan,
    may_thin: bool,
) -> Result<(TestPlan, Result<Vec<PathBuf>, String>), Error> {
    let findings = cell.phase(Phase::Test).findings.clone();
    let mut plan = plan.clone();
    let mut left = if may_thin { MOST_CHANGES } else { 0 };
    loop {
        let words = match test_layers(cell, stage.installation, stage.wheel, &plan)? {
            Ok(layers) => {
                // What stood in the way was told, and does no more.
                cell.phase(Phase::Test).findings = findings;
                return Ok((plan, Ok(layers)));
            }
            Err(words) => words,
        };
        let Some((thinner, said)) = thinned(&plan, &words).filter(|_| left > 0) else {
            return Ok((plan, Err(words)));
        };
        cell.note(Phase::Test, &format!("--- {said}"));
        (plan, left) = (thinner, left - 1);
    }
}

/// What the tests need on top of these runtime requirements.
fn test_question(cell: &Cell<'_>, wheel: &WheelAtHand, plan: &TestPlan, below: &[LockedWheel]) -> Question {
    let own = &cell.job.release.project;
    let extras: Vec<_> = plan.extras.iter().filter_map(|extra| extra.parse().ok()).collect();
    let markers = &cell.job.environment.interpreter.markers;
    let of_extras = wheel.metadata.runtime(own, markers, &extras).unwrap_or_default();
    let mut requirements = plan.requirements.clone();
    requirements.extend(of_extras.iter().map(ToString::to_string));
    let pins = below.iter().map(|wheel| format!("{}=={}", wheel.project, wheel.version));
    let constraints = pins.chain([format!("{own}=={}", cell.version)]).collect();
    Question { requirements, constraints, ..Question::default() }
}

/// The layers of the tests' requirements on top of the runtime's versions, or the resolver's words.
pub(crate) fn test_layers(
    cell: &mut Cell<'_>,
    installation: &Installation,
    wheel: &WheelAtHand,
    plan: &TestPlan,
) -> Result<Result<Vec<PathBuf>, String>, Error> {
    let own = &cell.job.release.project;
    let question = test_question(cell, wheel, plan, &installation.below);
    cell.evidence.installed.retain(|installed| installed.purpose != "test");
    let below: Vec<_> =
        installation.below.iter().map(|wheel| wheel.project.clone()).chain([own.clone()]).collect();
    match cell.prepare(Purpose::Test, &below, &question)? {
        Prepared::Ready { layers, wheels } => {
            let beside: Vec<_> = wheels.into_iter().filter(|wheel| !below.contains(&wheel.project)).collect();
            cell.installed(&beside, Purpose::Test);
            // The first layers are the environment's own, which lie below already.
            Ok(Ok(layers.into_iter().skip(cell.agent.base_layers(cell.job, cell.slot)?.len()).collect()))
        }
        Prepared::Impossible { words, limit } => {
            cell.impossible(Phase::Test, &question, &words, limit);
            Ok(Err(words))
        }
    }
}
