//! What our reporters inside the sandbox wrote, test by test. The package under test may have written there, too: a forged
//! line can only speak about the package itself, and no line can turn a bad exit status into a pass.

use std::collections::HashMap;

use serde::Deserialize;
use wheeltapper_core::{FailingTest, Runner, TestCounts, TestPlan};

/// The most failing tests that a record lists.
const MOST_FAILING: usize = 500;

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub counts: TestCounts,
    /// Tests deselected by the suite's own configuration.
    pub deselected: u64,
    /// True when the runner had collected tests and went on to run them.
    pub begun: bool,
    /// True when the runner came to its end, past all that it had collected.
    pub finished: bool,
    /// True when a test told the runner to stop.
    pub stopped: bool,
    /// Lines that are not the reporter's, and lines of its that are gone.
    pub forged: u64,
    /// True when a script that says nothing of its tests was counted as one.
    pub as_one: bool,
}

impl Events {
    /// True when these tests passed, as far as they tell: some ran, none failed, and the runner came to its end.
    pub(crate) const fn passed(&self) -> bool {
        let counts = &self.counts;
        let cut_short = self.begun && !self.finished;
        counts.ran() > 0 && counts.failed + counts.errors == 0 && !cut_short && self.forged == 0
    }

    /// Adds what only the log of a run can tell: the error that stopped pytest before it collected anything, and how a script
    /// ended that prints no counts.
    pub(crate) fn complete(&mut self, log: &str, plan: &TestPlan, ended_well: bool) {
        if self.counts.ran() + self.counts.skipped > 0 || !self.counts.failing.is_empty() || self.begun {
            return;
        }
        match plan.runner {
            Runner::Pytest if !ended_well => {
                let stopped = stopped_by(log).map(|message| (message, None)).or_else(|| died_of(log));
                if let Some((message, file)) = stopped {
                    let raised_in = file.map(str::to_owned);
                    let test = FailingTest { raised_in, ..told("pytest".to_owned(), message) };
                    count(&mut self.counts, "error", test);
                }
            }
            Runner::Script => self.count_script(log, plan, ended_well),
            Runner::Pytest | Runner::Unittest | Runner::Django | Runner::Trial | Runner::Zope => {}
        }
    }

    /// A script that checks things by itself is one test: its exit status says how that went. Not where it prints counts
    /// of tests that nobody heard of, nor where it did not come so far as to check anything.
    fn count_script(&mut self, log: &str, plan: &TestPlan, ended_well: bool) {
        let lines = || log.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("$ "));
        let last = lines().next_back().unwrap_or("").trim();
        let unstarted = ["ModuleNotFoundError: ", "usage: ", "python: can't open file"];
        let counts = |line: &str| {
            line.strip_prefix("Ran ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        // Where the sources hold test functions, a script that tells of none has not shown that it ran them.
        let silent = ended_well && plan.expected_tests.unwrap_or(0) > 0;
        if silent
            || lines().any(counts)
            || (!ended_well && unstarted.iter().any(|start| last.starts_with(start)))
        {
            return;
        }
        let outcome = if ended_well { "passed" } else { "failed" };
        count(&mut self.counts, outcome, told(plan.command.join(" "), last));
        self.as_one = true;
    }
}

/// True for `class: message`.
fn names_class(line: &&str) -> bool {
    let class = line.split(": ").next().unwrap_or("");
    line.contains(": ")
        && ["Error", "Exception", "Warning"].iter().any(|end| class.ends_with(end))
        && class.chars().all(|c| c.is_alphanumeric() || "._".contains(c))
}

/// The exception that ended pytest while it loaded its plugins, and the file of the innermost frame that is a plugin's.
fn died_of(log: &str) -> Option<(&str, Option<&str>)> {
    let (_, trace) = log.rsplit_once("Traceback (most recent call last):\n")?;
    let is_plugins = |file: &&str| {
        file.contains("/site-packages/")
            && !["/_pytest/", "/pluggy/", "/pytest/"].iter().any(|own| file.contains(own))
    };
    let mut files = trace.lines().rev().filter_map(|line| line.strip_prefix("  File \"")?.split('"').next());
    let message = trace.lines().find(|line| !line.starts_with(' ') && names_class(line))?;
    Some((message, files.find(is_plugins)))
}

/// The error that pytest ended with before it collected: of its own code and plugins, or of a `conftest.py`.
fn stopped_by(log: &str) -> Option<&str> {
    let after =
        |mark: &'static str| log.lines().filter_map(move |line| Some(line.strip_prefix(mark)?.trim()));
    after("INTERNALERROR> ").rfind(names_class).or_else(|| after("E   ").rfind(names_class))
}

#[derive(Debug, Deserialize)]
struct Line {
    #[serde(flatten)]
    event: Event,
    key: Option<String>,
    #[serde(default)]
    writer: String,
    number: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event {
    Test {
        id: String,
        outcome: String,
        seconds: Option<f64>,
        message: String,
        #[serde(default)]
        raised_in: Option<String>,
    },
    Collected {
        count: u64,
    },
    Deselected {
        count: u64,
    },
    Finish {
        #[serde(default)]
        stopped: bool,
    },
}

/// Reads the reporters' lines, which are known by `key`; for runners that have none, the counts that unittest prints at the
/// end of `log`.
pub(crate) fn read_events(bytes: &[u8], key: &str, log: &str, runner: Runner) -> Events {
    let mut events = Events::default();
    let (mut begun, mut finished, mut stops) = (0_u64, 0_u64, 0_u64);
    // The number of the next line of each reporter.
    let mut expected: HashMap<String, u64> = HashMap::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let Ok(Line { event, key: Some(of), writer, number: Some(number) }) = serde_json::from_str(line)
        else {
            events.forged += 1;
            continue;
        };
        let next = expected.entry(writer).or_default();
        if of != key || number != *next {
            events.forged += 1;
        }
        if of != key {
            continue;
        }
        *next = number + 1;
        match event {
            Event::Test { id, outcome, seconds, message, raised_in } => {
                let test = FailingTest { id, message, seconds, raised_in, flaky: None };
                count(&mut events.counts, &outcome, test);
            }
            Event::Deselected { count } => events.deselected += count,
            Event::Finish { stopped: true } => stops += 1,
            Event::Finish { stopped: false } => finished += 1,
            Event::Collected { count } => begun += u64::from(count > 0),
        }
    }
    (events.begun, events.finished, events.stopped) = (begun > 0, finished >= begun, stops > 0);
    let heard = events.counts.ran() + events.counts.skipped;
    let printed = match runner {
        // Layers that cannot be torn down run in processes of their own, which the reporter does not hear.
        Runner::Zope => zope_counts(log),
        Runner::Django | Runner::Trial | Runner::Script if heard == 0 => printed_counts(log),
        Runner::Django | Runner::Trial | Runner::Script | Runner::Pytest | Runner::Unittest => return events,
    };
    // A suite's own words are no proof that tests ran: they are believed against itself, and beside tests that were heard.
    let is_more = printed.ran() + printed.skipped > heard || printed.errors > events.counts.errors;
    if is_more && (heard > 0 || printed.failed + printed.errors > 0) {
        events.counts = TestCounts { failing: events.counts.failing, ..printed };
    }
    events
}

/// What is known of a run that no reporter told of.
fn told(id: String, message: &str) -> FailingTest {
    FailingTest { id, message: message.to_owned(), ..FailingTest::default() }
}

/// Counts a test; what is told of it is kept where it did not pass.
fn count(counts: &mut TestCounts, outcome: &str, test: FailingTest) {
    match outcome {
        "passed" => counts.passed += 1,
        "skipped" => counts.skipped += 1,
        "xfailed" => counts.xfailed += 1,
        "xpassed" => counts.xpassed += 1,
        "subtest-passed" => counts.subtests += 1,
        "failed" | "error" | "subtest-failed" => {
            // unittest counts no test for it: it speaks against the last one of its class or module.
            if test.id.starts_with("tearDownClass (") || test.id.starts_with("tearDownModule (") {
                counts.passed = counts.passed.saturating_sub(1);
            }
            match outcome {
                "failed" => counts.failed += 1,
                "error" => counts.errors += 1,
                _ => counts.subtests += 1,
            }
            if counts.failing.len() < MOST_FAILING {
                let short = |text: &str| text.chars().take(500).collect();
                counts.failing.push(FailingTest {
                    id: short(&test.id),
                    message: short(&test.message),
                    seconds: test.seconds.map(|seconds| (seconds * 1000.0).round() / 1000.0),
                    flaky: None,
                    raised_in: test.raised_in.as_deref().map(short),
                });
            }
        }
        _ => {}
    }
}

/// The counts that unittest's text runner prints: `Ran 5 tests in …`, then `OK (skipped=1)` or `FAILED (failures=1)`; of
/// several suites, one after the other, the sum.
fn printed_counts(log: &str) -> TestCounts {
    let mut counts = TestCounts::default();
    let mut ran = None;
    for line in log.lines() {
        if let Some(rest) = line.strip_prefix("Ran ") {
            ran = rest.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        } else if (line.starts_with("OK") || line.starts_with("FAILED"))
            && let Some(ran) = ran.take()
        {
            add_block(&mut counts, ran, line);
        }
    }
    counts
}

/// What zope.testrunner prints at its end: `Total: 7 tests, 2 failures, 1 errors and 1 skipped in …`, or of one layer
/// `  Ran 7 tests with 2 failures, 1 errors and 1 skipped in …`.
fn zope_counts(log: &str) -> TestCounts {
    let of = |line: &str| -> Option<TestCounts> {
        let line = line.trim();
        let rest = line.strip_prefix("Total: ").or_else(|| line.strip_prefix("Ran "))?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        let number = |word: &str| -> Option<u64> {
            let at = words.iter().position(|known| known.trim_end_matches(',') == word)?;
            words.get(at.checked_sub(1)?)?.parse().ok()
        };
        let (ran, failed, errors) = (number("tests")?, number("failures")?, number("errors")?);
        let skipped = number("skipped").unwrap_or(0);
        let passed = ran.saturating_sub(failed + errors + skipped);
        Some(TestCounts { passed, failed, errors, skipped, ..TestCounts::default() })
    };
    let total = log.lines().rev().filter(|line| line.starts_with("Total: ")).find_map(of);
    total.or_else(|| log.lines().rev().find_map(of)).unwrap_or_default()
}

fn add_block(counts: &mut TestCounts, ran: u64, verdict: &str) {
    // `failures=` is also the end of `expected failures=`.
    let plain = verdict.replace("expected failures=", "expected=");
    let number = |key: &str| {
        let rest = &plain[plain.find(&format!("{key}="))? + key.len() + 1..];
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let of = |key| number(key).unwrap_or(0);
    let (failed, errors, skipped) = (of("failures"), of("errors"), of("skipped"));
    let (xfailed, xpassed) = (of("expected"), of("unexpected successes"));
    counts.failed += failed;
    counts.errors += errors;
    counts.skipped += skipped;
    counts.xfailed += xfailed;
    counts.xpassed += xpassed;
    counts.passed += ran.saturating_sub(failed + errors + skipped + xfailed + xpassed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_happened_to_each_test() {
        let text = br#"{"event": "collected", "count": 3, "key": "k", "number": 0}
{"event": "test", "id": "a", "outcome": "passed", "seconds": 0.1, "message": "", "key": "k", "number": 1}
{"event": "test", "id": "b", "outcome": "failed", "seconds": 0.2, "message": "assert 1 == 2", "key": "k", "number": 2}
{"event": "test", "id": "c", "outcome": "xfailed", "seconds": null, "message": "", "key": "k", "number": 3}
{"event": "deselected", "count": 7, "key": "k", "number": 4}
{"event": "finish", "exit": 1, "stopped": false, "key": "k", "number": 5}"#;
        let events = read_events(text, "k", "", Runner::Pytest);
        let counts = &events.counts;
        assert_eq!((counts.passed, counts.failed, counts.xfailed, events.deselected), (1, 1, 1, 7));
        assert_eq!(counts.failing[0].message, "assert 1 == 2");
        assert!(events.begun && events.finished);
        assert_eq!(events.forged, 0);
    }

    #[test]
    fn what_fails_as_a_module_is_torn_down_speaks_against_a_test() {
        let text = br#"{"event": "test", "id": "a", "outcome": "passed", "seconds": 0.1, "message": "", "key": "k", "number": 0}
{"event": "test", "id": "b", "outcome": "passed", "seconds": 0.1, "message": "", "key": "k", "number": 1}
{"event": "test", "id": "tearDownModule (m)", "outcome": "error", "seconds": 0.1, "message": "x", "key": "k", "number": 2}"#;
        let counts = read_events(text, "k", "", Runner::Unittest).counts;
        assert_eq!((counts.passed, counts.errors, counts.ran()), (1, 1, 2), "as unittest says: Ran 2 tests");
    }

    #[test]
    fn what_tests_write_or_remove_is_seen_and_not_counted() {
        let text = br#"{"event": "collected", "count": 3, "key": "k", "number": 0}
{"event": "test", "id": "a", "outcome": "passed", "seconds": 0.1, "message": ""}
{"event": "test", "id": "a", "outcome": "passed", "seconds": 0.1, "message": "", "key": "x", "number": 1}
not json
{"event": "test", "id": "b", "outcome": "passed", "seconds": 0.1, "message": "", "key": "k", "number": 2}"#;
        let events = read_events(text, "k", "", Runner::Pytest);
        assert_eq!((events.counts.passed, events.forged), (1, 4));
        assert!(events.begun && !events.finished);
    }

    #[test]
    fn a_runner_that_was_told_to_stop_has_not_finished() {
        let text = br#"{"event": "collected", "count": 3, "key": "k", "number": 0}
{"event": "finish", "exit": 0, "stopped": true, "key": "k", "number": 1}"#;
        let events = read_events(text, "k", "", Runner::Pytest);
        assert!(events.stopped && !events.finished);
    }

    #[test]
    fn reads_what_unittest_prints() {
        let log =
            "....\nRan 12 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=3, expected failures=1)\n";
        let counts = read_events(b"", "k", log, Runner::Django).counts;
        assert_eq!((counts.passed, counts.failed, counts.errors), (5, 1, 2));
        assert_eq!((counts.skipped, counts.xfailed), (3, 1));
        let zope = "  Ran 3 tests with 1 failures, 0 errors and 0 skipped in 0.1 seconds.\nTearing down\n";
        let counts = zope_counts(zope);
        assert_eq!((counts.passed, counts.failed), (2, 1));
        let total = format!("{zope}Total: 7 tests, 2 failures, 1 errors and 1 skipped in 2.580 seconds.\n");
        let counts = read_events(b"", "k", &total, Runner::Zope).counts;
        assert_eq!((counts.passed, counts.failed, counts.errors, counts.skipped), (3, 2, 1, 1));
        let none = read_events(b"", "k", "Ran 0 tests in 0.0s\n\nOK\n", Runner::Django).counts;
        assert_eq!(none.ran(), 0);
    }

    fn completed(runner: Runner, log: &str, ended_well: bool) -> Events {
        let plan = TestPlan {
            runner,
            command: vec!["python".into(), "check.py".into()],
            directory: ".".into(),
            working: wheeltapper_core::plan::Working::SourceTree,
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
        let mut events = read_events(b"", "k", log, runner);
        events.complete(log, &plan, ended_well);
        events
    }

    #[test]
    fn what_stops_pytest_before_it_collects_is_an_error() {
        let log = "$ pytest\nINTERNALERROR>   File \"x.py\", line 9\nINTERNALERROR> pytest.PytestRemovedIn10Warning: config.inicfg is deprecated, use y.\nINTERNALERROR> See https://docs\n";
        let counts = completed(Runner::Pytest, log, false).counts;
        assert_eq!(
            (counts.errors, counts.failing[0].message.split(':').next()),
            (1, Some("pytest.PytestRemovedIn10Warning"))
        );
        let log = "ImportError while loading conftest 'x'.\ntests/conftest.py:1: in <module>\nE   ModuleNotFoundError: No module named 'y'\n";
        assert_eq!(
            completed(Runner::Pytest, log, false).counts.failing[0].message,
            "ModuleNotFoundError: No module named 'y'"
        );
        let log = "Traceback (most recent call last):\n  File \"/e/bin/pytest\", line 1, in <module>\n  File \"/e/lib/python3.13/site-packages/pytest_old.py\", line 3, in <module>\n    import imp\nModuleNotFoundError: No module named 'imp'\n";
        let died = &completed(Runner::Pytest, log, false).counts.failing[0];
        assert_eq!(died.message, "ModuleNotFoundError: No module named 'imp'");
        assert_eq!(died.raised_in.as_deref(), Some("/e/lib/python3.13/site-packages/pytest_old.py"));
        assert!(completed(Runner::Pytest, "collected 0 items\n", false).counts.failing.is_empty());
    }

    #[test]
    fn a_script_without_counts_is_one_test() {
        let passed = completed(Runner::Script, "$ python check.py\n36 tests run successful\n", true);
        assert!(passed.as_one && passed.counts.passed == 1);
        let failed = completed(Runner::Script, "Traceback\nAssertionError: 1 != 2\n", false);
        assert_eq!(
            (failed.counts.failed, failed.counts.failing[0].message.as_str()),
            (1, "AssertionError: 1 != 2")
        );
        for (log, well) in
            [("Ran 0 tests in 0.1s\n\nOK\n", true), ("ModuleNotFoundError: No module named 'x'\n", false)]
        {
            assert_eq!(completed(Runner::Script, log, well).counts.ran(), 0);
        }
    }
}
