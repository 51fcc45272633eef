//! Suites that were not shipped whole: which failures come of a file that the tests ask for and the sdist lacks. Pure.

use std::sync::OnceLock;

use regex::Regex;

use crate::tests_report::TestCounts;

/// The finding that names the files; its evidence has one a line, the path first.
pub const INCOMPLETE_SUITE: &str = "incomplete-suite";

/// True when most of what failed did so for want of one of these files (relative to the tree's root).
pub fn asks_for_absent(tests: &TestCounts, paths: &[&str]) -> bool {
    let of_absent = tests.failing.iter().filter(|test| is_of_absent(&test.message, paths)).count();
    of_absent * 2 > tests.failing.len()
}

/// True for the message of a failure that one of these files would have prevented.
pub(crate) fn is_of_absent(message: &str, paths: &[&str]) -> bool {
    static MODULE: OnceLock<Regex> = OnceLock::new();
    let module = MODULE.get_or_init(|| {
        Regex::new(r"No module named '(?P<module>[\w.]+)'|cannot import name '\w+' from '(?P<from>[\w.]+)'")
            .expect("a literal pattern compiles")
    });
    let conftest = |path: &&str| path.ends_with("conftest.py");
    if message.contains("fixture '") && message.contains("' not found") {
        return paths.iter().any(conftest);
    }
    if message.contains("attempted relative import") {
        return paths.iter().any(|path| !conftest(path));
    }
    let Some(captures) = module.captures(message) else { return false };
    let Some(named) = captures.name("module").or_else(|| captures.name("from")) else { return false };
    paths.iter().filter(|path| !conftest(path)).any(|path| {
        let dotted = path.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
        let is_named = |long: &str, short: &str| {
            long == short || long.strip_prefix(short).is_some_and(|rest| rest.starts_with('.'))
        };
        is_named(named.as_str(), &dotted) || is_named(&dotted, named.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_by_what_they_ask_for() {
        let missing = ["tests/__init__.py", "tests/unit/data.py"];
        for message in [
            "ImportError: cannot import name 'async_get_client' from 'tests' (unknown location)",
            "ModuleNotFoundError: No module named 'tests.unit.data'",
            "ModuleNotFoundError: No module named 'tests'",
            "ImportError: attempted relative import with no known parent package",
        ] {
            assert!(is_of_absent(message, &missing), "{message}");
        }
        for message in
            ["ModuleNotFoundError: No module named 'yaml'", "fixture 'db' not found", "assert 1 == 2"]
        {
            assert!(!is_of_absent(message, &missing), "{message}");
        }
        assert!(is_of_absent("fixture 'db' not found", &["tests/conftest.py"]));
    }
}
