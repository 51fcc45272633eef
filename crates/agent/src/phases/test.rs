//! Test: the tests that the release ships, run as its maintainers run them, against the installed copy. A plan that cannot
//! start gives way to the next one; a plan whose tests fail does not.

use std::path::PathBuf;

use wheeltapper_core::{
    Became, Evidence, Exit, FailingTest, Finding, Phase, PhaseReport, Reason, Status, TestCounts, TestPlan,
    TestSource, TestsRepository, TriedPlan,
    evidence::Installed,
    incomplete::{INCOMPLETE_SUITE, asks_for_absent},
    modules::{Fate, stdlib_module},
    next_step::{is_warning, missing_module},
};
use wheeltapper_recipe::{Absent, Plans};
use wheeltapper_sandbox::Execution;

use crate::{
    cell::{self, Cell, WheelAtHand},
    error::Error,
    events::Events,
    phases::{
        again::{FirstRun, run_again},
        fairly::run_fairly,
        install::Installation,
        requirements::installed,
    },
    recipe::{Installs, Subject},
    repository::{Look, Sourced, sourced, without_sdist},
    source::Source,
};

/// The finding that the repository, which was asked, gave no tests.
const NOTHING_TAKEN: &str = "no-tests-from-repository";

/// Runs the tests, or says why not.
pub(crate) fn test(
    cell: &mut Cell<'_>,
    source: Option<&Source>,
    wheel: &WheelAtHand,
    installation: &Installation,
) -> Result<(), Error> {
    if !cell.job.options.tests {
        return skip(cell, Reason::TestsDisabled);
    }
    let Some(source) = source else {
        if cell.job.options.source != TestSource::Sdist {
            cell.evidence.repository = Some(without_sdist());
        }
        return skip(cell, Reason::NoTestsShipped);
    };
    cell.begin(Phase::Test);
    let Sourced { plans, source: with_repository, told } = plans(cell, source, wheel)?;
    let source = with_repository.as_ref().unwrap_or(source);
    let untaken = told.as_ref().filter(|told| told.refused.is_some()).map(TestsRepository::told);
    cell.evidence.repository = told;
    let plans = match &cell.job.replay {
        Some(replay) => Plans {
            plans: replay.plan.iter().cloned().collect(),
            none: replay.untested,
            absent: plans.absent,
            ..Plans::default()
        },
        None => plans,
    };
    let nothing = plans.plans.is_empty();
    if nothing {
        skip(cell, plans.none.unwrap_or(Reason::NoTestsShipped))?;
    }
    if let Some(text) = untaken {
        cell.find(
            Phase::Test,
            Finding::new(NOTHING_TAKEN, format!("tests of the repository: {text}"), Vec::new()),
        );
    }
    if nothing {
        return Ok(());
    }
    for problem in plans.problems.iter().take(20) {
        cell.find(Phase::Test, Finding::new("override-problem", problem.to_string(), Vec::new()));
    }
    let stage = Stage { source, wheel, installation };
    let (mut held, mut unstarted) = (None::<Box<Ran>>, Vec::new());
    for (number, plan) in plans.plans.iter().enumerate() {
        let Some(after) = next_plan(cell, plan, held.as_deref(), unstarted.last()) else { continue };
        if number > 0 {
            cell.note(Phase::Test, &format!("--- {after}; plan {} of {}", number + 1, plans.plans.len()));
        }
        // What an alternative leaves out of a suite that could not start would be left out of the verdict.
        let least = if unstarted.is_empty() { 0 } else { plans.expected_tests / 2 };
        let next = plans.plans.get(number + 1);
        let is_last_of_its_kind = !next.is_some_and(|next| is_as_whole(next, plan));
        match attempt(cell, &stage, plan, least, is_last_of_its_kind)? {
            Attempt::Ran(ran) if ran.is_enough => {
                held = Some(ran);
                break;
            }
            Attempt::Ran(ran) => {
                // The first of those that run too few tests is kept, unless a later one runs twice as many.
                if held.as_ref().is_none_or(|held| ran.collected >= held.collected * 2) {
                    held = Some(ran);
                }
            }
            Attempt::CouldNotRun(reason, why) => unstarted.push(Unstarted::of(cell, reason, why)),
        }
    }
    match held {
        Some(ran) => {
            believe(cell, &stage, *ran)?;
            if let Some(finding) = incomplete_suite(cell, &plans.absent) {
                cell.find(Phase::Test, finding);
            }
        }
        None => {
            let told = told_by(unstarted).map(|one| one.put_back(cell));
            untested(cell, told, incomplete_suite(cell, &plans.absent));
        }
    }
    cell.end(Phase::Test);
    Ok(())
}

/// What every plan is tried on.
pub(super) struct Stage<'a> {
    pub source: &'a Source,
    pub wheel: &'a WheelAtHand,
    pub installation: &'a Installation,
}

enum Attempt {
    /// Tests ran.
    Ran(Box<Ran>),
    /// None did.
    CouldNotRun(Reason, String),
}

/// What most failures come from when the suite was not shipped whole.
fn incomplete_suite(cell: &Cell<'_>, absent: &[Absent]) -> Option<Finding> {
    let paths: Vec<&str> = absent.iter().map(|one| one.path.as_str()).collect();
    let tests = cell.evidence.tests.as_ref().filter(|tests| asks_for_absent(tests, &paths))?;
    let lines = absent.iter().map(|one| match one.line {
        Some(line) => format!("{} ({}:{line} asks for {})", one.path, one.needed_by, one.what),
        None => format!("{} ({} asks for {})", one.path, one.needed_by, one.what),
    });
    let text = format!(
        "the sdist lacks {} that its tests ask for, so {} cannot run",
        cell::files(absent.len()),
        tests.failing.len()
    );
    Some(Finding::new(INCOMPLETE_SUITE, text, lines.collect()))
}

/// A run of a plan in which tests ran, with all that it left in the evidence.
struct Ran {
    /// As many as the sources let expect.
    is_enough: bool,
    /// How many tests ran, were skipped or deselected.
    collected: u64,
    plan: TestPlan,
    report: PhaseReport,
    tests: Option<TestCounts>,
    installed: Vec<Installed>,
    layers: Vec<PathBuf>,
    wall_s: f64,
}

/// A plan that could not run, and what the cell's evidence said then.
struct Unstarted {
    reason: Reason,
    why: String,
    plan: Option<TestPlan>,
    tests: Option<TestCounts>,
    installed: Vec<Installed>,
    report: PhaseReport,
}

impl Unstarted {
    fn of(cell: &mut Cell<'_>, reason: Reason, why: String) -> Unstarted {
        let report = cell.phase(Phase::Test).clone();
        let Evidence { test_plan, tests, installed, .. } = &cell.evidence;
        let (plan, tests, installed) = (test_plan.clone(), tests.clone(), installed.clone());
        Unstarted { reason, why, plan, tests, installed, report }
    }

    /// Makes the evidence what it was after this plan.
    fn put_back(self, cell: &mut Cell<'_>) -> (Reason, String) {
        let used = cell.phase(Phase::Test).clone();
        let report = PhaseReport { cpu_s: used.cpu_s, peak_memory: used.peak_memory, ..self.report };
        cell.evidence.phases.insert(Phase::Test, report);
        cell.evidence.test_plan = self.plan;
        cell.evidence.tests = self.tests;
        cell.evidence.installed = self.installed;
        (self.reason, self.why)
    }
}

/// Of the plans that could not run the first that says what stopped it: it is the nearest to what the maintainers run.
fn told_by(mut unstarted: Vec<Unstarted>) -> Option<Unstarted> {
    let says = |one: &Unstarted| one.tests.as_ref().is_some_and(|tests| !tests.failing.is_empty());
    let at = unstarted.iter().position(says).unwrap_or(0);
    (at < unstarted.len()).then(|| unstarted.swap_remove(at))
}

/// True when every test file fails as it is loaded, by an error of its own code or of what it stands on, which no other plan would
/// have avoided.
fn fails_to_load(cell: &Cell<'_>) -> bool {
    const OWN: &[&str] =
        &["AttributeError: ", "NameError: ", "SyntaxError: ", "TypeError: ", "IndentationError: "];
    let exit = cell.evidence.phases.get(&Phase::Test).and_then(|report| report.exit);
    let failing = cell.evidence.tests.as_ref().map_or(&[][..], |tests| &tests.failing);
    let gone = |test: &FailingTest| {
        let module = missing_module(&test.message).map(stdlib_module);
        matches!(module, Some(Some(Fate::Gone(..) | Fate::Python2)))
            || test.message.contains("PluginValidationError: ")
            || test.message.starts_with("ImportError: cannot import name")
                && test.message.contains("/lib/python")
    };
    let own = |test: &FailingTest| OWN.iter().any(|class| test.message.starts_with(class)) || gone(test);
    matches!(exit, Some(1 | 2)) && !failing.is_empty() && failing.iter().all(own)
}

/// Why the next plan is tried; `None` when it is not: nothing is left of the time, or it promises no more tests than ran.
fn next_plan(
    cell: &Cell<'_>,
    plan: &TestPlan,
    held: Option<&Ran>,
    failed: Option<&Unstarted>,
) -> Option<&'static str> {
    // Less of a list that was installed does not start what the whole list did not start.
    let installed = failed.filter(|last| last.reason != Reason::TestRequirementsConflict);
    let is_less = installed
        .and_then(|last| last.plan.as_ref())
        .is_some_and(|last| is_same_run(last, plan) && plan.requirements.len() < last.requirements.len());
    if cell.tests_left.is_zero() || is_less {
        return None;
    }
    match held {
        Some(held) => (plan.expected_tests.unwrap_or(0) > held.collected)
            .then_some("that plan ran far fewer tests than the sources hold"),
        None if failed.is_some() => Some("that plan could not run"),
        None => Some("the first plan"),
    }
}

/// True for the same command in the same place, whatever is installed for it.
fn is_same_run(one: &TestPlan, other: &TestPlan) -> bool {
    one.command == other.command && one.directory == other.directory && one.working == other.working
}

/// True for a plan that asks for as much as another, in other versions.
fn is_as_whole(one: &TestPlan, other: &TestPlan) -> bool {
    is_same_run(one, other)
        && one.requirements.len() == other.requirements.len()
        && one.extras == other.extras
}

/// Settles on a run: the evidence is as it left it, and further runs may tell the cause.
fn believe(cell: &mut Cell<'_>, stage: &Stage<'_>, ran: Ran) -> Result<(), Error> {
    let chosen = cell
        .evidence
        .tried_plans
        .iter_mut()
        .find(|tried| tried.command == ran.plan.command && tried.collected == ran.collected);
    if let Some(chosen) = chosen {
        chosen.became = Became::Believed;
    }
    let attempts = cell.evidence.tried_plans.len();
    if attempts > 1 {
        cell.note(Phase::Test, &format!("--- believed: {}", ran.plan.command.join(" ")));
    }
    let used = cell.phase(Phase::Test).clone();
    cell.evidence
        .phases
        .insert(Phase::Test, PhaseReport { cpu_s: used.cpu_s, peak_memory: used.peak_memory, ..ran.report });
    cell.evidence.tests = ran.tests;
    cell.evidence.installed = ran.installed;
    cell.evidence.test_plan = Some(ran.plan.clone());
    if cell.job.replay.is_some() || !cell.can_try() {
        return Ok(());
    }
    let Stage { source, wheel, installation } = *stage;
    let (plan, layers, wall_s) = (&ran.plan, &ran.layers[..], ran.wall_s);
    let tried = run_again(cell, &FirstRun { source, wheel, installation, plan, layers, wall_s });
    cell.tried(Phase::Test, tried)
}

/// Says why no test ran. A suite that was not shipped whole fails, and so does one that cannot be loaded: whoever runs it
/// meets the same.
fn untested(cell: &mut Cell<'_>, told: Option<(Reason, String)>, incomplete: Option<Finding>) {
    let (reason, why) =
        told.unwrap_or_else(|| (Reason::TestsCouldNotRun, "there was no time left for the tests".to_owned()));
    let fails = incomplete.is_some() || fails_to_load(cell);
    cell.phase(Phase::Test).findings.extend(incomplete);
    let report = cell.phase(Phase::Test);
    if fails && reason == Reason::TestsCouldNotRun {
        report.status = Status::Failed;
        return;
    }
    report.status = Status::Skipped;
    report.reason = Some(reason.as_str().to_owned());
    report.findings.insert(0, Finding::new(reason.as_str(), why, Vec::new()));
    cell.evidence.untested = Some(reason);
}

fn skip(cell: &mut Cell<'_>, reason: Reason) -> Result<(), Error> {
    cell.skip(Phase::Test, reason.as_str());
    cell.evidence.untested = Some(reason);
    Ok(())
}

fn plans(cell: &Cell<'_>, source: &Source, wheel: &WheelAtHand) -> Result<Sourced, Error> {
    let installs = Installs {
        metadata: wheel.metadata.clone(),
        files: wheel.installs.clone(),
        modules: cell.evidence.imports.iter().map(|import| import.module.clone()).collect(),
        native: wheel.native,
    };
    let subject = Subject {
        project: &cell.job.release.project,
        version: &cell.version,
        installs: &installs,
        environment: &cell.job.environment,
        popularity: &cell.agent.popularity,
        overrides: &cell.job.overrides,
    };
    let look = Look {
        repositories: cell.agent.repositories.as_ref(),
        layers: &cell.agent.layers,
        slot: cell.slot,
        source: cell.job.options.source,
        then: cell.job.replay.as_ref().and_then(|replay| replay.repository.as_ref()),
    };
    sourced(look, source, &subject)
}

/// Tries a plan, and notes what became of it. Where it may be thinned, a requirement that stands in the way of the others does
/// not end it.
fn attempt(
    cell: &mut Cell<'_>,
    stage: &Stage<'_>,
    plan: &TestPlan,
    least: u64,
    may_thin: bool,
) -> Result<Attempt, Error> {
    cell.evidence.tests = None;
    // What an earlier plan used is used; what it ran into is not this one's.
    let before = cell.phase(Phase::Test);
    let kept = before
        .findings
        .iter()
        .filter(|one| matches!(one.id.as_str(), "override-problem" | NOTHING_TAKEN))
        .cloned()
        .collect();
    *before = PhaseReport {
        cpu_s: before.cpu_s,
        cpu_wait_s: before.cpu_wait_s,
        peak_memory: before.peak_memory,
        peak_memory_source: before.peak_memory_source.clone(),
        findings: kept,
        ..PhaseReport::bare(Status::Passed)
    };
    let mut tried = TriedPlan {
        command: plan.command.clone(),
        directory: plan.directory.clone(),
        became: Became::Believed,
        why: String::new(),
        collected: 0,
        expected_tests: plan.expected_tests,
        wall_s: 0.0,
    };
    let (plan, layers) = installed(cell, stage, plan, may_thin)?;
    let plan = &plan;
    cell.evidence.test_plan = Some(plan.clone());
    let layers = match layers {
        Ok(layers) => layers,
        Err(words) => {
            let first = words.lines().find(|line| line.contains("Because")).unwrap_or("no solution").trim();
            tried.became = Became::Conflict;
            tried.why = first.chars().take(300).collect();
            let reason = (Reason::TestRequirementsConflict, tried.why.clone());
            cell.evidence.tried_plans.push(tried);
            return Ok(Attempt::CouldNotRun(reason.0, reason.1));
        }
    };
    let extra: Vec<PathBuf> = layers.into_iter().chain(stage.source.layers.iter().cloned()).collect();
    let (execution, events) = run_fairly(cell, stage.installation, stage.source, plan, &extra)?;
    let wall_s = execution.wall.saturating_sub(execution.waited).as_secs_f64();
    let (counted, deselected) = (events.counts.ran() + events.counts.skipped, events.deselected);
    tried.wall_s = (wall_s * 1000.0).round() / 1000.0;
    tried.collected = counted + deselected;
    let attempt = match judge(cell, plan, &execution, events) {
        Err((reason, why)) => {
            tried.became = Became::CouldNotRun;
            tried.why.clone_from(&why);
            Attempt::CouldNotRun(reason, why)
        }
        Ok(()) => {
            let is_enough = is_enough(plan, tried.collected, &execution, cell.evidence.tests.as_ref());
            let expected = plan.expected_tests.unwrap_or(0);
            tried.why = format!("{counted} tests ran or were skipped, of {expected} expected at least");
            let is_part = tried.collected < least && execution.limit.is_none();
            if !is_enough || is_part {
                tried.became = Became::TooFewTests;
            }
            if is_part {
                let why =
                    format!("another plan ran {} tests of a suite of {} or more", tried.collected, least * 2);
                Attempt::CouldNotRun(Reason::TestsCouldNotRun, why)
            } else {
                Attempt::Ran(Box::new(Ran {
                    is_enough,
                    collected: tried.collected,
                    plan: plan.clone(),
                    report: cell.phase(Phase::Test).clone(),
                    tests: cell.evidence.tests.clone(),
                    installed: cell.evidence.installed.clone(),
                    layers: extra,
                    wall_s,
                }))
            }
        }
    };
    cell.evidence.tried_plans.push(tried);
    Ok(attempt)
}

/// True unless a run that came to its end found fewer than half of the tests that the sources hold, with nothing to say for it:
/// neither a file that could not be collected nor a limit.
fn is_enough(plan: &TestPlan, collected: u64, execution: &Execution, tests: Option<&TestCounts>) -> bool {
    let cut = execution.limit.is_some() || matches!(execution.exit, Exit::Signal(_));
    let broken = tests.is_some_and(|tests| tests.errors > 0);
    cut || broken || plan.expected_tests.is_none_or(|expected| collected >= expected / 2)
}

/// Says in the phase how a run ended; the error is why no test ran.
fn judge(
    cell: &mut Cell<'_>,
    plan: &TestPlan,
    execution: &Execution,
    events: Events,
) -> Result<(), (Reason, String)> {
    let passed = execution.exit.success() && execution.limit.is_none() && events.passed();
    let Events { counts, deselected, begun, finished, stopped, forged, as_one } = events;
    let ended_well = execution.exit.success() && execution.limit.is_none();
    // Tests were collected and the first of them took the runner down: that is what they did, not what we failed to do.
    let cut_down = begun
        && !finished
        && !stopped
        && (execution.limit.is_some() || matches!(execution.exit, Exit::Code(0) | Exit::Signal(_)));
    let nothing_ran = counts.ran() == 0
        || (counts.passed + counts.failed + counts.xfailed == 0 && execution.limit.is_none());
    // A suite that raises warnings and is stopped by one is stopped as its maintainers would be.
    let raised = !counts.failing.is_empty() && counts.failing.iter().all(|test| is_warning(&test.message));
    if nothing_ran && !cut_down && !raised {
        let why = could_not_run(execution, &counts);
        if !counts.failing.is_empty() || counts.skipped > 0 {
            cell.evidence.tests = Some(counts);
        }
        return Err((Reason::TestsCouldNotRun, why));
    }
    if as_one {
        let text = "the script prints no counts: it counts as one test".to_owned();
        cell.find(Phase::Test, Finding::new("script-counts-as-one", text, Vec::new()));
    }
    if deselected > 0 {
        let by = if plan.deselected.is_empty() { "the suite's own configuration" } else { "the plan" };
        let text = format!("{deselected} tests were deselected by {by}");
        cell.find(Phase::Test, Finding::new("deselected", text, Vec::new()));
    }
    if let Some(expected) = plan.expected_tests
        && counts.ran() + counts.skipped + deselected < expected / 2
    {
        let text = format!(
            "{} tests ran or were skipped, {expected} test functions are in the source",
            counts.ran() + counts.skipped
        );
        cell.find(Phase::Test, Finding::new("fewer-tests-than-expected", text, Vec::new()));
    }
    let cut_short = ended_well && begun && !finished;
    if cut_short {
        let text = "a test ended the runner with exit status 0 before the others had run".to_owned();
        cell.find(Phase::Test, Finding::new("runner-ended-early", text, Vec::new()));
    }
    // A runner that was killed leaves half a line.
    let forged = if ended_well { forged } else { 0 };
    if forged > 0 {
        let text = format!("the tests wrote or removed {forged} lines of the report on them");
        cell.find(Phase::Test, Finding::new("forged-report", text, Vec::new()));
    }
    let report = cell.phase(Phase::Test);
    report.status = if passed { Status::Passed } else { Status::Failed };
    cell.evidence.tests = Some(counts);
    Ok(())
}

fn could_not_run(execution: &Execution, counts: &TestCounts) -> String {
    if let Some(limit) = execution.limit {
        return format!("no test ran before the {limit} limit was hit");
    }
    match counts.failing.first() {
        Some(first) => format!("no test ran; {}: {}", first.id, first.message),
        None if counts.skipped > 0 => format!("all {} tests were skipped", counts.skipped),
        None => format!("no test ran ({})", execution.exit),
    }
}
