//! What a release declares about its tests: lists of requirements and ways to run. One file a kind of source.
//! Collects with places; ranks by [`Tier`]; decides nothing.

pub(crate) mod ci;
pub(crate) mod cibuildwheel;
pub(crate) mod files;
pub(crate) mod hatch;
pub(crate) mod nox;
pub(crate) mod poetry;
pub(crate) mod pyproject;
pub(crate) mod setup;
pub(crate) mod tasks;
pub(crate) mod tox;
pub(crate) mod tox_toml;

use std::collections::BTreeMap;

use wheeltapper_core::ProjectName;

use crate::{invocation::Invocation, requirement::List, tree::Reader};

/// How strong a declaration is, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// `[tool.cibuildwheel]`: what runs against an installed wheel.
    Cibuildwheel,
    /// A dependency group for tests (PEP 735).
    TestGroup,
    /// An extra for tests.
    TestExtra,
    /// A test environment or group of hatch, pdm, poetry or uv.
    TestEnvironment,
    /// A requirements file for tests.
    TestFile,
    /// tox.
    Tox,
    /// nox.
    Nox,
    /// `tests_require` of setuptools.
    TestsRequire,
    /// What CI or a Makefile installs.
    Ci,
    /// A group, extra or file for development.
    Dev,
    /// `requirements.txt`.
    Plain,
}

impl Tier {
    /// From 0 to 100: how much a reader should trust it.
    pub(crate) fn weight(self) -> u8 {
        match self {
            Tier::Cibuildwheel => 100,
            Tier::TestGroup => 90,
            Tier::TestExtra => 88,
            Tier::TestEnvironment => 85,
            Tier::TestFile => 80,
            Tier::Tox => 70,
            Tier::Nox => 65,
            Tier::TestsRequire => 60,
            Tier::Ci => 40,
            Tier::Dev => 30,
            Tier::Plain => 10,
        }
    }
}

/// A list of requirements with where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Declaration {
    pub tier: Tier,
    /// What it calls itself: `[dependency-groups] test`.
    pub name: String,
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    pub list: List,
}

/// A way to run the tests, as somebody wrote it down.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub tier: Tier,
    /// `[testenv] commands`.
    pub name: String,
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    pub invocation: Invocation,
    /// Set around the command.
    pub environment: BTreeMap<String, String>,
    /// Relative to the root; empty for the root.
    pub directory: String,
}

/// Everything declared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Declared {
    pub lists: Vec<Declaration>,
    pub ways: Vec<Way>,
    /// Files that do not parse: path, line, message.
    pub broken: Vec<(String, u32, String)>,
}

/// What every source needs to read.
pub(crate) struct Sources<'a> {
    pub reader: &'a Reader<'a>,
    pub own: &'a ProjectName,
    /// `(3, 13)`.
    pub python: (u32, u32),
    /// Extras of the release with their requirements.
    pub extras: &'a BTreeMap<String, Vec<String>>,
}

impl Declared {
    /// Reads every source there is.
    pub(crate) fn of(sources: &Sources) -> Declared {
        let mut declared = Declared::default();
        pyproject::read(sources, &mut declared);
        files::extras(sources, &mut declared);
        files::requirement_files(sources, &mut declared);
        cibuildwheel::read(sources, &mut declared);
        hatch::read(sources, &mut declared);
        tox::read(sources, &mut declared);
        tox_toml::read(sources, &mut declared);
        nox::read(sources, &mut declared);
        tasks::read(sources, &mut declared);
        setup::read(sources, &mut declared);
        ci::read(sources, &mut declared);
        declared
            .lists
            .retain(|declaration| !declaration.list.is_empty() || !declaration.list.refused.is_empty());
        declared
    }

    pub(crate) fn add(&mut self, tier: Tier, name: impl Into<String>, file: &str, line: u32, list: List) {
        self.lists.push(Declaration { tier, name: name.into(), file: file.to_owned(), line, list });
    }
}

/// What a group, extra, environment or file is for, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// `test`, `tests`, `testing` …
    Test,
    /// A part of tests beside the main list: `test-extra`, `tests_min`.
    TestPart,
    /// `dev`.
    Dev,
    Other,
}

/// Reads the purpose out of a name.
pub(crate) fn purpose(name: &str) -> Purpose {
    let name = name.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    let name = name.trim_start_matches("requirements-").trim_end_matches("-requirements");
    let parts: Vec<&str> = name.split('-').collect();
    let not_tests = [
        "lint", "typing", "types", "docs", "doc", "mypy", "cov", "coverage", "build", "release", "style",
        "bench", "fuzz",
    ];
    match name {
        "test" | "tests" | "testing" | "unittest" | "unittests" | "unit-tests" | "unit-test" | "pytest"
        | "tester" | "testsuite" | "test-suite" | "test-deps" | "test-dependencies" | "test-requires"
        | "test-require" | "tests-require" => Purpose::Test,
        // What checks may be tests, or linters that run as such.
        "check" => Purpose::TestPart,
        "dev" | "develop" | "development" | "devel" | "dev-dependencies" | "dev-deps" | "dev-test"
        | "test-dev" | "dev-tests" => Purpose::Dev,
        _ if parts.iter().any(|part| not_tests.contains(part)) => Purpose::Other,
        _ if parts.iter().any(|part| matches!(*part, "test" | "tests" | "testing")) => Purpose::TestPart,
        _ if parts.contains(&"dev") => Purpose::Dev,
        _ => Purpose::Other,
    }
}
