//! Further runs of tests that failed: on identical inputs, or with one thing changed, so that the cause and whose fault it is
//! are seen rather than guessed. What the first run said stays said.

use std::{collections::BTreeMap, path::PathBuf};

use wheeltapper_core::{
    Fix, FixKind, Phase, Runner, Status, TestPlan,
    next_step::{Changed, NextStep, TestAttempt, Variation, bound, cures, mark_flaky, next_step, suspects},
};
use wheeltapper_sandbox::World;

use crate::{
    agent::Prepared,
    cell::{Cell, WheelAtHand},
    error::Error,
    job::Purpose,
    phases::{
        install::{Installation, put, runtime_question, without_own},
        test::{run_once, test_question},
    },
    resolve::LockedWheel,
    source::Source,
};

/// The most distributions that are held back one by one to find the one that fails.
const MOST_SUSPECTS: usize = 4;

/// What the first run stood on.
pub(crate) struct FirstRun<'a> {
    pub source: &'a Source,
    pub wheel: &'a WheelAtHand,
    pub installation: &'a Installation,
    pub plan: &'a TestPlan,
    /// Layers of the tests' requirements and the source tree.
    pub layers: &'a [PathBuf],
    pub wall_s: f64,
}

/// How what is installed differs from the first run.
#[derive(Default)]
struct Different {
    /// Index answers of this moment for the tests' requirements.
    until: Option<String>,
    /// For the runtime's, too.
    runtime: bool,
    /// An upper bound.
    bound: Option<String>,
}

/// Runs the tests again as long as that tells more of the cause. The phase stays as the first run left it.
pub(crate) fn run_again(cell: &mut Cell<'_>, first: &FirstRun<'_>) -> Result<(), Error> {
    let mut tried = Vec::new();
    while let NextStep::TestAgain(variation) = next_step(&cell.evidence, first.wall_s, &tried) {
        tried.push(variation);
        let until = cell.job.release.day_of_upload();
        let world = match variation {
            Variation::Dated | Variation::DatedRuntime if until.is_none() => None,
            Variation::Dated => world(cell, first, &Different { until, ..Different::default() })?,
            Variation::DatedRuntime => {
                world(cell, first, &Different { until, runtime: true, ..Different::default() })?
            }
            Variation::Bound | Variation::Requirement => None,
            Variation::Same | Variation::WarningsAtDefault | Variation::WithoutNetwork | Variation::Alone => {
                Some((first.installation.world.fork_with(first.layers)?, Vec::new()))
            }
        };
        let Some((world, changed)) = world else { continue };
        let dated = matches!(variation, Variation::Dated | Variation::DatedRuntime);
        if dated && changed.is_empty() {
            continue;
        }
        attempt(cell, first, &world, variation, changed)?;
    }
    mark_flaky(&mut cell.evidence);
    name_the_guilty(cell, first)
}

/// One further run; what it said is added to the attempts, its output to the log.
fn attempt(
    cell: &mut Cell<'_>,
    first: &FirstRun<'_>,
    world: &World,
    variation: Variation,
    changed: Vec<Changed>,
) -> Result<(), Error> {
    let before = cell.phase(Phase::Test).clone();
    let with: Vec<String> = changed.iter().map(shown).collect();
    let with = if with.is_empty() { String::new() } else { format!(" ({})", with.join(", ")) };
    cell.note(Phase::Test, &format!("--- again, to tell the cause: {variation}{with}"));
    let plan = varied(cell, first.plan, variation);
    let (execution, events) = run_once(cell, world, first.source, &plan)?;
    *cell.phase(Phase::Test) = before;
    let good = execution.exit.success() && execution.limit.is_none() && events.counts.ran() > 0;
    let status = if good { Status::Passed } else { Status::Failed };
    cell.evidence.attempts.push(TestAttempt {
        variation,
        phase: Phase::Test,
        status,
        tests: events.counts,
        changed,
    });
    Ok(())
}

fn shown(changed: &Changed) -> String {
    let version = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
    format!("{} {}, not {}", changed.project, version(&changed.now), version(&changed.first))
}

/// The plan as a further attempt runs it.
fn varied(cell: &Cell<'_>, plan: &TestPlan, variation: Variation) -> TestPlan {
    let mut plan = plan.clone();
    match variation {
        Variation::WarningsAtDefault => {
            if plan.runner == Runner::Pytest {
                plan.command.extend(["-o", "filterwarnings=", "-W", "default"].map(str::to_owned));
            }
            plan.environment.insert("PYTHONWARNINGS".to_owned(), "default".to_owned());
        }
        Variation::Alone if plan.runner == Runner::Pytest => {
            let failing = cell.evidence.tests.iter().flat_map(|tests| &tests.failing);
            plan.command.extend(failing.map(|test| test.id.clone()));
        }
        Variation::Same
        | Variation::Dated
        | Variation::DatedRuntime
        | Variation::Bound
        | Variation::Requirement
        | Variation::WithoutNetwork
        | Variation::Alone => {}
    }
    plan
}

/// A world in which something else is installed than in the first run, and what differs. `None` where there is none.
fn world(
    cell: &mut Cell<'_>,
    first: &FirstRun<'_>,
    different: &Different,
) -> Result<Option<(World, Vec<Changed>)>, Error> {
    let (agent, job, slot) = (cell.agent, cell.job, cell.slot);
    let installed = |purpose: &str| -> BTreeMap<_, _> {
        let of = cell.evidence.installed.iter().filter(|installed| installed.purpose == purpose);
        of.map(|installed| (installed.project.clone(), installed.version.clone())).collect()
    };
    let mut before = installed("runtime");
    before.extend(installed("test"));

    let bounded = different.bound.as_ref();
    let of_runtime =
        |bound: &String| first.installation.below.iter().any(|wheel| names(bound) == wheel.project.as_str());
    let mut own = None;
    let mut below: Vec<LockedWheel> = first.installation.below.clone();
    if different.runtime || bounded.is_some_and(of_runtime) {
        let Ok(mut question) = runtime_question(cell, first.wheel) else { return Ok(None) };
        question.until.clone_from(&different.until);
        question.constraints.extend(bounded.cloned());
        let Prepared::Ready { layers, wheels } =
            agent.prepare(job, slot, Purpose::Runtime, &[], &question)?
        else {
            return Ok(None);
        };
        let report = cell.phase(Phase::Test).clone();
        let put = put(cell, Phase::Test, first.wheel, &layers)?;
        *cell.phase(Phase::Test) = report;
        let Some(mut world) = put else { return Ok(None) };
        world.seal()?;
        below = without_own(cell, wheels);
        own = Some(world);
    }
    let mut question = test_question(cell, first.wheel, first.plan, &below);
    question.until.clone_from(&different.until);
    question.constraints.extend(bounded.cloned());
    let lower: Vec<_> =
        below.iter().map(|wheel| wheel.project.clone()).chain([job.release.project.clone()]).collect();
    let Prepared::Ready { layers, wheels } = agent.prepare(job, slot, Purpose::Test, &lower, &question)?
    else {
        return Ok(None);
    };
    let layers: Vec<PathBuf> = layers
        .into_iter()
        .skip(agent.base_layers(job, slot)?.len())
        .chain([first.source.layer.clone()])
        .collect();
    let now: BTreeMap<_, _> =
        below.into_iter().chain(wheels).map(|wheel| (wheel.project, wheel.version)).collect();
    let changed = before
        .iter()
        .filter(|(project, version)| now.get(*project).is_some_and(|now| now != *version))
        .map(|(project, version)| Changed {
            project: project.clone(),
            first: Some(version.clone()),
            now: now.get(project).cloned(),
        })
        .collect();
    let world = own.as_ref().unwrap_or(&first.installation.world).fork_with(&layers)?;
    Ok(Some((world, changed)))
}

/// The project that a specifier names.
fn names(specifier: &str) -> &str {
    specifier.split(['<', '>', '=']).next().unwrap_or(specifier)
}

/// After a run with everything as of the release's upload has passed: holds back one distribution after the other, on top of
/// today's, until the tests pass. Which one that is, is then seen, and so is the bound that helps.
fn name_the_guilty(cell: &mut Cell<'_>, first: &FirstRun<'_>) -> Result<(), Error> {
    let Some(tests) = cell.evidence.tests.clone() else { return Ok(()) };
    let dated = cell
        .evidence
        .attempts
        .iter()
        .filter(|attempt| matches!(attempt.variation, Variation::Dated | Variation::DatedRuntime))
        .filter(|attempt| cures(&tests, attempt))
        .min_by_key(|attempt| attempt.changed.len());
    let Some(changed) = dated.map(|attempt| attempt.changed.clone()) else { return Ok(()) };
    for suspect in suspects(&tests, &changed).into_iter().take(MOST_SUSPECTS) {
        let Some(bound) = bound(&suspect) else { continue };
        let different = Different { bound: Some(bound.clone()), ..Different::default() };
        let Some((world, mut changed)) = world(cell, first, &different)? else { continue };
        if !changed.iter().any(|one| one.project == suspect.project) {
            continue;
        }
        // The suspect leads; what else had to change with it follows.
        changed.sort_by_key(|one| one.project != suspect.project);
        attempt(cell, first, &world, Variation::Bound, changed)?;
        if cell.evidence.attempts.last().is_some_and(|attempt| cures(&tests, attempt)) {
            let below = &first.installation.below;
            let runtime = below.iter().any(|wheel| wheel.project == suspect.project);
            let kind = if runtime { FixKind::Bound } else { FixKind::TestBound };
            cell.evidence.fix = Some(Fix { kind, line: bound, verified: true });
            break;
        }
    }
    Ok(())
}
