//! A cycle walks all projects in turn. Here are its words, and the two decisions that need only values: whether a cell is
//! due, and what became of it. Who walks, and when, is the coordinator's.

mod values;

use std::collections::BTreeMap;

pub use values::{CellName, Cycle, Past, People, Standing, StandingResult, Transition};

use serde::{Deserialize, Serialize};

use crate::{digest::Sha256, outcome::Outcome, words::words};

words! {
    /// Why a cell is run.
    Due: "reason to run" {
        /// No result is stored.
        NeverRun = "never-run",
        /// The environment gets another release than the stored result's.
        NewerRelease = "newer-release",
        /// The same release, but another request: its files, the environment, the options or the program changed.
        OtherRequest = "other-request",
        /// The farm failed when it was run last.
        FarmError = "farm-error",
        /// It failed, and no second run has said the same yet.
        Unconfirmed = "unconfirmed",
        /// Its result is older than the stated age.
        Age = "age",
    }
}

words! {
    /// What became of a cell in a cycle. Each cell that a cycle wants has exactly one.
    State: "state" {
        /// It failed before, and does no longer.
        Fixed = "fixed",
        /// It did not fail before, and failed in two runs.
        NewlyFailing = "newly-failing",
        /// It failed in two runs, and nothing was known of it before.
        FailingAtFirst = "failing-at-first",
        /// It failed before, too.
        StillFailing = "still-failing",
        /// It failed, and no second run has confirmed it.
        Unconfirmed = "unconfirmed",
        /// It both failed and passed on the same inputs.
        Flaky = "flaky",
        /// Its tests passed.
        Passed = "passed",
        /// Nothing failed, and no tests were run.
        Untested = "untested",
        /// The release says that it is not for this environment.
        Unsupported = "unsupported",
        /// Our own fault; tried again in the next cycle.
        FarmError = "farm-error",
        /// The cycle ended before its turn came.
        Left = "left",
    }
}

impl State {
    /// True when the package fails, flaky ones aside.
    pub const fn is_failing(self) -> bool {
        match self {
            State::NewlyFailing | State::FailingAtFirst | State::StillFailing | State::Unconfirmed => true,
            State::Fixed
            | State::Flaky
            | State::Passed
            | State::Untested
            | State::Unsupported
            | State::FarmError
            | State::Left => false,
        }
    }

    /// True for what is news: told on the lists of changes and in letters.
    pub const fn is_news(self) -> bool {
        matches!(self, State::Fixed | State::NewlyFailing | State::FailingAtFirst)
    }
}

/// What is stored of a cell when it is decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Fingerprint of the request that its newest verdict answers.
    pub request: Sha256,
    /// The version of that result's release.
    pub version: String,
    /// That verdict's outcome.
    pub outcome: Outcome,
    /// When that result began, in seconds of the Unix epoch.
    pub started: i64,
    /// True when the farm failed the last time that the cell was run.
    pub farm_failed: bool,
    /// True when at least two runs of this request failed.
    pub confirmed: bool,
    /// True when the result was brought by the cycle that asks.
    pub of_this_cycle: bool,
}

/// Whether a cell is due, and why. `now` in seconds of the Unix epoch; `oldest` is the stated age in seconds.
pub fn due(
    known: Option<&Known>,
    request: &Sha256,
    version: &str,
    now: i64,
    oldest: Option<u64>,
) -> Option<Due> {
    let Some(known) = known else { return Some(Due::NeverRun) };
    if known.request != *request {
        return Some(if known.version == version { Due::OtherRequest } else { Due::NewerRelease });
    }
    if known.farm_failed {
        return Some(Due::FarmError);
    }
    if known.outcome.is_failure() && !known.confirmed {
        return Some(Due::Unconfirmed);
    }
    // A result from the future, which a clock set back leaves behind, is young.
    let age = u64::try_from(now.saturating_sub(known.started)).unwrap_or(0);
    (!known.of_this_cycle && oldest.is_some_and(|oldest| age > oldest)).then_some(Due::Age)
}

/// What the runs of a cell in one cycle came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runs {
    /// The outcome of each run of the cell's request, in order.
    pub outcomes: Vec<Outcome>,
    /// True when a run itself saw tests both fail and pass.
    pub flaky: bool,
    /// True when at least two runs of the request failed, those of earlier cycles included.
    pub confirmed: bool,
}

/// Which of a cell's earlier verdicts, the newest first, a new one is compared with. A single failure that no second run
/// has confirmed says nothing yet; what it was itself compared with counts.
pub fn compared_with(earlier: &[Outcome]) -> Option<usize> {
    match earlier {
        [] => None,
        [newest, ..] if !newest.is_failure() => Some(0),
        [_, second, ..] if second.is_failure() => Some(0),
        [_, ..] => (earlier.len() > 1).then_some(1),
    }
}

/// What became of a cell that was run. `before` is the newest verdict from before the cycle.
pub fn state(before: Option<Outcome>, runs: &Runs) -> State {
    let verdicts: Vec<Outcome> =
        runs.outcomes.iter().copied().filter(|outcome| *outcome != Outcome::FarmError).collect();
    let (Some(last), Some(now)) = (runs.outcomes.last(), verdicts.last().copied()) else {
        return if runs.outcomes.is_empty() { State::Left } else { State::FarmError };
    };
    let failed = verdicts.iter().filter(|outcome| outcome.is_failure()).count();
    if runs.flaky || (failed > 0 && failed < verdicts.len()) {
        return State::Flaky;
    }
    if *last == Outcome::FarmError && !now.is_failure() {
        return State::FarmError;
    }
    match (now, before) {
        (Outcome::Passed, Some(before)) if before.is_failure() => State::Fixed,
        (Outcome::Passed, _) => State::Passed,
        // Tests that no longer run are no fix of tests that failed.
        (Outcome::Untested, Some(before)) if before.is_failure() && before != Outcome::TestFailed => {
            State::Fixed
        }
        (Outcome::Untested, _) => State::Untested,
        (Outcome::Unsupported, _) => State::Unsupported,
        (_, Some(before)) if before.is_failure() => State::StillFailing,
        (_, _) if !runs.confirmed => State::Unconfirmed,
        (_, Some(_)) => State::NewlyFailing,
        (_, None) => State::FailingAtFirst,
    }
}

/// What a cell that is not due stands at, from what it stood at before.
pub const fn standing(before: Option<State>, outcome: Outcome) -> State {
    match (before, outcome) {
        (Some(State::Flaky), _) => State::Flaky,
        (_, Outcome::Passed) => State::Passed,
        (_, Outcome::Untested) => State::Untested,
        (_, Outcome::Unsupported) => State::Unsupported,
        (_, Outcome::FarmError) => State::FarmError,
        (
            _,
            Outcome::FetchFailed
            | Outcome::BuildFailed
            | Outcome::InstallFailed
            | Outcome::ImportFailed
            | Outcome::TestFailed
            | Outcome::UninstallFailed,
        ) => State::StillFailing,
    }
}

/// What a cycle comes to. Every cell that it wanted is in exactly one of `reused`, `run` and `left`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CycleSummary {
    /// Projects that were walked.
    pub projects: u64,
    /// Projects that could not be planned: gone from the index, or without a release.
    pub absent: u64,
    /// Cells whose stored result stands, by what they stand at.
    pub reused: BTreeMap<State, u64>,
    /// Cells that were run, by what became of them.
    pub run: BTreeMap<State, u64>,
    /// Cells that were due, by why.
    pub due: BTreeMap<Due, u64>,
    /// Cells that were due and whose turn did not come.
    pub left: u64,
    /// CPU seconds of all that was run.
    pub core_seconds: f64,
}

impl CycleSummary {
    /// Cells wanted.
    pub fn wanted(&self) -> u64 {
        self.count_reused() + self.count_run() + self.left
    }

    /// Cells whose stored result stands.
    pub fn count_reused(&self) -> u64 {
        self.reused.values().sum()
    }

    /// Cells that were run.
    pub fn count_run(&self) -> u64 {
        self.run.values().sum()
    }

    /// Cells in this state, run or reused.
    pub fn count(&self, state: State) -> u64 {
        let of = |counts: &BTreeMap<State, u64>| counts.get(&state).copied().unwrap_or_default();
        of(&self.reused) + of(&self.run) + if state == State::Left { self.left } else { 0 }
    }

    /// Cells whose package fails, flaky ones aside.
    pub fn failing(&self) -> u64 {
        State::ALL.iter().filter(|state| state.is_failing()).map(|state| self.count(*state)).sum()
    }

    /// Cells that passed, of those that passed or fail, from 0 to 1.
    pub fn share_passed(&self) -> Option<f64> {
        let passed = self.count(State::Passed) + self.count(State::Fixed);
        let judged = passed + self.failing();
        (judged > 0).then(|| passed as f64 / judged as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(outcome: Outcome) -> Known {
        Known {
            request: Sha256::of(b"request"),
            version: "1.0".to_owned(),
            outcome,
            started: 1_000,
            farm_failed: false,
            confirmed: false,
            of_this_cycle: false,
        }
    }

    #[test]
    fn a_cell_is_due_for_one_reason() {
        let (request, other) = (Sha256::of(b"request"), Sha256::of(b"other"));
        let ask = |known: &Known, request, version| due(Some(known), request, version, 5_000, Some(10_000));
        let passed = known(Outcome::Passed);
        assert_eq!(due(None, &request, "1.0", 5_000, None), Some(Due::NeverRun));
        assert_eq!(ask(&passed, &request, "1.0"), None);
        assert_eq!(ask(&passed, &other, "1.0"), Some(Due::OtherRequest));
        assert_eq!(ask(&passed, &other, "1.1"), Some(Due::NewerRelease));
        let lost = Known { farm_failed: true, ..passed.clone() };
        assert_eq!(ask(&lost, &request, "1.0"), Some(Due::FarmError));
        let failed = known(Outcome::BuildFailed);
        assert_eq!(ask(&failed, &request, "1.0"), Some(Due::Unconfirmed));
        assert_eq!(ask(&Known { confirmed: true, ..failed }, &request, "1.0"), None);
        assert_eq!(due(Some(&passed), &request, "1.0", 12_000, Some(10_000)), Some(Due::Age));
        let fresh = Known { of_this_cycle: true, ..passed.clone() };
        assert_eq!(due(Some(&fresh), &request, "1.0", 12_000, Some(10_000)), None);
        assert_eq!(due(Some(&passed), &request, "1.0", 10, Some(0)), None, "a clock that went backwards");
    }

    #[test]
    fn what_became_of_a_cell() {
        use Outcome::{BuildFailed, FarmError, Passed, TestFailed, Unsupported, Untested};
        let runs =
            |outcomes: &[Outcome], confirmed| Runs { outcomes: outcomes.to_vec(), flaky: false, confirmed };
        for (before, outcomes, confirmed, wanted) in [
            (None, &[Passed][..], false, State::Passed),
            (Some(TestFailed), &[Passed], false, State::Fixed),
            (Some(BuildFailed), &[Untested], false, State::Fixed),
            (Some(TestFailed), &[Untested], false, State::Untested),
            (Some(Passed), &[TestFailed], false, State::Unconfirmed),
            (Some(Passed), &[TestFailed, TestFailed], true, State::NewlyFailing),
            (Some(Passed), &[TestFailed, Passed], false, State::Flaky),
            (None, &[TestFailed, BuildFailed], true, State::FailingAtFirst),
            (Some(BuildFailed), &[TestFailed], false, State::StillFailing),
            (Some(Passed), &[FarmError], false, State::FarmError),
            (Some(Passed), &[TestFailed, FarmError], false, State::Unconfirmed),
            (Some(Passed), &[Unsupported], false, State::Unsupported),
            (None, &[], false, State::Left),
        ] {
            assert_eq!(state(before, &runs(outcomes, confirmed)), wanted, "{before:?} {outcomes:?}");
        }
        let shaky = Runs { outcomes: vec![Passed], flaky: true, confirmed: false };
        assert_eq!(state(Some(Passed), &shaky), State::Flaky);
    }

    #[test]
    fn an_unconfirmed_failure_is_no_past() {
        use Outcome::{Passed, TestFailed};
        assert_eq!(compared_with(&[]), None);
        assert_eq!(compared_with(&[Passed, TestFailed]), Some(0));
        assert_eq!(compared_with(&[TestFailed, TestFailed]), Some(0));
        assert_eq!(compared_with(&[TestFailed, Passed]), Some(1));
        assert_eq!(compared_with(&[TestFailed]), None);
    }

    #[test]
    fn a_cell_that_stands_is_no_news() {
        for outcome in Outcome::ALL {
            for before in State::ALL {
                assert!(!standing(Some(*before), *outcome).is_news(), "{before} {outcome}");
            }
        }
    }

    #[test]
    fn a_summary_adds_up() {
        let summary = CycleSummary {
            reused: BTreeMap::from([(State::Passed, 5), (State::StillFailing, 2)]),
            run: BTreeMap::from([(State::NewlyFailing, 1), (State::Passed, 1)]),
            left: 3,
            ..CycleSummary::default()
        };
        assert_eq!((summary.wanted(), summary.count_reused(), summary.count_run()), (12, 7, 2));
        let by_state: u64 = State::ALL.iter().map(|state| summary.count(*state)).sum();
        assert_eq!(by_state, summary.wanted());
        assert_eq!(summary.share_passed(), Some(6.0 / 9.0));
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<CycleSummary>(&text).unwrap(), summary);
    }
}
