//! Causes that need no text: limits, signals, and findings whose id is a cause.

use super::{excerpt::Excerpt, found::Found, resolver::short};
use crate::{
    cause::{Blame, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::Evidence,
    phase::{Limit, Phase, PhaseReport},
};

/// So many tests that passed before a limit was hit show that the suite is neither stuck nor takes all there is.
const MANY_PASSED: u64 = 20;

/// What a phase's report says by itself.
pub(super) fn cause_of(
    evidence: &Evidence,
    phase: Phase,
    report: &PhaseReport,
    excerpt: &Excerpt<'_>,
) -> Option<(Found, Vec<EvidenceLine>)> {
    by_limit(evidence, phase, report, excerpt)
        .map(|found| (found, Vec::new()))
        .or_else(|| by_signal(evidence, phase, report, excerpt))
        .or_else(|| by_finding(phase, report))
}

/// What the messages of tests say that came upon a limit: of processes, or of memory, also where a program was killed for it.
const REFUSED_PROCESS: &[&str] = &["can't start new thread", "Resource temporarily unavailable", "Errno 11]"];
const REFUSED_MEMORY: &[&str] =
    &["MemoryError", "annot allocate memory", "SIGKILL", "exit status -9", "exit code -9", "returncode -9"];

/// How a compiler tells that it was killed for its memory.
const KILLED_COMPILER: &[&str] = &["Killed signal terminated program", "internal compiler error: Killed"];

/// What a limit was to tests that went on to their end all the same.
struct Survived {
    /// How many of the failing tests came upon it.
    of_it: usize,
    failing: usize,
}

/// `None` where the run was ended by its limit.
fn survived(evidence: &Evidence, report: &PhaseReport, refused: &[&str]) -> Option<Survived> {
    let failing = evidence.tests.as_ref().map_or(&[][..], |tests| &tests.failing);
    let of_it = failing.iter().filter(|test| refused.iter().any(|text| test.message.contains(text))).count();
    (report.exit == Some(1)).then_some(Survived { of_it, failing: failing.len() })
}

fn by_limit(evidence: &Evidence, phase: Phase, report: &PhaseReport, excerpt: &Excerpt<'_>) -> Option<Found> {
    let limit = report.limit?;
    let passed = evidence.tests.as_ref().map_or(0, |tests| tests.passed);
    let mut blame = Blame::Package;
    match limit {
        Limit::Processes if phase == Phase::Test => {
            let survived = survived(evidence, report, REFUSED_PROCESS);
            if survived.is_some_and(|survived| survived.of_it * 2 < survived.failing) {
                return None;
            }
        }
        // A suite of which a few tests want more than a cell has is not one that takes all there is.
        Limit::Memory if phase == Phase::Test => match survived(evidence, report, REFUSED_MEMORY) {
            Some(survived) if survived.of_it * 3 < survived.failing => return None,
            Some(_) => blame = Blame::Platform,
            None if passed >= MANY_PASSED => blame = Blame::Platform,
            None => {}
        },
        // Compiling takes what it takes; how much a cell has of it is ours.
        Limit::Memory if phase == Phase::Build => {
            let killed = |line: &str| KILLED_COMPILER.iter().any(|text| line.contains(text));
            if excerpt.lines.iter().any(|line| killed(&line.text)) {
                blame = Blame::Platform;
            }
        }
        // Tests that passed one after the other until their time was over were not given enough of it.
        Limit::Time if phase == Phase::Test => {
            let none_failed = evidence.tests.as_ref().is_some_and(|tests| tests.failing.is_empty());
            if passed >= MANY_PASSED && none_failed {
                blame = Blame::Platform;
            }
        }
        Limit::Memory | Limit::Processes | Limit::Time | Limit::Inactivity | Limit::Disk | Limit::Output => {}
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
    Some(Found::new(id, blame, detail).subject(limit.as_str()).confidence(Confidence::High))
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
