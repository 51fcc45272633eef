//! Room `recipe`: how the maintainers of a release run its tests, worked out from its source tree alone.
//!
//! [`plan`] is pure: it sees a list of files and reads some of them through [`SourceTree`]; it runs nothing, has
//! no clock, and takes every input for hostile. Sources of evidence are read by real parsers (`python`, `ini`,
//! `toml_file`, `requirement`, `shell`), collected with their places (`survey`, `pytest_config`, `declared`), and
//! combined by one readable procedure (`decide`, with `needs` for requirements).

mod absent;
mod decide;
mod declared;
mod given;
mod identity;
mod ini;
mod invocation;
mod knowledge;
mod needs;
mod overrides;
mod pytest_config;
mod python;
mod repository;
mod requirement;
mod shell;
mod survey;
#[cfg(test)]
mod testing;
mod toml_file;
mod tools;
mod tree;
mod unbuilt;
mod used_extras;
mod variables;

use std::collections::BTreeMap;

use wheeltapper_core::{ProjectName, Reason, TestPlan, Version};

pub use declared::setup::{UnreadableRequirement, unreadable_requirement};
pub use identity::{Identity, identity};
pub use overrides::{Author, Override, Problem, Recipes, Skip, Wishes, wishes};
pub use repository::{Compared, NotTaken, Taken, from_repository};
pub use tree::{MemoryTree, SourceTree, TreeFile};
pub use unbuilt::{Unbuilt, unbuilt};

/// The project to ask for a top-level module that is called otherwise than its project.
pub fn provider(module: &str) -> Option<&'static str> {
    knowledge::providers(module).first().copied()
}

/// The version of the rules: a plan made by another is worked out again.
pub const RECIPE_VERSION: u32 = 5;

/// The interpreter a plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Major and minor, `(3, 13)`.
    pub version: (u32, u32),
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// `sys.platform`: `linux`, `darwin`, `win32`.
    pub platform: String,
}

/// What is known of the release beside its sources.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// The project.
    pub project: &'a ProjectName,
    /// The release's version.
    pub version: &'a Version,
    /// Modules that the installed wheel provides: top-level ones, and leaves of namespace packages, dotted.
    pub import_names: Vec<String>,
    /// Files of the wheel, relative to site-packages, with `/`.
    pub installed_files: Vec<String>,
    /// True when the wheel holds compiled code.
    pub native: bool,
    /// `Requires-Dist` without an extra's marker.
    pub runtime_requirements: Vec<String>,
    /// `Provides-Extra`, each with the requirements it adds.
    pub provides_extra: BTreeMap<String, Vec<String>>,
    /// What it runs on.
    pub interpreter: Interpreter,
    /// Overrides for the release, strongest first; the maintainers' own are found in the tree.
    pub overrides: Vec<Override>,
}

/// Something a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Relative to the tree's root; `METADATA` for the wheel's.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// What it says, a lowercase fragment.
    pub says: String,
    /// From 0 (a hint) to 100 (what the maintainers run).
    pub weight: u8,
}

/// Something that was seen and not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Relative to the tree's root.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// The requirement, command or value.
    pub what: String,
    /// Why it was not used.
    pub because: String,
}

/// A requirement that nobody declares. The caller must check it (a popular project, or one that the release's own
/// metadata depends on) before installing it: a name made up from a module may be a typo-squatter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InferredRequirement {
    /// The project, as it stands in the plans' requirements.
    pub project: ProjectName,
    /// What needs it: an imported module, an option, a fixture.
    pub needed_for: String,
    /// Where.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// True when the project comes from the tables of this crate and not from the module's own name.
    pub from_table: bool,
}

/// Where a requirement of a plan comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As it stands in the plan's requirements, or the name of an extra.
    pub requirement: String,
    /// What declares it (`[dependency-groups] test`); `None` when nobody does and it was inferred.
    pub declared_by: Option<String>,
    /// Relative to the tree's root; `METADATA` for the wheel's; `None` for what follows from the plan itself.
    pub file: Option<String>,
    /// Counted from 1.
    pub line: Option<u32>,
    /// What needs it, where it was not taken with its whole list.
    pub needed_for: Option<String>,
}

/// A file that the tests ask for and the source tree does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// Where it would lie, relative to the tree's root.
    pub path: String,
    /// The test file that asks for it.
    pub needed_by: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// What it asks for: an import or a fixture.
    pub what: String,
}

/// How the tests may be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plans {
    /// Best first; the others are for when the first cannot start the tests.
    pub plans: Vec<TestPlan>,
    /// Why there is no plan.
    pub none: Option<Reason>,
    /// Test functions and methods in the sources; parametrisation multiplies them.
    pub expected_tests: u64,
    /// What the plans rest on, strongest first.
    pub evidence: Vec<Evidence>,
    /// What was not used.
    pub ignored: Vec<Ignored>,
    /// Requirements of the plans that nobody declares.
    pub inferred: Vec<InferredRequirement>,
    /// Files that the tests ask for and that were left out of the sdist.
    pub absent: Vec<Absent>,
    /// Where each requirement and extra of the plans comes from.
    pub origins: Vec<Origin>,
    /// What is wrong with the maintainers' own override; it is then left alone.
    pub problems: Vec<Problem>,
}

impl Plans {
    /// Where a requirement or an extra of one of the plans comes from.
    pub fn origin(&self, requirement: &str) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.requirement == requirement)
    }
}

/// Works out how the tests of a release are run, best plan first. Never fails: a plan or a reason.
pub fn plan(tree: &dyn SourceTree, about: &About) -> Plans {
    decide::decide(tree, about)
}
