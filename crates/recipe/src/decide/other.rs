//! Runners of frameworks: nose, Twisted's trial and zope.testrunner, where the tests are written for them; and what pytest is
//! told of tests that need a network.

use super::{Case, Draft};
use crate::{invocation::Tool, survey::TestFile, tree::file_name};

/// Markers by which suites name tests that need a network.
const NETWORK: &[&str] = &[
    "network",
    "internet",
    "online",
    "requires_network",
    "requires_internet",
    "needs_network",
    "needs_internet",
    "network_test",
    "uses_network",
    "require_network",
    "require_internet",
    "remote_data",
];

impl Case<'_> {
    /// True when the tests are nose's and nothing says pytest.
    pub(super) fn is_for_nose(&self) -> bool {
        let is_pytests =
            |file: &TestFile| file.facts.imports_top("pytest") || file_name(&file.path) == "conftest.py";
        self.config.is_none()
            && self.survey.tests.iter().any(|file| file.facts.imports_top("nose"))
            && !self.survey.all().any(is_pytests)
    }

    /// nose, for suites with what today's pytest does not do: tests that yield, and `with_setup`.
    pub(super) fn nose(&self) -> Option<Draft> {
        let yields: u32 = self.survey.tests.iter().map(|file| file.facts.yields).sum();
        let decorates = |file: &TestFile| {
            file.facts.imports.iter().any(|import| import.names.iter().any(|name| name == "with_setup"))
        };
        let decorated = self.survey.tests.iter().find(|file| decorates(file));
        if !self.is_for_nose() || (yields == 0 && decorated.is_none()) {
            return None;
        }
        let mut draft = Draft::new(Tool::Nose, &["python", "-m", "nose"]);
        draft.command.extend(self.survey.roots().iter().map(|(root, _)| root.clone()).take(10));
        draft.expected = self.survey.count();
        draft.why.push(match decorated {
            Some(file) => format!("{} uses nose's with_setup, which pytest no longer knows", file.path),
            None => format!("{yields} tests yield, which pytest no longer collects, and nose does"),
        });
        Some(draft)
    }

    /// Leaves tests out that say by their marker that they need a network: there is none. Told in the plan, never silent.
    pub(super) fn without_network(&self, draft: &mut Draft) {
        let chosen = |words: &[String]| {
            let at = words.iter().position(|word| word == "-m")?;
            Some((at + 1, words.get(at + 1)?.clone()))
        };
        // `python -m pytest` has an `-m` of its own.
        let start = draft.command.iter().position(|word| word == "pytest").map_or(0, |at| at + 1);
        let own = chosen(&draft.command[start..]);
        let configured = self.config.as_ref().and_then(|config| chosen(&config.addopts));
        let expression = own.as_ref().or(configured.as_ref()).map(|(_, text)| text.clone());
        let mut found: Vec<(&str, &str)> = Vec::new();
        for mark in NETWORK {
            let says = |text: &String| {
                text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == *mark)
            };
            // A plugin of its own skips these unless it is asked not to.
            let by_plugin = *mark == "remote_data" && self.skips_remote_data();
            if expression.as_ref().is_some_and(says) || by_plugin {
                continue;
            }
            let user = self.survey.tests.iter().find(|file| file.facts.marks.contains(*mark));
            found.extend(user.map(|file| (*mark, file.path.as_str())));
        }
        if found.is_empty() {
            return;
        }
        let without: Vec<String> = found.iter().map(|(mark, _)| format!("not {mark}")).collect();
        let without = match expression {
            Some(text) => format!("({text}) and {}", without.join(" and ")),
            None => without.join(" and "),
        };
        match own {
            Some((at, _)) => draft.command[start + at].clone_from(&without),
            None => draft.command.extend(["-m".to_owned(), without]),
        }
        for (mark, file) in found {
            let because = format!("{file} marks tests so, and there is no network");
            draft.deselected.push(format!("-m \"not {mark}\": {because}"));
        }
    }

    /// True when pytest-remotedata is in force by what is declared.
    fn skips_remote_data(&self) -> bool {
        self.declared
            .lists
            .iter()
            .flat_map(|list| &list.list.specifiers)
            .any(|placed| matches!(placed.specifier.project.as_str(), "pytest-remotedata" | "pytest-astropy"))
    }

    /// `trial package`, on what is installed: trial takes importable names.
    pub(super) fn trial(&self) -> Draft {
        let mut draft = Draft::new(Tool::Trial, &["python", "-m", "twisted.trial"]);
        let installed = self.survey.tests.iter().any(|file| file.in_package);
        if installed {
            draft.command.extend(self.survey.own.iter().map(|own| own.name.clone()).take(10));
        } else {
            let roots = self.survey.roots();
            draft.command.extend(roots.iter().map(|(root, _)| root.clone()).take(10));
        }
        draft.expected = self.survey.count();
        draft
    }

    /// `zope-testrunner` over the sources: it finds its tests by folder, and layers by import.
    pub(super) fn zope(&self) -> Draft {
        let mut draft = Draft::new(Tool::Zope, &["python", "-m", "zope.testrunner"]);
        let folder = self.survey.own.first().map_or("", |own| own.folder.as_str());
        draft.command.push(format!("--test-path={}", if folder.is_empty() { "." } else { folder }));
        draft.expected = self.survey.count();
        draft
    }
}
