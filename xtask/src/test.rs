//! `cargo xtask test`: every check in turn, going on after one that fails, then what came of it all.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitCode},
    time::Instant,
};

use crate::{
    command::{self, Ended, cargo, works},
    counts::{self, Counts},
    needs,
    skips::{self, Expected, Skip},
    wine::Wine,
};

/// What was asked for.
#[derive(Debug)]
pub struct Options {
    strict: bool,
    install: bool,
    only_tests: bool,
    expect_skips: PathBuf,
    filters: Vec<String>,
}

impl Options {
    /// Reads the command line after `test`.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            strict: std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false"),
            install: true,
            only_tests: false,
            expect_skips: crate::workspace().join("xtask/expected-skips.txt"),
            filters: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--strict" => options.strict = true,
                "--no-install" => options.install = false,
                "--only-tests" => options.only_tests = true,
                "--expect-skips" => {
                    options.expect_skips = arguments.next().ok_or("--expect-skips needs a file")?.into();
                }
                "--" => options.filters.extend(arguments.by_ref()),
                other if other.starts_with('-') => {
                    return Err(format!("`{other}` is not an option of `test`"));
                }
                other => options.filters.push(other.to_owned()),
            }
        }
        Ok(options)
    }
}

/// What has come of the checks so far.
#[derive(Default)]
struct Tally {
    checks: Vec<(String, bool)>,
    tests: Counts,
    skips: Vec<Skip>,
}

impl Tally {
    fn check(&mut self, name: &str, mut command: Command) {
        let Ended { success, .. } = command::run(&mut command);
        self.checks.push((name.to_owned(), success));
    }
}

/// Runs everything and says what came of it.
pub fn run(options: &Options) -> ExitCode {
    let started = Instant::now();
    let expected = match Expected::read(&options.expect_skips) {
        Ok(expected) => expected,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            return ExitCode::from(2);
        }
    };
    let missing = needs::provide(options.install);
    let mut tally = Tally::default();
    if !options.only_tests {
        checks(&mut tally);
    }
    let windows = windows(&mut tally, options);
    tests(&mut tally, options, windows.as_ref());
    summary(&tally, &missing, &expected, options.strict, started)
}

/// Everything that is not a test.
fn checks(tally: &mut Tally) {
    match works("cargo", &["fmt", "--version"]) {
        true => tally.check("formatting", cargo(&["fmt", "--all", "--check"])),
        false => {
            tally.skips.push(Skip::new("formatting", "rustfmt is missing: rustup component add rustfmt"))
        }
    }
    match works("cargo", &["clippy", "--version"]) {
        true => tally.check(
            "lints",
            cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        ),
        false => tally.skips.push(Skip::new("lints", "clippy is missing: rustup component add clippy")),
    }
    let mut documentation = cargo(&["doc", "--quiet", "--workspace", "--no-deps"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    tally.check("documentation", documentation);
    licences(tally);
}

/// What cargo-deny holds of our dependencies. Known holes are asked for on their own, since the list of them is fetched.
fn licences(tally: &mut Tally) {
    if !works("cargo", &["deny", "--version"]) {
        let reason = "cargo-deny is not installed: cargo install --locked cargo-deny";
        return tally.skips.push(Skip::new("cargo-deny", reason));
    }
    tally.check("licences, duplicates, sources", cargo(&["deny", "check", "licenses", "bans", "sources"]));
    let ended = command::run(&mut cargo(&["deny", "check", "advisories"]));
    if ended.output.contains("failed to fetch advisory database") {
        tally.skips.push(Skip::new("advisories", "the database of advisories cannot be fetched"));
    } else {
        tally.checks.push(("advisories".to_owned(), ended.success));
    }
}

/// The sandbox's tests of Windows, and the program for it, which other tests start.
fn windows(tally: &mut Tally, options: &Options) -> Option<Wine> {
    let wanted = |filter: &String| "windows under wine".contains(filter.as_str());
    if !options.filters.is_empty() && !options.filters.iter().any(wanted) {
        return None;
    }
    let wine = match Wine::find(options.install) {
        Ok(wine) => wine,
        Err(why) => {
            tally.skips.push(Skip::new("windows", why));
            return None;
        }
    };
    let ended = command::run(&mut wine.sandbox());
    tally.count("the sandbox of Windows under wine", &ended, counts::libtest);
    let built = command::run(&mut wine.program()).success;
    tally.checks.push(("the program for Windows is built".to_owned(), built));
    built.then_some(wine)
}

/// All tests, through nextest where it is installed, and the examples in the documentation. `windows` has the program for that
/// system, where it was built.
fn tests(tally: &mut Tally, options: &Options, windows: Option<&Wine>) {
    let skipped = std::env::temp_dir().join(format!("wheeltapper-skips-{}", std::process::id()));
    let _ = fs::remove_file(&skipped);
    let nextest = works("cargo", &["nextest", "--version"]);
    let mut main = match nextest {
        true => cargo(&["nextest", "run", "--workspace", "--no-fail-fast", "--no-tests=warn"]),
        false => cargo(&["test", "--workspace", "--all-targets", "--no-fail-fast"]),
    };
    if !nextest && !options.filters.is_empty() {
        main.arg("--");
    }
    if let Some(wine) = windows {
        wine.tell(&mut main);
    }
    let read = if nextest { counts::nextest } else { counts::libtest };
    let ended = command::run(main.args(&options.filters).env(skips::VARIABLE, &skipped));
    tally.count("tests", &ended, read);
    if options.filters.is_empty() {
        let mut documented = cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]);
        let ended = command::run(documented.env(skips::VARIABLE, &skipped));
        tally.count("examples in the documentation", &ended, counts::libtest);
    }
    let said = fs::read_to_string(&skipped).unwrap_or_default();
    let _ = fs::remove_file(&skipped);
    let by_themselves = skips::parse(&said);
    // The runner counts a test that skipped itself as passed. A test may tell of several skips.
    let mut names: Vec<&str> = by_themselves.iter().map(|skip| skip.test.as_str()).collect();
    names.dedup();
    tally.tests.passed = tally.tests.passed.saturating_sub(names.len() as u64);
    tally.skips.extend(by_themselves);
    if options.filters.is_empty() {
        for _ in 0..tally.tests.ignored {
            tally
                .skips
                .push(Skip::new("#[ignore]", "a test is ignored without a reason: it should call skip!"));
        }
    }
}

impl Tally {
    /// Adds what the runner counted. One that ends badly without a failed test has failed itself.
    fn count(&mut self, what: &str, ended: &Ended, read: fn(&str) -> Option<Counts>) {
        let counts = read(&ended.output).unwrap_or_default();
        self.tests += counts;
        if !ended.success && counts.failed == 0 {
            self.checks.push((format!("{what}: they did not run to their end"), false));
        }
    }
}

fn summary(
    tally: &Tally,
    missing: &[String],
    expected: &Expected,
    strict: bool,
    started: Instant,
) -> ExitCode {
    println!("\nSummary, after {} s", started.elapsed().as_secs());
    for (name, passed) in &tally.checks {
        println!("  {} {name}", if *passed { "passed " } else { "FAILED " });
    }
    let Counts { passed, failed, .. } = tally.tests;
    let word = if failed == 0 && passed > 0 { "passed " } else { "FAILED " };
    println!("  {word} tests: {passed} passed, {failed} failed");
    for line in missing {
        println!("  missing {line}");
    }
    let mut unexpected = 0;
    for skip in &tally.skips {
        let known = expected.has(skip);
        unexpected += u64::from(!known);
        let note = if known { " (expected)" } else { "" };
        println!("  SKIPPED {}: {}{note}", skip.test, skip.reason);
    }
    if strict && unexpected > 0 {
        println!("  FAILED  {unexpected} skipped that should have run here; see xtask/expected-skips.txt");
    }
    let checks_passed = tally.checks.iter().filter(|(_, passed)| *passed).count() as u64;
    let checks_failed = tally.checks.len() as u64 - checks_passed;
    let (passed, failed) = (passed + checks_passed, failed + checks_failed);
    println!("\n{passed} passed, {failed} failed, {} skipped", tally.skips.len());
    let bad = failed > 0 || (strict && unexpected > 0);
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
