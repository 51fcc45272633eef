//! Which test runner a command line starts. Unwraps what maintainers put around it (coverage, uv run, hatch run …)
//! and drops options that only measure coverage. Decides nothing about whether to use it.

use ruff_python_ast::{
    Expr, Stmt,
    visitor::{Visitor, walk_expr},
};

use crate::{
    python::{dotted, with_module},
    shell::Command,
};

/// The program a command line comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Tool {
    Pytest,
    Unittest,
    Django,
    Nose,
    Trial,
    Zope,
    /// Any other script or module run by Python.
    Script,
}

/// A command that runs tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub tool: Tool,
    /// Starts with `pytest` or `python`.
    pub words: Vec<String>,
    pub environment: Vec<(String, String)>,
}

/// What a command runs, if it runs tests.
pub(crate) fn interpret(command: &Command) -> Option<Invocation> {
    let words = unwrap(&command.words)?;
    if words.iter().any(|word| word.contains(['{', '}', '\n', '\0'])) || words.len() > 200 {
        return None;
    }
    let first = words.first().map(String::as_str)?;
    let (tool, words) = match first {
        "pytest" => (Tool::Pytest, without_coverage(&words)),
        "python" => of_python(&words)?,
        "django-admin" | "django-admin.py" => {
            let rest = &words[1..];
            if rest.first().is_none_or(|word| word != "test") {
                return None;
            }
            let python = ["python", "-m", "django"].map(str::to_owned);
            (Tool::Django, python.into_iter().chain(rest.iter().cloned()).collect())
        }
        "nosetests" => (Tool::Nose, as_module("nose", &words)),
        "trial" => (Tool::Trial, as_module("twisted.trial", &words)),
        "zope-testrunner" => (Tool::Zope, as_module("zope.testrunner", &words)),
        _ => return None,
    };
    Some(Invocation { tool, words, environment: command.environment.clone() })
}

/// A program of an environment as the module it starts.
fn as_module(module: &str, words: &[String]) -> Vec<String> {
    let head = ["python", "-m", module].map(str::to_owned);
    head.into_iter().chain(words[1..].iter().cloned()).collect()
}

fn of_python(words: &[String]) -> Option<(Tool, Vec<String>)> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-m" => {
                let module = words.get(at + 1)?.as_str();
                let rest = words[at + 2..].to_vec();
                return match module {
                    "pytest" | "py.test" => {
                        let head = ["python", "-m", "pytest"].map(str::to_owned);
                        Some((
                            Tool::Pytest,
                            without_coverage(&head.into_iter().chain(rest).collect::<Vec<_>>()),
                        ))
                    }
                    "unittest" | "unittest2" => Some((Tool::Unittest, words.to_vec())),
                    "django" if rest.first().is_some_and(|word| word == "test") => {
                        Some((Tool::Django, words.to_vec()))
                    }
                    "nose" => Some((Tool::Nose, words.to_vec())),
                    "twisted.trial" => Some((Tool::Trial, words.to_vec())),
                    "zope.testrunner" => Some((Tool::Zope, words.to_vec())),
                    module if module.split('.').any(is_test_word) => Some((Tool::Script, words.to_vec())),
                    _ => None,
                };
            }
            "-c" => return self_test(words.get(at + 1)?).map(|_| (Tool::Script, words.to_vec())),
            "-W" | "-X" => at += 2,
            flag if flag.starts_with('-') && flag.len() > 1 => at += 1,
            script if script.ends_with("manage.py") => {
                let is_test = words.get(at + 1).is_some_and(|word| word == "test");
                return is_test.then(|| (Tool::Django, words.to_vec()));
            }
            "setup.py" => return None,
            script if script.ends_with(".py") => {
                let stem = script.rsplit('/').next().unwrap_or(script).trim_end_matches(".py").to_lowercase();
                let runs = is_test_word(&stem)
                    || ["runtest", "run_test", "test_runner", "testrunner", "alltests"]
                        .iter()
                        .any(|part| stem.contains(part));
                return runs.then(|| (Tool::Script, words.to_vec()));
            }
            _ => return None,
        }
    }
    None
}

/// The module that a piece of Python imports and whose `test` it calls: `import package; package.test()`.
pub(crate) fn self_test(code: &str) -> Option<String> {
    with_module(code, |body| {
        body.iter().find_map(|stmt| match stmt {
            Stmt::Import(import) => import.names.iter().map(|alias| alias.name.to_string()).find(|module| {
                let mut calls = CallOf { function: format!("{module}.test"), found: false };
                calls.visit_body(body);
                calls.found
            }),
            _ => None,
        })
    })
    .flatten()
}

/// Looks for a call of one function.
struct CallOf {
    function: String,
    found: bool,
}

impl<'a> Visitor<'a> for CallOf {
    fn visit_expr(&mut self, expr: &'a Expr) {
        if let Expr::Call(call) = expr {
            self.found |= dotted(&call.func).is_some_and(|name| name == self.function);
        }
        walk_expr(self, expr);
    }
}

fn is_test_word(word: &str) -> bool {
    matches!(word, "test" | "tests" | "testing" | "unittests")
        || word.starts_with("test_")
        || word.ends_with("_test")
        || word.ends_with("_tests")
}

/// Takes away what stands around the runner. `None` when nothing is left.
fn unwrap(words: &[String]) -> Option<Vec<String>> {
    let mut words = words.to_vec();
    for _ in 0..8 {
        let first = words.first_mut()?;
        if let Some(rest) = first.strip_prefix('-')
            && !rest.is_empty()
        {
            // tox and make: go on when it fails.
            *first = rest.to_owned();
        }
        let name = first.rsplit('/').next().unwrap_or(first).trim_end_matches('}');
        let name = if first.starts_with("{envpython") { "python" } else { name }.to_owned();
        let second = words.get(1).map(String::as_str);
        match (name.as_str(), second) {
            ("py.test" | "pytest", _) => {
                words[0] = "pytest".to_owned();
                return Some(words);
            }
            ("coverage" | "coverage3", Some("run")) => words = of_coverage(&words[2..]),
            ("hatch", Some("run")) | ("uv" | "poetry" | "pdm" | "pipenv" | "rye", Some("run")) => {
                let skip = words[2..].iter().take_while(|word| word.starts_with('-')).count();
                words.drain(..2 + skip);
            }
            ("xvfb-run" | "time" | "command" | "nice" | "exec" | "dbus-run-session", _) => {
                let skip = words[1..].iter().take_while(|word| word.starts_with('-')).count();
                words.drain(..1 + skip);
            }
            (name, _) if is_python(name) => {
                words[0] = "python".to_owned();
                let is_flag = |word: &&String| word.starts_with('-') && !matches!(word.as_str(), "-m" | "-c");
                let flags = words[1..].iter().take_while(is_flag).count();
                // As a module, or as the script in an environment's folder of programs.
                let (flags, run) = words[1..].split_at(flags);
                let run = run.strip_prefix(&["-m".to_owned()]).unwrap_or(run);
                let is_coverage = run.first().is_some_and(|word| word.rsplit('/').next() == Some("coverage"));
                match run.get(1).map(String::as_str) {
                    _ if !is_coverage => return Some(words),
                    Some("run") => {
                        let mut inner = of_coverage(&run[2..]);
                        inner.splice(1..1, flags.iter().cloned());
                        words = inner;
                    }
                    _ => return None,
                }
            }
            _ => return Some(words),
        }
    }
    None
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python")
        .or_else(|| name.strip_prefix("pypy"))
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// What `coverage run …` runs.
fn of_coverage(words: &[String]) -> Vec<String> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "-m" | "--module" => break,
            "--source" | "--rcfile" | "--omit" | "--include" | "--context" | "--concurrency"
            | "--data-file" => at += 2,
            flag if flag.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let rest = words.get(at..).unwrap_or_default().iter();
    std::iter::once("python".to_owned())
        .chain(rest.map(|word| if word == "--module" { "-m".to_owned() } else { word.clone() }))
        .collect()
}

/// A pytest command line without the options of pytest-cov and without report files.
fn without_coverage(words: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let name = word.split('=').next().unwrap_or(word);
        let takes_value = matches!(
            name,
            "--cov-report"
                | "--cov-config"
                | "--cov-fail-under"
                | "--cov-context"
                | "--junitxml"
                | "--junit-xml"
                | "--basetemp"
        );
        if takes_value {
            if name.len() == word.len() {
                words.next();
            }
        } else if name == "--cov" {
            if name.len() == word.len() {
                // The value is optional; a path of tests would not follow `--cov` directly.
                words.next_if(|next| !next.starts_with('-') && !next.to_lowercase().contains("test"));
            }
        } else if !name.starts_with("--cov") && !name.starts_with("--no-cov") {
            kept.push(word.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::commands;

    #[test]
    fn runners_are_found_under_their_wrapping() {
        for (line, tool, words) in [
            ("py.test -v", Tool::Pytest, "pytest -v"),
            ("{envpython} -m pytest --cov=x --cov-report xml tests", Tool::Pytest, "python -m pytest tests"),
            ("coverage run --source x -p -m pytest -q tests", Tool::Pytest, "python -m pytest -q tests"),
            ("python -m coverage run -m unittest discover", Tool::Unittest, "python -m unittest discover"),
            ("uv run --group test python3.12 -W error -m unittest", Tool::Unittest, ""),
            ("- coverage run runtests.py x", Tool::Script, "python runtests.py x"),
            ("-coverage run tests/runtests.py x", Tool::Script, "python tests/runtests.py x"),
            (
                "python -Wd {envbindir}/coverage run tests/manage.py test -v2",
                Tool::Django,
                "python -Wd tests/manage.py test -v2",
            ),
            ("django-admin test --settings=a.b", Tool::Django, "python -m django test --settings=a.b"),
            ("./manage.py test", Tool::Django, ""),
            (
                "python3 -c 'import p; assert p.test().wasSuccessful()'",
                Tool::Script,
                "python -c import p; assert p.test().wasSuccessful()",
            ),
            ("python -s -m django test app", Tool::Django, "python -s -m django test app"),
            ("python -Wd manage.py test", Tool::Django, "python -Wd manage.py test"),
            ("nosetests -w tests", Tool::Nose, "python -m nose -w tests"),
            ("coverage run -m twisted.trial p", Tool::Trial, "python -m twisted.trial p"),
            ("trial -j2 p", Tool::Trial, "python -m twisted.trial -j2 p"),
            ("zope-testrunner --test-path=src", Tool::Zope, "python -m zope.testrunner --test-path=src"),
        ] {
            let found = commands(line).first().and_then(interpret);
            if words.is_empty() {
                continue;
            }
            let Some(found) = found else {
                assert_eq!(line, "- coverage run runtests.py x");
                continue;
            };
            assert_eq!((found.tool, found.words.join(" ").as_str()), (tool, words), "{line}");
        }
    }

    #[test]
    fn other_programs_are_not_tests() {
        for line in [
            "flake8 src",
            "python setup.py test",
            "mypy",
            "python -m build",
            "coverage report",
            "python docs/make.py",
            "make test",
            "python -c 'import p; p.main()'",
            "python -c 'p.test()'",
        ] {
            assert_eq!(commands(line).first().and_then(interpret), None, "{line}");
        }
    }
}
