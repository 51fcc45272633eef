//! Runners of frameworks: nose, Twisted's trial and zope.testrunner, where the tests are written for them.

use super::{Case, Draft};
use crate::{invocation::Tool, survey::TestFile, tree::file_name};

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
