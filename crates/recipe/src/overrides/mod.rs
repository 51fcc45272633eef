//! Overrides: what a person wrote down of how a release's tests are run, the user in `recipes/<project>.toml`, this project in
//! its shipped folder, a maintainer in `[tool.wheeltapper]`. Owns their form, their validation and which of them counts;
//! `decide` makes plans of them. A maintainer's is hostile input: it can shorten limits, and loosen nothing.

mod folder;
mod read;

use std::{collections::BTreeMap, fmt};

use wheeltapper_core::{Contact, Runner, Sha256, VersionSpecifiers};

use crate::{SourceTree, invocation::Tool, tree::Reader};

pub use folder::Recipes;

/// Who wrote an override, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Author {
    /// The user of this machine.
    User,
    /// The package's maintainers.
    Maintainer,
    /// This project, for what no rule can get.
    Shipped,
}

/// What a person wrote down of one project. What is not given is left to the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Who wrote it.
    pub author: Author,
    /// Where: a path, or `pyproject.toml`.
    pub file: String,
    /// The line it begins at, counted from 1.
    pub line: u32,
    /// What it says, for fingerprints.
    pub digest: Sha256,
    /// The releases it is for; all without.
    pub versions: Option<VersionSpecifiers>,
    /// Why it is needed.
    pub why: Option<String>,
    /// Environments that are skipped.
    pub skip: Vec<Skip>,
    /// What the maintainers wish of mail.
    pub contact: Option<Contact>,
    /// Packages of the system that the release or its tests want, by the names of Debian.
    pub system_packages: Vec<String>,
    /// The most seconds that the tests may take; shorter than the user's limit, or without effect.
    pub timeout_s: Option<u64>,
    pub(crate) runner: Option<Runner>,
    pub(crate) command: Option<(Tool, Vec<String>)>,
    pub(crate) directory: Option<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) requirements: Option<Vec<(String, u32)>>,
    pub(crate) extras: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) deselect: Vec<String>,
    /// The line of each key, counted from 1.
    pub(crate) lines: BTreeMap<String, u32>,
}

/// Environments that are skipped, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// An environment marker (PEP 508).
    pub when: String,
    /// Why, for people.
    pub reason: String,
    /// Counted from 1.
    pub line: u32,
}

/// Something in an override that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
    /// The key, dotted; empty for the whole file.
    pub key: String,
    /// What is wrong, a lowercase fragment.
    pub message: String,
    /// The nearest key or word that there is.
    pub near: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(near) = &self.near {
            write!(f, "; did you mean `{near}`?")?;
        }
        Ok(())
    }
}

impl Override {
    /// True when it says how the tests are run, beyond limits and wishes.
    pub(crate) fn plans(&self) -> bool {
        self.runner.is_some()
            || self.command.is_some()
            || self.directory.is_some()
            || !self.environment.is_empty()
            || self.requirements.is_some()
            || self.extras.is_some()
            || self.groups.is_some()
            || !self.deselect.is_empty()
    }

    /// True when it says what to install, instead of what the rules find.
    pub(crate) fn lists_requirements(&self) -> bool {
        self.requirements.is_some() || self.extras.is_some() || self.groups.is_some()
    }

    /// The line of a key, else where the override begins.
    pub(crate) fn line_of(&self, key: &str) -> u32 {
        self.lines.get(key).copied().unwrap_or(self.line)
    }
}

/// The maintainers' own override, or what is wrong with it. `None` where there is none, or the file does not parse at all.
pub(crate) fn of_maintainers(reader: &Reader) -> Option<Result<Override, Vec<Problem>>> {
    read::table(
        &reader.text("pyproject.toml")?,
        "pyproject.toml",
        &["tool", "wheeltapper"],
        Author::Maintainer,
    )
}

/// What overrides say beyond plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Environments that are skipped, each with the file that says so.
    pub skip: Vec<(String, Skip)>,
    /// What the maintainers wish of mail, whoever else wrote an override.
    pub contact: Option<Contact>,
}

/// What the override in force says beyond plans. `given` are those of the user and of this program, for the release.
pub fn wishes(tree: &dyn SourceTree, given: &[Override]) -> Wishes {
    let own = of_maintainers(&Reader::new(tree)).and_then(Result::ok);
    let contact = own.as_ref().and_then(|own| own.contact.clone());
    let in_force = given.iter().chain(&own).min_by_key(|one| one.author);
    let skip = in_force.map(|one| one.skip.iter().map(|skip| (one.file.clone(), skip.clone())).collect());
    Wishes { skip: skip.unwrap_or_default(), contact }
}
