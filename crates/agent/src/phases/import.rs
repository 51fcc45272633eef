//! Import: every module that the release ships, each in a fresh interpreter, before any test requirement arrives; then its
//! entry points.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
};

use wheeltapper_core::{
    Finding, Phase, Status, evidence::ImportResult, metadata::Metadata, next_step::missing_module,
};

use crate::{
    cell::{Cell, Step, WheelAtHand},
    error::Error,
    interpreter::Interpreter,
    layout::Layout,
    phases::install::Installation,
};

/// Top-level names that many wheels ship by accident; that they do not import proves nothing.
const STRAY: &[&str] =
    &["tests", "test", "docs", "doc", "examples", "example", "setup", "conftest", "benchmarks", "scripts"];

/// What the driver says of one of the names that it was given.
#[derive(Debug)]
struct Line<'a> {
    kind: &'a str,
    name: &'a str,
    status: i32,
    done: bool,
}

impl<'a> Line<'a> {
    /// `INDEX STATUS DONE`; anything else was written by the package's code.
    fn parse(line: &str, names: &'a [String]) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, name) = names.get(words.next()?.parse::<usize>().ok()?)?.split_once(':')?;
        let (status, done) = (words.next()?.parse().ok()?, words.next()? == "1");
        Some(Line { kind, name, status, done })
    }
}

/// Imports the release's modules; what the imports wrote is sealed into the world.
pub(crate) fn import(
    cell: &mut Cell<'_>,
    wheel: &WheelAtHand,
    installation: &mut Installation,
) -> Result<(), Error> {
    cell.begin(Phase::Import);
    let modules = modules(&wheel.metadata, &wheel.installs);
    if modules.is_empty() {
        cell.skip(Phase::Import, "no-modules");
        return Ok(());
    }
    let mut names: Vec<String> = modules.iter().map(|(module, _)| format!("module:{module}")).collect();
    let entries: BTreeSet<String> = wheel
        .entry_points
        .iter()
        .filter(|(_, _, reference)| !reference.contains('['))
        .map(|(_, _, reference)| format!("entry:{}", reference.replace(' ', "")))
        .collect();
    names.extend(entries.into_iter().take(50));
    let programs = wheel.entry_points.iter().filter(|(group, _, _)| group == "console_scripts");
    names.extend(programs.take(10).map(|(_, name, _)| format!("script:{name}")));

    let root = installation.world.root().to_path_buf();
    let world = &installation.world;
    world.write(Path::new("report/imports.py"), include_bytes!("../drivers/imports.py"), 0o644)?;
    world.write(Path::new("empty/.keep"), b"", 0o644)?;
    let environment = &cell.job.environment;
    let python = root.join(Layout::of(&environment.interpreter).python());
    // One that cannot start programs is started by another.
    let (program, watching, importing): (PathBuf, &Interpreter, OsString) = match &environment.builder {
        None => (python, &environment.interpreter, "-".into()),
        Some(builder) => (builder.interpreter.executable.clone(), &builder.interpreter, python.into()),
    };
    let isolated = watching.isolation().iter().chain(&["-S"]);
    let mut arguments: Vec<OsString> = isolated.map(Into::into).collect();
    arguments.extend(["report/imports.py", "report/imports.txt"].map(|file| root.join(file).into()));
    arguments.push(importing);
    arguments.extend(names.iter().map(Into::into));
    let mut execution = cell.run(
        world,
        Step {
            phase: Phase::Import,
            program: program.into(),
            arguments,
            directory: root.join("empty"),
            environment: Vec::new(),
            binds: Vec::new(),
            wall: cell.job.options.limits.step(),
            index: false,
            shown: None,
        },
    )?;
    let text = world.read(Path::new("report/imports.txt"), 4 << 20).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<Line<'_>> = text.lines().filter_map(|line| Line::parse(line, &names)).collect();
    let modules = optional_aside(cell, wheel, modules, &lines);
    judge(cell, &modules, &lines);
    // A script that hangs or floods is reported, never fatal: a limit counts where a module that decides was not reached.
    if cell.phase(Phase::Import).status == Status::Passed && execution.limit.take().is_some() {
        cell.phase(Phase::Import).limit = None;
        let text = "an entry point or a script hit a limit after every module had been imported".to_owned();
        cell.find(Phase::Install, Finding::new("script-does-not-start", text, Vec::new()));
    }
    let changes = installation.world.changes()?;
    let empty = |path: &Path| path.starts_with("empty");
    cell.record_foreign_writes(
        changes.list.into_iter().map(|change| change.path).filter(|path| !empty(path)),
    );
    installation.world.seal()?;
    cell.end(Phase::Import);
    Ok(())
}

/// The modules, of which those no longer decide that fail for want of what an extra of the release declares: they are there
/// for who asks for that extra. Unless none imports.
fn optional_aside(
    cell: &Cell<'_>,
    wheel: &WheelAtHand,
    modules: Vec<(String, bool)>,
    lines: &[Line<'_>],
) -> Vec<(String, bool)> {
    let passed = |module: &str| {
        lines.iter().any(|line| line.kind == "module" && line.name == module && line.status == 0 && line.done)
    };
    if !modules.iter().any(|(module, decides)| *decides && passed(module)) {
        return modules;
    }
    let log = cell.logs.get(&Phase::Import).map_or(&[][..], Vec::as_slice);
    let log = String::from_utf8_lossy(log);
    let optional = |module: &str| {
        let header = format!("==> import {module}");
        let told = log.lines().skip_while(|line| *line != header).skip(1);
        let told = told.take_while(|line| !line.starts_with("==> "));
        told.filter_map(missing_module).any(|missing| is_of_extra(missing, &wheel.metadata))
    };
    let aside = |(module, decides): (String, bool)| {
        let decides = decides && (passed(&module) || !optional(&module));
        (module, decides)
    };
    modules.into_iter().map(aside).collect()
}

/// True when a requirement of an extra is called like this module: the same, or a longer name that starts with it.
fn is_of_extra(module: &str, metadata: &Metadata) -> bool {
    let module = module.to_ascii_lowercase().replace('_', "-");
    let of_extra = |text: &&String| text.split_once(';').is_some_and(|(_, marker)| marker.contains("extra"));
    metadata.requires_dist.iter().filter(of_extra).any(|text| {
        let name =
            text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).next().unwrap_or("");
        let name = name.to_ascii_lowercase().replace(['_', '.'], "-");
        name == module || name.strip_prefix(&module).is_some_and(|rest| rest.starts_with('-'))
    })
}

fn judge(cell: &mut Cell<'_>, modules: &[(String, bool)], lines: &[Line<'_>]) {
    let line = |kind: &str, name: &str| lines.iter().find(|line| line.kind == kind && line.name == name);
    let mut decisive: Option<&Line<'_>> = None;
    for (module, decides) in modules {
        let found = line("module", module);
        let passed = found.is_some_and(|line| line.status == 0 && line.done);
        let status = if passed { Status::Passed } else { Status::Failed };
        cell.evidence.imports.push(ImportResult { module: module.clone(), status, decides: *decides });
        if !passed && *decides {
            decisive = decisive.or(found);
            cell.phase(Phase::Import).status = Status::Failed;
        } else if !passed {
            let (id, text) = if is_stray(module) {
                ("stray-module", format!("the stray module `{module}` does not import"))
            } else {
                ("optional-module", format!("the module `{module}` imports what only an extra installs"))
            };
            cell.find(Phase::Import, Finding::new(id, text, Vec::new()));
        }
    }
    let report = cell.phase(Phase::Import);
    (report.exit, report.signal) = match decisive {
        Some(line) if line.status > 128 => (None, Some(line.status - 128)),
        Some(line) => (Some(line.status), None),
        None => (Some(0), None),
    };
    if let Some(line) = decisive
        && line.status == 0
    {
        let text = format!("importing `{}` ends the interpreter with exit status 0", line.name);
        cell.find(Phase::Import, Finding::new("exits-on-import", text, Vec::new()));
    }
    let import_failed = cell.phase(Phase::Import).status == Status::Failed;
    for line in lines.iter().filter(|line| line.kind != "module" && !(line.status == 0 && line.done)) {
        // A script that cannot show its help is reported, never fatal; a broken reference fails nothing by itself where the
        // import of its module has failed already.
        let (id, text) = if line.kind == "script" {
            let text = match line.status {
                137 => format!("`{} --help` was ended: it had not come to its end after 10 s", line.name),
                status => format!("`{} --help` ends with exit status {status}", line.name),
            };
            ("script-does-not-start", text)
        } else if import_failed {
            continue;
        } else {
            ("entry-point-unresolved", format!("the entry point `{}` does not resolve", line.name))
        };
        cell.find(Phase::Install, Finding::new(id, text, Vec::new()));
    }
}

/// The modules to import, each with whether its failure decides: names from metadata (PEP 794) where given, else every
/// top-level module and package, every extension module, and of namespace packages the first real ones.
pub(crate) fn modules(metadata: &Metadata, installs: &[String]) -> Vec<(String, bool)> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    if metadata.import_names.is_empty() {
        let paths: Vec<&str> = installs.iter().map(String::as_str).collect();
        for path in &paths {
            names.extend(module_of(path, &paths));
        }
    } else {
        names.extend(metadata.import_names.iter().cloned());
    }
    if !names.iter().all(|name| is_test_of_namespace(name)) {
        names.retain(|name| !is_test_of_namespace(name));
    }
    let stray_alone = names.iter().all(|name| is_stray(name));
    let mut modules: Vec<(String, bool)> =
        names.into_iter().map(|name| (name.clone(), stray_alone || !is_stray(&name))).collect();
    // Those that decide come first; a release of hundreds of extension modules is judged by its first ones.
    modules.sort_by_key(|(name, decides)| (!decides, name.matches('.').count()));
    modules.truncate(60);
    modules
}

fn is_stray(name: &str) -> bool {
    let of_tests = |top: &str| STRAY.contains(&top) || top.ends_with("_test") || top.ends_with("_tests");
    name.split('.').next().is_some_and(of_tests)
}

/// True for the tests of a package that is a namespace: they need what the tests need, and say nothing of the package.
fn is_test_of_namespace(name: &str) -> bool {
    let is_test = |part: &str| matches!(part, "test" | "tests" | "conftest") || part.starts_with("test_");
    name.split('.').skip(1).any(is_test)
}

/// The module that this file makes, when it is one that is imported: a top-level module or package, an extension module, or
/// a package directly below namespace packages.
fn module_of(path: &str, paths: &[&str]) -> Option<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let identifier = |text: &str| {
        !text.is_empty()
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text.chars().all(|character| character.is_alphanumeric() || character == '_')
    };
    if !folder.split('/').all(|part| folder.is_empty() || identifier(part)) {
        return None;
    }
    let parents: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let has_init = |folder: &str| {
        paths.iter().any(|other| {
            other.strip_prefix(folder).is_some_and(|rest| {
                rest == "/__init__.py" || rest.starts_with("/__init__.") && is_extension(rest)
            })
        })
    };
    let in_regular_package = (1..=parents.len()).any(|depth| has_init(&parents[..depth].join("/")));
    let dotted = |last: Option<&str>| parents.iter().copied().chain(last).collect::<Vec<_>>().join(".");
    if let Some(stem) = file.split('.').next().filter(|_| is_extension(file)) {
        let name = if stem == "__init__" { dotted(None) } else { dotted(Some(stem)) };
        return identifier(stem).then_some(name);
    }
    let stem = file.strip_suffix(".py")?;
    if stem == "__init__" {
        // The package itself, when no package above it is a regular one.
        let above = parents.len().checked_sub(1)?;
        let below_regular = (1..=above).any(|depth| has_init(&parents[..depth].join("/")));
        return (!below_regular).then(|| dotted(None));
    }
    (!in_regular_package && identifier(stem)).then(|| dotted(Some(stem)))
}

fn is_extension(file: &str) -> bool {
    // `name.cpython-313-x86_64-linux-gnu.so`, `name.abi3.so`, `name.so`, `name.cp313-win_amd64.pyd`; a bundled library is called
    // lib….so.1 or lies in a folder `….libs`, which is no identifier.
    is_native(file) && !file.rsplit('/').next().unwrap_or(file).starts_with("lib")
}

/// True for a file of compiled code.
pub(crate) fn is_native(file: &str) -> bool {
    file.ends_with(".so") || file.ends_with(".pyd")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<(String, bool)> {
        let installs: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        modules(&Metadata::default(), &installs)
    }

    #[test]
    fn what_an_extra_declares_is_known_by_its_module() {
        let metadata = Metadata::parse(
            "Name: a\nRequires-Dist: six\nRequires-Dist: Ibis_Framework>=2; extra == 'sql'\n\
             Requires-Dist: dask[array] (>1) ; extra == 'all'\n",
        );
        let known = ["ibis", "dask", "six", "das", "pytest"].map(|module| is_of_extra(module, &metadata));
        assert_eq!(known, [true, true, false, false, false]);
    }

    #[test]
    fn takes_top_level_and_extension_modules() {
        let found = names(&[
            "six.py",
            "markupsafe/__init__.py",
            "markupsafe/_native.py",
            "markupsafe/_speedups.cpython-313-x86_64-linux-gnu.so",
            "x.libs/libfoo.so.1",
            "six-1.0.dist-info/METADATA",
        ]);
        let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["markupsafe", "six", "markupsafe._speedups"]);
    }

    #[test]
    fn takes_the_first_real_packages_of_a_namespace() {
        let found =
            names(&["google/cloud/storage/__init__.py", "google/cloud/storage/blob.py", "google/one.py"]);
        let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["google.one", "google.cloud.storage"]);
    }

    #[test]
    fn stray_folders_do_not_decide_unless_there_is_nothing_else() {
        assert_eq!(
            names(&["tests/__init__.py", "a.py"]),
            [("a".to_owned(), true), ("tests".to_owned(), false)]
        );
        assert_eq!(names(&["tests/__init__.py"]), [("tests".to_owned(), true)]);
        let of_namespace = names(&["a/core/__init__.py", "a/tests/conftest.py", "a/tests/test_b.py"]);
        assert_eq!(of_namespace, [("a.core".to_owned(), true)]);
    }
}
