//! How many bytes of log are judged a second: an ordinary log, one full of errors, one line of 100 MB. Fails below 50 MB/s.

#![allow(clippy::print_stdout)]

use std::{collections::BTreeMap, process::ExitCode, time::Instant};

use wheeltapper_core::classify::classify;
use wheeltapper_testkit::corpus::cases;

/// What is promised, in bytes a second.
const PROMISED: f64 = 50e6;
/// The length of each log, in bytes.
const LENGTH: usize = 100_000_000;

fn main() -> ExitCode {
    let cases = cases().expect("the corpus is read");
    let case = cases.values().find(|case| case.expected.subject.is_some()).expect("there is a case");
    let repeated = |lines: &str| format!("{}\n{}", lines.repeat(LENGTH / lines.len()), case.log);
    let ordinary = "copying src/thing/module.py -> build/lib.linux-x86_64-cpython-313/thing\nrunning build_ext\n\
                    tests/test_thing.py::test_that_something_works[parameter-17] PASSED        [ 17%]\n";
    let errors = "src/thing.c:812:14: error: expected expression before token\nValueError: something else\n\
                  Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    raise error\n";
    let logs = [
        ("an ordinary log", repeated(ordinary)),
        ("a log full of errors", repeated(errors)),
        ("one line of 100 MB", format!("{} error: {}", "x".repeat(LENGTH / 2), "y".repeat(LENGTH / 2))),
        ("escapes only", repeated("\u{1b}[31m\u{1b}[0m\r")),
    ];
    let mut kept = true;
    for (name, log) in logs {
        let (evidence, length) = (case.evidence(), log.len());
        let logs = BTreeMap::from([(case.phase, log)]);
        let begun = Instant::now();
        let verdict = classify(&evidence, &logs);
        let speed = length as f64 / begun.elapsed().as_secs_f64();
        let cause = verdict.cause.map_or("none", |cause| cause.id.as_str());
        println!("{:>8.0} MB/s  {name} ({cause})", speed / 1e6);
        kept &= speed >= PROMISED;
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
