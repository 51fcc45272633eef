//! `wheeltapper explain PROJECT ENV`: one stored result in plain words, beside those that shed light on it.

use std::{cmp::Reverse, io::Write as _};

use wheeltapper_core::{
    Artifact, Outcome, ProjectName, Record, Version, advice::debian_package, cause::CauseId,
    classify::strip_colours,
};
use wheeltapper_platforms::{Catalogue, Source};
use wheeltapper_render::Surroundings;
use wheeltapper_store::{Filter, Store};

use crate::{
    commands::show::{blocking, project_name},
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// How many earlier results of a cell are looked at.
const EARLIER: u32 = 200;
/// How many lines are shown before and after the decisive one.
const BEFORE: usize = 4;
const AFTER: usize = 2;

/// Explains the newest result of a cell; of two, the one that failed, or the sdist's.
pub fn explain(
    paths: &Paths,
    project: &str,
    environment: &str,
    from: Option<Artifact>,
) -> Result<Exit, Failure> {
    let name = project_name(project)?;
    blocking(paths, async |store| {
        let newest = store.latest(&name).await?;
        let record = chosen(&newest, &name, environment, from)?;
        let mut others = Vec::new();
        for known in environments(store, &name).await? {
            others.extend(store.history(&name, &known, EARLIER).await?);
        }
        let works = |other: &&Record| {
            matches!(other.verdict.outcome, Outcome::Passed | Outcome::Untested) && other.id != record.id
        };
        let mut passing: Vec<&Record> = others.iter().filter(works).collect();
        let version = |record: &Record| record.evidence.version.parse::<Version>().ok();
        passing.sort_by_key(|other| (Reverse(version(other)), Reverse(other.started.clone())));
        let last_pass = passing
            .iter()
            .copied()
            .filter(|other| {
                other.evidence.environment.name == environment
                    && other.evidence.artifact == record.evidence.artifact
                    && other.started < record.started
            })
            .max_by(|left, right| left.started.cmp(&right.started));
        let nearest_pass = passing
            .iter()
            .copied()
            .filter(|other| other.evidence.environment.name != environment)
            .min_by_key(|other| distance(record, other));
        let lines = decisive_lines(store, record).await?;
        let around = Surroundings { last_pass, nearest_pass, passing };
        let text =
            wheeltapper_render::explain(record, &around, &lines, view::width(), view::colour_on_stdout());
        let mut out = std::io::stdout().lock();
        write!(out, "{text}")?;
        if let Some(remedy) = platform_remedy(paths, record) {
            writeln!(out, "{remedy}")?;
        }
        Ok(Exit::Success)
    })
}

/// What mends a platform of ours that lacks what a release builds with.
fn platform_remedy(paths: &Paths, record: &Record) -> Option<String> {
    let cause = record.verdict.cause.as_ref()?;
    let subject = cause.subject.as_deref()?;
    let system = [CauseId::MissingHeader, CauseId::MissingLibrary, CauseId::MissingTool];
    let catalogue = Catalogue::read(&paths.definitions).ok()?;
    let platform = catalogue.find(&record.evidence.environment.name).ok()?;
    if !system.contains(&cause.id) || !matches!(platform.source, Source::Debian { .. }) {
        return None;
    }
    let name = &platform.name;
    Some(match debian_package(cause.id, subject) {
        Some(package) => format!("`wheeltapper env add {name} --package {package}` puts it into {name}."),
        None => {
            format!("`wheeltapper env provides {name} {subject}` names the packages of {name} that have it.")
        }
    })
}

fn chosen<'a>(
    newest: &'a [Record],
    name: &ProjectName,
    environment: &str,
    from: Option<Artifact>,
) -> Result<&'a Record, Failure> {
    let here = |record: &&Record| {
        record.evidence.environment.name == environment
            && from.is_none_or(|artifact| artifact == record.evidence.artifact)
    };
    newest.iter().filter(here).min_by_key(|record| !record.verdict.outcome.is_failure()).ok_or_else(|| {
        let known: Vec<&str> =
            newest.iter().map(|record| record.evidence.environment.name.as_str()).collect();
        let failure = Failure::new(Exit::Input, format!("nothing is stored of {name} on `{environment}`"));
        if known.is_empty() {
            failure.hint(format!("`wheeltapper run {name}` taps it"))
        } else {
            failure.hint(format!("there are results on {}", known.join(", ")))
        }
    })
}

async fn environments(store: &Store, name: &ProjectName) -> Result<Vec<String>, Failure> {
    let filter = Filter { projects: vec![name.clone()], ..Filter::default() };
    let summaries = store.latest_summaries(&filter).await?;
    let mut names: Vec<String> = summaries.into_iter().map(|summary| summary.environment).collect();
    names.dedup();
    Ok(names)
}

/// How far another result is: another release, system, artifact, interpreter, the further the more.
fn distance(record: &Record, other: &Record) -> (bool, bool, bool, u32, Reverse<String>) {
    let (ours, theirs) = (&record.evidence, &other.evidence);
    let minor = |python: &str| python.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0_u32);
    (
        ours.version != theirs.version,
        ours.environment.platform != theirs.environment.platform,
        ours.artifact != theirs.artifact,
        minor(&ours.environment.python).abs_diff(minor(&theirs.environment.python)),
        Reverse(other.started.clone()),
    )
}

/// The decisive line with those around it; `>` marks it.
async fn decisive_lines(store: &Store, record: &Record) -> Result<Vec<String>, Failure> {
    let Some(line) = record.verdict.cause.as_ref().and_then(|cause| cause.evidence.first()) else {
        return Ok(Vec::new());
    };
    let Some(log) = store.log(&record.id, line.phase).await? else { return Ok(Vec::new()) };
    if line.line == 0 {
        return Ok(Vec::new());
    }
    let log = String::from_utf8_lossy(&log);
    let first = line.line.saturating_sub(BEFORE + 1);
    let shown = log.lines().enumerate().skip(first).take(BEFORE + 1 + AFTER);
    Ok(shown
        .map(|(index, text)| {
            let mark = if index + 1 == line.line { '>' } else { ' ' };
            let text: String = text.chars().take(1000).collect();
            format!("{mark} {:>5}  {}", index + 1, strip_colours(&text))
        })
        .collect())
}
