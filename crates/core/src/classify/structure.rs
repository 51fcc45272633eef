//! Causes that need no text: limits, signals, and findings whose id is a cause.

use super::{excerpt::Excerpt, found::Found, resolver::short};
use crate::{
    cause::{Blame, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::Evidence,
    phase::{Limit, Phase, PhaseReport},
};

/// What a phase's report says by itself.
pub(super) fn cause_of(
    evidence: &Evidence,
    phase: Phase,
    report: &PhaseReport,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    by_limit(evidence, phase, report)
        .map(|found| (found, Vec::new()))
        .or_else(|| by_signal(evidence, phase, report, excerpt))
        .or_else(|| by_finding(phase, report))
}

/// True when the tests were refused a process and went on to their end all the same, most of their failures being others.
fn was_survived(evidence: &Evidence, report: &PhaseReport) -> bool {
    let refused = ["can't start new thread", "Resource temporarily unavailable", "Errno 11]"];
    let failing = evidence.tests.as_ref().map_or(&[][..], |tests| &tests.failing);
    let of_it = failing.iter().filter(|test| refused.iter().any(|text| test.message.contains(text))).count();
    report.exit == Some(1) && of_it * 2 < failing.len()
}

fn by_limit(evidence: &Evidence, phase: Phase, report: &PhaseReport) -> Option<Found> {
    let limit = report.limit?;
    if limit == Limit::Processes && phase == Phase::Test && was_survived(evidence, report) {
        return None;
    }
    let id = match limit {
        Limit::Time => CauseId::Timeout,
        Limit::Inactivity => CauseId::Inactivity,
        Limit::Memory => CauseId::OutOfMemory,
        Limit::Processes => CauseId::TooManyProcesses,
        Limit::Disk => CauseId::DiskFull,
        Limit::Output => CauseId::OutputLimit,
    };
    let detail = format!("the {phase} phase hit its {limit} limit after {:.1} s", report.wall_s);
    Some(Found::new(id, Blame::Package, detail).subject(limit.as_str()).confidence(Confidence::High))
}

/// A program that was ended by a signal crashed. Where it printed its frames, whoever's extension module was being called is told.
fn by_signal(
    evidence: &Evidence,
    phase: Phase,
    report: &PhaseReport,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    let signal = report.signal?;
    let id = match signal {
        7 | 11 => CauseId::SegmentationFault,
        6 => CauseId::Abort,
        _ => CauseId::Crash,
    };
    let fatal = excerpt.lines.iter().rposition(|line| line.text.starts_with("Fatal Python error"));
    let lines = fatal.map(|at| super::text::decisive(phase, &excerpt.lines[at])).unwrap_or_default();
    let found = Found::new(id, Blame::Package, format!("the interpreter was ended by signal {signal}"))
        .subject(format!("signal {signal}"))
        .confidence(Confidence::High);
    // `faulthandler` prints the innermost frame first.
    let frames: Vec<&str> = excerpt.lines[fatal.unwrap_or(excerpt.lines.len())..]
        .iter()
        .filter_map(|line| {
            line.text.trim_start().strip_prefix("File \"")?.split_once('"').map(|(file, _)| file)
        })
        .take(1)
        .collect();
    Some(match super::traceback::owner(evidence, &frames) {
        Some(super::traceback::Owner::Other(dependency)) => (found.dependency(dependency), lines),
        _ => (found, lines),
    })
}

/// A finding whose id is a cause of its own fails the phase by structure.
fn by_finding(phase: Phase, report: &PhaseReport) -> Option<(Found, Vec<EvidenceLine>)> {
    let (id, finding) =
        report.findings.iter().find_map(|finding| Some((finding.id.parse::<CauseId>().ok()?, finding)))?;
    let mut found = Found::new(id, Blame::Package, finding.text.clone()).confidence(Confidence::High);
    if id == CauseId::DependencyBuildFailed {
        let named =
            finding.evidence.first().map(|project| Dependency { project: project.clone(), version: None });
        found = match named {
            Some(dependency) => found.dependency(dependency),
            None => Found::new(id, Blame::Dependency, finding.text.clone()).confidence(Confidence::High),
        };
    }
    let lines =
        finding.evidence.iter().map(|text| EvidenceLine { phase, line: 0, text: short(text) }).collect();
    Some((found, lines))
}
