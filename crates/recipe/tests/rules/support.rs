//! A release made of a few small files, and what is planned for it.

use std::collections::BTreeMap;

use wheeltapper_core::{ProjectName, TestPlan, Version};
use wheeltapper_recipe::{About, Interpreter, MemoryTree, Plans, plan};

pub const PYTEST: &str = "import pytest\ndef test_a(): pass\ndef test_b(): pass\n";
pub const UNITTEST: &str = "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n";

pub struct Release {
    files: Vec<(&'static str, &'static str)>,
    installed: Vec<&'static str>,
    native: bool,
    extras: &'static [(&'static str, &'static str)],
    runtime: Vec<&'static str>,
}

pub fn release(files: &[(&'static str, &'static str)]) -> Release {
    let files = files.to_vec();
    Release { files, installed: vec!["p/__init__.py"], native: false, extras: &[], runtime: vec![] }
}

impl Release {
    pub fn installed(mut self, files: &[&'static str]) -> Self {
        self.installed = files.to_vec();
        self
    }

    pub fn native(mut self) -> Self {
        self.native = true;
        self
    }

    pub fn extras(mut self, extras: &'static [(&'static str, &'static str)]) -> Self {
        self.extras = extras;
        self
    }

    pub fn runtime(mut self, requirements: &[&'static str]) -> Self {
        self.runtime = requirements.to_vec();
        self
    }

    pub fn plans(self) -> Plans {
        let project: ProjectName = "p".parse().expect("a name");
        let version: Version = "1.0".parse().expect("a version");
        let tree = self.files.iter().fold(MemoryTree::new(), |tree, (path, text)| tree.with(*path, *text));
        let mut extras: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, requirement) in self.extras {
            extras.entry((*name).to_owned()).or_default().push((*requirement).to_owned());
        }
        let about = About {
            project: &project,
            version: &version,
            import_names: vec!["p".into()],
            installed_files: self.installed.iter().map(ToString::to_string).collect(),
            native: self.native,
            runtime_requirements: self.runtime.iter().map(ToString::to_string).collect(),
            provides_extra: extras,
            overrides: Vec::new(),
            interpreter: Interpreter {
                version: (3, 13),
                implementation: "cpython".into(),
                platform: "linux".into(),
            },
        };
        plan(&tree, &about)
    }

    pub fn first(self) -> TestPlan {
        self.plans().plans.into_iter().next().expect("a plan")
    }

    /// Where and what, in one line.
    pub fn command(self) -> String {
        let plan = self.first();
        let folder = if plan.directory == "." { String::new() } else { format!("({}) ", plan.directory) };
        format!("{}: {folder}{}", plan.working, plan.command.join(" "))
    }

    pub fn requirements(self) -> Vec<String> {
        self.first().requirements
    }
}

pub const SRC: (&str, &str) = ("src/p/__init__.py", "");
pub const FLAT: (&str, &str) = ("p/__init__.py", "");
pub const CONFIG: (&str, &str) = ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = '-ra'\n");
