//! What an exception of Python's own says by its structure: a module, a name or a file that is missing. Told by who asked for
//! it, by what the standard library once had, and by what is installed; not by rules on text.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    found::Found,
    traceback::{Owner, installed_as, is_own, owner},
};
use crate::{
    Popularity, ProjectName,
    cause::{Blame, CauseId, Confidence},
    evidence::Evidence,
    modules::{Fate, providers, stdlib_module, stdlib_name},
    phase::Phase,
};

/// Names that a file of the source tree has rather than a project on the index.
const PLAIN_NAMES: &[&str] = &[
    "version",
    "_version",
    "about",
    "common",
    "config",
    "utils",
    "util",
    "helpers",
    "tools",
    "build",
    "setup",
    "client",
    "server",
    "core",
    "base",
    "main",
    "models",
    "errors",
    "exceptions",
    "constants",
    "const",
    "settings",
    "compat",
    "types",
    "db",
    "net",
    "session",
    "template",
];

/// An exception as it was printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exception<'a> {
    /// In which phase.
    pub phase: Phase,
    /// `class: message`, or the class alone.
    pub line: &'a str,
    /// Files of its frames, outermost first; empty where only the line is known.
    pub frames: &'a [&'a str],
}

/// The cause that an exception names by its structure.
pub(super) fn cause_of(evidence: &Evidence, exception: Exception<'_>) -> Option<Found> {
    missing_module(evidence, exception)
        .or_else(|| missing_name(evidence, exception))
        .or_else(|| missing_file(exception))
}

/// The interpreter's minor version.
fn minor(evidence: &Evidence) -> (u32, u32) {
    let mut parts = evidence.environment.python.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(3), parts.next().unwrap_or(0))
}

fn applies(evidence: &Evidence, fate: Fate) -> bool {
    fate.applies(minor(evidence), &evidence.environment.os)
}

fn missing_module(evidence: &Evidence, exception: Exception<'_>) -> Option<Found> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^(?:E\s+)?(?:ModuleNotFoundError|ImportError): No module named '?(?P<module>[\w.]+)'?")
            .expect("a literal pattern compiles")
    });
    let module = PATTERN.captures(exception.line)?.name("module")?.as_str();
    let top = module.split('.').next().unwrap_or(module);
    let asker = owner(evidence, exception.frames);
    let (id, blame, detail, confidence) = match stdlib_module(module).filter(|fate| applies(evidence, *fate))
    {
        Some(Fate::Gone(major, minor)) => (
            CauseId::RemovedStdlibModule,
            Blame::Package,
            format!(
                "it imports {module}, which the standard library does not have since Python {major}.{minor}"
            ),
            Confidence::High,
        ),
        Some(Fate::Python2) => (
            CauseId::Python2Syntax,
            Blame::Package,
            format!("it imports {module}, a module of Python 2"),
            Confidence::High,
        ),
        Some(Fate::Only(system)) => (
            CauseId::NeedsOtherPlatform,
            Blame::Platform,
            format!("it imports {module}, which only {system} has"),
            Confidence::High,
        ),
        None if module.ends_with(".moves") || module.contains(".moves.") => return None,
        None if top == "pkg_resources" || top == "setuptools" => {
            return setuptools_part(evidence, exception.phase, module, asker);
        }
        None if is_own(evidence, module) => own_module(exception.phase, module),
        None if module != top
            && let Some(provider) = installed_as(evidence, top) =>
        {
            let version = provider.version.as_deref().unwrap_or("as installed");
            let detail = format!("it imports {module}, which {} {version} does not have", provider.project);
            (CauseId::RemovedApi, Blame::Package, detail, Confidence::High)
        }
        None => foreign_module(evidence, exception.phase, top, module, asker.as_ref()),
    };
    let found = Found::new(id, blame, detail).subject(module).confidence(confidence);
    Some(match (blame, asker) {
        (Blame::Package, Some(Owner::Other(dependency)))
            if !is_for_the_tests(id)
                && (exception.phase != Phase::Build || dependency.project != "setuptools") =>
        {
            found.dependency(dependency)
        }
        _ => found,
    })
}

/// True for a requirement that who writes the tests has to name, also where another distribution loads it for them.
fn is_for_the_tests(id: CauseId) -> bool {
    matches!(id, CauseId::MissingTestDependency | CauseId::MissingTestData)
}

/// A part of setuptools that is gone from it, or setuptools itself where nothing declares it.
fn setuptools_part(evidence: &Evidence, phase: Phase, module: &str, asker: Option<Owner>) -> Option<Found> {
    let has_setuptools = evidence.installed.iter().any(|installed| {
        installed.project.as_str() == "setuptools"
            && (installed.purpose == "build") == (phase == Phase::Build)
    });
    let id = match (has_setuptools, phase) {
        (true, _) => CauseId::RemovedSetuptoolsFeature,
        (false, Phase::Build) => CauseId::UndeclaredBuildRequirement,
        (false, Phase::Test) => CauseId::MissingTestDependency,
        (false, _) => CauseId::UndeclaredDependency,
    };
    let detail = if has_setuptools {
        format!("it imports {module}, which the installed setuptools does not have")
    } else {
        format!("it imports {module}, a part of setuptools, which it does not declare")
    };
    let found = Found::new(id, Blame::Package, detail).subject(module).confidence(Confidence::High);
    Some(match asker {
        Some(Owner::Other(dependency)) if phase != Phase::Build => found.dependency(dependency),
        _ => found,
    })
}

type Told = (CauseId, Blame, String, Confidence);

fn own_module(phase: Phase, module: &str) -> Told {
    let id = if phase == Phase::Build { CauseId::IncompleteSdist } else { CauseId::MissingOwnModule };
    let detail = format!("it imports {module}, a module of its own that it does not ship");
    (id, Blame::Package, detail, Confidence::Medium)
}

/// A module that neither the standard library nor the release has: a requirement that nobody declared, or a file beside
/// `setup.py` that was left out of the sdist, or a module of its own imported as only Python 2 does.
fn foreign_module(evidence: &Evidence, phase: Phase, top: &str, module: &str, asker: Option<&Owner>) -> Told {
    static POPULAR: LazyLock<Popularity> = LazyLock::new(Popularity::shipped);
    let named: Option<ProjectName> = top.parse().ok();
    let is_project = providers(top).next().is_some()
        || (named.as_ref().is_some_and(|name| POPULAR.rank(name).is_some()) && !PLAIN_NAMES.contains(&top));
    let installed = installed_as(evidence, top).is_some();
    // What a plain name is imported by tells where it was to be; any other name is a requirement's.
    let of_project =
        top.len() > 3 && top.to_ascii_lowercase().contains(&evidence.project.as_str().replace('-', "_"));
    let of_setup = top.contains("setup") || top.contains("version") || of_project;
    let sibling = !is_project && !installed && top == module && (PLAIN_NAMES.contains(&top) || of_setup);
    match (phase, asker) {
        (Phase::Build, Some(Owner::Setup) | None) if sibling => (
            CauseId::IncompleteSdist,
            Blame::Package,
            format!("setup.py imports {module}, a file beside it that the sdist does not ship"),
            Confidence::Medium,
        ),
        (Phase::Build | Phase::Import, Some(Owner::Release)) if sibling => (
            CauseId::Python2Syntax,
            Blame::Package,
            format!("it imports {module} as if it were beside the importing file, as only Python 2 does"),
            Confidence::Low,
        ),
        (Phase::Build, _) => (
            CauseId::UndeclaredBuildRequirement,
            Blame::Package,
            format!("the build imports {module}, which its declared requirements do not bring"),
            if is_project { Confidence::High } else { Confidence::Medium },
        ),
        (Phase::Test, _) if matches!(top, "tests" | "test" | "testing" | "conftest") => (
            CauseId::MissingTestData,
            Blame::Package,
            format!("its tests import {module}, which is not shipped with them"),
            Confidence::Medium,
        ),
        (Phase::Test, _) => (
            CauseId::MissingTestDependency,
            Blame::Package,
            format!("its tests import {module}, which nothing declares"),
            if is_project { Confidence::High } else { Confidence::Medium },
        ),
        (Phase::Fetch | Phase::Install | Phase::Import | Phase::Uninstall, _) => (
            CauseId::UndeclaredDependency,
            Blame::Package,
            format!("it imports {module}, which no declared requirement provides"),
            if is_project { Confidence::High } else { Confidence::Medium },
        ),
    }
}

/// A name that a module, or an object, does not have.
fn missing_name(evidence: &Evidence, exception: Exception<'_>) -> Option<Found> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(concat!(
            r"^(?:E\s+)?(?:ImportError: cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<from>[\w.]+)'",
            r"|AttributeError: (?P<partial>partially initialized )?module '(?P<module>[\w.]+)' has no attribute '(?P<attribute>\w+)'",
            r"|AttributeError: (?:type object )?'(?P<class>[\w.]+)' object has no attribute '(?P<of_object>\w+)')"
        ))
        .expect("a literal pattern compiles")
    });
    let captures = PATTERN.captures(exception.line)?;
    let text = |group: &str| captures.name(group).map(|found| found.as_str());
    if let Some(name) = text("of_object") {
        let fate = stdlib_name(None, name).filter(|fate| applies(evidence, *fate))?;
        return Some(gone_name(evidence, exception, name.to_owned(), fate));
    }
    let (module, name) = match (text("from"), text("module")) {
        (Some(module), _) => (module, text("name")?),
        (None, module) => (module?, text("attribute")?),
    };
    let subject = format!("{module}.{name}");
    if let Some(fate) = stdlib_name(Some(module), name).filter(|fate| applies(evidence, *fate)) {
        return Some(gone_name(evidence, exception, subject, fate));
    }
    let top = module.split('.').next().unwrap_or(module);
    if is_own(evidence, module) || matches!(exception.phase, Phase::Build) && top == "setuptools" {
        return None;
    }
    let provider = installed_as(evidence, top);
    let detail = match &provider {
        Some(provider) => format!(
            "it uses {subject}, which {} {} does not have",
            provider.project,
            provider.version.as_deref().unwrap_or("as installed")
        ),
        None => format!("it uses {subject}, which does not exist here"),
    };
    let sure = if provider.is_some() { Confidence::High } else { Confidence::Medium };
    let found = Found::new(CauseId::RemovedApi, Blame::Package, detail).subject(&subject).confidence(sure);
    Some(match owner(evidence, exception.frames) {
        // A dependency that asks another for what it lacks; one that lacks a name of its own is a cycle of its own making.
        Some(Owner::Other(asker)) => found.dependency(asker),
        _ => found,
    })
}

fn gone_name(evidence: &Evidence, exception: Exception<'_>, subject: String, fate: Fate) -> Found {
    let (id, detail) = match fate {
        Fate::Gone(major, minor) => (
            CauseId::RemovedApi,
            format!(
                "it uses {subject}, which the standard library does not have since Python {major}.{minor}"
            ),
        ),
        Fate::Python2 | Fate::Only(_) => {
            (CauseId::Python2Syntax, format!("it uses {subject}, which only Python 2 has"))
        }
    };
    let found = Found::new(id, Blame::Package, detail).subject(&subject).confidence(Confidence::High);
    match owner(evidence, exception.frames) {
        Some(Owner::Other(asker)) if exception.phase != Phase::Build || asker.project != "setuptools" => {
            found.dependency(asker)
        }
        _ => found,
    }
}

/// Folders where a system has its programs.
const PROGRAMS: &[&str] = &["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/opt/"];

/// Names without a suffix that files and folders of a source tree have rather than programs.
const DATA_NAMES: &[&str] = &[
    "data",
    "test",
    "tests",
    "docs",
    "doc",
    "examples",
    "example",
    "fixtures",
    "resources",
    "src",
    "dist",
    "tmp",
    "temp",
    "input",
    "output",
    "config",
    "file",
    "files",
    "foo",
    "bar",
];

/// A program that a build or a test does not find. In a build the frames tell it from a file: programs are started by
/// `subprocess`. Of a test only the message is known: it is a program by its folder, or by a plain name in small letters.
fn missing_file(exception: Exception<'_>) -> Option<Found> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^(?:FileNotFoundError|IOError|OSError): \[Errno 2\] No such file or directory: '(?P<file>[^']+)'",
        )
        .expect("a literal pattern compiles")
    });
    let file = PATTERN.captures(exception.line)?.name("file")?.as_str();
    let plain = |name: &str| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_+".contains(c))
            && name.starts_with(|c: char| c.is_ascii_lowercase())
    };
    let caller = match exception.phase {
        Phase::Build => {
            let started = exception.frames.last().is_some_and(|frame| frame.ends_with("subprocess.py"));
            (started && !file.contains('/')).then_some("the build")
        }
        Phase::Test => {
            let by_folder = PROGRAMS.iter().any(|folder| file.starts_with(folder));
            (by_folder || plain(file) && !DATA_NAMES.contains(&file)).then_some("a test")
        }
        Phase::Fetch | Phase::Install | Phase::Import | Phase::Uninstall => None,
    }?;
    let detail = format!("{caller} calls {file}, which is not installed here");
    Some(Found::new(CauseId::MissingTool, Blame::Platform, detail).subject(file).confidence(Confidence::High))
}
