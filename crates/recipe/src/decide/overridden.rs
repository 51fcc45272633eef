//! An override becomes the first plan. What it does not say is taken from the rules; their plans stay behind it, for when it
//! cannot start the tests.

use wheeltapper_core::Runner;

use super::{Case, Draft};
use crate::{
    Ignored, Plans,
    invocation::Tool,
    needs::place,
    overrides::{Author, Override, of_maintainers},
};

/// The override that counts for a release: the user's, else the maintainers', else the shipped one. The others are told as not
/// used, and a maintainers' with problems is left alone.
pub(super) fn chosen(case: &Case, plans: &mut Plans) -> Option<Override> {
    let mut all: Vec<Override> = case.about.overrides.clone();
    match of_maintainers(case.reader) {
        Some(Ok(found)) => all.push(found),
        Some(Err(problems)) => {
            for problem in &problems {
                plans.ignored.push(Ignored {
                    file: problem.file.clone(),
                    line: Some(problem.line),
                    what: format!("[tool.wheeltapper] {}", problem.key),
                    because: format!("the override is left alone: {}", problem.message),
                });
            }
            plans.problems = problems;
        }
        None => {}
    }
    all.sort_by_key(|one| one.author);
    let mut all = all.into_iter();
    let first = all.next();
    for other in all {
        plans.ignored.push(Ignored {
            file: other.file,
            line: Some(other.line),
            what: "the override".into(),
            because: "a stronger one takes its place".into(),
        });
    }
    first
}

impl Case<'_> {
    /// The drafts with what the override says before them.
    pub(super) fn overridden(&self, written: &Override, drafts: Vec<Draft>) -> Vec<Draft> {
        let Some(mut draft) = self.base(written, &drafts) else { return drafts };
        draft.why.insert(0, format!("{} says so ({})", whose(written.author), at(written, "command")));
        if let Some(why) = &written.why {
            draft.why.insert(1, why.clone());
        }
        if let Some(directory) = &written.directory {
            if self.reader.has_folder(directory) {
                draft.directory.clone_from(directory);
                draft.why.push(format!("in {directory} ({})", at(written, "directory")));
            } else {
                draft.why.push(format!("{directory} is not there ({})", at(written, "directory")));
            }
        }
        for (name, value) in &written.environment {
            if let Some(value) = self.variable(name, value) {
                draft.environment.insert(name.clone(), value);
                draft.why.push(format!("{name} from {}", at(written, "environment")));
            }
        }
        if draft.tool == Tool::Pytest {
            for id in &written.deselect {
                draft.command.push(format!("--deselect={id}"));
                draft.deselected.push(format!("{id} ({})", at(written, "deselect")));
            }
        } else if !written.deselect.is_empty() {
            draft.why.push(format!("nothing is deselected without pytest ({})", at(written, "deselect")));
        }
        draft.written = Some(written.clone());
        let first = draft.clone();
        std::iter::once(draft)
            .chain(drafts.into_iter().filter(|other| other.command != first.command))
            .take(super::MOST_PLANS)
            .collect()
    }

    /// The draft that an override changes: of its command, of its runner, or the rules' first.
    fn base(&self, written: &Override, drafts: &[Draft]) -> Option<Draft> {
        let Some(tool) = written.runner.map(tool).or(written.command.as_ref().map(|command| command.0))
        else {
            return drafts.first().cloned();
        };
        if let Some((_, words)) = &written.command {
            let mut draft = Draft::new(tool, &[]);
            draft.command.clone_from(words);
            draft.expected = match tool {
                Tool::Pytest => self.expected_below(&super::ways::paths(&words[1..])),
                _ => self.survey.count(),
            };
            return Some(draft);
        }
        if let Some(found) = drafts.iter().find(|draft| draft.tool == tool) {
            return Some(found.clone());
        }
        let mut draft = match tool {
            Tool::Pytest => return Some(self.pytest_in_tree()),
            Tool::Unittest => Draft::new(tool, &["python", "-m", "unittest", "discover"]),
            Tool::Django => Draft::new(tool, &["python", "-m", "django", "test"]),
            Tool::Trial => self.trial(),
            Tool::Zope => self.zope(),
            Tool::Nose | Tool::Script => return None,
        };
        draft.expected = self.survey.count();
        Some(draft)
    }
}

fn tool(runner: Runner) -> Tool {
    match runner {
        Runner::Pytest => Tool::Pytest,
        Runner::Unittest => Tool::Unittest,
        Runner::Django => Tool::Django,
        Runner::Trial => Tool::Trial,
        Runner::Zope => Tool::Zope,
        Runner::Script => Tool::Script,
    }
}

fn whose(author: Author) -> &'static str {
    match author {
        Author::User => "the user's override",
        Author::Maintainer => "the maintainers' override",
        Author::Shipped => "the shipped override",
    }
}

fn at(written: &Override, key: &str) -> String {
    place(&written.file, written.line_of(key))
}
