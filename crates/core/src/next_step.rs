//! What to do next in a cell whose tests failed: settle it, or run them once more to tell the cause. Pure: the agent asks,
//! runs, and asks again; one report carries all attempts. A second run never turns a failure into a pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use pep440_rs::Version;
use regex::RegexSet;
use serde::{Deserialize, Serialize};

use crate::{
    cause::{Blame, Cause, Confidence, Dependency},
    evidence::Evidence,
    phase::{Phase, Status},
    plan::Runner,
    project::ProjectName,
    starved::is_starved,
    tests_report::TestCounts,
    words::words,
};

words! {
    /// How a further attempt differs from the first.
    Variation: "variation" {
        /// Not at all: what fails once and passes once on identical inputs is flaky.
        Same = "same",
        /// Warnings are shown, not raised: tells a new deprecation from a defect.
        WarningsAtDefault = "warnings-at-default",
        /// The tests' requirements are as of the release's upload; the runtime requirements stay.
        Dated = "dated",
        /// All requirements are as of the release's upload.
        DatedRuntime = "dated-runtime",
        /// One distribution has an upper bound; the rest is as it is today.
        Bound = "bound",
        /// One requirement more.
        Requirement = "requirement",
        /// Without the tests that say of themselves that they want a network.
        WithoutNetwork = "without-network",
        /// The failing tests alone, one run for them and nothing else.
        Alone = "alone",
        /// The run before the one that counts, on the same inputs: it did not get its processor time.
        Starved = "starved",
    }
}

/// A distribution that another version of was installed in a further attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Its project.
    pub project: ProjectName,
    /// The version of the first run; null when it was not installed there.
    pub first: Option<String>,
    /// The version of this attempt; null when it was not installed here.
    pub now: Option<String>,
}

/// A further run of the tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TestAttempt {
    /// How it differed.
    pub variation: Variation,
    /// The phase that was run again.
    #[serde(default = "test_phase")]
    pub phase: Phase,
    /// How it ended.
    pub status: Status,
    /// What it counted.
    pub tests: TestCounts,
    /// The distributions that differed from those of the first run.
    #[serde(default)]
    pub changed: Vec<Changed>,
}

const fn test_phase() -> Phase {
    Phase::Test
}

/// What the agent does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStep {
    /// Nothing: the evidence is all there.
    Settled,
    /// Run the tests again, so.
    TestAgain(Variation),
}

/// The longest test phase that is run again, in seconds: a suite that takes longer is believed the first time.
const LONGEST: f64 = 60.0;

/// Decides from the evidence so far. `test_wall_s` is what the first run of the tests took; `tried` are the variations that
/// were asked for already, also those that made no difference and were not run.
pub fn next_step(evidence: &Evidence, test_wall_s: f64, tried: &[Variation]) -> NextStep {
    let failed = evidence.phases.get(&Phase::Test).filter(|report| report.status == Status::Failed);
    let (Some(report), Some(tests)) = (failed, &evidence.tests) else { return NextStep::Settled };
    if is_starved(report, Some(tests)) {
        return NextStep::Settled;
    }
    if report.limit.is_some() || report.signal.is_some() || tests.failing.is_empty() || test_wall_s > LONGEST
    {
        return NextStep::Settled;
    }
    wanted(evidence, tests)
        .into_iter()
        .find(|variation| !tried.contains(variation))
        .map_or(NextStep::Settled, NextStep::TestAgain)
}

/// What tells more of these failures, in order.
fn wanted(evidence: &Evidence, tests: &TestCounts) -> Vec<Variation> {
    if mostly(tests, is_warning) {
        return vec![Variation::WarningsAtDefault];
    }
    let mut wanted = vec![Variation::Same];
    let again = evidence.attempts.iter().find(|attempt| attempt.variation == Variation::Same);
    let Some(again) = again else { return wanted };
    // What fails only beside the others depends on them, on their order or on the load.
    let alone =
        is_few(tests) && evidence.test_plan.as_ref().is_some_and(|plan| plan.runner == Runner::Pytest);
    if again.status == Status::Passed {
        wanted.extend(alone.then_some(Variation::Alone));
        return wanted;
    }
    if mostly(tests, |message| missing_module(message).is_some()) {
        wanted.push(Variation::Requirement);
        return wanted;
    }
    if mostly(tests, says_its_cause) {
        return wanted;
    }
    wanted.extend(alone.then_some(Variation::Alone));
    if has_passed(evidence, Variation::Alone) {
        return wanted;
    }
    if tests.failing.iter().any(|test| of_test_tools(&test.message)) {
        wanted.push(Variation::Dated);
    }
    wanted.push(Variation::DatedRuntime);
    let dated = evidence.attempts.iter().find(|attempt| attempt.variation == Variation::DatedRuntime);
    if dated.is_some_and(|attempt| cures(tests, attempt)) && !wanted.contains(&Variation::Dated) {
        wanted.push(Variation::Dated);
    }
    wanted
}

/// True where the failing tests are few enough to be named one by one, and others are there that they may depend on.
fn is_few(tests: &TestCounts) -> bool {
    let failing = tests.failing.len() as u64;
    failing <= 100 && failing * 2 <= tests.ran()
}

fn has_passed(evidence: &Evidence, variation: Variation) -> bool {
    let passed = |attempt: &TestAttempt| attempt.variation == variation && attempt.status == Status::Passed;
    evidence.attempts.iter().any(passed)
}

fn mostly(tests: &TestCounts, is: impl Fn(&str) -> bool) -> bool {
    tests.failing.iter().filter(|test| is(&test.message)).count() * 2 > tests.failing.len()
}

/// True for the message of a warning that was raised as an error: `DeprecationWarning: …`, `a.b.SomeWarning: …`.
pub fn is_warning(message: &str) -> bool {
    let Some((class, _)) = message.split_once(": ") else { return false };
    let name = class.trim_start_matches("E ").trim().rsplit('.').next().unwrap_or("");
    name.ends_with("Warning") && name.chars().all(char::is_alphanumeric)
        || name.starts_with("PytestRemovedIn")
}

/// True for a message that no version of any distribution explains: a network, a display, a service.
fn says_its_cause(message: &str) -> bool {
    static SET: OnceLock<RegexSet> = OnceLock::new();
    SET.get_or_init(|| {
        RegexSet::new([
            r"(?:Name or service not known|Temporary failure in name resolution|NameResolutionError|Network is unreachable)",
            r"(?:gaierror|Connection refused|no \$DISPLAY|cannot open display)",
        ])
        .expect("literal patterns compile")
    })
    .is_match(message)
}

/// True for a message that speaks of what test tools offer, rather than of the package.
fn of_test_tools(message: &str) -> bool {
    static SET: OnceLock<RegexSet> = OnceLock::new();
    SET.get_or_init(|| {
        RegexSet::new([
            r"(?i)\bpytest|\bhypothesis|\bxdist|\bfixture\b|\bnose\b|\bunittest\b|\bmock\b",
            r"yield tests were removed|marks? applied|collection|ScopeMismatch|event_loop",
            r"takes no arguments|unexpected keyword argument",
        ])
        .expect("literal patterns compile")
    })
    .is_match(message)
}

/// The top-level module that a line says cannot be found.
pub fn missing_module(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("No module named ")?;
    let name = rest.trim_start_matches(['\'', '"']);
    let end = name.find(|one: char| !(one.is_alphanumeric() || one == '_')).unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

/// The module that most of the failing tests miss.
pub fn most_missed(tests: &TestCounts) -> Option<String> {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for module in tests.failing.iter().filter_map(|test| missing_module(&test.message)) {
        *times.entry(module).or_default() += 1;
    }
    times.into_iter().max_by_key(|(_, times)| *times).map(|(module, _)| module.to_owned())
}

/// What is tried after a build or an import that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// With the project that provides this module.
    Requirement(String),
    /// With the requirements of the day of the upload.
    Dated,
}

/// What may tell more of a build or an import that failed, in order; `log` is its log.
pub fn trials(evidence: &Evidence, phase: Phase, log: &str) -> Vec<Trial> {
    let failed = evidence.phases.get(&phase).filter(|report| report.status == Status::Failed);
    let Some(report) = failed else { return Vec::new() };
    // What a finding says structurally, a limit or a signal is not a matter of versions.
    let said = phase == Phase::Build && !report.findings.is_empty();
    if report.limit.is_some() || report.signal.is_some() || said || report.wall_s > LONGEST {
        return Vec::new();
    }
    let of_the_system = ["fatal error: ", "command not found", "No such file or directory: '"];
    if of_the_system.iter().any(|sign| log.contains(sign)) {
        return Vec::new();
    }
    let missing =
        log.lines().rev().find_map(missing_module).map(|module| Trial::Requirement(module.to_owned()));
    let installed = evidence.installed.iter().any(|one| match phase {
        Phase::Build => one.purpose == "build",
        _ => one.purpose == "runtime",
    });
    missing.into_iter().chain(installed.then_some(Trial::Dated)).collect()
}

/// True when none of the first run's failures is one of this attempt's, and the attempt reached as many tests.
pub fn cures(first: &TestCounts, attempt: &TestAttempt) -> bool {
    let failing: BTreeSet<&str> = attempt.tests.failing.iter().map(|test| test.id.as_str()).collect();
    let reached = |tests: &TestCounts| tests.ran() + tests.skipped;
    attempt.phase == Phase::Test
        && attempt.tests.ran() > 0
        && reached(&attempt.tests) * 10 >= reached(first) * 9
        && attempt.tests.failing.len() < first.failing.len().max(1)
        && !first.failing.iter().any(|test| failing.contains(test.id.as_str()))
}

/// The distribution whose newer version makes a phase fail, when further attempts showed it. The outer `None`: they did
/// not; the inner: some distribution, which one was not found out.
pub fn guilty(evidence: &Evidence, phase: Phase) -> Option<Option<Dependency>> {
    let passed = |attempt: &TestAttempt| match phase {
        Phase::Test => evidence.tests.as_ref().is_some_and(|tests| cures(tests, attempt)),
        _ => attempt.status == Status::Passed,
    };
    let cured = |variations: &[Variation]| {
        let of_phase = evidence.attempts.iter().rev().filter(|attempt| attempt.phase == phase);
        of_phase.filter(|attempt| variations.contains(&attempt.variation)).find(|attempt| passed(attempt))
    };
    let dependency = |changed: &Changed| Dependency {
        project: changed.project.to_string(),
        version: changed.first.clone(),
    };
    if let Some(bound) = cured(&[Variation::Bound]) {
        return Some(bound.changed.first().map(dependency));
    }
    let dated = cured(&[Variation::Dated, Variation::DatedRuntime])?;
    Some(match dated.changed.as_slice() {
        [only] => Some(dependency(only)),
        _ => None,
    })
}

/// A cause with what further attempts add to it: the dependency that they showed to be guilty, and what passes alone.
pub fn sharpened(evidence: &Evidence, mut cause: Cause) -> Cause {
    // What a build needs is the business of whoever requires it without a bound.
    if !matches!(cause.phase, Phase::Import | Phase::Test) {
        return cause;
    }
    if let Some(dependency) = guilty(evidence, cause.phase) {
        let fix = evidence.fix.as_ref().filter(|fix| fix.verified).map(|fix| &fix.line);
        let said = match &dependency {
            Some(_) if let Some(line) = fix => format!("with {line} it passes"),
            Some(Dependency { project, version: Some(version) }) => {
                format!("with a {project} older than {version} it passes")
            }
            Some(_) | None => "with the dependencies of its day it passes".to_owned(),
        };
        cause.detail = format!("{}; {said}", cause.detail);
        (cause.blame, cause.dependency) = (Blame::Dependency, dependency.or(cause.dependency));
        cause.confidence = Confidence::High;
    }
    if cause.phase != Phase::Test {
        return cause;
    }
    let (same, alone) = (has_passed(evidence, Variation::Same), has_passed(evidence, Variation::Alone));
    if same {
        let alone = if alone { "; so do the failing tests alone" } else { "" };
        cause.detail = format!("{}; run again on the same inputs it passes{alone}", cause.detail);
        cause.confidence = Confidence::Low;
    } else if alone {
        cause.detail = format!(
            "{}; alone these tests pass: they depend on the tests that run before them, or on their order",
            cause.detail
        );
    }
    cause
}

/// The upper bound that keeps a distribution below what changed since: below the next major version where that differs, else
/// below the next minor one, else below the version itself. `None` where it did not get newer.
pub fn bound(changed: &Changed) -> Option<String> {
    let first: Version = changed.first.as_ref()?.parse().ok()?;
    let dated: Version = changed.now.as_ref()?.parse().ok()?;
    if dated >= first {
        return None;
    }
    let part = |version: &Version, at: usize| version.release().get(at).copied().unwrap_or(0);
    let (major, minor) = (part(&dated, 0), part(&dated, 1));
    let below = if part(&first, 0) > major {
        (major + 1).to_string()
    } else if part(&first, 1) > minor {
        format!("{major}.{}", minor + 1)
    } else {
        first.to_string()
    };
    Some(format!("{}<{below}", changed.project))
}

/// The changes in the order of suspicion: those that the failure names (`named` is asked for a module's name in small letters),
/// then tools that run tests, then those whose major version changed, then the rest.
pub fn suspects(named: impl Fn(&str) -> bool, changed: &[Changed]) -> Vec<Changed> {
    let named = |one: &Changed| named(&one.project.as_str().replace('-', "_"));
    let major = |text: &Option<String>| {
        let version: Option<Version> = text.as_ref().and_then(|text| text.parse().ok());
        version.map(|version| version.release().first().copied())
    };
    let mut suspects: Vec<Changed> = changed.iter().filter(|one| bound(one).is_some()).cloned().collect();
    suspects.sort_by_key(|one| {
        (!named(one), one.project.as_str() != "pytest", major(&one.first) == major(&one.now))
    });
    suspects
}

/// Marks each failing test that a run on identical inputs confirms or does not.
pub fn mark_flaky(evidence: &mut Evidence) {
    let again = evidence.attempts.iter().find(|attempt| attempt.variation == Variation::Same);
    let (Some(again), Some(tests)) = (again, evidence.tests.as_mut()) else { return };
    // A second run that was cut short says nothing of the tests that it did not reach.
    if again.tests.ran() + again.tests.skipped < tests.ran() + tests.skipped {
        return;
    }
    for test in &mut tests.failing {
        test.flaky = Some(!again.tests.failing.iter().any(|other| other.id == test.id));
    }
}

/// The share of failed runs of a cell that both failed and passed on identical inputs; `None` when it did not.
pub fn flaky_rate(evidence: &Evidence) -> Option<f64> {
    let first = evidence.phases.get(&Phase::Test)?.status;
    let again = evidence.attempts.iter().filter(|attempt| attempt.variation == Variation::Same);
    let runs: Vec<Status> = std::iter::once(first).chain(again.map(|attempt| attempt.status)).collect();
    let failed = runs.iter().filter(|status| **status == Status::Failed).count();
    (failed > 0 && failed < runs.len()).then(|| failed as f64 / runs.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_report::FailingTest;

    fn counts(passed: u64, failing: &[(&str, &str)]) -> TestCounts {
        let failing: Vec<FailingTest> = failing
            .iter()
            .map(|(id, message)| FailingTest {
                id: (*id).to_owned(),
                message: (*message).to_owned(),
                ..FailingTest::default()
            })
            .collect();
        TestCounts { passed, failed: failing.len() as u64, failing, ..TestCounts::default() }
    }

    fn changed(project: &str, first: &str, now: &str) -> Changed {
        Changed {
            project: project.parse().unwrap(),
            first: Some(first.to_owned()),
            now: Some(now.to_owned()),
        }
    }

    #[test]
    fn knows_a_raised_warning() {
        assert!(is_warning("DeprecationWarning: x is deprecated"));
        assert!(is_warning("pytest.PytestRemovedIn9Warning: Marks applied to fixtures have no effect"));
        assert!(!is_warning("AssertionError: no Warning: raised"));
        assert!(!is_warning("assert 1 == 2"));
    }

    #[test]
    fn what_fails_each_time_and_passes_alone_depends_on_other_tests() {
        let mut evidence: Evidence = serde_json::from_value(crate::samples::evidence()).unwrap();
        evidence.phases.insert(Phase::Test, crate::PhaseReport::bare(Status::Failed));
        evidence.test_plan = Some(crate::samples::plan());
        let first = counts(8, &[("a", "assert 1 == 2")]);
        evidence.tests = Some(first.clone());
        let mut tried = Vec::new();
        let mut next = |evidence: &Evidence| {
            let step = next_step(evidence, 1.0, &tried);
            tried.extend(match step {
                NextStep::TestAgain(variation) => Some(variation),
                NextStep::Settled => None,
            });
            step
        };
        let attempt = |variation, status, tests| TestAttempt {
            variation,
            phase: Phase::Test,
            status,
            tests,
            changed: Vec::new(),
        };
        assert_eq!(next(&evidence), NextStep::TestAgain(Variation::Same));
        evidence.attempts.push(attempt(Variation::Same, Status::Failed, first));
        assert_eq!(next(&evidence), NextStep::TestAgain(Variation::Alone));
        evidence.attempts.push(attempt(Variation::Alone, Status::Passed, counts(1, &[])));
        assert_eq!(next(&evidence), NextStep::Settled);
        let cause = crate::classify::classify(&evidence, &BTreeMap::<Phase, String>::new()).cause.unwrap();
        assert!(cause.detail.contains("alone these tests pass"), "{}", cause.detail);
    }

    #[test]
    fn an_attempt_cures_only_what_it_reached() {
        let first = counts(8, &[("a", "x"), ("b", "x")]);
        let attempt = |tests| TestAttempt {
            variation: Variation::Dated,
            phase: Phase::Test,
            status: Status::Passed,
            tests,
            changed: Vec::new(),
        };
        assert!(cures(&first, &attempt(counts(10, &[]))));
        assert!(!cures(&first, &attempt(counts(1, &[]))), "it did not get that far");
        assert!(!cures(&first, &attempt(counts(9, &[("b", "x")]))));
    }

    #[test]
    fn a_bound_is_as_wide_as_it_can_be() {
        let of = |first, now| bound(&changed("p", first, now));
        assert_eq!(of("9.0.2", "7.4.0").as_deref(), Some("p<8"));
        assert_eq!(of("2.5.1", "2.3.0").as_deref(), Some("p<2.4"));
        assert_eq!(of("2.5.1", "2.5.0").as_deref(), Some("p<2.5.1"));
        assert_eq!(of("1.0", "2.0"), None);
    }

    #[test]
    fn knows_which_module_is_missing() {
        assert_eq!(missing_module("ModuleNotFoundError: No module named 'a.b'"), Some("a"));
        assert_eq!(missing_module("ImportError: No module named six"), Some("six"));
        assert_eq!(missing_module("No module named ''"), None);
    }

    #[test]
    fn who_is_named_is_suspected_first() {
        let message = "AttributeError: module 'some_lib' has no attribute 'x'";
        let all = [changed("big", "2", "1"), changed("pytest", "9", "8"), changed("some-lib", "1.1", "1.0")];
        let order = suspects(|module| message.contains(module), &all);
        let order: Vec<_> = order.iter().map(|one| one.project.as_str()).collect();
        assert_eq!(order, ["some-lib", "pytest", "big"]);
    }
}
