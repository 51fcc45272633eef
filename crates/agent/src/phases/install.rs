//! Install: the declared runtime requirements as a ready layer, then the release alone by the environment's installer, so
//! that the files which it wrote are known exactly.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use wheeltapper_core::{Finding, Phase, Sha256, Status, evidence::WheelFile, metadata::Metadata};
use wheeltapper_index::{Kind, Wheel};
use wheeltapper_sandbox::{ChangeKind, FileType, World};

use crate::{
    agent::Agent,
    cell::{self, Cell, Step, WheelAtHand, shown_path},
    error::Error,
    installer::Task,
    job::Purpose,
    layout::Layout,
    phases::{consistency, fetch, import::is_native, stable_abi},
    prepare::Prepared,
    resolve::{LockedWheel, Question},
};

/// What the install left for later phases.
pub(crate) struct Installation {
    /// The world after the install; what the install wrote is sealed.
    pub world: World,
    /// Files and links that the install wrote, relative to the cell's root.
    pub files: BTreeSet<PathBuf>,
    /// The runtime requirements that lie below.
    pub below: Vec<LockedWheel>,
}

/// Reads the wheel that is to be installed, and records what is wrong with it by itself.
fn open(cell: &mut Cell<'_>, path: PathBuf) -> Result<Option<WheelAtHand>, Error> {
    let limits = wheeltapper_index::Limits::default();
    let release = &cell.job.release;
    let read = Wheel::open(&path, &limits).and_then(|mut wheel| {
        let problems = wheel.check(&release.project, &cell.version, &limits)?;
        let metadata = wheel.read_info("METADATA")?.unwrap_or_default();
        let entry_points = wheel.read_info("entry_points.txt")?.unwrap_or_default();
        Ok((wheel, problems, metadata, entry_points))
    });
    let (mut wheel, problems, metadata, entry_points) = match read {
        Ok(read) => read,
        Err(error) if fetch::is_packages_fault(&error) || error.kind() == Kind::User => {
            cell.fail(Phase::Install, Finding::new("invalid-metadata", error.to_string(), Vec::new()));
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if cell.evidence.wheel.is_none() {
        let bytes = std::fs::read(&path).map_err(Error::file(&path))?;
        cell.evidence.wheel = Some(WheelFile { filename: filename.clone(), sha256: Sha256::of(&bytes) });
    }
    let mut by_id: BTreeMap<(&str, bool), Vec<String>> = BTreeMap::new();
    for problem in &problems {
        by_id.entry((problem.id(), problem.is_hostile())).or_default().push(problem.to_string());
    }
    let mut refused = false;
    for ((id, hostile), lines) in by_id {
        let finding = Finding::new(id, lines[0].clone(), lines.into_iter().take(20).collect());
        if hostile {
            refused = true;
            cell.fail(Phase::Install, finding);
        } else {
            cell.find(Phase::Install, finding);
        }
    }
    if refused {
        return Ok(None);
    }
    let metadata = Metadata::parse(&String::from_utf8_lossy(&metadata));
    cell.evidence.classifiers.clone_from(&metadata.classifiers);
    cell.people = Some(metadata.people.clone());
    if cell.evidence.requires_python.is_none() {
        cell.evidence.requires_python.clone_from(&metadata.requires_python);
    }
    let installs: Vec<String> =
        wheel.members().iter().filter_map(|member| below_site_packages(&member.path)).collect();
    let start_up: Vec<String> =
        installs.iter().filter(|path| path.ends_with(".pth") && !path.contains('/')).cloned().collect();
    if !start_up.is_empty() {
        let text = "whenever an interpreter of the environment starts, it reads a `.pth` file of the release";
        cell.find(Phase::Install, Finding::new("pth-file", text, start_up));
    }
    if wheel.name().abi.iter().all(|tag| tag == "abi3")
        && let Some(finding) = stable_abi::broken_promise(&mut wheel, &installs)
    {
        cell.find(Phase::Install, finding);
    }
    Ok(Some(WheelAtHand {
        filename,
        path,
        native: installs.iter().any(|path| is_native(path)),
        installs,
        entry_points: entry_points_of(&String::from_utf8_lossy(&entry_points)),
        metadata,
    }))
}

/// Where a member of a wheel lands below site-packages (PEP 427); `None` for folders and what lands elsewhere.
pub(crate) fn below_site_packages(member: &str) -> Option<String> {
    if member.ends_with('/') {
        return None;
    }
    match member.split_once('/') {
        Some((top, rest)) if top.ends_with(".data") => {
            let rest = rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/"))?;
            Some(rest.to_owned())
        }
        Some((top, _)) if top.ends_with(".dist-info") => None,
        _ => Some(member.to_owned()),
    }
}

/// The entry points of `entry_points.txt`: group, name, reference.
fn entry_points_of(text: &str) -> Vec<(String, String, String)> {
    let mut group = String::new();
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            group = name.trim().to_owned();
        } else if let Some((name, reference)) = line.split_once('=')
            && !line.starts_with(['#', ';'])
        {
            entries.push((group.clone(), name.trim().to_owned(), reference.trim().to_owned()));
        }
    }
    entries
}

/// Installs; `None` when that failed, with the reason in the phase.
pub(crate) fn install(
    cell: &mut Cell<'_>,
    path: PathBuf,
) -> Result<Option<(WheelAtHand, Installation)>, Error> {
    cell.begin(Phase::Install);
    let installed = install_inner(cell, path)?;
    cell.end(Phase::Install);
    Ok(installed)
}

/// Installs, on behalf of whatever phase has begun.
pub(crate) fn install_inner(
    cell: &mut Cell<'_>,
    path: PathBuf,
) -> Result<Option<(WheelAtHand, Installation)>, Error> {
    let Some(wheel) = open(cell, path)? else { return Ok(None) };
    let mut question = match runtime_question(cell, &wheel) {
        Ok(question) => question,
        Err(words) => {
            cell.fail(Phase::Install, Finding::new("invalid-metadata", words, Vec::new()));
            return Ok(None);
        }
    };
    let (layers, wheels) = match prepare_runtime(cell, &mut question)? {
        Prepared::Ready { layers, wheels } => (layers, wheels),
        Prepared::Impossible { words, limit } => {
            cell.impossible(Phase::Install, &question, &words, limit);
            cell.phase(Phase::Install).status = Status::Failed;
            return Ok(None);
        }
    };
    cell.installed(&wheels, Purpose::Runtime);
    let Some(mut world) = put(cell, &wheel, &layers)? else {
        cell.phase(Phase::Install).status = Status::Failed;
        return Ok(None);
    };
    let files = written(cell, &world)?;
    consistency::check(cell, &world, &wheel.metadata);
    cell.evidence.tested = Some(wheel.filename.clone());
    world.seal()?;
    Ok(Some((wheel, Installation { world, files, below: wheels })))
}

/// What a wheel declares that it needs to run here, and what is in every environment of its kind; the error is what is wrong with its metadata.
fn runtime_question(cell: &Cell<'_>, wheel: &WheelAtHand) -> Result<Question, String> {
    let (own, markers) = (&cell.job.release.project, &cell.job.environment.interpreter.markers);
    let required = wheel.metadata.runtime(own, markers, &[]).map_err(|error| error.to_string())?;
    let there = cell.job.environment.brings().iter().map(|project| (*project).to_owned());
    let requirements = required.iter().map(ToString::to_string).chain(there).collect();
    Ok(Question { requirements, ..Question::default() })
}

/// Makes ready what the release requires, itself left out, also where something that it requires requires it in turn.
fn prepare_runtime(cell: &Cell<'_>, question: &mut Question) -> Result<Prepared, Error> {
    let own = &cell.job.release.project;
    let itself = std::slice::from_ref(own);
    let mut prepared = cell.prepare(Purpose::Runtime, itself, question)?;
    if let Prepared::Ready { wheels, .. } = &prepared
        && wheels.iter().any(|wheel| wheel.project == *own && wheel.version != cell.version.to_string())
        && !cell.job.release.tentative
        && cell.job.replay.is_none()
    {
        // What requires the release is then installed beside this version of it, and no other.
        question.constraints.push(format!("{own}=={}", cell.version));
        prepared = cell.prepare(Purpose::Runtime, itself, question)?;
    }
    if let Prepared::Ready { wheels, .. } = &mut prepared {
        wheels.retain(|wheel| wheel.project != *own);
    }
    Ok(prepared)
}

/// Installs the wheel, and nothing else, in a new world of these layers; `None` when the installer refuses it.
fn put(cell: &mut Cell<'_>, wheel: &WheelAtHand, layers: &[PathBuf]) -> Result<Option<World>, Error> {
    let world = cell.agent.world(cell.job, cell.slot, layers)?;
    let shown = Agent::shown(&world, &wheel.path, Path::new("/wheels").join(&wheel.filename));
    let task = Task::Put { wheels: std::slice::from_ref(&shown.target), compile: false };
    let call = cell.agent.call(&world, &cell.job.environment, task).seeing([shown.clone()]);
    let execution = cell.run(&world, Step::of_installer(Phase::Install, &world, call, cell.job))?;
    Ok(execution.exit.success().then_some(world))
}

/// The files that the install wrote, and whether any of them was another distribution's.
fn written(cell: &mut Cell<'_>, world: &World) -> Result<BTreeSet<PathBuf>, Error> {
    let own_files = cell.job.environment.installer.own_files();
    let changes = world.changes()?;
    let mut clashes: BTreeMap<PathBuf, ChangeKind> = BTreeMap::new();
    let mut files = BTreeSet::new();
    for change in &changes.list {
        let installers_own = own_files.iter().any(|own| change.path == Path::new(own));
        if !change.path.starts_with("env") || change.file_type == FileType::Directory || installers_own {
            continue;
        }
        match change.kind {
            ChangeKind::Created => {}
            ChangeKind::Replaced | ChangeKind::DirectoryReplaced => {
                clashes.insert(change.path.clone(), change.kind);
            }
            ChangeKind::Deleted => {
                clashes.insert(change.path.clone(), change.kind);
                continue;
            }
        }
        files.insert(change.path.clone());
    }
    cell.record_foreign_writes(changes.list.into_iter().map(|change| change.path));
    let site = Layout::of(&cell.job.environment.interpreter).site_packages;
    clashes.retain(|path, _| path.parent() != Some(&site) || path.extension().is_some_and(|end| end == "py"));
    if !clashes.is_empty() {
        let paths: Vec<String> = clashes.keys().take(20).map(|path| shown_path(path)).collect();
        let text = format!("{} of other distributions overwritten", cell::files(clashes.len()));
        cell.fail(Phase::Install, Finding::new("file-clash", text, paths));
    }
    Ok(files)
}
