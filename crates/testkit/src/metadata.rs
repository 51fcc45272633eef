//! The core metadata of a fixture, from the `[project]` table of its `pyproject.toml` (PEP 621). Only the fields that
//! fixtures use; nothing in it is dynamic, so that a resolver may trust an sdist's `PKG-INFO` (metadata 2.2).

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::Deserialize;
use wheeltapper_core::ProjectName;

#[derive(Deserialize)]
struct Pyproject {
    project: CoreMetadata,
}

/// What a distribution says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CoreMetadata {
    /// The project's name as its author spells it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One line on what it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// The interpreters that it is for.
    #[serde(default)]
    pub requires_python: Option<String>,
    /// Trove classifiers.
    #[serde(default)]
    pub classifiers: Vec<String>,
    /// Requirement specifiers (PEP 508).
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// The same, an extra each.
    #[serde(default)]
    pub optional_dependencies: BTreeMap<String, Vec<String>>,
    /// Links, a label each.
    #[serde(default)]
    pub urls: BTreeMap<String, String>,
    /// Console scripts and what they call.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// Other entry points, group by group.
    #[serde(default)]
    pub entry_points: BTreeMap<String, BTreeMap<String, String>>,
}

impl CoreMetadata {
    /// Reads the `[project]` table of the fixture in this folder.
    ///
    /// # Errors
    /// When there is no `pyproject.toml`, or it holds something that fixtures do not use.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("pyproject.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let parsed: Pyproject = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        Ok(parsed.project)
    }

    /// The normalised name.
    ///
    /// # Errors
    /// When the name is none.
    pub fn project(&self) -> Result<ProjectName> {
        Ok(self.name.parse()?)
    }

    /// The text of `PKG-INFO` or `METADATA`.
    pub fn text(&self) -> String {
        let mut text = format!("Metadata-Version: 2.2\nName: {}\nVersion: {}\n", self.name, self.version);
        let mut field = |name: &str, value: &str| {
            writeln!(text, "{name}: {value}").expect("writing to a string cannot fail");
        };
        if let Some(summary) = &self.description {
            field("Summary", summary);
        }
        for classifier in &self.classifiers {
            field("Classifier", classifier);
        }
        if let Some(python) = &self.requires_python {
            field("Requires-Python", python);
        }
        for (label, address) in &self.urls {
            field("Project-URL", &format!("{label}, {address}"));
        }
        for requirement in &self.dependencies {
            field("Requires-Dist", requirement);
        }
        for (extra, requirements) in &self.optional_dependencies {
            field("Provides-Extra", extra);
            for requirement in requirements {
                let (bare, and) = match requirement.split_once(';') {
                    Some((bare, marker)) => (bare.trim(), format!("({}) and ", marker.trim())),
                    None => (requirement.as_str(), String::new()),
                };
                field("Requires-Dist", &format!("{bare} ; {and}extra == '{extra}'"));
            }
        }
        text
    }

    /// The text of `entry_points.txt`, if there are any.
    pub fn entry_points_text(&self) -> Option<String> {
        let scripts = (!self.scripts.is_empty()).then_some(("console_scripts", &self.scripts));
        let others = self.entry_points.iter().map(|(group, points)| (group.as_str(), points));
        let mut text = String::new();
        for (group, points) in scripts.into_iter().chain(others) {
            writeln!(text, "[{group}]").expect("writing to a string cannot fail");
            for (name, object) in points {
                writeln!(text, "{name} = {object}").expect("writing to a string cannot fail");
            }
        }
        (!text.is_empty()).then_some(text)
    }
}
