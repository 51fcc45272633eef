//! `wheeltapper agent run jobs.tar`: exported cells, run here with nothing but the files that came with them.

use std::{path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use wheeltapper_agent::{HostEnvironment, Job, Origin, Recipes, Release, blank_evidence};
use wheeltapper_coordinator::elsewhere::{
    Answered, ExportedCell, ExportedResult, Jobs, packed, read_jobs, write_results,
};
use wheeltapper_core::{Phase, Popularity, Status};

use crate::{
    args::SandboxArguments,
    commands::{elsewhere::AgentCommand, overrides},
    exit::{Exit, Failure},
    farm::{self, Farm, FarmOptions},
    paths::Paths,
    view,
};

/// How often a cell is tried.
const TRIES: u32 = 2;

/// Does what the agent is told.
pub fn agent(paths: &Paths, command: &AgentCommand) -> Result<Exit, Failure> {
    match command {
        AgentCommand::Run { jobs, out, recipes, sandbox } => {
            run(paths, jobs, out, &overrides::read(recipes)?, sandbox)
        }
    }
}

fn run(
    paths: &Paths,
    archive: &Path,
    out: &Path,
    recipes: &Recipes,
    sandbox: &SandboxArguments,
) -> Result<Exit, Failure> {
    let host = farm::enter(paths, sandbox)?;
    farm::require_complete(&host)?;
    let work = wheeltapper_agent::Work::open(&paths.runtime().join("jobs"))?;
    let folder = work.join("given");
    let (jobs, digest) = read_jobs(archive, &folder)?;
    let given = jobs.files.iter().filter_map(|file| packed(&folder, &file.filename)).collect();
    let options = FarmOptions {
        local: given,
        closed: Some(jobs.absent.iter().cloned().collect()),
        jobs: 1,
        popularity: Popularity::shipped(),
        ..Default::default()
    };
    let farm = Farm::open(paths, host, &options)?;
    let environment = environment(&farm, &jobs)?;
    let mut answered: Vec<Answered> = Vec::new();
    for (number, cell) in jobs.cells.iter().enumerate() {
        if farm.agent.cancel.is_cancelled() {
            break;
        }
        if cell.after_failed_build && !failed_to_build(answered.last()) {
            continue;
        }
        view::remark(&format!(
            "[{}/{}] {} {} · {} · {}",
            number + 1,
            jobs.cells.len(),
            cell.project,
            cell.version,
            environment.shown.name,
            cell.artifact
        ));
        let job = job(&jobs, cell, &folder, &environment, recipes)?;
        answered.extend(tapped(&farm, number, &job));
    }
    let part = out.with_extension("part");
    write_results(digest, &answered, std::io::BufWriter::new(std::fs::File::create(&part)?))?;
    std::fs::rename(&part, out)?;
    view::remark(&format!("{} of {} cells: {}", answered.len(), jobs.cells.len(), out.display()));
    Ok(if farm.agent.cancel.is_cancelled() { Exit::Interrupted } else { Exit::Success })
}

/// Whether what was run last is a build that failed.
fn failed_to_build(last: Option<&Answered>) -> bool {
    let phases = last.map(|answered| &answered.result.evidence.phases);
    let build = phases.and_then(|phases| phases.get(&Phase::Build));
    build.is_some_and(|report| report.status == Status::Failed)
}

/// The environment that the jobs are for, under the name that they give it.
fn environment(farm: &Farm, jobs: &Jobs) -> Result<Arc<HostEnvironment>, Failure> {
    let wanted = &jobs.environment;
    let fits = |environment: &&Arc<HostEnvironment>| wanted.is(environment);
    let by_name = farm.environments.iter().filter(fits).find(|one| one.shown.name == wanted.name);
    let found = by_name.or_else(|| farm.environments.iter().find(fits)).ok_or_else(|| {
        let what = format!(
            "no interpreter here is {} {} on {} {}",
            wanted.tag, wanted.python, wanted.os, wanted.arch
        );
        farm::none_such(what, farm.environments.iter().map(AsRef::as_ref))
    })?;
    let mut environment = HostEnvironment::clone(found);
    environment.shown.name.clone_from(&wanted.name);
    Ok(Arc::new(environment))
}

fn job(
    jobs: &Jobs,
    cell: &ExportedCell,
    folder: &Path,
    environment: &Arc<HostEnvironment>,
    recipes: &Recipes,
) -> Result<Job, Failure> {
    let origin = |filename: &Option<String>| {
        let filename = filename.as_ref()?;
        let file = jobs.files.iter().find(|file| file.filename == *filename)?;
        Some(Origin::Local {
            filename: filename.clone(),
            path: packed(folder, filename)?,
            sha256: file.sha256,
        })
    };
    let version = cell.version.parse().map_err(|_| {
        Failure::new(
            Exit::Input,
            format!("`{}` of {} is no version", cell.version.escape_debug(), cell.project),
        )
    })?;
    Ok(Job {
        artifact: cell.artifact,
        environment: Arc::clone(environment),
        options: jobs.options.clone(),
        overrides: recipes.of(&cell.project, &version).into(),
        replay: None,
        release: Release {
            project: cell.project.clone(),
            version,
            tentative: false,
            selected: cell.selected.clone(),
            requires_python: cell.requires_python.clone(),
            yanked: cell.yanked,
            project_status: cell.project_status.clone(),
            sdist: origin(&cell.sdist),
            wheel: origin(&cell.wheel),
        },
    })
}

/// Runs a cell; `None` when it was stopped.
fn tapped(farm: &Farm, number: usize, job: &Job) -> Option<Answered> {
    let (started, clock) = (Timestamp::now(), Instant::now());
    let answer = |evidence, logs: std::collections::BTreeMap<_, _>| Answered {
        result: ExportedResult {
            cell: number,
            started: started.to_string(),
            wall_s: (clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            evidence: Box::new(evidence),
            logs: logs.keys().copied().collect(),
        },
        logs,
    };
    let mut why = String::new();
    for _ in 0..TRIES {
        match farm.agent.tap(0, job, &|_| {}) {
            Ok(report) => return Some(answer(report.evidence, report.logs)),
            Err(_) if farm.agent.cancel.is_cancelled() => return None,
            Err(error) => why = error.to_string(),
        }
        view::remark(&format!("  {why}"));
    }
    let mut evidence = blank_evidence(job);
    evidence.farm_error = Some(why);
    Some(answer(evidence, Default::default()))
}
