//! `wheeltapper run`: from targets to a matrix.

use std::{
    io::Write as _,
    path::Path,
    sync::{Arc, mpsc},
};

use jiff::{Timestamp, civil::Date};
use wheeltapper_agent::HostEnvironment;
use wheeltapper_coordinator::{
    Artifacts, Catalog, Cell, Error, Found, RunOptions, Summary, Target, local, plan, requirements_file,
};
use wheeltapper_core::{Artifact, Outcome, Popularity, Record};

use crate::{
    args::{Format, RunArguments},
    commands::{overrides, report},
    exit::{Exit, Failure},
    farm::{self, Farm, FarmOptions},
    paths::Paths,
    repositories, view,
};

/// Taps what is asked for.
pub fn run(paths: &Paths, arguments: &RunArguments) -> Result<Exit, Failure> {
    let popularity = popularity(arguments.popularity.as_deref())?;
    let targets = targets(arguments, &popularity)?;
    let recipes = overrides::read(&arguments.recipes)?;
    let exclude_newer = arguments.cells.exclude_newer.as_deref().map(date).transpose()?;
    let source = repositories::source(paths, arguments.cells.source.source)?;
    let limits = farm::limits(&arguments.limits);
    let jobs =
        arguments.cells.jobs.map_or_else(|| farm::default_jobs(limits.memory), |jobs| jobs as usize).min(100);
    let host = farm::enter(paths, &arguments.sandbox)?;
    farm::require_complete(&host)?;
    let options = FarmOptions {
        interpreters: arguments.environments.interpreter.clone(),
        exclude_newer,
        local: local_files(&targets),
        closed: None,
        jobs,
        popularity: popularity.clone(),
    };
    let farm = Farm::open(paths, host, &options)?;
    let environments = farm.chosen(&arguments.environments)?;
    let options = RunOptions {
        cell: wheeltapper_core::Options {
            tests: !arguments.cells.no_tests,
            setup_py: arguments.build_with.is_some(),
            source,
            limits,
        },
        artifacts: arguments.cells.from.into(),
        jobs,
        fresh: arguments.fresh,
        recipes: Arc::new(recipes),
        index_date: exclude_newer.map(|date| date.to_string()).unwrap_or_default(),
        run: farm.agent.run.clone(),
        not_before: None,
    };
    let catalog = Catalog { client: farm.agent.index.client.clone(), exclude_newer };
    let cells = cells(&farm, &catalog, &targets, &environments, &options, &popularity)?;
    let names: Vec<&str> = environments.iter().map(|environment| environment.shown.name.as_str()).collect();
    view::remark(&format!("{} cells on {}, {jobs} at a time", cells.len(), names.join(", ")));
    let command: Vec<String> = std::env::args().collect();
    farm.runtime.block_on(farm.store.begin_run(&options.run, &farm.started.to_string(), &command))?;
    let (records, summary) = tap(&farm, cells, &options, arguments.format)?;
    let mut counts = std::collections::BTreeMap::new();
    for record in &records {
        *counts.entry(record.verdict.outcome).or_insert(0) += 1;
    }
    farm.runtime.block_on(farm.store.end_run(&options.run, &Timestamp::now().to_string(), &counts))?;
    for note in farm.agent.index.proxy.notes() {
        view::remark(&format!("note: {note}"));
    }
    print(arguments.format, &records, &popularity)?;
    if let Some(out) = &arguments.report {
        let written = report::write(&farm.runtime, &farm.store, out, &popularity)?;
        view::remark(&format!("report: {}", written.display()));
    }
    farm.runtime.block_on(farm.store.close());
    Ok(ending(arguments, &records, &summary, farm.agent.cancel.is_cancelled()))
}

fn tap(
    farm: &Farm,
    cells: Vec<Cell>,
    options: &RunOptions,
    format: Format,
) -> Result<(Vec<Record>, Summary), Failure> {
    let (sender, receiver) = mpsc::channel();
    let jobs = options.jobs.min(cells.len().max(1));
    std::thread::scope(|scope| {
        let reporter = scope.spawn(move || view::follow(receiver, format, jobs));
        let handle = farm.runtime.handle();
        let summary = wheeltapper_coordinator::run(handle, &farm.agent, &farm.store, cells, options, &sender);
        drop(sender);
        let records = reporter.join().unwrap_or_default();
        Ok((records, summary?))
    })
}

fn print(format: Format, records: &[Record], popularity: &Popularity) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let ranks = report::ranks(records, popularity);
    match format {
        Format::Json => {}
        Format::Junit => writeln!(out, "{}", report::rendered(wheeltapper_render::junit(records))?)?,
        Format::Markdown => writeln!(out, "{}", wheeltapper_render::markdown(records, &ranks))?,
        Format::Text => {
            let (width, colour) = (view::width(), view::colour_on_stdout());
            writeln!(out, "\n{}", wheeltapper_render::matrix(records, width, colour))?;
            let reasons = wheeltapper_render::reasons(records, &ranks, width, colour);
            if !reasons.is_empty() {
                writeln!(out, "{reasons}")?;
            }
            let figures = wheeltapper_render::Figures::of(records);
            writeln!(out, "{}", wheeltapper_render::summary(&figures, colour))?;
        }
    }
    Ok(())
}

fn ending(arguments: &RunArguments, records: &[Record], summary: &Summary, stopped: bool) -> Exit {
    if stopped {
        view::remark(&format!(
            "stopped: {} of {} cells have settled; the same command goes on with the rest",
            records.len(),
            summary.wanted
        ));
        return Exit::Interrupted;
    }
    if records.iter().any(|record| arguments.fail_on.contains(&record.verdict.outcome)) {
        return Exit::FailOn;
    }
    if records.iter().any(|record| record.verdict.outcome == Outcome::FarmError) {
        return Exit::Farm;
    }
    Exit::Success
}

/// The list of the most downloaded: the one given, else the shipped one.
pub fn popularity(given: Option<&Path>) -> Result<Popularity, Failure> {
    let Some(path) = given else { return Ok(Popularity::shipped()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
    Popularity::parse(&text).map_err(|(line, text)| {
        Failure::new(Exit::Input, format!("{}:{line}: `{text}` is no project name", path.display()))
    })
}

/// A target, and whether its absence from the index ends the run.
type Wanted = (Target, bool);

fn targets(arguments: &RunArguments, popularity: &Popularity) -> Result<Vec<Wanted>, Failure> {
    let mut targets: Vec<Wanted> = Vec::new();
    for text in &arguments.targets {
        let target = Target::parse(text).map_err(|error| {
            Failure::new(Exit::Usage, error.to_string())
                .hint("a target is a project, project==version, or a path")
        })?;
        targets.push((target, true));
    }
    if let Some(path) = &arguments.file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?;
        let listed = requirements_file(path, &text).map_err(|error| Failure::new(Exit::Input, error))?;
        targets.extend(listed.into_iter().map(|target| (target, false)));
    }
    if let Some(count) = arguments.top {
        if count > popularity.len() {
            view::remark(&format!("the list holds {} projects, all of them are taken", popularity.len()));
        }
        let any = wheeltapper_core::VersionSpecifiers::empty;
        targets
            .extend(popularity.top(count).iter().map(|name| (Target::Project(name.clone(), any()), false)));
    }
    if targets.is_empty() {
        return Err(Failure::new(Exit::Usage, "nothing to tap")
            .hint("name projects or files, or use --top N or --file FILE"));
    }
    Ok(targets)
}

/// The sdists and wheels among the targets: what depends on them is to see them, too.
fn local_files(targets: &[Wanted]) -> Vec<std::path::PathBuf> {
    let files = targets.iter().filter_map(|(target, _)| match target {
        Target::Local(path) if path.is_file() => Some(path.clone()),
        Target::Local(_) | Target::Project(..) => None,
    });
    files.collect()
}

/// A date of the command line: a day (its end, UTC) or a moment.
pub fn date(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day: Result<Date, _> = text.parse();
    day.and_then(|day| day.tomorrow()?.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| {
            Failure::new(Exit::Usage, format!("`{text}` is no date"))
                .hint("write 2026-01-31 or 2026-01-31T12:00:00Z")
        })
}

/// Plans the cells of all targets. A project that was named and does not exist ends the run before anything is done; one
/// from a list is left out with a remark.
fn cells(
    farm: &Farm,
    catalog: &Catalog,
    targets: &[Wanted],
    environments: &[Arc<HostEnvironment>],
    options: &RunOptions,
    popularity: &Popularity,
) -> Result<Vec<Cell>, Failure> {
    let named = targets.iter().filter_map(|(target, _)| match target {
        Target::Project(name, _) => Some(name),
        Target::Local(_) => None,
    });
    farm.runtime.block_on(catalog.read_ahead(named, || farm.agent.cancel.is_cancelled()))?;
    // What passes on a newer interpreter tells of what fails on an older one.
    let mut newest_first: Vec<&Arc<HostEnvironment>> = environments.iter().collect();
    newest_first.sort_by(|one, other| other.interpreter.version.cmp(&one.interpreter.version));
    let mut cells = Vec::new();
    for (target, must_exist) in targets {
        for environment in &newest_first {
            if farm.agent.cancel.is_cancelled() {
                return Ok(cells);
            }
            match target {
                Target::Local(path) => {
                    let index = &farm.agent.index;
                    let (release, artifact) = local(path, &farm.agent.work, &index.files)?;
                    let artifacts = match artifact {
                        Artifact::Sdist => Artifacts::Sdist,
                        Artifact::Wheel => Artifacts::Wheel,
                    };
                    let found = Found { release, unsupported: None };
                    cells.extend(plan(found, environment, &RunOptions { artifacts, ..options.clone() }));
                }
                Target::Project(name, wanted) => {
                    match farm.runtime.block_on(catalog.choose(name, wanted, environment)) {
                        Ok(found) => cells.extend(plan(found, environment, options)),
                        Err(error) if !must_exist && is_absent(&error) => {
                            view::remark(&format!("left out: {error}"));
                            break;
                        }
                        Err(Error::Index(error @ wheeltapper_index::Error::ProjectNotFound(_))) => {
                            let near = popularity.near(name);
                            let names: Vec<&str> = near.iter().map(|name| name.as_str()).collect();
                            let failure = Failure::from(error);
                            return Err(if names.is_empty() {
                                failure
                            } else {
                                failure.hint(format!("did you mean {}?", names.join(" or ")))
                            });
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }
    Ok(cells)
}

fn is_absent(error: &Error) -> bool {
    match error {
        Error::Index(error) => error.kind() == wheeltapper_index::Kind::Absent,
        Error::User { .. } => true,
        Error::Store(_) | Error::Render(_) | Error::Site { .. } => false,
    }
}
