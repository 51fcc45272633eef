//! What the maintainers wrote down: commands of tox, nox, hatch, cibuildwheel, CI and Makefiles, and Django's own
//! conventions. A command is taken only with what is in the tree and with variables that are harmless.

use std::collections::BTreeMap;

use ruff_python_ast::Stmt;
use wheeltapper_core::plan::Working;

use super::{Case, Draft, join_path};
use crate::{
    declared::{Tier, Way},
    invocation::{Tool, self_test},
    needs::place,
    pytest_config::matches,
    python::{facts::Facts, with_module},
    survey::{TestFile, is_under},
    tree::{file_name, parent},
    variables::is_theirs,
};

/// Options of pytest that choose tests or how they are imported; the next word is theirs.
const WITH_VALUE: &[&str] = &[
    "-k",
    "-m",
    "-W",
    "-p",
    "-o",
    "-c",
    "--ignore",
    "--deselect",
    "--import-mode",
    "--rootdir",
    "--confcutdir",
    "--ds",
];

impl Case<'_> {
    /// Runners that are neither pytest nor unittest, as tox, hatch, nox, CI or a Makefile start them.
    pub(super) fn special(&self) -> Vec<Draft> {
        let mut drafts: Vec<Draft> = Vec::new();
        for way in self.ways() {
            let usable = match way.invocation.tool {
                Tool::Django | Tool::Trial | Tool::Zope => true,
                Tool::Nose => self.is_for_nose(),
                Tool::Script => !self.says_pytest() && !self.is_hollow(way),
                Tool::Pytest | Tool::Unittest => false,
            };
            if !usable {
                continue;
            }
            let mut draft = Draft::new(way.invocation.tool, &[]);
            draft.command.clone_from(&way.invocation.words);
            draft.expected = self.survey.count();
            draft.why.push(format!("{} ({}) runs it so", way.name, place(&way.file, way.line)));
            self.surround(&mut draft, way);
            if self.runs_installed_module(&draft) {
                draft.working = Working::Empty;
                draft.why.push("its tests are installed with the package".into());
            }
            if drafts.len() < 3 && drafts.iter().all(|other| other.command != draft.command) {
                drafts.push(draft);
            }
        }
        if drafts.is_empty() {
            drafts.extend(self.django().or_else(|| self.own_runner()).or_else(|| self.self_test()));
        }
        drafts
    }

    /// A script in the root that runs the tests by itself, where no file knows of a test framework.
    fn own_runner(&self) -> Option<Draft> {
        let frameworks =
            ["pytest", "unittest", "unittest2", "nose", "django", "twisted", "absl", "testtools"];
        let uses_framework = self.survey.all().any(|file| {
            file_name(&file.path) == "conftest.py"
                || frameworks.iter().any(|framework| file.facts.imports_top(framework))
        });
        if self.config.is_some() || uses_framework {
            return None;
        }
        let runs_itself = |file: &&str| {
            self.reader.python(file).is_some_and(|(source, whole)| Facts::of(&source, whole).script)
        };
        let script =
            ["run_tests.py", "runtests.py", "run_test.py", "runtest.py", "testall.py", "test_all.py"]
                .into_iter()
                .filter(|file| self.reader.has_file(file))
                .find(runs_itself)?;
        let mut draft = Draft::new(Tool::Script, &["python", script]);
        draft.why.push(format!("no file imports a test framework, and {script} runs tests by itself"));
        Some(draft)
    }

    /// `package.test()`, where the package defines it for its users to call, and its unittest cases are installed with it.
    fn self_test(&self) -> Option<Draft> {
        let tests = &self.survey.tests;
        let installed =
            tests.iter().all(|file| file.in_package && file.installed && file.facts.functions == 0);
        if self.says_pytest() || tests.is_empty() || !installed {
            return None;
        }
        let own = self.survey.own.iter().find(|own| {
            let source = self.reader.python(&format!("{}/__init__.py", own.path));
            source.is_some_and(|(source, _)| {
                let stem = |file: &TestFile| file_name(&file.path).trim_end_matches(".py").to_owned();
                let names_tests = tests.iter().any(|file| source.contains(&stem(file)));
                names_tests && with_module(&source, defines_test).unwrap_or(false)
            })
        })?;
        let name = &own.name;
        let mut draft = Draft::new(Tool::Script, &["python", "-c", &format!("import {name}; {name}.test()")]);
        draft.working = Working::Empty;
        draft.expected = self.survey.count();
        draft.why.push(format!("{}/__init__.py defines test(), which runs the installed tests", own.path));
        Some(draft)
    }

    /// True for `python -m package.tests` or a package's own `test()` and nothing else, where the wheel holds those tests: the
    /// source tree beside it would only hide the installed copy.
    fn runs_installed_module(&self, draft: &Draft) -> bool {
        let [python, flag, what, rest @ ..] = draft.command.as_slice() else { return false };
        let module = match flag.as_str() {
            "-m" => Some(what.clone()),
            "-c" => self_test(what),
            _ => None,
        };
        let Some(path) = module.map(|module| module.replace('.', "/")) else { return false };
        let inside: Vec<_> =
            self.survey.tests.iter().filter(|file| self.dotted_under(&file.path, &path)).collect();
        python == "python"
            && draft.tool == Tool::Script
            && draft.directory.is_empty()
            && rest.iter().all(|word| word.starts_with('-'))
            && !inside.is_empty()
            && inside.iter().all(|file| file.installed)
    }

    /// True when a file of the tree is at or below this path, counted from where the package's modules begin.
    fn dotted_under(&self, file: &str, path: &str) -> bool {
        self.survey.own.iter().any(|own| is_under(file, &join_path(&own.folder, path)))
    }

    /// Every way whose script and directory are in the tree, strongest first.
    fn ways(&self) -> Vec<&Way> {
        let mut ways: Vec<&Way> = self
            .declared
            .ways
            .iter()
            .filter(|way| way.tier != Tier::Cibuildwheel || self.about.native)
            .filter(|way| self.reader.has_folder(&way.directory) && self.is_there(way))
            .collect();
        ways.sort_by_key(|way| way.tier);
        ways
    }

    /// True for a script that stands in for tests where there are none: it imports nothing, so it tests nothing.
    fn is_hollow(&self, way: &Way) -> bool {
        let script = way.invocation.words.iter().skip(1).find(|word| word.ends_with(".py"));
        let source = script.and_then(|script| self.reader.python(&join_path(&way.directory, script)));
        self.survey.count() == 0
            && source.is_some_and(|(source, whole)| {
                let facts = Facts::of(&source, whole);
                facts.parsed && facts.imports.is_empty() && facts.optional.is_empty()
            })
    }

    /// True when the script that a way runs is in the tree.
    fn is_there(&self, way: &Way) -> bool {
        let python = way.invocation.words.first().is_some_and(|word| word == "python");
        let module = way.invocation.words.iter().any(|word| word == "-m");
        let script = way.invocation.words.iter().skip(1).find(|word| word.ends_with(".py"));
        !python
            || module
            || script.is_none_or(|script| self.reader.has_file(&join_path(&way.directory, script)))
    }

    /// Gives a draft the directory, variables and requirements that belong to a way.
    fn surround(&self, draft: &mut Draft, way: &Way) {
        draft.directory.clone_from(&way.directory);
        draft.preferred = Some(way.name.clone());
        let variables = way.environment.iter();
        for (name, value) in
            variables.chain(way.invocation.environment.iter().map(|(name, value)| (name, value)))
        {
            if let Some(value) = self.variable(name, value) {
                draft.environment.insert(name.clone(), value);
            }
        }
        if way.invocation.tool == Tool::Django
            && self.survey.tests.iter().any(|file| file.in_package && !file.installed)
        {
            let folders: Vec<String> = self.survey.own.iter().map(|own| root_path(&own.folder)).collect();
            let path = draft.environment.entry("PYTHONPATH".into()).or_default();
            for folder in folders
                .iter()
                .filter(|folder| !path.split(':').any(|part| part == *folder))
                .cloned()
                .collect::<Vec<_>>()
            {
                *path = if path.is_empty() { folder } else { format!("{folder}:{path}") };
            }
            draft.why.push("the wheel leaves the tests out, so the sources go on PYTHONPATH".into());
        }
        if !draft.environment.is_empty() {
            let names: Vec<&str> = draft.environment.keys().map(String::as_str).collect();
            draft.why.push(format!(
                "{} from {} ({})",
                names.join(", "),
                way.name,
                place(&way.file, way.line)
            ));
        }
    }

    /// A variable's value, unless it is the farm's to set or cannot be known.
    pub(super) fn variable(&self, name: &str, value: &str) -> Option<String> {
        let harmless =
            is_theirs(name) && value.len() < 1_000 && !value.contains(['{', '}', '$', '\n', '\0', '`']);
        if !harmless {
            return None;
        }
        if name != "PYTHONPATH" {
            return Some(value.to_owned());
        }
        let hides = |folder: &str| {
            self.about.native && self.survey.own.iter().any(|own| root_path(&own.folder) == folder)
        };
        let folders: Vec<String> = value
            .split([':', ';'])
            .filter(|part| !part.starts_with('/') && !part.is_empty())
            .map(root_path)
            .filter(|folder| !hides(folder))
            .collect();
        (!folders.is_empty()).then(|| folders.join(":"))
    }

    /// What pytest is given by the strongest way that runs it: put around the draft; arguments only where no
    /// configuration says what to collect.
    pub(super) fn as_written(&self, draft: &mut Draft) {
        let Some(way) =
            self.ways().into_iter().find(|way| way.invocation.tool == Tool::Pytest && way.tier < Tier::Ci)
        else {
            return;
        };
        let before = draft.environment.len();
        let mut surrounded = draft.clone();
        self.surround(&mut surrounded, way);
        draft.environment = surrounded.environment;
        draft.why = surrounded.why;
        debug_assert!(draft.environment.len() >= before);
        if self.reader.has_folder(&way.directory) && !way.directory.is_empty() && self.config.is_none() {
            draft.directory.clone_from(&way.directory);
            draft.why.push(format!(
                "{} ({}) changes to {}",
                way.name,
                place(&way.file, way.line),
                way.directory
            ));
            draft.command.truncate(1);
            draft.command.extend(self.arguments(way));
        } else if self.config.as_ref().is_none_or(|config| config.testpaths.is_empty()) {
            // A configuration that does not say what to collect leaves that to the command line; of such a suite its
            // maintainers may well run a part only.
            let configured = self.config.is_some();
            let mut arguments = self.arguments(way);
            if configured {
                arguments = paths(&arguments);
            }
            let enough = if configured { 5 } else { 8 };
            let selected: u64 = self
                .survey
                .tests
                .iter()
                .filter(|file| self.is_selected(file, &paths(&arguments)))
                .map(|file| self.collected(file, false))
                .sum();
            if !paths(&arguments).is_empty() && selected * 10 >= draft.expected * enough {
                draft.why.push(format!("arguments as in {} ({})", way.name, place(&way.file, way.line)));
                draft.command.truncate(1);
                draft.command.extend(arguments);
                draft.expected = selected;
            }
        }
    }

    /// The arguments of a way's pytest that choose tests: paths that are there, and options of [`WITH_VALUE`].
    fn arguments(&self, way: &Way) -> Vec<String> {
        let words = &way.invocation.words;
        let start = words.iter().position(|word| word == "pytest").map_or(words.len(), |at| at + 1);
        let mut kept = Vec::new();
        let mut rest = words[start..].iter();
        let pyargs = words.iter().any(|word| word == "--pyargs");
        while let Some(word) = rest.next() {
            let name = word.split('=').next().unwrap_or(word);
            if WITH_VALUE.contains(&name) {
                kept.push(word.clone());
                if name.len() == word.len() {
                    kept.extend(rest.next().cloned());
                }
            } else if word.starts_with("--doctest") || word.starts_with("--strict") || name == "--pyargs" {
                kept.push(word.clone());
            } else if !word.starts_with('-') {
                let path = join_path(&way.directory, word.split("::").next().unwrap_or(word));
                let is_there =
                    !path.is_empty() && (self.reader.has_file(&path) || self.reader.has_folder(&path));
                if is_there
                    || (pyargs
                        && self
                            .about
                            .import_names
                            .iter()
                            .any(|own| is_under(&word.replace('.', "/"), &own.replace('.', "/"))))
                {
                    kept.push(word.clone());
                }
            }
        }
        kept
    }

    /// `[tool.cibuildwheel] test-command` with pytest or unittest, for a package with a compiled part.
    pub(super) fn against_wheel(&self) -> Option<Draft> {
        let way = self.ways().into_iter().find(|way| way.tier == Tier::Cibuildwheel)?;
        let mut draft = Draft::new(way.invocation.tool, &[]);
        draft.command.clone_from(&way.invocation.words);
        if way.invocation.tool == Tool::Pytest {
            draft.command = vec!["pytest".into()];
            draft.command.extend(self.arguments(way));
            if draft.command.iter().any(|word| word == "--pyargs") && self.config.is_none() {
                draft.working = Working::Empty;
            }
            let arguments = paths(&draft.command[1..]);
            draft.expected = self.expected_below(&arguments);
        } else {
            draft.expected = self.survey.count();
        }
        if draft.expected == 0 && self.survey.count() > 0 {
            return None;
        }
        draft.why.push(format!(
            "{} ({}): what the maintainers run against an installed wheel",
            way.name,
            place(&way.file, way.line)
        ));
        self.surround(&mut draft, way);
        if way.invocation.tool == Tool::Pytest && draft.working == Working::SourceTree {
            self.keep_installed_copy(&mut draft);
        }
        Some(draft)
    }

    /// Django's conventions, where nothing is written down: a script, `manage.py`, or settings beside the tests.
    fn django(&self) -> Option<Draft> {
        let uses = self
            .survey
            .tests
            .iter()
            .filter(|file| file.facts.imports.iter().any(|import| import.module.starts_with("django")))
            .count();
        if uses == 0 || self.says_pytest() {
            return None;
        }
        let mut draft = Draft::new(Tool::Django, &["python"]);
        draft.expected = self.survey.count();
        let script = ["runtests.py", "run_tests.py", "tests/runtests.py", "test/runtests.py", "quicktest.py"]
            .into_iter()
            .find(|file| self.reader.has_file(file));
        let manage =
            self.reader.files().iter().map(|file| file.0).find(|path| file_name(path) == "manage.py");
        let settings = self.django_settings();
        if let Some(script) = script {
            draft.command.push(script.to_owned());
            draft.why.push(format!("tests import Django, and {script} is there to run them"));
        } else if let Some(manage) = manage {
            // Its folder is where its settings and apps are found, and where discovery begins.
            draft.command.extend(["manage.py".to_owned(), "test".into()]);
            draft.directory = parent(manage).to_owned();
            draft.why.push(format!("tests import Django, and {manage} is there to run them"));
        } else if let Some(settings) = settings {
            draft.command.extend(["-m", "django", "test"].map(str::to_owned));
            let module = settings.trim_end_matches(".py").trim_start_matches("src/").replace('/', ".");
            draft.environment = BTreeMap::from([("DJANGO_SETTINGS_MODULE".to_owned(), module)]);
            draft.why.push(format!("tests import Django, and {settings} looks like their settings"));
        } else {
            return None;
        }
        Some(draft)
    }

    /// A module of settings beside the tests: one that names apps or databases, which a file of some values does not.
    fn django_settings(&self) -> Option<&str> {
        let mut named = self.reader.files().iter().map(|file| file.0).filter(|path| {
            matches("*settings*.py", path) && path.split('/').any(|part| part.contains("test"))
        });
        named.find(|path| {
            let text = self.reader.text(path);
            text.is_some_and(|text| {
                ["INSTALLED_APPS", "DATABASES", "import *"].iter().any(|word| text.contains(word))
            })
        })
    }
}

/// True for a module that defines `test`, callable as it stands.
fn defines_test(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::FunctionDef(function) => {
            let mut parameters = function.parameters.iter_non_variadic_params();
            function.name.as_str() == "test" && parameters.all(|parameter| parameter.default.is_some())
        }
        _ => false,
    })
}

/// Those of pytest's arguments that are paths.
pub(super) fn paths(arguments: &[String]) -> Vec<String> {
    let mut paths = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if WITH_VALUE.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            paths.push(argument.split("::").next().unwrap_or(argument).to_owned());
        }
    }
    paths
}

/// A folder of the tree as a variable's value names it.
fn root_path(folder: &str) -> String {
    let folder = folder.trim_start_matches("./").trim_end_matches('/');
    if folder.is_empty() || folder == "." { "{root}".to_owned() } else { format!("{{root}}/{folder}") }
}
