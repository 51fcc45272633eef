//! Build: a wheel from an sdist, by the package's own backend, in a sandbox without a network.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wheeltapper_core::{
    Finding, Phase, Reason, Sha256,
    build_system::{BuildSystem, BuildVia},
    evidence::{Build, WheelFile},
};
use wheeltapper_index::DistributionName;
use wheeltapper_recipe::{SourceTree as _, unreadable_requirement};
use wheeltapper_sandbox::World;

use crate::{
    cell::{Cell, Step},
    compare::differences,
    error::Error,
    job::Purpose,
    layout::Layout,
    phases::fetch::is_packages_fault,
    prepare::Prepared,
    resolve::Question,
    source::Source,
};

/// The largest wheel that is taken out of a sandbox, in bytes.
const LARGEST_WHEEL: u64 = 1 << 30;

#[derive(Debug, Deserialize)]
#[serde(untagged, rename_all = "snake_case")]
enum HookResult {
    Requires { requires: Vec<String> },
    Wheel { wheel: String },
}

/// Builds the wheel; `None` when the build failed, with the reason in the phase.
pub(crate) fn build(cell: &mut Cell<'_>, source: &Source) -> Result<Option<PathBuf>, Error> {
    cell.begin(Phase::Build);
    let built = build_inner(cell, source)?;
    cell.end(Phase::Build);
    Ok(built)
}

pub(crate) fn build_inner(cell: &mut Cell<'_>, source: &Source) -> Result<Option<PathBuf>, Error> {
    let has_setup_py = source.file("setup.py").is_some();
    let pyproject =
        source.read("pyproject.toml", 4 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let system = match BuildSystem::read(pyproject.as_deref(), has_setup_py) {
        Ok(system) => system,
        Err(error) => {
            cell.fail(Phase::Build, Finding::new("invalid-metadata", error.to_string(), Vec::new()));
            return Ok(None);
        }
    };
    let via = if cell.job.options.setup_py && has_setup_py { BuildVia::SetupPy } else { BuildVia::Pep517 };
    let mut requires = system.requires.clone();
    if via == BuildVia::SetupPy {
        requires.extend(["setuptools".to_owned(), "wheel".to_owned()]);
    }
    cell.evidence.build = Some(Build {
        backend: (via == BuildVia::Pep517).then(|| system.backend.clone()),
        requires: requires.clone(),
        via: via.as_str().to_owned(),
    });
    // A backend asks for more at most once; a second time it would ask for ever.
    for round in 0..3 {
        let Some(world) = prepare(cell, source, &requires)? else { return Ok(None) };
        let before = if round == 0 { &system.requires } else { &requires };
        match call_hooks(cell, &world, source, &system, via, before)? {
            None => return Ok(None),
            Some(HookResult::Wheel { wheel }) => return take_out(cell, &world, &wheel),
            Some(HookResult::Requires { requires: more }) => {
                cell.note(Phase::Build, &format!("the backend asks for: {}", more.join(", ")));
                requires.extend(more);
                if let Some(build) = &mut cell.evidence.build {
                    build.requires.clone_from(&requires);
                }
            }
        }
    }
    let text = "the backend asks for more requirements each time it is called".to_owned();
    cell.fail(Phase::Build, Finding::new("build-backend-error", text, Vec::new()));
    Ok(None)
}

/// A world with the build requirements and the source tree.
fn prepare(cell: &mut Cell<'_>, source: &Source, requires: &[String]) -> Result<Option<World>, Error> {
    let question = Question { requirements: requires.to_vec(), ..Question::default() };
    cell.evidence.installed.retain(|installed| installed.purpose != "build");
    match cell.prepare(Purpose::Build, &[], &question)? {
        Prepared::Ready { layers, wheels } => {
            cell.installed(&wheels, Purpose::Build);
            let layers: Vec<PathBuf> = layers.into_iter().chain(source.layers.iter().cloned()).collect();
            Ok(Some(cell.agent.world(cell.job, cell.slot, &layers)?))
        }
        Prepared::Impossible { words, limit } => {
            cell.impossible(Phase::Build, &question, &words, limit);
            cell.phase(Phase::Build).status = wheeltapper_core::Status::Failed;
            Ok(None)
        }
    }
}

fn call_hooks(
    cell: &mut Cell<'_>,
    world: &World,
    source: &Source,
    system: &BuildSystem,
    via: BuildVia,
    provided: &[String],
) -> Result<Option<HookResult>, Error> {
    let root = world.root().to_path_buf();
    let (tree, out) = (root.join(source.inside()), root.join("out"));
    world.write(Path::new("out/.keep"), b"", 0o644)?;
    let python = root.join(Layout::of(&cell.job.environment.interpreter).python());
    let (arguments, shown) = match via {
        BuildVia::Pep517 => {
            world.write(Path::new("out/build.py"), include_bytes!("../drivers/build.py"), 0o644)?;
            let mut arguments = vec![out.join("build.py").into_os_string(), tree.clone().into(), out.into()];
            arguments.push(system.backend.clone().into());
            arguments.extend(system.backend_path.iter().map(Into::into));
            arguments.push("--".into());
            arguments.extend(provided.iter().map(Into::into));
            (arguments, format!("build_wheel of {}", system.backend))
        }
        BuildVia::SetupPy => {
            let arguments = ["setup.py", "bdist_wheel", "--dist-dir"].map(Into::into).into_iter();
            (arguments.chain([out.into()]).collect(), "python setup.py bdist_wheel".to_owned())
        }
    };
    let execution = cell.run(
        world,
        Step {
            phase: Phase::Build,
            program: python.into(),
            arguments,
            directory: tree,
            environment: Vec::new(),
            binds: Vec::new(),
            wall: cell.job.options.limits.build(),
            index: false,
            shown: Some(shown.into()),
        },
    )?;
    let changes = world.changes()?;
    cell.record_foreign_writes(changes.list.into_iter().map(|change| change.path));
    if !execution.exit.success() || execution.limit.is_some() {
        cell.phase(Phase::Build).status = wheeltapper_core::Status::Failed;
        // Whatever stopped it here, this stops it everywhere.
        if let Some(wrong) = unreadable_requirement(source) {
            let text = format!("`{}` of install_requires is no requirement (PEP 508)", wrong.text);
            let place = format!("{}:{}", wrong.file, wrong.line);
            cell.find(Phase::Build, Finding::new("invalid-metadata", text, vec![place]));
        }
        return Ok(None);
    }
    if via == BuildVia::SetupPy {
        let wheels = world.list(Path::new("out"))?;
        let wheel = wheels.iter().filter_map(|entry| entry.name.to_str()).find(|name| name.ends_with(".whl"));
        return match wheel {
            Some(name) => Ok(Some(HookResult::Wheel { wheel: name.to_owned() })),
            None => no_wheel(cell, "setup.py exited with status 0 and wrote no wheel"),
        };
    }
    let text = world.read(Path::new("out/result.json"), 1 << 20);
    match text.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        Some(result) => Ok(Some(result)),
        None => no_wheel(cell, "the build exited with status 0 without a result"),
    }
}

fn no_wheel(cell: &mut Cell<'_>, text: &str) -> Result<Option<HookResult>, Error> {
    cell.fail(Phase::Build, Finding::new("build-backend-error", text, Vec::new()));
    Ok(None)
}

/// Takes the wheel out of the sandbox, and makes sure that it is what was asked for.
fn take_out(cell: &mut Cell<'_>, world: &World, filename: &str) -> Result<Option<PathBuf>, Error> {
    let name = DistributionName::guess(filename).ok().filter(|name| name.wheel().is_some());
    let Some(name) = name else {
        let text = format!("the backend returned `{}`, which is no wheel", filename.escape_debug());
        cell.fail(Phase::Build, Finding::new("build-backend-error", text, Vec::new()));
        return Ok(None);
    };
    let release = &cell.job.release;
    if release.tentative {
        cell.version = name.version().clone();
        cell.evidence.version = cell.version.to_string();
    }
    if *name.project() != release.project || *name.version() != cell.version {
        let text = format!("asked for {} {}, the build made {filename}", release.project, cell.version);
        cell.fail(Phase::Build, Finding::new("wrong-name-or-version", text, Vec::new()));
        return Ok(None);
    }
    let bytes = match world.read(&Path::new("out").join(filename), LARGEST_WHEEL) {
        Ok(bytes) => bytes,
        Err(error) => {
            let text = format!("the wheel cannot be read: {error}");
            cell.fail(Phase::Build, Finding::new("build-backend-error", text, Vec::new()));
            return Ok(None);
        }
    };
    let is_pure = name.wheel().is_some_and(|wheel| wheel.platform.iter().any(|tag| tag == "any"));
    if cell.job.environment.builder.is_some() && !is_pure {
        let text =
            "the sdist builds native code of this machine, and the index has no wheel for the environment";
        cell.find(Phase::Build, Finding::new(Reason::NoCompatibleFile.as_str(), text, Vec::new()));
        cell.evidence.unsupported = Some(Reason::NoCompatibleFile);
        return Ok(None);
    }
    let path = cell.folder.path().join(filename);
    std::fs::write(&path, &bytes).map_err(Error::file(&path))?;
    cell.evidence.wheel = Some(WheelFile { filename: filename.to_owned(), sha256: Sha256::of(&bytes) });
    compare_with_published(cell, &path)?;
    Ok(Some(path))
}

/// Finds out whether users of the published wheel get what the sdist builds.
fn compare_with_published(cell: &mut Cell<'_>, built: &Path) -> Result<(), Error> {
    let Some(origin) = cell.job.release.wheel.as_ref() else { return Ok(()) };
    let fetched = match cell.agent.index.fetch(origin) {
        Ok(fetched) => fetched,
        Err(error) if is_packages_fault(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // A wheel that cannot be read is the business of the phases that install it.
    let Ok(lines) = differences(built, fetched.path(), origin.filename()) else { return Ok(()) };
    if !lines.is_empty() {
        let text =
            format!("the wheel built here differs from the published {}: {}", origin.filename(), lines[0]);
        cell.find(Phase::Build, Finding::new("sdist-differs-from-wheel", text, lines));
    }
    Ok(())
}
