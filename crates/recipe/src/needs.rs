//! Which requirements a plan has: the strongest declared list, then the runner, implied plugins, and what the
//! tests import and nothing provides. Every requirement has its reason.

use std::collections::{BTreeMap, BTreeSet};

use wheeltapper_core::ProjectName;

use crate::{
    About, Ignored, InferredRequirement, Origin,
    declared::{Declaration, Declared, Tier},
    invocation::Tool,
    knowledge::{Implies, is_namespace, is_stdlib, plugin, portion, providers},
    pytest_config::{PytestConfig, default_patterns, matches},
    python::facts::top,
    requirement::{List, Placed, Specifier, specifier, without_pin},
    survey::{Survey, TestFile, is_under},
    tools::{ALTERNATIVES, DEVELOPMENT_TOOLS},
    tree::file_name,
    used_extras::UsedExtra,
};

/// The requirements of a plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Needs {
    pub requirements: Vec<String>,
    pub extras: Vec<String>,
    pub why: Vec<String>,
    pub inferred: Vec<InferredRequirement>,
    pub ignored: Vec<Ignored>,
    pub origins: Vec<Origin>,
    pub(crate) projects: BTreeSet<ProjectName>,
}

/// What requirements are worked out from.
pub(crate) struct Basis<'a> {
    pub about: &'a About<'a>,
    pub survey: &'a Survey,
    pub config: Option<&'a PytestConfig>,
    pub declared: &'a Declared,
    pub used_extras: Vec<UsedExtra>,
}

/// The first Python that nose does not run on: it was last released in 2015.
const NOSE_ENDS: (u32, u32) = (3, 10);

/// Works out the requirements for a runner.
pub(crate) fn needs(basis: &Basis, tool: Tool, preferred: Option<&str>) -> Needs {
    with_lists(basis, tool, &choose(basis, preferred))
}

/// What a runner needs at the least: itself, the plugins that are used and what the tests import, of whatever version.
pub(crate) fn least(basis: &Basis, tool: Tool) -> Needs {
    let mut needs = with_lists(basis, tool, &[]);
    for requirement in &mut needs.requirements {
        if let Some(text) = without_pin(requirement) {
            *requirement = text;
        }
    }
    needs
}

fn with_lists(basis: &Basis, tool: Tool, chosen: &[&Declaration]) -> Needs {
    let mut needs = Needs::default();
    let runs_pytest = tool == Tool::Pytest;
    for declaration in chosen {
        needs.take(basis, declaration);
    }
    for requirement in &basis.about.runtime_requirements {
        needs.projects.extend(specifier(requirement).ok().map(|specifier| specifier.project));
    }
    if runs_pytest {
        needs.want(basis, "pytest", "the runner", None);
        for (project, why) in basis.config.map(PytestConfig::plugins).unwrap_or_default() {
            needs.want(
                basis,
                project,
                &why,
                basis.config.map(|config| (config.file.as_str(), Some(config.line))),
            );
        }
        implied_by_sources(basis, &mut needs);
    } else if let Some(runner) = runner_of(tool) {
        needs.want(basis, runner, "the runner", None);
    }
    for used in &basis.used_extras {
        needs.want_extra(basis, used);
    }
    imported(basis, &mut needs);
    needs
}

/// The project that a runner comes from, unless the interpreter or the release's own requirements bring it.
pub(crate) fn runner_of(tool: Tool) -> Option<&'static str> {
    match tool {
        Tool::Pytest => Some("pytest"),
        Tool::Nose => Some("pynose"),
        Tool::Trial => Some("twisted"),
        Tool::Zope => Some("zope-testrunner"),
        Tool::Unittest | Tool::Django | Tool::Script => None,
    }
}

/// The declared lists to install whole: all of the strongest tier that asks for anything.
fn choose<'a>(basis: &'a Basis, preferred: Option<&str>) -> Vec<&'a Declaration> {
    let usable = |declaration: &&Declaration| {
        !declaration.list.is_empty()
            && declaration.tier != Tier::Plain
            && (declaration.tier != Tier::Cibuildwheel || basis.about.native)
    };
    let lists = &basis.declared.lists;
    if let Some(name) = preferred
        && let Some(found) = lists.iter().filter(usable).find(|list| list.name == name)
    {
        return vec![found];
    }
    let Some(best) = lists.iter().filter(usable).map(|declaration| declaration.tier).min() else {
        return Vec::new();
    };
    let of = |tier: Tier| lists.iter().filter(usable).filter(move |declaration| declaration.tier == tier);
    match best {
        // Groups and extras for tests complete each other; files and environments are variants of one list.
        Tier::Cibuildwheel | Tier::TestGroup | Tier::TestExtra => {
            let exact = |declaration: &&Declaration| {
                let name = declaration.name.rsplit(' ').next().unwrap_or("");
                crate::declared::purpose(name) == crate::declared::Purpose::Test
            };
            let all: Vec<_> =
                of(Tier::Cibuildwheel).chain(of(Tier::TestGroup)).chain(of(Tier::TestExtra)).collect();
            let main: Vec<_> =
                all.iter().copied().filter(|list| list.tier == Tier::Cibuildwheel || exact(list)).collect();
            if main.is_empty() { all.into_iter().take(1).collect() } else { main }
        }
        best => of(best).take(1).collect(),
    }
}

impl Needs {
    pub(crate) fn take(&mut self, basis: &Basis, declaration: &Declaration) {
        let List { specifiers, extras, constraints, .. } = &declaration.list;
        let known: BTreeSet<&str> = basis.about.provides_extra.keys().map(String::as_str).collect();
        let is_extra = declaration.name.starts_with("extra ");
        let place = place(&declaration.file, declaration.line);
        let mut taken = Vec::new();
        for extra in extras {
            if let Some(name) = known.iter().find(|name| normal(name) == normal(extra)) {
                if !self.extras.iter().any(|have| have == name) {
                    self.extras.push((*name).to_owned());
                    self.origins.push(Origin {
                        requirement: (*name).to_owned(),
                        declared_by: Some(declaration.name.clone()),
                        file: Some(declaration.file.clone()),
                        line: Some(declaration.line).filter(|line| *line > 0),
                        needed_for: None,
                    });
                }
                for requirement in &basis.about.provides_extra[*name] {
                    self.projects.extend(specifier(requirement).ok().map(|specifier| specifier.project));
                }
            } else {
                self.ignored.push(Ignored {
                    file: declaration.file.clone(),
                    line: Some(declaration.line),
                    what: format!("extra {extra}"),
                    because: "the release's metadata has no such extra".into(),
                });
            }
        }
        for placed in specifiers {
            let project = &placed.specifier.project;
            if declaration.tier == Tier::Dev
                && DEVELOPMENT_TOOLS.contains(&project.as_str())
                && !is_imported(basis, project)
            {
                self.ignored.push(Ignored {
                    file: placed.file.clone(),
                    line: Some(placed.line),
                    what: placed.specifier.text.clone(),
                    because: "a development tool that no test imports".into(),
                });
                continue;
            }
            if basis.about.interpreter.version >= NOSE_ENDS && stands_on_nose(project) {
                self.ignored.push(Ignored {
                    file: placed.file.clone(),
                    line: Some(placed.line),
                    what: placed.specifier.text.clone(),
                    because: "a plugin of nose, which it would bring and which does not run on this Python"
                        .into(),
                });
                continue;
            }
            self.projects.insert(project.clone());
            if !is_extra {
                let mut text = constrained(&placed.specifier, constraints);
                if project.as_str() == "nose" && basis.about.interpreter.version >= NOSE_ENDS {
                    self.ignored.push(Ignored {
                        file: placed.file.clone(),
                        line: Some(placed.line),
                        what: std::mem::replace(&mut text, "pynose".to_owned()),
                        because: "it does not run on this Python; pynose has the same module and program"
                            .into(),
                    });
                    self.projects.extend("pynose".parse().ok());
                }
                if !self.requirements.contains(&text) {
                    self.origins.push(declared(&text, &declaration.name, placed, None));
                    taken.push(text.clone());
                    self.requirements.push(text);
                }
            }
        }
        let what = if is_extra { "installed as an extra".to_owned() } else { taken.join(", ") };
        self.why.push(format!("requirements from {} ({place}): {what}", declaration.name));
    }

    /// Adds an extra unless it is there, or what the list has brings all of it.
    fn want_extra(&mut self, basis: &Basis, used: &UsedExtra) {
        let requirements = basis.about.provides_extra.get(&used.extra).map_or(&[][..], Vec::as_slice);
        let projects: Vec<ProjectName> =
            requirements.iter().filter_map(|text| Some(specifier(text).ok()?.project)).collect();
        if self.extras.contains(&used.extra) || projects.iter().all(|project| self.projects.contains(project))
        {
            return;
        }
        self.projects.extend(projects);
        self.extras.push(used.extra.clone());
        let place = place(&used.file, used.line);
        self.why.push(format!("extra {} inferred ({place}): {}", used.extra, used.because));
        self.origins.push(Origin {
            requirement: used.extra.clone(),
            declared_by: None,
            file: Some(used.file.clone()),
            line: Some(used.line),
            needed_for: Some(used.because.clone()),
        });
    }

    /// Adds a project unless something has it; as a lower list declares it where one does.
    pub(crate) fn want(
        &mut self,
        basis: &Basis,
        project: &str,
        because: &str,
        at: Option<(&str, Option<u32>)>,
    ) {
        let Ok(name) = project.parse::<ProjectName>() else { return };
        let alternative = ALTERNATIVES.iter().find(|row| row.0 == project).map_or(&[][..], |row| row.1);
        if name == *basis.about.project
            || self.projects.contains(&name)
            || alternative.iter().any(|other| self.projects.iter().any(|have| have.as_str() == *other))
        {
            return;
        }
        self.projects.insert(name.clone());
        if let Some((list, placed)) = declared_elsewhere(basis, &name) {
            let text = placed.specifier.text.clone();
            let place = place(&placed.file, placed.line);
            self.why.push(format!("requirement {text} from {} ({place}): {because}", list.name));
            self.origins.push(declared(&text, &list.name, placed, Some(because)));
            self.requirements.push(text);
            return;
        }
        self.why.push(format!("requirement {project} inferred: {because}"));
        self.requirements.push(project.to_owned());
        self.origins.push(Origin {
            requirement: project.to_owned(),
            declared_by: None,
            file: at.map(|(file, _)| file.to_owned()),
            line: at.and_then(|(_, line)| line),
            needed_for: Some(because.to_owned()),
        });
        if let Some((file, line)) = at {
            self.inferred.push(InferredRequirement {
                project: name,
                needed_for: because.to_owned(),
                file: file.to_owned(),
                line,
                from_table: true,
            });
        }
    }
}

/// True for a plugin of nose, told by its name.
fn stands_on_nose(project: &ProjectName) -> bool {
    let name = project.as_str();
    !matches!(name, "nose" | "nose2" | "pynose") && (name.starts_with("nose") || name.ends_with("nose"))
}

/// `file:line`, or the file alone.
pub(crate) fn place(file: &str, line: u32) -> String {
    if line == 0 { file.to_owned() } else { format!("{file}:{line}") }
}

fn normal(extra: &str) -> String {
    extra.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// A specifier with the bounds a constraints file sets, where it has none of its own.
fn constrained(specifier: &Specifier, constraints: &[Specifier]) -> String {
    let bare = specifier.text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match constraints.iter().find(|constraint| bare && constraint.project == specifier.project) {
        Some(constraint) => constraint.text.clone(),
        None => specifier.text.clone(),
    }
}

/// The origin of a requirement that a list declares.
fn declared(requirement: &str, list: &str, placed: &Placed, needed_for: Option<&str>) -> Origin {
    Origin {
        requirement: requirement.to_owned(),
        declared_by: Some(list.to_owned()),
        file: Some(placed.file.clone()),
        line: Some(placed.line).filter(|line| *line > 0),
        needed_for: needed_for.map(str::to_owned),
    }
}

fn declared_elsewhere<'a>(basis: &Basis<'a>, project: &ProjectName) -> Option<(&'a Declaration, &'a Placed)> {
    let mut lists: Vec<&Declaration> = basis.declared.lists.iter().collect();
    lists.sort_by_key(|list| list.tier);
    lists.into_iter().find_map(|list| {
        let placed = list.list.specifiers.iter().find(|placed| placed.specifier.project == *project)?;
        Some((list, placed))
    })
}

/// The files whose imports must work: tests, conftests, and the helpers that those import.
fn files<'a>(basis: &'a Basis) -> Vec<&'a TestFile> {
    let survey = basis.survey;
    let mut mentioned: BTreeSet<&str> = BTreeSet::new();
    let is_root = |file: &TestFile| matches!(file_name(&file.path), "conftest.py" | "__init__.py");
    let patterns = basis.config.map_or_else(default_patterns, PytestConfig::patterns);
    let is_collected = |file: &TestFile| patterns.iter().any(|pattern| matches(pattern, &file.path));
    let any_collected = survey.tests.iter().any(is_collected);
    let (collected, others): (Vec<&TestFile>, Vec<&TestFile>) =
        survey.tests.iter().partition(|file| !any_collected || is_collected(file));
    let mut found: Vec<&TestFile> =
        collected.into_iter().chain(survey.helpers.iter().filter(|file| is_root(file))).collect();
    let mention = |file: &'a TestFile, mentioned: &mut BTreeSet<&'a str>| {
        for import in &file.facts.imports {
            mentioned.extend(import.module.split('.'));
            mentioned.extend(import.names.iter().map(String::as_str));
        }
        mentioned.extend(file.facts.neighbours.iter().map(String::as_str));
    };
    for file in &found {
        mention(file, &mut mentioned);
    }
    let helpers = others.into_iter().chain(&survey.helpers).filter(|file| {
        !is_root(file) && !file.installed && mentioned.contains(file_name(&file.path).trim_end_matches(".py"))
    });
    found.extend(helpers);
    found
}

fn is_imported(basis: &Basis, project: &ProjectName) -> bool {
    basis
        .survey
        .all()
        .flat_map(|file| file.facts.imports.iter().chain(&file.facts.late))
        .any(|import| provides(project, &portion(&import.module, &import.names)))
}

/// True when a project of this name is known, or by its name likely, to provide a module, as [`portion`] has it.
pub(crate) fn provides(project: &ProjectName, module: &str) -> bool {
    let project = project.as_str();
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
    let (name, wanted) = (plain(project), plain(module));
    providers(module).contains(&project)
        || name == wanted
        || name.strip_prefix("python").is_some_and(|rest| rest == wanted)
        || name.strip_suffix("python").is_some_and(|rest| rest == wanted)
        || name.strip_prefix("py").or_else(|| name.strip_suffix("py")).is_some_and(|rest| rest == wanted)
        || (project == "pytest" && matches!(module, "_pytest" | "py" | "pluggy" | "iniconfig" | "packaging"))
}

/// True when the release installs this part of a namespace.
fn installs(basis: &Basis, portion: &str) -> bool {
    let path = portion.replace('.', "/");
    basis.about.installed_files.iter().any(|file| is_under(file.trim_end_matches(".py"), &path))
        || basis.about.import_names.iter().any(|own| is_under(&own.replace('.', "/"), &path))
}

/// Plugins that fixtures and markers in the sources need.
fn implied_by_sources(basis: &Basis, needs: &mut Needs) {
    let defined: BTreeSet<&str> = basis
        .survey
        .all()
        .chain(&basis.survey.peripheral)
        .flat_map(|file| file.facts.fixtures.iter())
        .map(String::as_str)
        .collect();
    let of_own = |plugin: &String| {
        basis.about.import_names.iter().any(|own| top(own) == top(plugin))
            || basis.survey.local_modules.contains(top(plugin))
    };
    if basis.survey.all().any(|file| file.facts.plugins.iter().any(of_own)) {
        // Fixtures come from a plugin of the release's own, which was not read.
        return;
    }
    let registered = basis
        .config
        .and_then(|config| config.keys.iter().find(|key| key.0 == "markers"))
        .map_or("", |key| &key.1);
    for file in files(basis) {
        for parameter in file.facts.parameters.iter().filter(|name| !defined.contains(name.as_str())) {
            if let Some(project) = plugin(Implies::Fixture, parameter) {
                needs.want(
                    basis,
                    project,
                    &format!("{} uses the fixture {parameter}", file.path),
                    Some((&file.path, None)),
                );
            }
        }
        for mark in &file.facts.marks {
            if let Some(project) = plugin(Implies::Mark, mark)
                && !registered.split_whitespace().any(|word| word.trim_end_matches(':') == mark)
            {
                needs.want(
                    basis,
                    project,
                    &format!("{} uses pytest.mark.{mark}", file.path),
                    Some((&file.path, None)),
                );
            }
        }
    }
}

/// What the tests import at module level, or first thing in a test that nothing skips, and nothing provides.
fn imported(basis: &Basis, needs: &mut Needs) {
    let own: BTreeSet<&str> = basis
        .about
        .import_names
        .iter()
        .map(|name| top(name))
        .chain(basis.about.installed_files.iter().filter_map(|path| path.split(['/', '.']).next()))
        .chain(basis.survey.local_modules.iter().map(String::as_str))
        .collect();
    let mut wanted: BTreeMap<String, (&TestFile, u32)> = BTreeMap::new();
    for file in files(basis) {
        for import in file.facts.imports.iter().chain(&file.facts.late) {
            let module = top(&import.module);
            if is_stdlib(module)
                || module.is_empty()
                || !module.is_ascii()
                || file.facts.guarded.contains(module)
            {
                continue;
            }
            let portion = portion(&import.module, &import.names);
            let is_own = if is_namespace(module) { installs(basis, &portion) } else { own.contains(module) };
            if !is_own {
                wanted.entry(portion).or_insert((file, import.line));
            }
        }
    }
    let named = basis.config.map(|config| (config, config.warning_modules())).into_iter();
    let named: Vec<(String, &str, u32)> = named
        .flat_map(|(config, modules)| {
            let line =
                config.keys.iter().find(|key| key.0 == "filterwarnings").map_or(config.line, |key| key.2);
            let named =
                modules.into_iter().filter(|dotted| !is_stdlib(top(dotted)) && top(dotted) != "pytest");
            let others = named.filter(|dotted| !own.contains(top(dotted)));
            others.map(move |dotted| (portion(dotted, &[]), config.file.as_str(), line)).collect::<Vec<_>>()
        })
        .collect();
    let imports = wanted.into_iter().map(|(module, (file, line))| (module, file.path.as_str(), line));
    for (module, file, line) in named.into_iter().chain(imports).take(60) {
        let module = module.as_str();
        let says_nothing = is_namespace(module) && providers(module).is_empty();
        if says_nothing || needs.projects.iter().any(|project| provides(project, module)) {
            continue;
        }
        let because = format!("{file}:{line} imports {module}");
        // As declared in a weaker list, whatever it is called there.
        let weaker = basis
            .declared
            .lists
            .iter()
            .filter(|list| list.tier != Tier::Cibuildwheel || basis.about.native)
            .flat_map(|list| list.list.specifiers.iter().map(move |placed| (list, placed)))
            .find(|(_, placed)| provides(&placed.specifier.project, module));
        if let Some((list, placed)) = weaker {
            needs.origins.push(declared(&placed.specifier.text, &list.name, placed, Some(&because)));
            needs.projects.insert(placed.specifier.project.clone());
            needs.requirements.push(placed.specifier.text.clone());
            needs.why.push(format!(
                "requirement {} from {}: {because}",
                placed.specifier.text,
                place(&placed.file, placed.line)
            ));
            continue;
        }
        let project = providers(module).first().map_or_else(|| module.replace('.', "-"), ToString::to_string);
        let Ok(project) = project.parse::<ProjectName>() else { continue };
        if project == *basis.about.project || !needs.projects.insert(project.clone()) {
            continue;
        }
        needs.why.push(format!("requirement {project} inferred: {because}"));
        needs.origins.push(Origin {
            requirement: project.to_string(),
            declared_by: None,
            file: Some(file.to_owned()),
            line: Some(line),
            needed_for: Some(format!("import {module}")),
        });
        needs.requirements.push(project.to_string());
        needs.inferred.push(InferredRequirement {
            from_table: !providers(module).is_empty(),
            project,
            needed_for: format!("import {module}"),
            file: file.to_owned(),
            line: Some(line),
        });
    }
}
