//! From which folder a suite is run whose tests open relative paths: the one from where those paths lead somewhere.
//! Decides for plans of the source tree that say nothing of their own.

use std::collections::BTreeSet;

use wheeltapper_core::plan::Working;

use super::{Case, Draft};
use crate::{
    invocation::Tool,
    survey::is_under,
    tree::{join, parent},
};

impl Case<'_> {
    /// Moves drafts to the folder from where the paths that the tests open are found, or from where the source does not
    /// hide the installed copy, where that is not the root.
    pub(super) fn run_from(&self, drafts: &mut [Draft]) {
        let Some((folder, because)) = self.folder_beside_source().or_else(|| self.folder_of_paths()) else {
            return;
        };
        for draft in drafts {
            let runs = matches!(draft.tool, Tool::Pytest | Tool::Unittest);
            if !runs || draft.working != Working::SourceTree || !draft.directory.is_empty() {
                continue;
            }
            let Some(command) = moved(&draft.command, &folder, draft.tool) else { continue };
            draft.command = command;
            draft.directory.clone_from(&folder);
            draft.why.push(format!("from {folder}, since {because}"));
        }
    }

    /// The folder of the tests, when one of them puts the working directory first on the path: from the root that would be
    /// the source, which lacks the compiled part.
    fn folder_beside_source(&self) -> Option<(String, String)> {
        let roots = self.survey.roots();
        let [(root, _)] = roots else { return None };
        let file = self.survey.all().find(|file| file.facts.directory_first)?;
        let hides = self.about.native && self.survey.is_flat() && !root.ends_with(".py");
        let because = format!("{} puts the working directory first on the path", file.path);
        hides.then(|| (root.clone(), because))
    }

    /// The folder of the tests, or the one that it lies in, from where most of the paths that tests open are found; and
    /// why. `None` when any of them is found from the root.
    fn folder_of_paths(&self) -> Option<(String, String)> {
        if self.config.as_ref().is_some_and(|config| parent(&config.file).is_empty()) {
            // Who configures pytest in the root runs it there.
            return None;
        }
        let paths: BTreeSet<&str> =
            self.survey.all().flat_map(|file| &file.facts.paths).map(String::as_str).collect();
        let leads_somewhere = |folder: &str, path: &str| {
            join(folder, path).is_some_and(|full| {
                !full.is_empty() && (self.reader.has_file(&full) || self.reader.has_folder(&full))
            })
        };
        if paths.is_empty() || paths.iter().any(|path| leads_somewhere("", path)) {
            return None;
        }
        let roots = self.survey.roots();
        let folders = roots.iter().filter(|(root, _)| !root.ends_with(".py")).map(|(root, _)| root.as_str());
        let mut best: Option<(usize, &str, &str)> = None;
        for folder in folders.flat_map(|root| [parent(root), root]).filter(|folder| !folder.is_empty()) {
            let found: Vec<&str> =
                paths.iter().copied().filter(|path| leads_somewhere(folder, path)).collect();
            if let Some(first) = found.first()
                && best.is_none_or(|best| found.len() > best.0)
            {
                best = Some((found.len(), folder, first));
            }
        }
        best.map(|(_, folder, path)| (folder.to_owned(), format!("the tests open {path}")))
    }
}

/// A command with its paths as they are named from this folder; `None` when one of them lies elsewhere.
fn moved(command: &[String], folder: &str, tool: Tool) -> Option<Vec<String>> {
    let is_path = |word: &str| word.contains('/') || word.ends_with(".py") || is_under(folder, word);
    let runner = if tool == Tool::Unittest { "discover" } else { "pytest" };
    let start = command.iter().position(|word| word == runner)?;
    let mut words = command[..=start].to_vec();
    let mut rest = command[start + 1..].iter();
    while let Some(word) = rest.next() {
        if word == "-t" {
            // The folder that holds the outermost package stays what it is.
            let top = rest.next()?;
            let up = folder.split('/').count();
            words.extend(["-t".to_owned(), if top == "." { vec![".."; up].join("/") } else { return None }]);
        } else if word.starts_with('-') {
            words.push(word.clone());
        } else if is_under(word, folder) {
            let inside = word.strip_prefix(folder).unwrap_or("").trim_start_matches('/');
            words.push(if inside.is_empty() { ".".to_owned() } else { inside.to_owned() });
        } else if is_path(word) || tool == Tool::Unittest && !word.contains('*') {
            return None;
        } else {
            words.push(word.clone());
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(command: &str, folder: &str, tool: Tool) -> Option<String> {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        moved(&words, folder, tool).map(|words| words.join(" "))
    }

    #[test]
    fn commands_are_told_from_another_folder() {
        let pytest = |command, folder| after(command, folder, Tool::Pytest);
        assert_eq!(pytest("pytest a/b/tests", "a/b").as_deref(), Some("pytest tests"));
        assert_eq!(pytest("python -m pytest tests", "tests").as_deref(), Some("python -m pytest ."));
        assert_eq!(pytest("pytest a/tests b/tests", "a"), None);
        let unittest = |command, folder| after(command, folder, Tool::Unittest);
        let moved = unittest("python -m unittest discover -s a/tests -t .", "a");
        assert_eq!(moved.as_deref(), Some("python -m unittest discover -s tests -t .."));
        assert_eq!(unittest("python -m unittest a.tests.test_x", "a"), None);
        assert_eq!(unittest("python -m unittest a", "a"), None);
    }
}
