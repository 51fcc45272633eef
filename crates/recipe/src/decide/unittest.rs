//! unittest: from an empty directory when its tests are installed, else by discovery in the source tree.

use wheeltapper_core::plan::Working;

use super::{Case, Draft, MOST_ARGUMENTS};
use crate::{
    invocation::Tool,
    pytest_config::matches,
    survey::{TestFile, is_under},
    tree::file_name,
};

impl Case<'_> {
    pub(super) fn unittest(&self) -> Vec<Draft> {
        let tests: Vec<&TestFile> = self.survey.tests.iter().filter(|file| file.facts.methods > 0).collect();
        if tests.is_empty() {
            return Vec::new();
        }
        let expected = tests.iter().map(|file| u64::from(file.facts.methods)).sum();
        let mut draft = Draft::new(Tool::Unittest, &["python", "-m", "unittest"]);
        draft.expected = expected;
        if tests.iter().all(|file| file.in_package && file.installed) {
            draft.working = Working::Empty;
            draft
                .command
                .extend(tests.iter().take(MOST_ARGUMENTS).filter_map(|file| self.dotted(&file.path)));
            draft.why.push("unittest's tests are installed with the package".into());
            return vec![draft];
        }
        let roots = self.survey.roots();
        let mut drafts = Vec::new();
        for (root, _) in roots.iter().take(2) {
            let mut draft = draft.clone();
            let under: Vec<&&TestFile> = tests.iter().filter(|file| is_under(&file.path, root)).collect();
            draft.expected = under.iter().map(|file| u64::from(file.facts.methods)).sum();
            if draft.expected == 0 {
                continue;
            }
            draft.why.push(format!("{root} holds unittest's tests"));
            if let Some(modules) = modules_of_initials(&under) {
                draft.command.extend(modules);
                draft.why.push("discovery would run twice what stands in __init__.py".into());
            } else if root.ends_with(".py") {
                let module =
                    self.dotted(root).unwrap_or_else(|| root.trim_end_matches(".py").replace('/', "."));
                draft.command.push(module);
            } else {
                let package = self.reader.has_file(&format!("{root}/__init__.py"));
                draft.command.push("discover".into());
                let pattern = if under.iter().all(|file| matches("test*.py", &file.path)) {
                    None
                } else {
                    Some("*.py")
                };
                if self.survey.is_flat() && self.about.native && !package {
                    draft.directory.clone_from(root);
                    draft
                        .why
                        .push("from the tests' own folder: the root would hide the compiled part".into());
                } else {
                    draft.command.extend(["-s".to_owned(), root.clone()]);
                    if package {
                        draft.command.extend(["-t".to_owned(), ".".to_owned()]);
                    }
                }
                if let Some(pattern) = pattern {
                    draft.command.extend(["-p".to_owned(), pattern.to_owned()]);
                }
            }
            drafts.push(draft);
        }
        drafts
    }
}

/// The modules to name, where some of these files are a package's `__init__.py`: discovery by a pattern that fits it loads
/// its tests once as the package and once as `__init__`.
fn modules_of_initials(files: &[&&TestFile]) -> Option<Vec<String>> {
    let is_initial = |file: &&&TestFile| file_name(&file.path) == "__init__.py";
    if !files.iter().any(is_initial) || files.len() > MOST_ARGUMENTS {
        return None;
    }
    let module = |path: &str| path.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', ".");
    Some(files.iter().map(|file| module(&file.path)).collect())
}
