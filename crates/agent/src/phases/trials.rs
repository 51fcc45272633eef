//! After a build or an import that failed: the same with a requirement that nobody declared, or with the requirements of
//! the day of the upload. When that works, what was in the way is known, and a change of one line that helps.

use wheeltapper_core::{
    Evidence, Fix, FixKind, Phase, Status,
    next_step::{Changed, TestAttempt, Trial, Variation, bound, suspects, trials},
};

use crate::{
    cell::{Cell, WheelAtHand},
    error::Error,
    job::Purpose,
    phases::{again::MOST_SUSPECTS, build::build_inner, import::import, install::install_inner},
    source::Source,
    trial::{Different, changed},
};

/// Tries a build that failed.
pub(crate) fn of_build(cell: &mut Cell<'_>, source: &Source) -> Result<(), Error> {
    try_all(cell, Phase::Build, Purpose::Build, &mut |cell| {
        build_inner(cell, source).map(|built| built.is_some())
    })
}

/// Tries an import that failed.
pub(crate) fn of_import(cell: &mut Cell<'_>, wheel: &WheelAtHand) -> Result<(), Error> {
    try_all(cell, Phase::Import, Purpose::Runtime, &mut |cell| {
        let Some((wheel, mut installation)) = install_inner(cell, wheel.path.clone())? else {
            return Ok(false);
        };
        import(cell, &wheel, &mut installation)?;
        Ok(cell.phase(Phase::Import).status == Status::Passed)
    })
}

/// Runs a phase in a trial; says whether it passed.
type Run<'r> = &'r mut dyn FnMut(&mut Cell<'_>) -> Result<bool, Error>;

fn try_all(cell: &mut Cell<'_>, phase: Phase, purpose: Purpose, run: Run<'_>) -> Result<(), Error> {
    if cell.job.replay.is_some() || !cell.can_try() {
        return Ok(());
    }
    let log = String::from_utf8_lossy(cell.logs.get(&phase).map_or(&[][..], Vec::as_slice)).into_owned();
    for trial in trials(&cell.evidence, phase, &log) {
        let fix = match trial {
            Trial::Requirement(module) => missing(cell, phase, purpose, &module, run)?,
            Trial::Dated => too_new(cell, phase, purpose, run)?,
        };
        if fix.is_some() {
            cell.evidence.fix = fix;
            break;
        }
    }
    Ok(())
}

/// One trial; what came of it is added to the attempts. Whether it passed, and what was installed in it.
fn attempt(
    cell: &mut Cell<'_>,
    phase: Phase,
    purpose: Purpose,
    different: Different,
    run: Run<'_>,
) -> Result<(bool, Evidence, Vec<Changed>), Error> {
    let variation = different.variation();
    let shown = different.requirement.as_ref().map(|(_, requirement)| format!(" ({requirement})"));
    let shown =
        shown.or_else(|| different.bound.as_ref().map(|bound| format!(" ({bound})"))).unwrap_or_default();
    let phases = [Phase::Build, Phase::Install, Phase::Import];
    let (passed, after) = cell.trial(different, &phases, run)?;
    let now: Vec<_> = installed(&after, purpose)
        .map(|installed| (installed.project.clone(), installed.version.clone()))
        .collect();
    let changed = changed(installed(&cell.evidence, purpose), &now);
    let status = if passed { Status::Passed } else { Status::Failed };
    cell.note(phase, &format!("--- again, to tell the cause: {variation}{shown}: {status}"));
    let tests = Default::default();
    // Where nothing else was installed, or nothing could be, there is nothing to compare.
    if !changed.is_empty() || variation == Variation::Requirement {
        cell.evidence.attempts.push(TestAttempt {
            variation,
            phase,
            status,
            tests,
            changed: changed.clone(),
        });
    }
    Ok((passed, after, changed))
}

fn installed(
    evidence: &Evidence,
    purpose: Purpose,
) -> impl Iterator<Item = &wheeltapper_core::evidence::Installed> {
    evidence.installed.iter().filter(move |installed| installed.purpose == purpose.as_str())
}

/// With the project that provides a module which nobody declared; where its newest version no longer does, with the one of
/// the day.
fn missing(
    cell: &mut Cell<'_>,
    phase: Phase,
    purpose: Purpose,
    module: &str,
    run: Run<'_>,
) -> Result<Option<Fix>, Error> {
    let Some(project) = cell.agent.provider(module).filter(|project| *project != cell.job.release.project)
    else {
        return Ok(None);
    };
    let kind = if purpose == Purpose::Build { FixKind::BuildRequirement } else { FixKind::Requirement };
    let fix = |line: String| Some(Fix { kind, line, verified: true });
    let with =
        |line: &str| Different { requirement: Some((purpose, line.to_owned())), ..Different::default() };
    let version = |evidence: &Evidence| {
        installed(evidence, purpose).find(|one| one.project == project).map(|one| one.version.clone())
    };
    let (passed, newest, _) = attempt(cell, phase, purpose, with(project.as_str()), run)?;
    if passed {
        return Ok(fix(project.to_string()));
    }
    let Some(until) = cell.job.release.day_of_upload() else { return Ok(None) };
    let dated =
        Different { dated: Some((until, &[Purpose::Build, Purpose::Runtime])), ..with(project.as_str()) };
    let (passed, old, _) = attempt(cell, phase, purpose, dated, run)?;
    let between = Changed { project: project.clone(), first: version(&newest), now: version(&old) };
    let Some(line) = bound(&between).filter(|_| passed) else { return Ok(None) };
    let (passed, _, _) = attempt(cell, phase, purpose, with(&line), run)?;
    Ok(passed.then(|| fix(line)).flatten())
}

/// With the requirements of the day of the upload; when that passes, with one of today's held back.
fn too_new(cell: &mut Cell<'_>, phase: Phase, purpose: Purpose, run: Run<'_>) -> Result<Option<Fix>, Error> {
    let Some(until) = cell.job.release.day_of_upload() else { return Ok(None) };
    let dated =
        Different { dated: Some((until, &[Purpose::Build, Purpose::Runtime])), ..Different::default() };
    let (passed, _, changed) = attempt(cell, phase, purpose, dated, run)?;
    if !passed {
        return Ok(None);
    }
    let log = String::from_utf8_lossy(cell.logs.get(&phase).map_or(&[][..], Vec::as_slice)).to_lowercase();
    let named = |module: &str| log.contains(module);
    for suspect in suspects(named, &changed).into_iter().take(MOST_SUSPECTS) {
        let Some(line) = bound(&suspect) else { continue };
        let held = Different { bound: Some(line.clone()), ..Different::default() };
        let (passed, _, _) = attempt(cell, phase, purpose, held, run)?;
        let last = cell.evidence.attempts.last_mut();
        if let Some(last) = last.filter(|last| last.variation == Variation::Bound) {
            last.changed.sort_by_key(|one| one.project != suspect.project);
        }
        if passed {
            let kind = if purpose == Purpose::Build { FixKind::BuildBound } else { FixKind::Bound };
            return Ok(Some(Fix { kind, line, verified: true }));
        }
    }
    Ok(None)
}
