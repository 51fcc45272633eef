//! One run of a plan: its command with our reporters, in a world, within what is left of the time for all of the cell's tests.

use std::{ffi::OsString, path::Path, time::Duration};

use wheeltapper_core::{Phase, Sha256, TestPlan, plan::Working};
use wheeltapper_sandbox::{Execution, World};

use crate::{
    cell::{Cell, Step},
    error::Error,
    events::{Events, read_events},
    layout::Layout,
    places::as_in_a_cell,
    source::Source,
};

/// The largest report on tests that is read, in bytes: some half a million tests.
const LARGEST_REPORT: u64 = 128 << 20;

/// One run of a plan, and what it counted.
pub(crate) fn run_once(
    cell: &mut Cell<'_>,
    world: &World,
    source: &Source,
    plan: &TestPlan,
) -> Result<(Execution, Events), Error> {
    let before = cell.logs.get(&Phase::Test).map_or(0, Vec::len);
    // Lines that tests write into the report have another key. The folder's name is random.
    let folder = cell.folder.path().to_string_lossy().into_owned();
    let key = Sha256::of_parts([folder.as_str(), &before.to_string()]).hex()[..32].to_owned();
    let execution = run_plan(cell, world, source, plan, &key)?;
    let text = world.read(Path::new("report/tests.jsonl"), LARGEST_REPORT).unwrap_or_default();
    let text = as_in_a_cell(text, world.root());
    let log = log_from(cell, before);
    let mut events = read_events(&text, &key, &log, plan.runner);
    events.complete(&log, plan, execution.exit.success() && execution.limit.is_none());
    Ok((execution, events))
}

/// The log of the test phase from this byte on, for runners whose counts are only printed.
fn log_from<'a>(cell: &'a Cell<'_>, start: usize) -> std::borrow::Cow<'a, str> {
    let log = cell.logs.get(&Phase::Test).map_or(&[][..], Vec::as_slice);
    String::from_utf8_lossy(log.get(start..).unwrap_or_default())
}

fn run_plan(
    cell: &mut Cell<'_>,
    world: &World,
    source: &Source,
    plan: &TestPlan,
    key: &str,
) -> Result<Execution, Error> {
    let root = world.root().to_path_buf();
    let layout = Layout::of(&cell.job.environment.interpreter);
    // In a text of Python, where a backslash would begin something else.
    let report = root.join("report").to_string_lossy().replace('\\', "/");
    for (name, text) in [
        ("wheeltapper_pytest.py", include_str!("../drivers/wheeltapper_pytest.py")),
        ("wheeltapper_unittest.py", include_str!("../drivers/wheeltapper_unittest.py")),
        ("wheeltapper_script.py", include_str!("../drivers/wheeltapper_script.py")),
    ] {
        let text = text.replace("/cell/report", &report);
        world.write(&layout.site_packages.join(name), text.as_bytes(), 0o644)?;
    }
    world.write(Path::new("report/tests.jsonl"), b"", 0o644)?;
    world.write(Path::new("empty/.keep"), b"", 0o644)?;
    let tree = root.join(source.inside());
    let directory = match plan.working {
        Working::SourceTree => tree.join(&plan.directory),
        Working::Empty => root.join("empty"),
    };
    let (program, arguments) = command(&root, &layout, world.keeps_paths(), plan);
    let wall = plan.timeout_s.map_or(cell.tests_left, |most| cell.tests_left.min(Duration::from_secs(most)));
    let mut environment = plan.environment.clone();
    environment.insert("WHEELTAPPER_REPORT".to_owned(), key.to_owned());
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.replace("{root}", &tree.to_string_lossy()).into()))
        .collect();
    let execution = cell.run(
        world,
        Step {
            phase: Phase::Test,
            program,
            arguments,
            directory,
            environment,
            binds: Vec::new(),
            wall,
            index: false,
            shown: Some(plan.command.join(" ").into()),
        },
    )?;
    cell.tests_left = cell.tests_left.saturating_sub(execution.wall.saturating_sub(execution.waited));
    Ok(execution)
}

/// The plan's command with our reporter added where the runner takes one. Where programs of the environment were installed at
/// another place than they are at now (`placed` is false), the interpreter is what starts them.
fn command(root: &Path, layout: &Layout, placed: bool, plan: &TestPlan) -> (OsString, Vec<OsString>) {
    let words: Vec<&str> = plan.command.iter().map(String::as_str).collect();
    let report = ["-p", "wheeltapper_pytest", "--continue-on-collection-errors"];
    let (program, arguments): (&str, Vec<&str>) = match words.as_slice() {
        ["pytest" | "py.test", rest @ ..] => {
            ("pytest", report.into_iter().chain(rest.iter().copied()).collect())
        }
        [python, rest @ ..] if python.starts_with("python") => {
            let at = rest.len() - after_flags(rest).len();
            let (flags, what) = rest.split_at(at);
            let arguments: Vec<&str> = match what {
                ["-m", module @ ("pytest" | "py.test"), rest @ ..] => flags
                    .iter()
                    .copied()
                    .chain(["-m", module])
                    .chain(report)
                    .chain(rest.iter().copied())
                    .collect(),
                ["-m", "unittest", rest @ ..] => {
                    let reporting = ["-m", "wheeltapper_unittest"];
                    flags.iter().copied().chain(reporting).chain(rest.iter().copied()).collect()
                }
                [] => rest.to_vec(),
                what => {
                    let reporting = ["-m", "wheeltapper_script"];
                    flags.iter().copied().chain(reporting).chain(what.iter().copied()).collect()
                }
            };
            ("python", arguments)
        }
        [program, rest @ ..] => (program, rest.to_vec()),
        [] => ("false", Vec::new()),
    };
    let program = match program.contains('/') {
        true => OsString::from(program),
        false => root.join(layout.program(program)).into_os_string(),
    };
    let mut arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let python = root.join(layout.python()).into_os_string();
    if !placed && program != python {
        arguments.insert(0, program);
        return (python, arguments);
    }
    (program, arguments)
}

/// The words of an interpreter's command line from the first on that is no flag of its own.
fn after_flags<'w, 's>(words: &'w [&'s str]) -> &'w [&'s str] {
    match words {
        ["-W" | "-X", _, rest @ ..] => after_flags(rest),
        ["-m" | "-c", ..] | [] => words,
        [flag, rest @ ..] if flag.starts_with('-') => after_flags(rest),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use wheeltapper_core::Runner;

    use super::*;
    use crate::environment::HostEnvironment;

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
        let (there, _) = HostEnvironment::elsewhere("macos15-arm64-cp313", "0.13.9").unwrap();
        let (program, arguments) = command(Path::new("/cell"), &Layout::of(&there.interpreter), true, &plan);
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        format!("{} {}", program.to_string_lossy(), words.join(" "))
    }

    #[test]
    fn the_reporter_is_added_where_the_runner_takes_one() {
        let report = "-p wheeltapper_pytest --continue-on-collection-errors";
        assert_eq!(shown("pytest tests"), format!("/cell/env/bin/pytest {report} tests"));
        assert_eq!(shown("python -m pytest -rs"), format!("/cell/env/bin/python -m pytest {report} -rs"));
        assert_eq!(shown("python -m unittest a.b"), "/cell/env/bin/python -m wheeltapper_unittest a.b");
        let script = "/cell/env/bin/python -m wheeltapper_script";
        assert_eq!(shown("python -m django test"), format!("{script} -m django test"));
        assert_eq!(shown("python runtests.py -v"), format!("{script} runtests.py -v"));
        assert_eq!(shown("python -c p.test()"), format!("{script} -c p.test()"));
        assert_eq!(
            shown("python -Wd -X dev manage.py test"),
            "/cell/env/bin/python -Wd -X dev -m wheeltapper_script manage.py test"
        );
    }
}
