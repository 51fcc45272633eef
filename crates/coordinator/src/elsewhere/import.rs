//! Importing results from elsewhere. Whoever made them is not trusted further than needed: they must answer jobs that were
//! exported from here, on the environment that was exported, about the files that were exported; and what they mean is judged
//! here.

use std::{collections::BTreeSet, path::Path};

use jiff::Timestamp;
use wheeltapper_core::{
    Evidence, Phase, Record, Sha256,
    classify::classify,
    environment::Environment,
    flaky::flaky_tests,
    next_step::flaky_rate,
    record::{IndexAnswer, SCHEMA as RECORD_SCHEMA},
};

use super::{ExportedCell, ExportedResult, Jobs, RESULTS, Results, SCHEMA, log_path, plain, read, refused};
use crate::{error::Error, fingerprint};

/// A result as it is stored, and its logs.
#[derive(Debug)]
pub struct Imported {
    /// The record.
    pub record: Record,
    /// Its logs.
    pub logs: std::collections::BTreeMap<Phase, Vec<u8>>,
}

/// The longest text that says something of an environment, in bytes.
const LONGEST: usize = 200;

/// Unpacks results into a fresh folder, and checks all that is in them. `exported` finds the document of jobs by its digest;
/// `run` names the run that they are stored under.
///
/// # Errors
/// When anything in it is not what it must be: nothing of such an archive is taken.
pub fn import(
    archive: &Path,
    into: &Path,
    run: &str,
    most_log: u64,
    exported: impl Fn(&Sha256) -> Option<Jobs>,
) -> Result<Vec<Imported>, Error> {
    let (results, _): (Results, _) = read(archive, into, RESULTS)?;
    if results.schema != SCHEMA {
        let text = format!("it is of version {}, and this program reads {SCHEMA}", results.schema);
        return Err(refused(archive, &text));
    }
    let Some(jobs) = exported(&results.jobs) else {
        return Err(refused(archive, "it answers jobs that were not exported from this data folder"));
    };
    let mut seen = BTreeSet::new();
    let mut imported = Vec::new();
    for result in results.results {
        let number = result.cell;
        let checked = match jobs.cells.get(number) {
            None => Err("there is no such cell".to_owned()),
            Some(_) if !seen.insert(number) => Err("it is there twice".to_owned()),
            Some(cell) => check(&jobs, cell, &result),
        };
        checked.map_err(|why| refused(archive, &format!("result of cell {number}: {why}")))?;
        let mut logs = std::collections::BTreeMap::new();
        for phase in &result.logs {
            let log = plain(&into.join(log_path(number, *phase)), most_log);
            let missing =
                || refused(archive, &format!("result of cell {number}: its log of {phase} is missing"));
            logs.insert(*phase, log.ok_or_else(missing)?);
        }
        imported.push(Imported { record: record(&jobs, &results.jobs, result, run, &logs), logs });
    }
    Ok(imported)
}

/// Says what is wrong with a result.
fn check(jobs: &Jobs, cell: &ExportedCell, result: &ExportedResult) -> Result<(), String> {
    let evidence = &result.evidence;
    if evidence.project != cell.project
        || evidence.version != cell.version
        || evidence.artifact != cell.artifact
    {
        return Err(format!("it is of {} {}", evidence.project, evidence.version.escape_debug()));
    }
    check_environment(jobs, &evidence.environment)?;
    let listed = |sha256: &Sha256| jobs.files.iter().find(|file| file.sha256 == *sha256);
    if let Some(distribution) = &evidence.distribution {
        let is_it = listed(&distribution.sha256).is_some_and(|file| file.filename == distribution.filename);
        if !is_it || distribution.kind != cell.artifact {
            return Err("it is of a file that was not exported".to_owned());
        }
    }
    for installed in &evidence.installed {
        if installed.sha256.is_some_and(|sha256| listed(&sha256).is_none()) {
            return Err(format!("it installed a file of {} that was not exported", installed.project));
        }
    }
    if !result.wall_s.is_finite() || result.wall_s < 0.0 {
        return Err("its time is none".to_owned());
    }
    let started: Result<Timestamp, _> = result.started.parse();
    let exported: Result<Timestamp, _> = jobs.exported.parse();
    match (started, exported) {
        // Clocks differ; a day is forgiven.
        (Ok(started), Ok(exported)) if started + DAY >= exported && started - DAY <= Timestamp::now() => {
            Ok(())
        }
        _ => Err("it was started before it was exported, or has yet to be".to_owned()),
    }
}

const DAY: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

fn check_environment(jobs: &Jobs, found: &Environment) -> Result<(), String> {
    let wanted = &jobs.environment;
    let of_minor = found.python == wanted.python
        || found
            .python
            .strip_prefix(&wanted.python)
            .is_some_and(|rest| rest.starts_with(['.', 'a', 'b', 'r']));
    let same = [&found.name, &found.os, &found.arch, &found.implementation]
        == [&wanted.name, &wanted.os, &wanted.arch, &wanted.implementation];
    if !same || !of_minor {
        return Err(format!("it was not made on {}", wanted.name));
    }
    let texts =
        [&found.platform, &found.python, &found.installer, &found.limits.sandbox, &found.limits.cgroup];
    let texts = texts.into_iter().chain(&found.libc).chain([&found.limits.network]);
    for text in texts {
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err("what it says of its environment is no text for people".to_owned());
        }
    }
    Ok(())
}

/// The record of a result, judged by the rules of this program.
fn record(
    jobs: &Jobs,
    digest: &Sha256,
    result: ExportedResult,
    run: &str,
    logs: &std::collections::BTreeMap<Phase, Vec<u8>>,
) -> Record {
    let texts: std::collections::BTreeMap<Phase, String> =
        logs.iter().map(|(phase, log)| (*phase, String::from_utf8_lossy(log).into_owned())).collect();
    let mut evidence: Evidence = *result.evidence;
    let verdict = classify(&evidence, &texts);
    let place = result.cell.to_string();
    let request = Sha256::of_parts(["elsewhere", &digest.hex(), &place, &evidence.environment.digest.hex()]);
    // The same results again are the same records.
    let id = Sha256::of_parts([request.hex().as_str(), &result.started]).hex()[..20].to_owned();
    for (phase, report) in &mut evidence.phases {
        report.log = texts.contains_key(phase).then(|| format!("{id}/{phase}"));
    }
    let concerned = |answer: &&IndexAnswer| {
        answer.project == evidence.project.as_str()
            || evidence.installed.iter().any(|installed| installed.project.as_str() == answer.project)
    };
    Record {
        schema: RECORD_SCHEMA,
        flaky: flaky_rate(&evidence),
        flaky_tests: flaky_tests([&evidence]),
        id,
        run: run.to_owned(),
        inputs: fingerprint::inputs(&request, &evidence),
        index_answers: jobs.answers.iter().filter(concerned).cloned().collect(),
        evidence,
        verdict,
        options: jobs.options.clone(),
        attempt: 1,
        request,
        reused_from: None,
        started: result.started,
        wall_s: result.wall_s,
    }
}
