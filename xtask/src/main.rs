//! What a developer runs: `cargo xtask test`. Only the standard library, so that it starts at once on a clean clone.

// A developer's tool talks on the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod command;
mod corpus;
mod counts;
mod needs;
mod skips;
mod targets;
mod test;
mod wine;

use std::{path::PathBuf, process::ExitCode};

const HELP: &str = "\
What a developer of Wheeltapper runs.

cargo xtask test [OPTIONS] [-- FILTER …]
    Formatting, lints, documentation, licences, and every test there is.
    --strict             Fail on a skipped test that was not expected. The default where CI is set.
    --expect-skips FILE  The skips that are expected, instead of xtask/expected-skips.txt.
    --no-install         Do not install missing programs, even where it may.
    --only-tests         No formatting, lints, documentation, licences.
    FILTER               Passed on to the test runner.

cargo xtask bench [OPTIONS]
    Wheeltapper beside uv, venv + pip and tox on this machine; writes docs/BENCHMARKS.md.
    --full               25 packages instead of 8.
    --quick              3 rounds instead of 5, 1 instead of 3 of the slow ways.
    --out FILE           Another document.
    --cycle              A cycle over made-up projects alone; its section of the document.

cargo xtask bench --recipe [FOLDER …]
    What working out a plan costs, on trees written for it and on unpacked sdists.

cargo xtask bench --verdicts [OPTIONS]
    The releases that an expert judged by hand (tests/verdicts), run here and compared.
    --sample FILE        Another sample of the same form.
    --only PROJECT       These projects of the sample only; may be repeated.
    --jobs N             Cells at a time, instead of 1.
    --data DIR           Keep results there.
    --reuse              Stored results are good enough.

cargo xtask bench --classify
    How many bytes of log are judged a second: an ordinary log, one full of errors, and one line of 100 MB.

cargo xtask corpus add [--data DIR] PROJECT ENV
    Adds a stored failure to tests/corpus; see docs/rules.md.

cargo xtask check-targets [--strict] [TARGET …]
    Whether the program compiles for Windows and macOS. Wants `rust-src`, or those targets' standard libraries.
    --strict             Fail where a target cannot be checked here.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("test") => match test::Options::parse(arguments) {
            Ok(options) => test::run(&options),
            Err(wrong) => {
                eprintln!("error: {wrong}\n\n{HELP}");
                ExitCode::from(2)
            }
        },
        Some("bench") => match bench::Options::parse(arguments) {
            Ok(options) => bench::run(&options),
            Err(wrong) => {
                eprintln!("error: {wrong}\n\n{HELP}");
                ExitCode::from(2)
            }
        },
        Some("corpus") => match corpus::Options::parse(arguments) {
            Ok(options) => corpus::add(&options),
            Err(wrong) => {
                eprintln!("error: {wrong}\n\n{HELP}");
                ExitCode::from(2)
            }
        },
        Some("check-targets") => match targets::Options::parse(arguments) {
            Ok(options) => targets::run(&options),
            Err(wrong) => {
                eprintln!("error: {wrong}\n\n{HELP}");
                ExitCode::from(2)
            }
        },
        Some(targets::STAND_IN) => targets::stand_in(arguments),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Some(other) => {
            eprintln!("error: there is no task `{other}`\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

/// The workspace's root folder.
fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}
