//! A test plan: how the tests of one release are run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// The program that runs the tests.
    Runner: "runner" {
        /// pytest.
        Pytest = "pytest",
        /// The standard library's unittest.
        Unittest = "unittest",
        /// Django's test command.
        Django = "django",
        /// Twisted's trial.
        Trial = "trial",
        /// zope.testrunner.
        Zope = "zope-testrunner",
        /// The package's own script.
        Script = "script",
    }
}

words! {
    /// What became of a plan that was tried.
    Became: "end of a plan" {
        /// Its tests ran, and the outcome is theirs.
        Believed = "believed",
        /// No test ran.
        CouldNotRun = "could-not-run",
        /// Its requirements cannot be installed.
        Conflict = "requirements-conflict",
        /// Far fewer tests ran than the sources hold.
        TooFewTests = "too-few-tests",
    }
}

/// A plan that was tried, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriedPlan {
    /// Its command.
    pub command: Vec<String>,
    /// Its directory, relative to the source tree's root.
    pub directory: String,
    /// What became of it.
    pub became: Became,
    /// Why, a sentence.
    pub why: String,
    /// How many tests ran or were skipped.
    pub collected: u64,
    /// How many test functions were expected.
    pub expected_tests: Option<u64>,
    /// Seconds.
    pub wall_s: f64,
}

words! {
    /// Which files the tests see as their working copy.
    Working: "working copy" {
        /// A copy of the whole source tree, the root as working directory.
        SourceTree = "source-tree",
        /// An empty directory; the tests are part of the installed package.
        Empty = "empty",
    }
}

/// How the tests of one release are run, and why so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestPlan {
    /// The program that runs them.
    pub runner: Runner,
    /// The command, starting with `python` for the environment's interpreter or the name of a script in its `bin`.
    pub command: Vec<String>,
    /// Where it runs, relative to the source tree's root.
    pub directory: String,
    /// What `directory` is relative to.
    pub working: Working,
    /// Environment variables on top of the cell's own; values may hold `{root}` for the source tree's root.
    pub environment: BTreeMap<String, String>,
    /// Requirement specifiers (PEP 508) for the test layer.
    pub requirements: Vec<String>,
    /// Extras of the release that the tests want.
    pub extras: Vec<String>,
    /// `sdist`, `wheel` or `repository`: where the tests come from.
    pub source: String,
    /// How many test functions the source holds, as far as counting tells.
    pub expected_tests: Option<u64>,
    /// What we deselect on our own account, as pytest node ids or marker expressions.
    pub deselected: Vec<String>,
    /// Each decision with the file it comes from.
    pub why: Vec<String>,
    /// Packages of the system that an override asks for, by the names of Debian; nothing installs them here.
    #[serde(default)]
    pub system_packages: Vec<String>,
    /// Seconds after which an override ends the tests; never more than the user's limit.
    #[serde(default)]
    pub timeout_s: Option<u64>,
}
