//! Test: the tests that the release ships, run as its maintainers run them, against the installed copy. A plan that cannot
//! start gives way to the next one; a plan whose tests fail does not.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use wheeltapper_core::{
    Exit, Finding, Phase, Reason, Status, TestCounts, TestPlan,
    incomplete::{INCOMPLETE_SUITE, asks_for_absent},
    plan::Working,
};
use wheeltapper_recipe::{Absent, Plans};
use wheeltapper_sandbox::{CELL_PATH, Execution, World};

use crate::{
    agent::{Prepared, site_packages},
    cell::{self, Cell, Step, WheelAtHand},
    error::Error,
    events::{Events, read_events},
    job::Purpose,
    phases::{
        again::{FirstRun, run_again},
        install::Installation,
    },
    recipe::{self, Installs},
    resolve::{LockedWheel, Question},
    source::Source,
};

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
    let Some(source) = source else { return skip(cell, Reason::NoTestsShipped) };
    cell.begin(Phase::Test);
    let plans = match &cell.job.replay {
        Some(replay) => Plans {
            plans: replay.plan.iter().cloned().collect(),
            none: replay.untested,
            absent: plans(cell, source, wheel).absent,
            ..Plans::default()
        },
        None => plans(cell, source, wheel),
    };
    if plans.plans.is_empty() {
        return skip(cell, plans.none.unwrap_or(Reason::NoTestsShipped));
    }
    let mut last = Attempt::CouldNotRun(Reason::TestsCouldNotRun, "no plan was tried".to_owned());
    for (number, plan) in plans.plans.iter().enumerate() {
        if number > 0 {
            cell.note(
                Phase::Test,
                &format!("--- that plan could not run; plan {} of {}", number + 1, plans.plans.len()),
            );
        }
        last = attempt(cell, source, installation, wheel, plan)?;
        if matches!(last, Attempt::Ran) {
            break;
        }
    }
    let incomplete = incomplete_suite(cell, &plans.absent);
    if let Some(finding) = &incomplete {
        cell.find(Phase::Test, finding.clone());
    }
    if matches!(last, Attempt::CouldNotRun(Reason::TestsCouldNotRun, _)) && incomplete.is_some() {
        // Whoever runs this suite meets the same: it was not shipped whole.
        cell.phase(Phase::Test).status = Status::Failed;
    } else if let Attempt::CouldNotRun(reason, why) = last {
        let mut report = cell.phase(Phase::Test).clone();
        report.status = Status::Skipped;
        report.reason = Some(reason.as_str().to_owned());
        report.findings.insert(0, Finding::new(reason.as_str(), why, Vec::new()));
        cell.evidence.phases.insert(Phase::Test, report);
        cell.evidence.untested = Some(reason);
    }
    cell.end(Phase::Test);
    Ok(())
}

enum Attempt {
    /// Tests ran; the phase says how they ended.
    Ran,
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

fn skip(cell: &mut Cell<'_>, reason: Reason) -> Result<(), Error> {
    cell.skip(Phase::Test, reason.as_str());
    cell.evidence.untested = Some(reason);
    Ok(())
}

fn plans(cell: &Cell<'_>, source: &Source, wheel: &WheelAtHand) -> Plans {
    let installs = Installs {
        metadata: wheel.metadata.clone(),
        files: wheel.installs.clone(),
        modules: cell.evidence.imports.iter().map(|import| import.module.clone()).collect(),
        native: wheel.native,
    };
    let (project, version) = (&cell.job.release.project, &cell.version);
    recipe::plans(source, project, version, &installs, &cell.job.environment, &cell.agent.popularity)
}

fn attempt(
    cell: &mut Cell<'_>,
    source: &Source,
    installation: &Installation,
    wheel: &WheelAtHand,
    plan: &TestPlan,
) -> Result<Attempt, Error> {
    cell.evidence.test_plan = Some(plan.clone());
    cell.evidence.tests = None;
    let layers = match test_layers(cell, installation, wheel, plan)? {
        Ok(layers) => layers,
        Err(words) => {
            let first = words.lines().find(|line| line.contains("Because")).unwrap_or("no solution").trim();
            return Ok(Attempt::CouldNotRun(
                Reason::TestRequirementsConflict,
                first.chars().take(300).collect(),
            ));
        }
    };
    let extra: Vec<PathBuf> = layers.into_iter().chain([source.layer.clone()]).collect();
    let world = installation.world.fork_with(&extra)?;
    let (execution, events) = run_once(cell, &world, source, plan)?;
    let changes = world.changes()?;
    drop(world);
    let working = |path: &Path| path.starts_with("src") || path.starts_with("empty");
    cell.record_foreign_writes(
        changes.list.into_iter().map(|change| change.path).filter(|path| !working(path)),
    );
    let attempt = judge(cell, plan, &execution, events);
    if matches!(attempt, Attempt::Ran) && cell.job.replay.is_none() && cell.can_try() {
        let wall_s = execution.wall.as_secs_f64();
        let tried = run_again(cell, &FirstRun { source, wheel, installation, plan, layers: &extra, wall_s });
        cell.tried(Phase::Test, tried)?;
    }
    Ok(attempt)
}

/// One run of a plan, and what it counted.
pub(crate) fn run_once(
    cell: &mut Cell<'_>,
    world: &World,
    source: &Source,
    plan: &TestPlan,
) -> Result<(Execution, Events), Error> {
    let before = cell.logs.get(&Phase::Test).map_or(0, Vec::len);
    let execution = run_plan(cell, world, source, plan)?;
    let text = world.read(Path::new("report/tests.jsonl"), 32 << 20).unwrap_or_default();
    let events = read_events(&text, log_from(cell, before), plan.runner);
    Ok((execution, events))
}

/// The log of the test phase from this byte on, for runners whose counts are only printed.
fn log_from<'a>(cell: &'a Cell<'_>, start: usize) -> std::borrow::Cow<'a, str> {
    let log = cell.logs.get(&Phase::Test).map_or(&[][..], Vec::as_slice);
    String::from_utf8_lossy(log.get(start..).unwrap_or_default())
}

/// What the tests need on top of these runtime requirements.
fn test_question(cell: &Cell<'_>, wheel: &WheelAtHand, plan: &TestPlan, below: &[LockedWheel]) -> Question {
    let own = &cell.job.release.project;
    let extras: Vec<_> = plan.extras.iter().filter_map(|extra| extra.parse().ok()).collect();
    let markers = &cell.job.environment.interpreter.markers;
    let of_extras = wheel.metadata.requirements(markers, &extras).unwrap_or_default();
    let mut requirements = plan.requirements.clone();
    requirements.extend(
        of_extras
            .iter()
            .filter(|requirement| requirement.name.as_ref() != own.as_str())
            .map(ToString::to_string),
    );
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

fn run_plan(
    cell: &mut Cell<'_>,
    world: &World,
    source: &Source,
    plan: &TestPlan,
) -> Result<Execution, Error> {
    let root = world.root().to_path_buf();
    let site = site_packages(&cell.job.environment.interpreter);
    let report = format!("{}/report", root.display());
    for (name, text) in [
        ("wheeltapper_pytest.py", include_str!("../drivers/wheeltapper_pytest.py")),
        ("wheeltapper_unittest.py", include_str!("../drivers/wheeltapper_unittest.py")),
    ] {
        let text = text.replace("/cell/report", &report);
        world.write(&site.join(name), text.as_bytes(), 0o644)?;
    }
    world.write(Path::new("report/tests.jsonl"), b"", 0o644)?;
    world.write(Path::new("empty/.keep"), b"", 0o644)?;
    let tree = root.join(source.inside());
    let directory = match plan.working {
        Working::SourceTree => tree.join(&plan.directory),
        Working::Empty => root.join("empty"),
    };
    let (program, arguments) = command(&root, plan);
    let environment = plan
        .environment
        .iter()
        .map(|(name, value)| (name.into(), value.replace("{root}", &tree.to_string_lossy()).into()))
        .collect();
    cell.run(
        world,
        Step {
            phase: Phase::Test,
            program,
            arguments,
            directory,
            environment,
            binds: Vec::new(),
            wall: cell.job.options.limits.test(),
            index: false,
            shown: Some(&plan.command.join(" ")),
        },
    )
}

/// The plan's command with our reporter added where the runner takes one.
fn command(root: &Path, plan: &TestPlan) -> (OsString, Vec<OsString>) {
    let bin = root.join("env/bin");
    let words: Vec<&str> = plan.command.iter().map(String::as_str).collect();
    let report = ["-p", "wheeltapper_pytest", "--continue-on-collection-errors"];
    let (program, arguments): (&str, Vec<&str>) = match words.as_slice() {
        ["pytest" | "py.test", rest @ ..] => {
            ("pytest", report.into_iter().chain(rest.iter().copied()).collect())
        }
        [python, rest @ ..] if python.starts_with("python") => {
            let module =
                rest.iter().position(|word| *word == "-m").and_then(|at| Some((at, *rest.get(at + 1)?)));
            let arguments = match module {
                Some((at, "pytest" | "py.test")) => rest[..at + 2]
                    .iter()
                    .copied()
                    .chain(report)
                    .chain(rest[at + 2..].iter().copied())
                    .collect(),
                Some((at, "unittest")) => rest[..=at]
                    .iter()
                    .copied()
                    .chain(["wheeltapper_unittest"])
                    .chain(rest[at + 2..].iter().copied())
                    .collect(),
                _ => rest.to_vec(),
            };
            ("python", arguments)
        }
        [program, rest @ ..] => (program, rest.to_vec()),
        [] => ("false", Vec::new()),
    };
    let program =
        if program.contains('/') { OsString::from(program) } else { bin.join(program).into_os_string() };
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let python = bin.join("python").into_os_string();
    // Without namespaces a layer is used at another place than it was installed at, which is what its scripts name.
    if root != Path::new(CELL_PATH) && program != python {
        arguments.insert(0, program);
        return (python, arguments);
    }
    (program, arguments)
}

fn judge(cell: &mut Cell<'_>, plan: &TestPlan, execution: &Execution, events: Events) -> Attempt {
    let Events { counts, deselected, begun, finished } = events;
    let ended_well = execution.exit.success() && execution.limit.is_none();
    let bad = counts.failed + counts.errors;
    // Tests were collected and the first of them took the runner down: that is what they did, not what we failed to do.
    let cut_down =
        begun && !finished && (execution.limit.is_some() || matches!(execution.exit, Exit::Signal(_)));
    let nothing_ran = counts.ran() == 0
        || (counts.passed + counts.failed + counts.xfailed == 0 && execution.limit.is_none());
    if nothing_ran && !cut_down {
        let why = could_not_run(execution, &counts);
        if !counts.failing.is_empty() || counts.skipped > 0 {
            cell.evidence.tests = Some(counts);
        }
        return Attempt::CouldNotRun(Reason::TestsCouldNotRun, why);
    }
    if deselected > 0 {
        let text = format!("{deselected} tests were deselected by the suite's own configuration");
        cell.find(Phase::Test, Finding::new("deselected", text, Vec::new()));
    }
    if let Some(expected) = plan.expected_tests
        && counts.ran() + counts.skipped < expected / 2
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
    let report = cell.phase(Phase::Test);
    report.status = if ended_well && bad == 0 && !cut_short { Status::Passed } else { Status::Failed };
    cell.evidence.tests = Some(counts);
    Attempt::Ran
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

#[cfg(test)]
mod tests {
    use wheeltapper_core::Runner;

    use super::*;

    fn shown(command_line: &str) -> String {
        let plan = TestPlan {
            runner: Runner::Pytest,
            command: command_line.split(' ').map(str::to_owned).collect(),
            directory: ".".into(),
            working: Working::SourceTree,
            environment: Default::default(),
            requirements: Vec::new(),
            extras: Vec::new(),
            source: "sdist".into(),
            expected_tests: None,
            deselected: Vec::new(),
            system_packages: Vec::new(),
            timeout_s: None,
            why: Vec::new(),
        };
        let (program, arguments) = command(Path::new("/cell"), &plan);
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        format!("{} {}", program.to_string_lossy(), words.join(" "))
    }

    #[test]
    fn the_reporter_is_added_where_the_runner_takes_one() {
        let report = "-p wheeltapper_pytest --continue-on-collection-errors";
        assert_eq!(shown("pytest tests"), format!("/cell/env/bin/pytest {report} tests"));
        assert_eq!(shown("python -m pytest -rs"), format!("/cell/env/bin/python -m pytest {report} -rs"));
        assert_eq!(shown("python -m unittest a.b"), "/cell/env/bin/python -m wheeltapper_unittest a.b");
        assert_eq!(shown("python -m django test"), "/cell/env/bin/python -m django test");
        assert_eq!(shown("python runtests.py"), "/cell/env/bin/python runtests.py");
    }
}
