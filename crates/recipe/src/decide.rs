//! The decision: evidence in, plans out, best first. Each step is one function that says in words what it saw.

use std::collections::BTreeMap;

use wheeltapper_core::{Reason, TestPlan, plan::{Runner, Working}};

use crate::{
    About, Evidence, Ignored, Plans,
    declared::{Declared, Sources, Tier, Way},
    invocation::Tool,
    needs::{Basis, Needs, needs, place},
    pytest_config::{self, PytestConfig, matches},
    survey::{OwnModule, Survey, TestFile, is_under},
    tree::{Reader, SourceTree, file_name, parent},
};

/// The most plans that are worked out.
const MOST_PLANS: usize = 5;

/// The most paths or modules that a command names.
const MOST_ARGUMENTS: usize = 100;

/// A plan before its requirements are known.
#[derive(Debug, Clone)]
struct Draft {
    tool: Tool,
    command: Vec<String>,
    working: Working,
    directory: String,
    environment: BTreeMap<String, String>,
    why: Vec<String>,
    expected: u64,
    /// The list of requirements that belongs to it.
    preferred: Option<(Tier, String)>,
}

/// Everything the decision looks at.
struct Case<'a> {
    reader: &'a Reader<'a>,
    about: &'a About<'a>,
    survey: Survey,
    config: Option<PytestConfig>,
    declared: Declared,
}

/// See [`crate::plan`].
pub(crate) fn decide(tree: &dyn SourceTree, about: &About) -> Plans {
    let reader = Reader::new(tree);
    let mut broken = Vec::new();
    let config = pytest_config::find(&reader, &mut broken);
    let (patterns, paths) = config
        .as_ref()
        .map(|config| (config.python_files.clone(), config.testpaths.clone()))
        .unwrap_or_default();
    let survey = Survey::of(&reader, about, &patterns, &paths);
    let sources =
        Sources { reader: &reader, own: about.project, python: about.interpreter.version, extras: &about.provides_extra };
    let declared = Declared::of(&sources);
    let case = Case { reader: &reader, about, survey, config, declared };
    let mut plans = Plans { expected_tests: case.survey.count(), evidence: case.evidence(), ..Plans::default() };
    for (file, line, message) in broken.into_iter().chain(case.declared.broken.iter().cloned()) {
        plans.ignored.push(Ignored { file, line: Some(line), what: "the whole file".into(), because: format!("does not parse: {message}") });
    }
    let drafts = case.drafts();
    if drafts.is_empty() {
        plans.none = Some(if case.survey.count() == 0 { Reason::NoTestsShipped } else { Reason::NoRunnerRecognised });
    }
    case.finish(drafts, &mut plans);
    plans
}

impl Case<'_> {
    /// What speaks for a runner, strongest first.
    fn evidence(&self) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        if let Some(config) = &self.config {
            let says = format!("configures pytest in {}", config.section);
            evidence.push(Evidence { file: config.file.clone(), line: Some(config.line), says, weight: 95 });
        }
        for way in &self.declared.ways {
            let says = format!("{} runs `{}`", way.name, way.invocation.words.join(" "));
            evidence.push(Evidence { file: way.file.clone(), line: Some(way.line), says, weight: way.tier.weight() });
        }
        for list in &self.declared.lists {
            let says = format!("{} asks for {} requirements", list.name, list.list.specifiers.len());
            evidence.push(Evidence { file: list.file.clone(), line: Some(list.line), says, weight: list.tier.weight() });
        }
        for (root, count) in self.survey.roots().into_iter().take(20) {
            evidence.push(Evidence { file: root, line: None, says: format!("holds {count} tests"), weight: 90 });
        }
        if self.survey.as_text > 0 {
            let says = format!("{} files do not parse as Python 3 and were read as text", self.survey.as_text);
            evidence.push(Evidence { file: ".".into(), line: None, says, weight: 10 });
        }
        if self.survey.cut {
            evidence.push(Evidence { file: ".".into(), line: None, says: "more test files than are parsed".into(), weight: 0 });
        }
        evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.weight));
        evidence
    }

    fn drafts(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        drafts.extend(self.special());
        if self.survey.count() > 0 {
            drafts.extend(self.pytest());
            drafts.extend(self.unittest());
            self.order(&mut drafts);
        }
        drafts.dedup_by(|b, a| a.command == b.command && a.working == b.working && a.directory == b.directory);
        drafts.truncate(MOST_PLANS);
        drafts
    }

    /// True when something says pytest: a configuration, an import, a conftest, a bare test function.
    fn says_pytest(&self) -> bool {
        self.config.is_some()
            || self.survey.all().any(|file| file.facts.imports_top("pytest") || file_name(&file.path) == "conftest.py")
            || self.survey.tests.iter().any(|file| file.facts.functions > 0)
    }

    // --- pytest -----------------------------------------------------------------------------------------------

    fn pytest(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let inside: Vec<&TestFile> = self.survey.tests.iter().filter(|file| file.in_package).collect();
        let all_inside = inside.len() == self.survey.tests.len();
        let installed = inside.iter().filter(|file| file.installed).count();
        let all_installed = !inside.is_empty() && installed * 10 >= inside.len() * 9;
        if all_inside && all_installed && (self.config.is_none() || self.about.native) {
            drafts.extend(self.pytest_installed());
        }
        drafts.push(self.pytest_in_tree());
        if self.config.is_some() && drafts.iter().all(|draft| draft.command.len() < 2 || draft.working == Working::Empty) {
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
            draft.why.push(format!("configuration {} {}, given by hand because the tests lie elsewhere", config.file, config.section));
        } else {
            draft.working = Working::Empty;
        }
        draft.command.push("--pyargs".into());
        draft.command.extend(modules);
        draft.why.push("the tests are installed with the package".into());
        draft.expected = self.survey.tests.iter().filter(|file| file.installed).map(|file| self.collected(file, true)).sum();
        Some(draft)
    }

    /// Dotted names of the installed test packages and modules.
    fn installed_modules(&self) -> Vec<String> {
        let mut modules: Vec<String> =
            self.survey.roots().iter().filter_map(|(root, _)| self.dotted(root)).take(MOST_ARGUMENTS).collect();
        if modules.len() > 10 {
            modules = self.survey.own.iter().map(|own| own.name.clone()).take(10).collect();
        }
        modules.sort();
        modules.dedup();
        modules
    }

    /// The dotted module name of a path inside one of the package's modules.
    fn dotted(&self, path: &str) -> Option<String> {
        let own: &OwnModule = self.survey.own.iter().find(|own| is_under(path, &own.path))?;
        let inside = path.strip_prefix(&own.folder).unwrap_or(path).trim_start_matches('/');
        Some(inside.trim_end_matches(".py").trim_end_matches("/__init__").replace('/', "."))
    }

    /// `pytest` in a copy of the source tree.
    fn pytest_in_tree(&self) -> Draft {
        let mut draft = Draft::new(Tool::Pytest, &["pytest"]);
        let bare = match &self.config {
            Some(config) => {
                draft.why.push(format!("pytest is configured in {} {} (line {})", config.file, config.section, config.line));
                true
            }
            None => false,
        };
        let roots = self.root_arguments();
        let explicit = self.uncollected();
        let mut arguments = Vec::new();
        if !bare {
            arguments = roots;
            let seen = self.survey.all().find(|file| file.facts.imports_top("pytest") || file_name(&file.path) == "conftest.py");
            draft.why.push(match seen {
                Some(file) if file_name(&file.path) == "conftest.py" => format!("no pytest configuration, but {}", file.path),
                Some(file) => format!("no pytest configuration, but {} imports pytest", file.path),
                None => "no pytest configuration; pytest runs unittest's tests too".into(),
            });
        }
        draft.expected = self.survey.tests.iter().filter(|file| self.is_selected(file, &arguments)).map(|file| self.collected(file, false)).sum();
        if draft.expected == 0 && !explicit.is_empty() && explicit.len() <= MOST_ARGUMENTS {
            arguments = explicit;
            draft.expected = self.survey.count();
            draft.why.push("the files are named, since none matches the patterns that pytest collects by".into());
        }
        draft.command.extend(arguments);
        self.keep_installed_copy(&mut draft);
        draft
    }

    /// The folders and files that hold tests, for a command line. Empty for tests in the root alone.
    fn root_arguments(&self) -> Vec<String> {
        let roots = self.survey.roots();
        let mut paths: Vec<String> = roots.into_iter().map(|(root, _)| root).collect();
        if paths.iter().any(|path| path.starts_with('-')) {
            paths = paths.into_iter().map(|path| format!("./{path}")).collect();
        }
        if paths.len() > 10 {
            // Too many to name one by one: their common tops.
            let mut tops: Vec<String> = paths.iter().map(|path| path.split('/').next().unwrap_or(path).to_owned()).collect();
            tops.sort();
            tops.dedup();
            paths = if tops.len() > 10 { Vec::new() } else { tops };
        }
        paths
    }

    /// True when pytest with these arguments (or its testpaths) comes across a file.
    fn is_selected(&self, file: &TestFile, arguments: &[String]) -> bool {
        let configured = self.config.as_ref().map_or(&[][..], |config| &config.testpaths);
        let paths = if arguments.is_empty() { configured } else { arguments };
        let existing: Vec<&String> =
            paths.iter().filter(|path| path.contains('*') || self.reader.has_folder(path) || self.reader.has_file(path.trim_start_matches("./"))).collect();
        existing.is_empty() || existing.iter().any(|path| is_under(&file.path, path) || (path.contains('*') && matches(&format!("{path}*"), &file.path)))
    }

    /// How many tests pytest collects from a file that it comes across.
    fn collected(&self, file: &TestFile, default_patterns: bool) -> u64 {
        let patterns = match &self.config {
            Some(config) if !default_patterns => config.patterns(),
            _ => pytest_config::default_patterns(),
        };
        let roots = self.survey.roots();
        let named = self.config.is_none() && roots.iter().any(|(root, _)| *root == file.path);
        if named || patterns.iter().any(|pattern| matches(pattern, &file.path)) { u64::from(file.facts.tests()) } else { 0 }
    }

    /// Every file with tests, when none of their names matches pytest's patterns.
    fn uncollected(&self) -> Vec<String> {
        self.survey.tests.iter().filter(|file| self.collected(file, false) == 0).map(|file| file.path.clone()).collect()
    }

    /// Sees to it that the root is found where helpers need it, without hiding the installed copy behind the source.
    fn keep_installed_copy(&self, draft: &mut Draft) {
        let flat = self.survey.is_flat();
        let inside = self.survey.tests.iter().any(|file| file.in_package && !file.installed);
        let mode_is_free = self.config.as_ref().is_none_or(|config| !config.has_import_mode() && !config.has_doctest_modules());
        let on_path = self.root_on_path();
        if inside {
            draft.why.push("tests lie in the package and are left out of the wheel: the source tree's copy is tested".into());
            if self.about.native && mode_is_free {
                draft.command.insert(1, "--import-mode=importlib".into());
                draft.why.push("importlib mode, since the source tree lacks the compiled part".into());
            }
            return;
        }
        if flat && on_path && mode_is_free && !self.tests_are_stray() {
            draft.command.insert(1, "--import-mode=append".into());
            draft.why.push("the source tree goes behind the installed copy on the path (flat layout)".into());
            return;
        }
        if !on_path && let Some(file) = self.needs_root() {
            if flat && self.about.native {
                draft.why.push(format!("{file} imports from the root, which is kept off the path: it hides the compiled part"));
            } else {
                draft.command.splice(0..1, ["python", "-m", "pytest"].map(str::to_owned));
                draft.why.push(format!("python -m, since {file} imports from the root"));
            }
        }
    }

    /// True when pytest's own `prepend` mode puts the tree's root on the path.
    fn root_on_path(&self) -> bool {
        let configured = self.config.as_ref().is_some_and(|config| config.pythonpath.iter().any(|path| matches!(path.as_str(), "." | "./" | "")));
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
        let own: Vec<&str> = self.about.import_names.iter().map(|name| crate::python::facts::top(name)).collect();
        self.survey.all().find_map(|file| {
            let hit = file.facts.imports.iter().any(|import| {
                let module = crate::python::facts::top(&import.module);
                let second = import.module.split('.').nth(1).or(import.names.first().map(String::as_str));
                let beside = self.reader.has_file(&join_path(parent(&file.path), &format!("{module}.py")))
                    || self.reader.has_file(&join_path(parent(&file.path), &format!("{module}/__init__.py")));
                !own.contains(&module)
                    && !beside
                    && !crate::knowledge::is_stdlib(module).then_some(()).is_some_and(|()| module != "test")
                    && (self.reader.has_file(&format!("{module}.py"))
                        || second.is_some_and(|second| {
                            self.reader.has_file(&format!("{module}/{second}.py")) || self.reader.has_file(&format!("{module}/{second}/__init__.py"))
                        }))
            });
            hit.then(|| file.path.clone())
        })
    }

    /// True when the wheel installs a top-level `tests` of its own, which would be found before the tree's.
    fn tests_are_stray(&self) -> bool {
        self.survey.roots().iter().any(|(root, _)| {
            let top = root.split('/').next().unwrap_or(root);
            self.about.installed_files.iter().any(|file| is_under(file, top))
        })
    }

    // --- unittest ---------------------------------------------------------------------------------------------

    fn unittest(&self) -> Vec<Draft> {
        let tests: Vec<&TestFile> = self.survey.tests.iter().filter(|file| file.facts.methods > 0).collect();
        if tests.is_empty() {
            return Vec::new();
        }
        let expected = tests.iter().map(|file| u64::from(file.facts.methods)).sum();
        let mut draft = Draft::new(Tool::Unittest, &["python", "-m", "unittest"]);
        draft.expected = expected;
        if tests.iter().all(|file| file.in_package && file.installed) {
            draft.working = Working::Empty;
            draft.command.extend(tests.iter().take(MOST_ARGUMENTS).filter_map(|file| self.dotted(&file.path)));
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
            if root.ends_with(".py") {
                let module = self.dotted(root).unwrap_or_else(|| root.trim_end_matches(".py").replace('/', "."));
                draft.command.push(module);
            } else {
                let package = self.reader.has_file(&format!("{root}/__init__.py"));
                draft.command.push("discover".into());
                let pattern = if under.iter().all(|file| matches("test*.py", &file.path)) { None } else { Some("*.py") };
                if self.survey.is_flat() && self.about.native && !package {
                    draft.directory.clone_from(root);
                    draft.why.push("from the tests' own folder: the root would hide the compiled part".into());
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

    // --- what the maintainers wrote down ----------------------------------------------------------------------

    /// Runners that are neither pytest nor unittest, as tox, hatch, nox, CI or a Makefile start them.
    fn special(&self) -> Vec<Draft> {
        let mut ways: Vec<&Way> = self.declared.ways.iter().collect();
        ways.sort_by_key(|way| way.tier);
        let mut drafts = Vec::new();
        for way in ways {
            let usable = match way.invocation.tool {
                Tool::Django => true,
                Tool::Script | Tool::Nose => !self.says_pytest(),
                Tool::Pytest | Tool::Unittest => false,
            };
            if !usable || !self.is_there(way) {
                continue;
            }
            let mut draft = Draft::new(way.invocation.tool, &[]);
            draft.command.clone_from(&way.invocation.words);
            draft.directory.clone_from(&way.directory);
            draft.environment.clone_from(&way.environment);
            draft.environment.extend(way.invocation.environment.iter().cloned());
            draft.expected = self.survey.count();
            draft.preferred = Some((way.tier, way.name.clone()));
            draft.why.push(format!("{} ({}) runs it so", way.name, place(&way.file, way.line)));
            drafts.push(draft);
        }
        drafts
    }

    /// True when the script that a way runs is in the tree.
    fn is_there(&self, way: &Way) -> bool {
        let script = way.invocation.words.iter().find(|word| word.ends_with(".py") && !word.starts_with('-'));
        script.is_none_or(|script| self.reader.has_file(&join_path(&way.directory, script)))
    }

    // --- putting together -------------------------------------------------------------------------------------

    /// unittest first where pytest cannot collect the suite.
    fn order(&self, drafts: &mut [Draft]) {
        let methods: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.methods)).sum();
        let functions: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.functions)).sum();
        let yields: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.yields)).sum();
        let pattern_free = self.survey.tests.iter().all(|file| self.survey_named(file));
        let yields_in_cases = yields > 0 && methods > functions;
        if self.config.is_none() && methods > 0 && (yields_in_cases || (pattern_free && functions == 0)) {
            drafts.sort_by_key(|draft| u8::from(draft.tool == Tool::Pytest));
            if let Some(first) = drafts.iter_mut().find(|draft| draft.tool == Tool::Unittest) {
                first.why.push(if yields_in_cases {
                    format!("{yields} tests yield, which pytest no longer collects")
                } else {
                    "the tests' file names are not ones that pytest collects by".into()
                });
            }
        }
    }

    fn survey_named(&self, file: &TestFile) -> bool {
        !pytest_config::default_patterns().iter().any(|pattern| matches(pattern, &file.path))
    }

    fn finish(&self, drafts: Vec<Draft>, plans: &mut Plans) {
        let basis = Basis { about: self.about, survey: &self.survey, config: self.config.as_ref(), declared: &self.declared };
        for draft in drafts {
            let preferred = draft.preferred.as_ref().map(|(tier, name)| (*tier, name.as_str()));
            let Needs { requirements, extras, why, inferred, ignored, .. } = needs(&basis, draft.tool, preferred);
            for one in inferred {
                if !plans.inferred.contains(&one) {
                    plans.inferred.push(one);
                }
            }
            for one in ignored {
                if !plans.ignored.contains(&one) {
                    plans.ignored.push(one);
                }
            }
            plans.plans.push(TestPlan {
                runner: match draft.tool {
                    Tool::Pytest => Runner::Pytest,
                    Tool::Unittest => Runner::Unittest,
                    Tool::Django => Runner::Django,
                    Tool::Nose | Tool::Script => Runner::Script,
                },
                command: draft.command,
                directory: if draft.directory.is_empty() { ".".into() } else { draft.directory },
                working: draft.working,
                environment: draft.environment,
                requirements,
                extras,
                source: "sdist".into(),
                expected_tests: Some(draft.expected),
                deselected: Vec::new(),
                why: draft.why.into_iter().chain(why).collect(),
            });
        }
        for list in &self.declared.lists {
            for (what, file, line, because) in &list.list.refused {
                let one = Ignored { file: file.clone(), line: Some(*line), what: what.clone(), because: (*because).to_owned() };
                if plans.ignored.len() < 200 && !plans.ignored.contains(&one) {
                    plans.ignored.push(one);
                }
            }
        }
    }
}

impl Draft {
    fn new(tool: Tool, command: &[&str]) -> Draft {
        Draft {
            tool,
            command: command.iter().map(ToString::to_string).collect(),
            working: Working::SourceTree,
            directory: String::new(),
            environment: BTreeMap::new(),
            why: Vec::new(),
            expected: 0,
            preferred: None,
        }
    }
}

fn join_path(folder: &str, name: &str) -> String {
    crate::tree::join(folder, name).unwrap_or_default()
}
