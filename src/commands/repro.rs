//! `wheeltapper repro PROJECT ENV`: a stored result again, with exactly the same files, plan and limits.

use std::{collections::BTreeSet, io::Write as _, sync::Arc};

use wheeltapper_agent::{HostEnvironment, Job, LockedWheel, Origin, Release, Replay};
use wheeltapper_core::{
    Artifact, Evidence, ProjectName, Record, Sha256, Verdict,
    classify::classify,
    evidence::{Installed, Selected},
};
use wheeltapper_index::File;

use crate::{
    args::SandboxArguments,
    commands::show::project_name,
    exit::{Exit, Failure},
    farm::{self, Farm, FarmOptions},
    paths::Paths,
    view,
};

/// Runs a stored result again and compares outcome, cause and failing tests.
pub fn repro(
    paths: &Paths,
    project: &str,
    environment: &str,
    from: Option<Artifact>,
    sandbox: &SandboxArguments,
) -> Result<Exit, Failure> {
    let name = project_name(project)?;
    let host = farm::enter(paths, sandbox)?;
    farm::require_complete(&host)?;
    let farm = Farm::open(paths, host, &FarmOptions { jobs: 1, ..FarmOptions::default() })?;
    let record = stored(&farm, &name, environment, from)?;
    let job = job(&farm, &record)?;
    let evidence = &record.evidence;
    view::remark(&format!(
        "again: {} {} · {} · {} of {}",
        evidence.project, evidence.version, evidence.artifact, environment, record.started
    ));
    let report = farm.agent.tap(0, &job, &|phase| view::remark(&format!("  {phase}")))?;
    let texts: std::collections::BTreeMap<_, _> =
        report.logs.iter().map(|(phase, log)| (*phase, String::from_utf8_lossy(log).into_owned())).collect();
    let verdict = classify(&report.evidence, &texts);
    let differences = differences(&record, &report.evidence, &verdict);
    let mut out = std::io::stdout().lock();
    if differences.is_empty() {
        writeln!(out, "the same: {} {}", verdict.outcome.sign(), verdict.outcome)?;
        return Ok(Exit::Success);
    }
    writeln!(out, "not the same:")?;
    for line in differences {
        writeln!(out, "  {}", wheeltapper_render::visible(&line))?;
    }
    Ok(Exit::FailOn)
}

fn stored(
    farm: &Farm,
    name: &ProjectName,
    environment: &str,
    from: Option<Artifact>,
) -> Result<Record, Failure> {
    let records = farm.runtime.block_on(farm.store.latest(name))?;
    let mut matching = records.into_iter().filter(|record| {
        record.evidence.environment.name == environment
            && from.is_none_or(|from| record.evidence.artifact == from)
    });
    matching.next().ok_or_else(|| {
        Failure::new(Exit::Input, format!("nothing is stored of {name} on `{environment}`"))
            .hint(format!("`wheeltapper show {name}` lists what is"))
    })
}

fn job(farm: &Farm, record: &Record) -> Result<Job, Failure> {
    let evidence = &record.evidence;
    let environment = farm.environment(&evidence.environment.name)?.ok_or_else(|| {
        Failure::new(
            Exit::Input,
            format!("the environment `{}` is not here any more", evidence.environment.name),
        )
        .hint("`wheeltapper env list` lists what is")
    })?;
    if environment.shown.digest != evidence.environment.digest {
        view::remark(&changed(&environment, evidence));
    }
    let wheels = |purpose: &str| -> Result<Vec<LockedWheel>, Failure> {
        let of_purpose = evidence.installed.iter().filter(|installed| installed.purpose == purpose);
        of_purpose.map(|installed| locked(farm, installed)).collect()
    };
    // Where requirements could not be had there is nothing to take from the record: they are asked for again.
    let resolved = evidence.tested.is_some() || !evidence.installed.is_empty();
    if !resolved {
        view::remark("note: its requirements could not be had then, and are resolved anew");
    }
    Ok(Job {
        release: release(farm, record)?,
        artifact: evidence.artifact,
        environment,
        options: record.options.clone(),
        // The plan is the stored one.
        overrides: Arc::new([]),
        replay: if resolved {
            Some(Arc::new(Replay {
                build: wheels("build")?,
                runtime: wheels("runtime")?,
                test: wheels("test")?,
                plan: evidence.test_plan.clone().filter(|_| evidence.untested.is_none()),
                repository: evidence.repository.clone(),
                untested: evidence.untested,
            }))
        } else {
            None
        },
    })
}

fn changed(environment: &HostEnvironment, evidence: &Evidence) -> String {
    let (now, then) = (&environment.shown, &evidence.environment);
    let mut what = Vec::new();
    for (name, now, then) in [
        ("python", &now.python, &then.python),
        ("installer", &now.installer, &then.installer),
        ("platform", &now.platform, &then.platform),
        ("sandbox", &now.limits.sandbox, &then.limits.sandbox),
        ("cgroup", &now.limits.cgroup, &then.limits.cgroup),
    ] {
        if now != then {
            what.push(format!("{name} {then} then, {now} now"));
        }
    }
    if what.is_empty() {
        what.push("packages of the system, or the interpreter's build".to_owned());
    }
    format!("note: the environment has changed since: {}", what.join("; "))
}

/// The file of an installed distribution, found on the index by what it holds.
fn locked(farm: &Farm, installed: &Installed) -> Result<LockedWheel, Failure> {
    let filename = match installed.sha256 {
        None => String::new(),
        Some(sha256) => listed(farm, &installed.project, &sha256)?.filename,
    };
    Ok(LockedWheel {
        project: installed.project.clone(),
        version: installed.version.clone(),
        filename,
        sha256: installed.sha256,
    })
}

fn listed(farm: &Farm, project: &ProjectName, sha256: &Sha256) -> Result<File, Failure> {
    let page = farm.runtime.block_on(farm.agent.index.client.project(project))?;
    page.files.iter().find(|file| file.sha256().as_ref() == Some(sha256)).cloned().ok_or_else(|| {
        Failure::new(
            Exit::Input,
            format!("a file of {project} that the result used is gone from the index: {sha256}"),
        )
    })
}

/// The release, from the same files: out of the store where they still are, else from the index by their digest.
fn release(farm: &Farm, record: &Record) -> Result<Release, Failure> {
    let evidence = &record.evidence;
    let Some(distribution) = &evidence.distribution else {
        return Err(Failure::new(Exit::Input, "nothing was run for this result: there is nothing to repeat"));
    };
    let origin = match farm.agent.index.files.lease(distribution.sha256) {
        Some(lease) => Origin::Local {
            filename: distribution.filename.clone(),
            path: lease.path().to_path_buf(),
            sha256: distribution.sha256,
        },
        None => Origin::Index(Box::new(listed(farm, &evidence.project, &distribution.sha256)?)),
    };
    let version = evidence.version.parse().map_err(|_| {
        Failure::new(Exit::Farm, format!("the stored version `{}` is none", evidence.version))
    })?;
    // Tests of a published wheel come from the sdist beside it; what an sdist builds is compared with the published wheel.
    let page = farm.runtime.block_on(farm.agent.index.client.project(&evidence.project)).ok();
    let listed = |wanted: &dyn Fn(&File) -> bool| {
        let file = page.as_ref()?.files.iter().find(|file| wanted(file))?;
        Some(Origin::Index(Box::new(file.clone())))
    };
    let (sdist, wheel) = match distribution.kind {
        Artifact::Sdist => {
            (Some(origin), listed(&|file| Some(file.filename.as_str()) == evidence.tested.as_deref()))
        }
        Artifact::Wheel => {
            let is_sdist = |file: &File| file.distribution.wheel().is_none();
            (listed(&|file| is_sdist(file) && *file.distribution.version() == version), Some(origin))
        }
    };
    Ok(Release {
        project: evidence.project.clone(),
        version: version.clone(),
        tentative: false,
        selected: Selected { ..evidence.selected.clone() },
        requires_python: evidence.requires_python.clone(),
        yanked: evidence.yanked,
        project_status: evidence.project_status.clone(),
        sdist,
        wheel,
    })
}

/// What came out otherwise: outcome, cause, failing tests.
fn differences(record: &Record, evidence: &Evidence, verdict: &Verdict) -> Vec<String> {
    let mut lines = Vec::new();
    if record.verdict.outcome != verdict.outcome {
        lines.push(format!("outcome: {} then, {} now", record.verdict.outcome, verdict.outcome));
    }
    let id = |verdict: &Verdict| verdict.cause.as_ref().map_or("none", |cause| cause.id.as_str());
    if id(&record.verdict) != id(verdict) {
        lines.push(format!("cause: {} then, {} now", id(&record.verdict), id(verdict)));
    }
    let failing = |evidence: &Evidence| -> BTreeSet<String> {
        evidence.tests.iter().flat_map(|tests| tests.failing.iter().map(|test| test.id.clone())).collect()
    };
    let (then, now) = (failing(&record.evidence), failing(evidence));
    lines.extend(then.difference(&now).map(|test| format!("failed then, not now: {test}")));
    lines.extend(now.difference(&then).map(|test| format!("fails now, not then: {test}")));
    lines
}
