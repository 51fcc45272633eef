//! From evidence to verdict: pure, versioned, so that stored results can be judged again when the rules improve.
//! Structured signals first (limits, signals, findings, the resolver, counted tests), the text of logs last.

mod exceptions;
mod excerpt;
mod found;
mod outcome;
mod resolver;
pub mod rules;
mod signature;
mod structure;
mod testing;
mod text;
mod traceback;

use crate::{
    cause::{Blame, Cause, CauseId, Confidence, EvidenceLine},
    elsewhere::compared,
    evidence::{Evidence, Logs},
    next_step::sharpened,
    outcome::{Outcome, Reason},
    phase::{Phase, PhaseReport, Status},
    record::Verdict,
    starved::{SEPARATOR, excused},
};
use excerpt::Excerpt;
use found::Found;

pub use excerpt::strip_colours;
pub use signature::{normalise, signature};

/// Version of these rules. Raised with every change that can alter a verdict.
pub const RULES: u32 = 4;

/// How the log of a test phase begins each of its further runs.
const AGAIN: &str = "--- again";

/// Judges a cell.
pub fn classify(evidence: &Evidence, logs: &dyn Logs) -> Verdict {
    let (outcome, reason) = outcome::outcome(evidence);
    let cause = match outcome {
        Outcome::Passed | Outcome::Unsupported => None,
        Outcome::Untested => untested_cause(evidence, reason),
        Outcome::FarmError => Some(farm_cause(evidence)),
        Outcome::FetchFailed
        | Outcome::BuildFailed
        | Outcome::InstallFailed
        | Outcome::ImportFailed
        | Outcome::TestFailed
        | Outcome::UninstallFailed => {
            first_failed(evidence).map(|(phase, report)| cause(evidence, phase, report, &logs.log(phase)))
        }
    };
    // What failed for want of processor time has not been tried.
    let is_ours = cause.as_ref().is_some_and(|cause| cause.blame == Blame::Farm);
    let outcome = if outcome.is_failure() && is_ours { Outcome::FarmError } else { outcome };
    let signature = match (&cause, outcome.is_failure()) {
        (Some(cause), true) => Some(signature(cause)),
        _ => None,
    };
    Verdict { rules: RULES, outcome, reason, cause, signature }
}

/// The first phase that failed, in the order of phases.
pub fn first_failed(evidence: &Evidence) -> Option<(Phase, &PhaseReport)> {
    evidence
        .phases
        .iter()
        .find(|(_, report)| report.status == Status::Failed)
        .map(|(phase, report)| (*phase, report))
}

fn untested_cause(evidence: &Evidence, reason: Option<Reason>) -> Option<Cause> {
    let reason = reason.filter(|reason| {
        matches!(
            reason,
            Reason::NoRunnerRecognised | Reason::TestsCouldNotRun | Reason::TestRequirementsConflict
        )
    })?;
    if let Some(module) = module_of_nobody(evidence).filter(|_| reason == Reason::TestsCouldNotRun) {
        let detail = format!(
            "its tests import {module}, which it neither ships nor declares and no known project is called"
        );
        let found = Found::new(CauseId::MissingTestDependency, Blame::Package, detail).subject(module);
        return Some(found.confidence(Confidence::High).in_phase(Phase::Test, Vec::new()));
    }
    let why = evidence.phases.get(&Phase::Test).and_then(|report| report.findings.first());
    let detail = why.map_or_else(|| reason.as_str().to_owned(), |finding| finding.text.clone());
    let found = Found::new(CauseId::Unclassified, Blame::Recipe, detail)
        .title(Some("its tests were not run".to_owned()))
        .confidence(Confidence::High);
    Some(found.in_phase(Phase::Test, Vec::new()))
}

/// The module for want of which every test file fails to load, where the plan could not ask for it either: nothing declares
/// it, and no well-known project is called so.
fn module_of_nobody(evidence: &Evidence) -> Option<String> {
    let (tests, plan) = (evidence.tests.as_ref()?, evidence.test_plan.as_ref()?);
    let missing = |message: &str| {
        let (_, name) = message.split_once("No module named '")?;
        Some(name.split(['.', '\'']).next()?.to_owned())
    };
    let first = missing(&tests.failing.first()?.message)?;
    let left_out = format!("import {first} needs ");
    let is_asked_in_vain = plan
        .why
        .iter()
        .any(|why| why.starts_with(&left_out) && why.ends_with("which no well-known project is called"));
    let all = tests.failing.iter().all(|test| missing(&test.message).as_deref() == Some(&first));
    (is_asked_in_vain && all).then_some(first)
}

fn farm_cause(evidence: &Evidence) -> Cause {
    let phase = evidence.phases.keys().next_back().copied().unwrap_or(Phase::Fetch);
    let detail = evidence.farm_error.clone().unwrap_or_default();
    Found::new(CauseId::FarmFault, Blame::Farm, detail)
        .confidence(Confidence::High)
        .in_phase(phase, Vec::new())
}

fn cause(evidence: &Evidence, phase: Phase, report: &PhaseReport, log: &str) -> Cause {
    let excerpt = decisive_part(evidence, phase, Excerpt::of(log));
    let (found, lines) = structure::cause_of(evidence, phase, report, &excerpt)
        .or_else(|| testing::cause_of(evidence, phase, report, &excerpt))
        .or_else(|| dependency_build(evidence, phase, &excerpt))
        .or_else(|| resolver::cause_of(evidence, phase, &excerpt))
        .or_else(|| text::cause_of(evidence, phase, &excerpt))
        .unwrap_or_else(|| text::unknown(phase, report.exit, &excerpt));
    let cause = sharpened(evidence, found.in_phase(phase, lines));
    excused(evidence, report, compared(evidence, cause))
}

/// The part of a log that tells of the failure: of imports the first module's that decides and failed, of tests the first run's.
fn decisive_part<'a>(evidence: &Evidence, phase: Phase, excerpt: Excerpt<'a>) -> Excerpt<'a> {
    match phase {
        Phase::Import => {
            let failed =
                evidence.imports.iter().find(|import| import.decides && import.status == Status::Failed);
            failed
                .and_then(|import| excerpt.section("==> import ", &import.module))
                .filter(|section| !section.lines.is_empty())
                .unwrap_or(excerpt)
        }
        Phase::Test => excerpt.before(AGAIN).after(SEPARATOR),
        Phase::Fetch | Phase::Build | Phase::Install | Phase::Uninstall => excerpt,
    }
}

/// A requirement that has only an sdist, which does not build: the dependency's own failure is read as a build's is.
fn dependency_build(
    evidence: &Evidence,
    phase: Phase,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let (dependency, line, nested) = resolver::failed_build(excerpt)?;
    let version = dependency.version.as_deref().unwrap_or_default();
    let of_its_own = text::cause_of(evidence, Phase::Build, &nested);
    let (why, behind) = match of_its_own {
        Some((found, lines)) => {
            let cause = found.in_phase(phase, lines);
            (format!(": {}", cause.detail), cause.evidence)
        }
        None => (String::new(), Vec::new()),
    };
    let detail =
        format!("{} {version} has only an sdist here, and that does not build{why}", dependency.project);
    let found = Found::new(CauseId::DependencyBuildFailed, Blame::Dependency, detail)
        .subject(&dependency.project)
        .confidence(Confidence::High)
        .dependency(dependency);
    let lines = std::iter::once(EvidenceLine { phase, ..line }).chain(behind).collect();
    Some((found, lines))
}

#[cfg(test)]
mod tests;
