//! From evidence to verdict: pure, versioned, so that stored results can be judged again when the rules improve.
//! Structured signals first (limits, signals, counted tests), the text of logs last.

mod outcome;
pub mod rules;
mod signature;
mod testing;

use crate::{
    cause::{Blame, Cause, CauseId, Confidence, Dependency, EvidenceLine},
    evidence::{Evidence, Logs},
    next_step::sharpened,
    outcome::{Outcome, Reason},
    phase::{Limit, Phase, PhaseReport, Status},
    record::Verdict,
};

pub use signature::{normalise, signature};

/// Version of these rules. Raised with every change that can alter a verdict.
pub const RULES: u32 = 1;

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
            first_failed(evidence).map(|(phase, report)| cause(evidence, phase, report, logs))
        }
    };
    let signature = match (&cause, outcome.is_failure()) {
        (Some(cause), true) => {
            Some(signature(cause.id, cause.evidence.first().map_or(cause.detail.as_str(), |line| &line.text)))
        }
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
    let why = evidence.phases.get(&Phase::Test).and_then(|report| report.findings.first());
    Some(Cause {
        id: CauseId::Unclassified,
        phase: Phase::Test,
        blame: Blame::Recipe,
        dependency: None,
        title: "its tests were not run".to_owned(),
        detail: why.map_or_else(|| reason.as_str().to_owned(), |finding| finding.text.clone()),
        evidence: Vec::new(),
        confidence: Confidence::High,
    })
}

fn farm_cause(evidence: &Evidence) -> Cause {
    Cause {
        id: CauseId::FarmFault,
        phase: evidence.phases.keys().next_back().copied().unwrap_or(Phase::Fetch),
        blame: Blame::Farm,
        dependency: None,
        title: "a fault of ours".to_owned(),
        detail: evidence.farm_error.clone().unwrap_or_default(),
        evidence: Vec::new(),
        confidence: Confidence::High,
    }
}

fn cause(evidence: &Evidence, phase: Phase, report: &PhaseReport, logs: &dyn Logs) -> Cause {
    let log = logs.log(phase);
    let plain = strip_colours(&log);
    let lines: Vec<&str> = plain.lines().collect();
    let cause = limit_cause(phase, report)
        .or_else(|| signal_cause(phase, report, &lines))
        .or_else(|| finding_cause(phase, report))
        .or_else(|| (phase == Phase::Test).then(|| testing::cause(evidence, report, &lines)).flatten())
        .or_else(|| text_cause(evidence, phase, &lines))
        .unwrap_or_else(|| unclassified(phase, report, &lines));
    sharpened(evidence, cause)
}

/// A cause from the limit that was hit.
fn limit_cause(phase: Phase, report: &PhaseReport) -> Option<Cause> {
    let limit = report.limit?;
    let (id, title) = match limit {
        Limit::Time => (CauseId::Timeout, "time limit"),
        Limit::Inactivity => (CauseId::Inactivity, "no sign of life"),
        Limit::Memory => (CauseId::OutOfMemory, "memory limit"),
        Limit::Processes => (CauseId::TooManyProcesses, "limit of processes"),
        Limit::Disk => (CauseId::DiskFull, "disk limit"),
        Limit::Output => (CauseId::OutputLimit, "output limit"),
    };
    Some(Cause {
        id,
        phase,
        blame: Blame::Package,
        dependency: None,
        title: title.to_owned(),
        detail: format!("the {phase} phase hit its {limit} limit after {:.1} s", report.wall_s),
        evidence: Vec::new(),
        confidence: Confidence::High,
    })
}

fn signal_cause(phase: Phase, report: &PhaseReport, lines: &[&str]) -> Option<Cause> {
    // A test runner that was killed by a signal crashed; one that exits 128+n saw a child do so.
    let signal = report.signal?;
    let (id, title) = match signal {
        11 | 7 => (CauseId::SegmentationFault, "segmentation fault"),
        6 => (CauseId::Abort, "aborted"),
        _ => (CauseId::Crash, "ended by a signal"),
    };
    let decisive = lines
        .iter()
        .enumerate()
        .rev()
        .find(|(_, line)| line.starts_with("Fatal Python error") || line.contains("Current thread"))
        .map(|(index, line)| EvidenceLine { phase, line: index + 1, text: (*line).to_owned() });
    Some(Cause {
        id,
        phase,
        blame: Blame::Package,
        dependency: None,
        title: title.to_owned(),
        detail: format!("the interpreter was ended by signal {signal}"),
        evidence: decisive.into_iter().collect(),
        confidence: Confidence::High,
    })
}

/// A finding whose id is a cause id of its own fails the phase by structure, not by text.
fn finding_cause(phase: Phase, report: &PhaseReport) -> Option<Cause> {
    let (id, finding) =
        report.findings.iter().find_map(|finding| Some((finding.id.parse::<CauseId>().ok()?, finding)))?;
    let blame = if id == CauseId::DependencyBuildFailed { Blame::Dependency } else { Blame::Package };
    Some(Cause {
        id,
        phase,
        blame,
        dependency: None,
        title: id.as_str().replace('-', " "),
        detail: finding.text.clone(),
        evidence: finding
            .evidence
            .iter()
            .map(|text| EvidenceLine { phase, line: 0, text: text.clone() })
            .collect(),
        confidence: Confidence::High,
    })
}

/// A cause from the first rule of the file that knows a line of this log.
fn text_cause(evidence: &Evidence, phase: Phase, lines: &[&str]) -> Option<Cause> {
    let rules = rules::shipped().iter().filter(|rule| rule.phases.contains(&phase));
    let (rule, (number, line, detail)) =
        rules.filter_map(|rule| Some((rule, rule.last_match(lines)?))).next()?;
    let (mut blame, mut dependency) = (rule.blame, None);
    if rule.id == CauseId::DependencyBuildFailed {
        dependency = rule.group(line, "requirement").map(|project| Dependency {
            project: project.to_owned(),
            version: rule.group(line, "version").map(str::to_owned),
        });
    } else if blame == Blame::Package
        && matches!(phase, Phase::Import | Phase::Test)
        && let Some(guilty) = foreign_frame(evidence, &lines[..number])
    {
        (blame, dependency) = (Blame::Dependency, Some(guilty));
    }
    Some(Cause {
        id: rule.id,
        phase,
        blame,
        dependency,
        title: rule.title.clone(),
        detail,
        evidence: vec![EvidenceLine { phase, line: number, text: line.trim().chars().take(500).collect() }],
        confidence: Confidence::Medium,
    })
}

/// The installed distribution whose code raised, when the traceback that ends before this line was not in the
/// release's own code. Only a distribution that was installed beside the release can be named.
fn foreign_frame(evidence: &Evidence, lines: &[&str]) -> Option<Dependency> {
    let frame = lines.iter().rev().take(60).find(|line| line.trim_start().starts_with("File \""))?;
    let (_, inside) = frame.rsplit_once("/site-packages/")?;
    let top = inside.split(['/', '"']).next()?.trim_end_matches(".py");
    if evidence.imports.iter().any(|import| import.module.split('.').next() == Some(top)) {
        return None;
    }
    let name = top.to_ascii_lowercase().replace('_', "-");
    let guilty = evidence.installed.iter().find(|installed| installed.project.as_str() == name)?;
    Some(Dependency { project: guilty.project.to_string(), version: Some(guilty.version.clone()) })
}

fn unclassified(phase: Phase, report: &PhaseReport, lines: &[&str]) -> Cause {
    // The build backend and the installer end with their error: the last line that looks like one is shown.
    let decisive = lines
        .iter()
        .enumerate()
        .rev()
        .find(|(_, line)| {
            let line = line.trim_start();
            line.contains("Error") || line.contains("error:") || line.starts_with("Exception")
        })
        .or_else(|| lines.iter().enumerate().rev().find(|(_, line)| !line.trim().is_empty()));
    let evidence: Vec<EvidenceLine> = decisive
        .map(|(index, line)| EvidenceLine {
            phase,
            line: index + 1,
            text: line.trim().chars().take(500).collect(),
        })
        .into_iter()
        .collect();
    let exit = report.exit.map_or_else(String::new, |code| format!(" with exit status {code}"));
    let (id, title) = match phase {
        Phase::Build => (CauseId::BuildBackendError, "the build backend fails"),
        Phase::Uninstall => (CauseId::UninstallError, "the installer fails to remove it"),
        Phase::Fetch | Phase::Install | Phase::Import | Phase::Test => {
            (CauseId::Unclassified, "not classified")
        }
    };
    Cause {
        id,
        phase,
        blame: Blame::Package,
        dependency: None,
        title: title.to_owned(),
        detail: evidence
            .first()
            .map_or_else(|| format!("the {phase} phase failed{exit}"), |line| line.text.clone()),
        evidence,
        confidence: Confidence::Low,
    }
}

/// The text without terminal escape sequences.
pub fn strip_colours(text: &str) -> String {
    static PATTERN: std::sync::OnceLock<regex::Regex> = std::sync::OnceLock::new();
    PATTERN
        .get_or_init(|| {
            regex::Regex::new("\x1b\\[[0-9;?]*[ -/]*[@-~]|\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|\r")
                .expect("a literal pattern compiles")
        })
        .replace_all(text, "")
        .into_owned()
}
