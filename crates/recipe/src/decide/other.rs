//! Runners of frameworks: Twisted's trial and zope.testrunner, where the tests are written for them.

use super::{Case, Draft};
use crate::invocation::Tool;

impl Case<'_> {
    /// `trial package`, on what is installed: trial takes importable names.
    pub(super) fn trial(&self) -> Draft {
        let mut draft = Draft::new(Tool::Trial, &["python", "-m", "twisted.trial"]);
        let installed = self.survey.tests.iter().any(|file| file.in_package);
        if installed {
            draft.command.extend(self.survey.own.iter().map(|own| own.name.clone()).take(10));
        } else {
            let roots = self.survey.roots();
            draft.command.extend(roots.into_iter().map(|(root, _)| root).take(10));
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
