//! Further runs of tests that failed: on identical inputs, or with one thing changed, so that the cause and whose fault it is
//! are seen rather than guessed. What the first run said stays said.

use std::path::PathBuf;

use wheeltapper_core::{
    Fix, FixKind, Phase, Runner, Status, TestPlan,
    next_step::{
        Changed, NextStep, TestAttempt, Variation, bound, cures, mark_flaky, most_missed, next_step, suspects,
    },
};
use wheeltapper_sandbox::World;

use crate::{
    cell::{Cell, WheelAtHand},
    error::Error,
    job::Purpose,
    phases::{
        install::{Installation, install_inner},
        requirements::test_layers,
        running::run_once,
    },
    resolve::LockedWheel,
    source::Source,
    trial::{Different, changed},
};

/// The most distributions that are held back one by one to find the one that fails.
pub(crate) const MOST_SUSPECTS: usize = 4;

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

/// Runs the tests again as long as that tells more of the cause. The phase stays as the first run left it.
pub(crate) fn run_again(cell: &mut Cell<'_>, first: &FirstRun<'_>) -> Result<(), Error> {
    let mut tried = Vec::new();
    while let NextStep::TestAgain(variation) = next_step(&cell.evidence, first.wall_s, &tried) {
        if !is_time_left(cell, first) {
            break;
        }
        if cell.tests_left.is_zero() {
            break;
        }
        tried.push(variation);
        let until = cell.job.release.day_of_upload();
        let different = match (variation, until.clone()) {
            (Variation::Dated, Some(until)) => dated(until, &[Purpose::Test]),
            (Variation::DatedRuntime, Some(until)) => dated(until, &[Purpose::Runtime, Purpose::Test]),
            (Variation::Requirement, _) => match missing_requirement(cell) {
                Some(requirement) => {
                    Different { requirement: Some((Purpose::Test, requirement)), ..Different::default() }
                }
                None => continue,
            },
            (Variation::Dated | Variation::DatedRuntime | Variation::Bound | Variation::Starved, _) => {
                continue;
            }
            (
                Variation::Same | Variation::WarningsAtDefault | Variation::WithoutNetwork | Variation::Alone,
                _,
            ) => Different::default(),
        };
        let requirement = different.requirement.as_ref().map(|(_, requirement)| requirement.clone());
        let world = match variation {
            Variation::Dated | Variation::DatedRuntime | Variation::Requirement => {
                world(cell, first, different)?
            }
            Variation::Same
            | Variation::WarningsAtDefault
            | Variation::WithoutNetwork
            | Variation::Alone
            | Variation::Starved
            | Variation::Bound => Some((first.installation.world.fork_with(first.layers)?, Vec::new())),
        };
        let Some((world, changed)) = world else { continue };
        let dated = matches!(variation, Variation::Dated | Variation::DatedRuntime);
        if dated && changed.is_empty() {
            continue;
        }
        attempt(cell, first, &world, variation, changed)?;
        drop(world);
        let nothing_ran = cell.evidence.attempts.last().is_some_and(|attempt| attempt.tests.ran() == 0);
        if variation == Variation::DatedRuntime && nothing_ran {
            // The test tools of that day may not run on this Python; what the release stands on may.
            let of_runtime = until.map(|until| self::dated(until, &[Purpose::Runtime])).unwrap_or_default();
            if let Some((world, changed)) = self::world(cell, first, of_runtime)?
                && !changed.is_empty()
            {
                attempt(cell, first, &world, variation, changed)?;
            }
        }
        let cured = || {
            let tests = cell.evidence.tests.as_ref()?;
            cell.evidence.attempts.last().filter(|attempt| cures(tests, attempt))
        };
        let fix = match (variation, requirement, cured().map(|attempt| attempt.status)) {
            (Variation::Requirement, Some(line), Some(_)) => Some((FixKind::TestRequirement, line)),
            (Variation::WarningsAtDefault, _, Some(Status::Passed)) => {
                Some((FixKind::Setting, "-W default".to_owned()))
            }
            _ => None,
        };
        if let Some((kind, line)) = fix {
            cell.evidence.fix = Some(Fix { kind, line, verified: true });
        }
    }
    mark_flaky(&mut cell.evidence);
    name_the_guilty(cell, first)
}

/// True while another run can come to its end: one that is cut short says nothing, and all together keep to the limit.
fn is_time_left(cell: &Cell<'_>, first: &FirstRun<'_>) -> bool {
    cell.tests_left.as_secs_f64() >= first.wall_s * 1.5
}

const fn dated(until: String, purposes: &'static [Purpose]) -> Different {
    Different { dated: Some((until, purposes)), bound: None, requirement: None }
}

/// The project to ask for the module that most of the failing tests miss.
fn missing_requirement(cell: &Cell<'_>) -> Option<String> {
    let module = most_missed(cell.evidence.tests.as_ref()?)?;
    let project = cell.agent.provider(&module)?;
    (project != cell.job.release.project).then(|| project.to_string())
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
    let good = execution.exit.success() && execution.limit.is_none() && events.passed();
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
            let ids: Vec<&str> = failing.map(|test| test.id.as_str()).collect();
            plan.environment.insert("WHEELTAPPER_ALONE".to_owned(), ids.join("\n"));
        }
        Variation::Same
        | Variation::Dated
        | Variation::DatedRuntime
        | Variation::Bound
        | Variation::Requirement
        | Variation::WithoutNetwork
        | Variation::Starved
        | Variation::Alone => {}
    }
    plan
}

/// A world in which something else is installed than in the first run, and what differs. `None` where there is none.
fn world(
    cell: &mut Cell<'_>,
    first: &FirstRun<'_>,
    different: Different,
) -> Result<Option<(World, Vec<Changed>)>, Error> {
    let installation = first.installation;
    let bounded = |wheel: &LockedWheel| {
        different.bound.as_ref().is_some_and(|bound| names(bound) == wheel.project.as_str())
    };
    let of_runtime = different.dated.as_ref().is_some_and(|(_, of)| of.contains(&Purpose::Runtime));
    let reinstall = of_runtime || installation.below.iter().any(bounded);
    let report = cell.phase(Phase::Test).clone();
    let (made, after) = cell.trial(different, &[Phase::Install], |cell| {
        let other = match reinstall {
            true => install_inner(cell, first.wheel.path.clone())?.map(|(_, installation)| installation),
            false => None,
        };
        if reinstall && other.is_none() {
            return Ok(None);
        }
        let installation = other.as_ref().unwrap_or(installation);
        let Ok(mut layers) = test_layers(cell, installation, first.wheel, first.plan)? else {
            return Ok(None);
        };
        layers.extend(first.source.layers.iter().cloned());
        let below = installation.below.iter().map(|wheel| (wheel.project.clone(), wheel.version.clone()));
        Ok(Some((installation.world.fork_with(&layers)?, below.collect::<Vec<_>>())))
    })?;
    *cell.phase(Phase::Test) = report;
    let Some((world, mut now)) = made else { return Ok(None) };
    let of_tests = after.installed.iter().filter(|one| one.purpose == Purpose::Test.as_str());
    now.extend(of_tests.map(|one| (one.project.clone(), one.version.clone())));
    let before = cell.evidence.installed.iter().filter(|one| one.purpose != Purpose::Build.as_str());
    Ok(Some((world, changed(before, &now))))
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
    let named =
        |module: &str| tests.failing.iter().take(20).any(|test| test.message.to_lowercase().contains(module));
    for suspect in suspects(named, &changed).into_iter().take(MOST_SUSPECTS) {
        let Some(bound) = bound(&suspect).filter(|_| is_time_left(cell, first)) else { continue };
        let different = Different { bound: Some(bound.clone()), ..Different::default() };
        let Some((world, mut changed)) = world(cell, first, different)? else { continue };
        if cell.tests_left.is_zero() || !changed.iter().any(|one| one.project == suspect.project) {
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
