//! What the pages say, as values: every number already words, every text already visible. Templates only place it.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Value, context};
use wheeltapper_core::{
    Artifact, EvidenceLine, Outcome, Phase, PhaseReport, Record, Status, cause::Cause,
    environment::platform_and_rest, evidence::Installed,
};

use super::{
    log,
    paths::{cell_anchor, cell_name, raw_log_path},
};
use crate::{
    Ranks,
    figures::Figures,
    groups::{Cell, blamed, groups},
    junit::ended,
    measures::{bytes, seconds},
    project_path, short_word,
    text::{one_line, visible},
};

/// Characters of a message in a table.
const MESSAGE: usize = 400;
/// Items of a list on a page; the record has them all.
const LIST: usize = 500;

/// A coloured word; the sign and the word tell it without the colour.
#[derive(Debug, Clone)]
pub(crate) struct Pill {
    class: &'static str,
    sign: &'static str,
    word: String,
}

impl From<Pill> for Value {
    fn from(pill: Pill) -> Value {
        context! { class => pill.class, sign => pill.sign, word => pill.word }
    }
}

impl Pill {
    pub(crate) fn short(outcome: Outcome) -> Self {
        Pill { class: class(outcome), sign: outcome.sign(), word: short_word(outcome).to_owned() }
    }

    pub(crate) fn full(outcome: Outcome) -> Self {
        Pill { class: class(outcome), sign: outcome.sign(), word: outcome.to_string() }
    }

    fn status(status: Status) -> Self {
        let (class, sign) = match status {
            Status::Passed => ("passed", "✓"),
            Status::Failed => ("failed", "✗"),
            Status::Skipped => ("unsupported", "–"),
        };
        Pill { class, sign, word: status.to_string() }
    }
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Untested => "untested",
        Outcome::Unsupported => "unsupported",
        Outcome::FarmError => "farm",
        Outcome::FetchFailed
        | Outcome::BuildFailed
        | Outcome::InstallFailed
        | Outcome::ImportFailed
        | Outcome::TestFailed
        | Outcome::UninstallFailed => "failed",
    }
}

/// Project × environment.
pub(crate) struct Matrix {
    /// With how many columns each has; empty where there is one.
    pub platforms: Vec<Value>,
    pub environments: Vec<Value>,
    pub both_artifacts: bool,
    pub rows: Vec<Value>,
}

/// The matrix of these cells, sorted by project; `interpreters` by environment's name.
pub(crate) fn matrix(cells: &[Cell], interpreters: &BTreeMap<String, String>) -> Matrix {
    let mut columns: Vec<(&String, &String)> = interpreters.iter().collect();
    columns.sort_by_key(|(name, _)| platform_and_rest(name));
    let platforms =
        columns.chunk_by(|left, right| platform_and_rest(left.0).0 == platform_and_rest(right.0).0);
    let platforms: Vec<Value> = platforms
        .map(|same| context! { name => visible(platform_and_rest(same[0].0).0), span => same.len() })
        .collect();
    let environments = columns
        .iter()
        .map(|(name, interpreter)| context! { name => visible(name), interpreter => visible(interpreter) });
    let rows = cells.chunk_by(|left, right| left.project == right.project).map(|cells| {
        let columns: Vec<Value> =
            columns.iter().map(|(name, _)| Value::from(column(cells, name))).collect();
        let mut versions: Vec<&str> = cells.iter().map(|cell| cell.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        let project = &cells[0].project;
        context! { project => project.as_str(), href => project_path(project), versions => visible(&versions.join(", ")), columns }
    });
    Matrix {
        platforms: if platforms.len() > 1 { platforms } else { Vec::new() },
        environments: environments.collect(),
        both_artifacts: cells.iter().any(|cell| cell.artifact == Artifact::Wheel),
        rows: rows.collect(),
    }
}

fn column(cells: &[Cell], environment: &str) -> Vec<Value> {
    let here = cells.iter().filter(|cell| cell.environment == environment);
    here.map(|cell| {
        let anchor = cell_anchor(environment, cell.artifact.as_str());
        context! {
            pill => Pill::short(cell.outcome),
            artifact => cell.artifact.as_str(),
            href => format!("{}#{anchor}", project_path(&cell.project)),
        }
    })
    .collect()
}

/// The figures of the front page.
pub(crate) fn figures(figures: &Figures) -> Value {
    let share = figures.share_passed().map(|share| format!("{:.1} %", share * 100.0));
    let mut start = 0.0;
    let bar: Vec<Value> = figures
        .outcomes()
        .iter()
        .map(|(outcome, count)| {
            let width = *count as f64 / figures.cells() as f64 * 1000.0;
            let part = context! {
                pill => Pill::full(*outcome), count, x => format!("{start:.2}"), width => format!("{width:.2}"),
            };
            start += width;
            part
        })
        .collect();
    context! {
        cells => figures.cells(),
        projects => figures.projects(),
        environments => figures.environments(),
        passed => figures.count(Outcome::Passed),
        failed => figures.failures(),
        untested => figures.count(Outcome::Untested),
        unsupported => figures.count(Outcome::Unsupported),
        farm => figures.count(Outcome::FarmError),
        share,
        core => rough(figures.core_seconds()),
        reused => figures.reused(),
        bar,
    }
}

/// Seconds in one figure and one unit.
fn rough(time: f64) -> String {
    match time {
        time if time >= 5400.0 => format!("{:.1} h", time / 3600.0),
        time if time >= 90.0 => format!("{:.0} min", time / 60.0),
        time => seconds(time),
    }
}

/// A section for each outcome that is not `passed`.
pub(crate) fn sections(cells: &[Cell], ranks: &Ranks) -> Vec<Value> {
    let section = |outcome: &Outcome| {
        let groups = groups(cells.iter().filter(|cell| cell.outcome == *outcome), ranks);
        let count: usize = groups.iter().map(|group| group.places.len()).sum();
        let more = groups.len().saturating_sub(LIST);
        let rows: Vec<Value> = groups
            .iter()
            .take(LIST)
            .map(|group| {
                let cell = group.first;
                let anchor = cell_anchor(&cell.environment, cell.artifact.as_str());
                context! {
                    project => cell.project.as_str(),
                    version => one_line(&cell.version, 60),
                    href => format!("{}#{anchor}", project_path(&cell.project)),
                    rank => group.rank,
                    why => one_line(&cell.why, MESSAGE),
                    blame => cell.blame.as_deref(),
                    line => cell.decisive.as_ref().map(|line| one_line(&line.text, MESSAGE)),
                    places => group.places.iter().map(|place| one_line(place, 80)).collect::<Vec<_>>(),
                }
            })
            .collect();
        let open = outcome.is_failure() || *outcome == Outcome::FarmError;
        context! { id => outcome.as_str(), pill => Pill::full(*outcome), meaning => meaning(*outcome), count, rows, more, open }
    };
    let present = |outcome: &&Outcome| {
        **outcome != Outcome::Passed && cells.iter().any(|cell| cell.outcome == **outcome)
    };
    Outcome::ALL
        .iter()
        .filter(|outcome| outcome.is_failure())
        .chain(Outcome::ALL.iter().filter(|outcome| !outcome.is_failure()))
        .filter(present)
        .map(section)
        .collect()
}

fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "every phase passed, its tests too",
        Outcome::Untested => "every phase that could run passed; no tests were run; in no share",
        Outcome::FetchFailed => "the distribution could not be fetched although the index answered",
        Outcome::BuildFailed => "the wheel could not be built",
        Outcome::InstallFailed => "the release could not be installed",
        Outcome::ImportFailed => "a module could not be imported",
        Outcome::TestFailed => "the tests ran and did not all pass",
        Outcome::UninstallFailed => "it could not be removed, or files of it stayed",
        Outcome::Unsupported => "the release itself says that it is not for this environment; no failure",
        Outcome::FarmError => "our own fault; never counted against the package",
    }
}

/// A project's page.
pub(crate) fn project(cells: &[(Record, BTreeMap<Phase, Vec<u8>>)]) -> Value {
    let records = || cells.iter().map(|(record, _)| record);
    let name = cells.first().map(|(record, _)| record.evidence.project.as_str()).unwrap_or_default();
    let mut versions: Vec<&str> = records().map(|record| record.evidence.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    let statuses = records().filter_map(|record| record.evidence.project_status.as_deref());
    let mut sorted: Vec<_> = cells.iter().collect();
    sorted.sort_by_key(|(record, _)| (&record.evidence.environment.name, record.evidence.artifact));
    context! {
        project => name,
        versions => visible(&versions.join(", ")),
        status => statuses.filter(|status| *status != "active").map(|status| one_line(status, 60)).next(),
        cells => sorted.into_iter().map(|(record, logs)| cell(record, logs)).collect::<Vec<_>>(),
    }
}

fn cell(record: &Record, logs: &BTreeMap<Phase, Vec<u8>>) -> Value {
    let (evidence, verdict) = (&record.evidence, &record.verdict);
    let environment = &evidence.environment;
    let anchor = cell_name(record);
    let log = format!("../log/{}/{anchor}.html", log_folder(record));
    let has_log = |phase: Phase| logs.contains_key(&phase);
    let phases: Vec<Value> = evidence
        .phases
        .iter()
        .map(|(phase, report)| phase_view(*phase, report, has_log(*phase).then(|| format!("{log}#{phase}"))))
        .collect();
    let findings: Vec<Value> = evidence
        .phases
        .iter()
        .flat_map(|(phase, report)| report.findings.iter().map(move |finding| (phase, finding)))
        .map(|(phase, finding)| {
            context! {
                phase => phase.as_str(), id => one_line(&finding.id, 80), text => one_line(&finding.text, MESSAGE),
                evidence => lines(&finding.evidence),
            }
        })
        .collect();
    context! {
        anchor,
        environment => visible(&environment.name),
        artifact => evidence.artifact.as_str(),
        from => match evidence.artifact { Artifact::Sdist => "from source", Artifact::Wheel => "as published" },
        version => one_line(&evidence.version, 60),
        pill => Pill::full(verdict.outcome),
        reason => verdict.reason.map(|reason| reason.as_str()),
        flaky => record.flaky.map(|share| format!("{:.0} %", share * 100.0)),
        yanked => evidence.yanked,
        farm_error => evidence.farm_error.as_deref().map(visible),
        machine => one_line(&format!(
            "{} {} · {} {} · {} · {}", environment.implementation, environment.python, environment.platform,
            environment.arch, environment.libc.as_deref().unwrap_or("no libc known"), environment.installer), 200),
        cause => verdict.cause.as_ref().map(|cause| cause_view(cause, logs, &log)),
        fix => evidence.fix.as_ref().map(|fix| one_line(&fix.to_string(), MESSAGE)),
        phases,
        log => (!logs.is_empty()).then_some(&log),
        tests => evidence.tests.as_ref().map(|tests| context! {
            counts => crate::terminal::test_counts(tests),
            expected => evidence.test_plan.as_ref().and_then(|plan| plan.expected_tests),
            failing => tests.failing.iter().take(LIST).map(|test| context! {
                id => one_line(&test.id, MESSAGE), message => one_line(&test.message, MESSAGE),
                seconds => test.seconds.map(seconds), flaky => test.flaky == Some(true),
            }).collect::<Vec<_>>(),
            more => tests.failing.len().saturating_sub(LIST),
        }),
        flaky_tests => record.flaky_tests.iter().map(|test| context! {
            id => one_line(&test.id, MESSAGE), failed => test.failed, runs => test.runs,
        }).collect::<Vec<_>>(),
        plan => evidence.test_plan.as_ref().map(|plan| context! {
            runner => plan.runner.as_str(), command => visible(&plan.command.join(" ")),
            directory => visible(&plan.directory), working => plan.working.as_str(), source => visible(&plan.source),
            environment => plan.environment.iter().map(|(name, value)| visible(&format!("{name}={value}")).into_owned()).collect::<Vec<_>>(),
            requirements => lines(&plan.requirements), extras => lines(&plan.extras),
            deselected => lines(&plan.deselected), why => lines(&plan.why),
        }),
        repository => evidence.repository.as_ref().map(|repository| context! {
            told => one_line(&repository.told(), MESSAGE), notes => lines(&repository.notes),
            files => lines(&repository.files),
            more => repository.taken.saturating_sub(repository.files.len() as u64),
        }),
        imports => evidence.imports.iter().take(LIST).map(|import| context! {
            module => one_line(&import.module, 200), pill => Pill::status(import.status), decides => import.decides,
        }).collect::<Vec<_>>(),
        findings,
        leftovers => lines(&evidence.leftovers),
        foreign_writes => lines(&evidence.foreign_writes),
        installed => evidence.installed.iter().take(LIST).map(installed).collect::<Vec<_>>(),
        provenance => provenance(record),
        repro => one_line(&crate::repro_line(record), 300),
        started => one_line(&record.started, 40),
        took => seconds(record.wall_s),
    }
}

/// The path of [`super::cell_log_path`] without its file.
fn log_folder(record: &Record) -> String {
    super::cell_log_path(record).split('/').nth(1).unwrap_or_default().to_owned()
}

fn phase_view(phase: Phase, report: &PhaseReport, log: Option<String>) -> Value {
    let ran = report.status != Status::Skipped;
    context! {
        phase => phase.as_str(),
        pill => Pill::status(report.status),
        wall => ran.then(|| seconds(report.wall_s)),
        cpu => report.cpu_s.map(seconds),
        memory => report.peak_memory.map(bytes),
        memory_source => report.peak_memory_source.as_deref().map(|source| one_line(source, 40)),
        ended => match &report.reason {
            Some(reason) => Some(one_line(reason, MESSAGE)),
            None => ended(report).or_else(|| report.exit.map(|code| format!("exit status {code}"))),
        },
        log,
    }
}

fn cause_view(cause: &Cause, logs: &BTreeMap<Phase, Vec<u8>>, log: &str) -> Value {
    let evidence: Vec<Value> = cause
        .evidence
        .iter()
        .take(40)
        .map(|line| {
            context! {
                place => if line.line > 0 { format!("{}:{}", line.phase, line.line) } else { line.phase.to_string() },
                href => is_in_log(line, logs).then(|| format!("{log}#{}-{}", line.phase, line.line)),
                text => one_line(&line.text, MESSAGE),
            }
        })
        .collect();
    context! {
        id => cause.id.as_str(), title => one_line(&cause.title, MESSAGE), detail => visible(&cause.detail),
        phase => cause.phase.as_str(), blame => visible(&blamed(cause.blame.as_str(), cause.dependency.as_ref())),
        confidence => cause.confidence.as_str(), evidence,
    }
}

/// Whether a log has the line that is named; evidence may rest on something else (line 0), or on a log not kept.
fn is_in_log(line: &EvidenceLine, logs: &BTreeMap<Phase, Vec<u8>>) -> bool {
    let lines = logs.get(&line.phase).map_or(0, |log| String::from_utf8_lossy(log).lines().count());
    (1..=lines).contains(&line.line)
}

fn installed(item: &Installed) -> Value {
    context! {
        project => item.project.as_str(), version => one_line(&item.version, 60),
        purpose => one_line(&item.purpose, 40), sha256 => item.sha256.map(|digest| digest.hex()),
    }
}

/// Where the result comes from, name and value.
fn provenance(record: &Record) -> Vec<(&'static str, String)> {
    let evidence = &record.evidence;
    let limits = &evidence.environment.limits;
    let mut rows = Vec::new();
    if let Some(file) = &evidence.distribution {
        rows.push(("distribution", file.filename.clone()));
        rows.push(("its hash", file.sha256.to_string()));
    }
    if let Some(wheel) = &evidence.wheel {
        rows.push(("wheel", wheel.filename.clone()));
        rows.push(("its hash", wheel.sha256.to_string()));
    }
    if let Some(tested) = &evidence.tested {
        rows.push(("tested file", tested.clone()));
    }
    if let Some(build) = &evidence.build {
        let backend = build.backend.as_deref().unwrap_or("no backend named");
        rows.push((
            "built by",
            format!("{backend} via {}; requires {}", build.via, build.requires.join(", ")),
        ));
    }
    rows.push(("selected", evidence.selected.why.clone()));
    rows.extend(evidence.requires_python.iter().map(|specifier| ("Requires-Python", specifier.clone())));
    rows.push((
        "sandbox",
        format!("{}, cgroup {}, network {}", limits.sandbox, limits.cgroup, limits.network),
    ));
    rows.push(("environment", evidence.environment.digest.to_string()));
    rows.push(("request", record.request.to_string()));
    rows.push(("inputs", record.inputs.to_string()));
    rows.push(("rules", record.verdict.rules.to_string()));
    rows.extend(record.verdict.signature.iter().map(|signature| ("signature", signature.clone())));
    rows.push(("result", record.id.clone()));
    rows.push(("run", format!("{}, attempt {}", record.run, record.attempt)));
    rows.extend(record.reused_from.iter().map(|id| ("reused from", id.clone())));
    rows.into_iter().map(|(name, value)| (name, one_line(&value, MESSAGE))).collect()
}

/// Each text on one visible line.
fn lines(texts: &[String]) -> Vec<String> {
    let more = texts.len().saturating_sub(LIST);
    let mut lines: Vec<String> = texts.iter().take(LIST).map(|text| one_line(text, MESSAGE)).collect();
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

/// The page of a cell's logs.
pub(crate) fn log(record: &Record, logs: &BTreeMap<Phase, Vec<u8>>) -> Value {
    let evidence = &record.evidence;
    let decisive = |phase: Phase| -> Vec<usize> {
        let cause = record.verdict.cause.iter().flat_map(|cause| &cause.evidence);
        let lines: BTreeSet<usize> =
            cause.filter(|line| is_in_log(line, logs) && line.phase == phase).map(|line| line.line).collect();
        lines.into_iter().collect()
    };
    let phases: Vec<Value> = logs
        .iter()
        .map(|(phase, text)| {
            let file = raw_log_path(record, *phase);
            let report = evidence.phases.get(phase);
            context! {
                phase => phase.as_str(),
                pill => report.map(|report| Pill::status(report.status)),
                raw => file.rsplit('/').next(),
                size => bytes(text.len() as u64),
                lines => String::from_utf8_lossy(text).lines().count(),
                decisive => decisive(*phase),
                html => Value::from_safe_string(log::html(text, phase.as_str(), &decisive(*phase))),
            }
        })
        .collect();
    context! {
        project => evidence.project.as_str(),
        version => one_line(&evidence.version, 60),
        environment => visible(&evidence.environment.name),
        artifact => evidence.artifact.as_str(),
        pill => Pill::full(record.verdict.outcome),
        back => format!("../../{}#{}", project_path(&evidence.project), cell_name(record)),
        phases,
    }
}
