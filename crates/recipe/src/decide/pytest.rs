//! pytest: which command, from where, and how the installed copy stays the one that is tested.

use wheeltapper_core::plan::Working;

use super::{Case, Draft, MOST_ARGUMENTS, join_path};
use crate::{
    invocation::Tool,
    knowledge::is_stdlib,
    pytest_config::{self, matches},
    python::facts::top,
    survey::{OwnModule, TestFile, is_under},
    tree::{file_name, parent},
};

impl Case<'_> {
    pub(super) fn pytest(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let inside: Vec<&TestFile> = self.survey.tests.iter().filter(|file| file.in_package).collect();
        let all_inside = inside.len() == self.survey.tests.len();
        let installed = inside.iter().filter(|file| file.installed).count();
        let all_installed = !inside.is_empty() && installed * 10 >= inside.len() * 9;
        if all_inside && all_installed && (self.config.is_none() || self.about.native) {
            drafts.extend(self.pytest_installed());
        }
        drafts.push(self.pytest_in_tree());
        if self.config.is_some()
            && drafts.iter().all(|draft| draft.command.len() < 2 || draft.working == Working::Empty)
        {
            // Where bare pytest cannot start, the test folders alone often can.
            let mut narrowed = self.pytest_in_tree();
            let roots = self.root_arguments();
            if !roots.is_empty() {
                narrowed.command.extend(roots);
                narrowed.why.push("only the folders that hold tests".into());
                drafts.push(narrowed);
            }
        }
        drafts
    }

    /// `pytest --pyargs` against what is installed, from an empty directory (with a configuration: from the tree).
    fn pytest_installed(&self) -> Option<Draft> {
        let modules = self.installed_modules();
        if modules.is_empty() {
            return None;
        }
        let mut draft = Draft::new(Tool::Pytest, &["pytest"]);
        if let Some(config) = &self.config {
            draft.command.extend(["-c".to_owned(), config.file.clone()]);
            draft.why.push(format!(
                "configuration {} {}, given by hand because the tests lie elsewhere",
                config.file, config.section
            ));
        } else {
            draft.working = Working::Empty;
        }
        draft.command.push("--pyargs".into());
        draft.command.extend(modules);
        draft.why.push("the tests are installed with the package".into());
        draft.expected = self
            .survey
            .tests
            .iter()
            .filter(|file| file.installed)
            .map(|file| self.collected(file, true))
            .sum();
        Some(draft)
    }

    /// Dotted names of the installed test packages and modules.
    fn installed_modules(&self) -> Vec<String> {
        let mut modules: Vec<String> = self
            .survey
            .roots()
            .iter()
            .filter_map(|(root, _)| self.dotted(root))
            .take(MOST_ARGUMENTS)
            .collect();
        if modules.len() > 10 {
            modules = self.survey.own.iter().map(|own| own.name.clone()).take(10).collect();
        }
        modules.sort();
        modules.dedup();
        modules
    }

    /// The dotted module name of a path inside one of the package's modules.
    pub(super) fn dotted(&self, path: &str) -> Option<String> {
        let own: &OwnModule = self.survey.own.iter().find(|own| is_under(path, &own.path))?;
        let inside = path.strip_prefix(&own.folder).unwrap_or(path).trim_start_matches('/');
        Some(inside.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', "."))
    }

    /// `pytest` in a copy of the source tree.
    pub(super) fn pytest_in_tree(&self) -> Draft {
        let mut draft = Draft::new(Tool::Pytest, &["pytest"]);
        let bare = match &self.config {
            Some(config) => {
                draft.why.push(format!(
                    "pytest is configured in {} {} (line {})",
                    config.file, config.section, config.line
                ));
                true
            }
            None => false,
        };
        let roots = self.root_arguments();
        let explicit = self.uncollected();
        let mut arguments = Vec::new();
        if bare && self.testpaths_are_gone() {
            arguments = roots.clone();
            draft
                .why
                .push("the folders that hold tests, since none of the configured testpaths is there".into());
        }
        if bare && self.takes_every_file() {
            arguments = roots.clone();
            draft.why.push("the files that hold tests, since pytest would load every other, too".into());
        }
        if !bare {
            arguments = roots;
            let seen = self
                .survey
                .all()
                .find(|file| file.facts.imports_top("pytest") || file_name(&file.path) == "conftest.py");
            draft.why.push(match seen {
                Some(file) if file_name(&file.path) == "conftest.py" => {
                    format!("no pytest configuration, but {}", file.path)
                }
                Some(file) => format!("no pytest configuration, but {} imports pytest", file.path),
                None => "no pytest configuration; pytest runs unittest's tests too".into(),
            });
        }
        draft.expected = self.expected_below(&arguments);
        if draft.expected == 0 && !explicit.is_empty() && explicit.len() <= MOST_ARGUMENTS {
            arguments = explicit;
            draft.expected = self.survey.count();
            draft
                .why
                .push("the files are named, since none matches the patterns that pytest collects by".into());
        }
        draft.command.extend(arguments);
        self.as_written(&mut draft);
        self.keep_installed_copy(&mut draft);
        draft
    }

    /// True when the configuration takes any file for one of tests and names no testpaths: `setup.py` and the documentation's
    /// configuration would be loaded.
    fn takes_every_file(&self) -> bool {
        self.config.as_ref().is_some_and(|config| {
            config.testpaths.is_empty() && config.python_files.iter().any(|pattern| pattern == "*.py")
        })
    }

    /// True when the configuration names testpaths and none of them is in the tree: pytest would look everywhere.
    fn testpaths_are_gone(&self) -> bool {
        let paths = self.config.as_ref().map_or(&[][..], |config| &config.testpaths);
        let is_there = |path: &String| {
            let path = path.trim_start_matches("./").trim_end_matches('/');
            path.contains(['*', '?', '[']) || self.reader.has_folder(path) || self.reader.has_file(path)
        };
        !paths.is_empty() && !paths.iter().any(is_there)
    }

    /// The folders and files that hold tests, for a command line. Empty for tests in the root alone.
    fn root_arguments(&self) -> Vec<String> {
        let roots = self.survey.roots();
        let mut paths: Vec<String> = roots.iter().map(|(root, _)| root.clone()).collect();
        if paths.iter().any(|path| path.starts_with('-')) {
            paths = paths.into_iter().map(|path| format!("./{path}")).collect();
        }
        if paths.len() > 10 {
            // Too many to name one by one: their common tops.
            let mut tops: Vec<String> =
                paths.iter().map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect();
            tops.sort();
            tops.dedup();
            paths = if tops.len() > 10 { Vec::new() } else { tops };
        }
        paths
    }

    /// How many tests pytest collects with these arguments (or its testpaths).
    pub(super) fn expected_below(&self, arguments: &[String]) -> u64 {
        let selected = self.survey.tests.iter().filter(|file| self.is_selected(file, arguments));
        selected.map(|file| self.collected(file, false)).sum()
    }

    /// True when pytest with these arguments (or its testpaths) comes across a file.
    pub(super) fn is_selected(&self, file: &TestFile, arguments: &[String]) -> bool {
        let configured = self.config.as_ref().map_or(&[][..], |config| &config.testpaths);
        let paths = if arguments.is_empty() { configured } else { arguments };
        let existing: Vec<&String> = paths
            .iter()
            .filter(|path| {
                path.contains('*')
                    || self.reader.has_folder(path)
                    || self.reader.has_file(path.trim_start_matches("./"))
            })
            .collect();
        existing.is_empty()
            || existing.iter().any(|path| {
                is_under(&file.path, path) || (path.contains('*') && matches(&format!("{path}*"), &file.path))
            })
    }

    /// How many tests pytest collects from a file that it comes across.
    pub(super) fn collected(&self, file: &TestFile, default_patterns: bool) -> u64 {
        let patterns = match &self.config {
            Some(config) if !default_patterns => config.patterns(),
            _ => pytest_config::default_patterns(),
        };
        let named =
            || self.config.is_none() && self.survey.roots().iter().any(|(root, _)| *root == file.path);
        if patterns.iter().any(|pattern| matches(pattern, &file.path)) || named() {
            u64::from(file.facts.tests())
        } else {
            0
        }
    }

    /// Every file with tests, when none of their names matches pytest's patterns.
    fn uncollected(&self) -> Vec<String> {
        self.survey
            .tests
            .iter()
            .filter(|file| self.collected(file, false) == 0)
            .map(|file| file.path.clone())
            .collect()
    }

    /// Sees to it that the root is found where helpers need it, without hiding the installed copy behind the source.
    pub(super) fn keep_installed_copy(&self, draft: &mut Draft) {
        let flat = self.survey.is_flat();
        let inside = self.survey.tests.iter().any(|file| file.in_package && !file.installed);
        let mode_is_free = self
            .config
            .as_ref()
            .is_none_or(|config| !config.has_import_mode() && !config.has_doctest_modules());
        let on_path = self.root_on_path();
        if inside {
            draft.why.push(
                "tests lie in the package and are left out of the wheel: they run from the source tree"
                    .into(),
            );
            if self.about.native && mode_is_free {
                // `-p` imports the installed package first; importlib mode then finds the tests beside it by their
                // files, relative imports included. Seen with pytest 9; `append` mode finds no `package.tests`.
                let own = self.survey.own.iter().find(|own| {
                    self.survey.tests.iter().any(|file| file.in_package && is_under(&file.path, &own.path))
                });
                if let Some(own) = own {
                    draft.command.splice(
                        1..1,
                        ["-p".to_owned(), own.name.clone(), "--import-mode=importlib".to_owned()],
                    );
                    draft.why.push("the installed package is imported first, since the source tree lacks the compiled part".into());
                }
            }
            return;
        }
        if flat && on_path && mode_is_free && !self.tests_are_stray() {
            if let Some(name) = self.hidden_by_stdlib() {
                draft.command.insert(1, "--import-mode=importlib".into());
                draft.why.push(format!(
                    "tests are imported by their files: `{name}` is the standard library's, too"
                ));
                return;
            }
            draft.command.insert(1, "--import-mode=append".into());
            draft.why.push("the source tree goes behind the installed copy on the path (flat layout)".into());
            return;
        }
        if !on_path && let Some(file) = self.needs_root() {
            if flat && self.about.native {
                draft.why.push(format!(
                    "{file} imports from the root, which is kept off the path: it hides the compiled part"
                ));
            } else {
                draft.command.splice(0..1, ["python", "-m", "pytest"].map(str::to_owned));
                draft.why.push(format!("python -m, since {file} imports from the root"));
            }
        }
    }

    /// True when pytest's own `prepend` mode puts the tree's root on the path.
    fn root_on_path(&self) -> bool {
        let configured = self.config.as_ref().is_some_and(|config| {
            config.pythonpath.iter().any(|path| matches!(path.as_str(), "." | "./" | ""))
        });
        configured
            || self.survey.all().any(|file| {
                let folder = parent(&file.path);
                folder.is_empty()
                    || (0..=folder.matches('/').count()).all(|depth| {
                        let part: Vec<&str> = folder.split('/').take(depth + 1).collect();
                        self.reader.has_file(&format!("{}/__init__.py", part.join("/")))
                    })
            })
    }

    /// A file that imports a module which only the root provides.
    fn needs_root(&self) -> Option<String> {
        let own: Vec<&str> = self.about.import_names.iter().map(|name| top(name)).collect();
        self.survey.all().find_map(|file| {
            let hit = file.facts.imports.iter().any(|import| {
                let module = top(&import.module);
                let second = import.module.split('.').nth(1).or(import.names.first().map(String::as_str));
                let beside = self.reader.has_file(&join_path(parent(&file.path), &format!("{module}.py")))
                    || self.reader.has_file(&join_path(parent(&file.path), &format!("{module}/__init__.py")));
                !own.contains(&module)
                    && !beside
                    && (!is_stdlib(module) || module == "test")
                    && (self.reader.has_file(&format!("{module}.py"))
                        || second.is_some_and(|second| {
                            self.reader.has_file(&format!("{module}/{second}.py"))
                                || self.reader.has_file(&format!("{module}/{second}/__init__.py"))
                        }))
            });
            hit.then(|| file.path.clone())
        })
    }

    /// The name of a package of tests that the standard library has, too, and that is found there unless the tree
    /// comes first on the path.
    fn hidden_by_stdlib(&self) -> Option<String> {
        self.survey.roots().iter().find_map(|(root, _)| {
            let top = root.split('/').next().unwrap_or(root).to_owned();
            let is_package = self.reader.has_file(&format!("{top}/__init__.py"));
            (is_package && is_stdlib(&top)).then_some(top)
        })
    }

    /// True when the wheel installs a top-level `tests` of its own, which would be found before the tree's.
    fn tests_are_stray(&self) -> bool {
        self.survey.roots().iter().any(|(root, _)| {
            let top = root.split('/').next().unwrap_or(root);
            self.about.installed_files.iter().any(|file| is_under(file, top))
        })
    }
}
