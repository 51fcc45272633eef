//! The decision: evidence in, plans out, best first. Each step is one function that says in words what it saw.
//! `pytest` and `unittest` draft the two common runners, `ways` what the maintainers wrote down themselves.

mod checkers;
mod directory;
mod left_out;
mod other;
mod overridden;
mod pytest;
mod unittest;
mod ways;

use std::collections::BTreeMap;

use wheeltapper_core::{
    Reason, TestPlan,
    plan::{Runner, Working},
};

use crate::{
    About, Evidence, Ignored, Plans,
    absent::absent,
    declared::{Declared, Sources},
    given::given,
    invocation::Tool,
    needs::{Basis, Needs, least, needs},
    overrides::Override,
    pytest_config::{self, PytestConfig, matches},
    requirement::without_pin,
    survey::{Survey, TestFile},
    tree::{Reader, SourceTree, file_name},
    used_extras::used_extras,
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
    /// The name of the list of requirements that belongs to it.
    preferred: Option<String>,
    /// Tests that are left out, each with why.
    deselected: Vec<String>,
    /// The override that it comes from.
    written: Option<Override>,
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
    let sources = Sources {
        reader: &reader,
        own: about.project,
        python: about.interpreter.version,
        extras: &about.provides_extra,
    };
    let declared = Declared::of(&sources);
    let case = Case { reader: &reader, about, survey, config, declared };
    let mut plans =
        Plans { expected_tests: case.survey.count(), evidence: case.evidence(), ..Plans::default() };
    plans.absent = absent(case.reader, &case.survey, about);
    for (file, line, message) in broken.into_iter().chain(case.declared.broken.iter().cloned()) {
        plans.ignored.push(Ignored {
            file,
            line: Some(line),
            what: "the whole file".into(),
            because: format!("does not parse: {message}"),
        });
    }
    let written = overridden::chosen(&case, &mut plans);
    let mut drafts = case.drafts();
    if let Some(written) = written.as_ref().filter(|written| written.plans()) {
        drafts = case.overridden(written, drafts);
    }
    if drafts.is_empty() {
        plans.none =
            Some(if case.survey.count() == 0 { Reason::NoTestsShipped } else { Reason::NoRunnerRecognised });
    }
    case.finish(drafts, &mut plans);
    for plan in &mut plans.plans {
        let Some(written) = &written else { break };
        plan.system_packages.clone_from(&written.system_packages);
        plan.timeout_s = written.timeout_s;
    }
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
            evidence.push(Evidence {
                file: way.file.clone(),
                line: Some(way.line),
                says,
                weight: way.tier.weight(),
            });
        }
        for list in &self.declared.lists {
            let count = list.list.specifiers.len();
            let says = match count {
                1 => format!("{} asks for 1 requirement", list.name),
                _ => format!("{} asks for {count} requirements", list.name),
            };
            evidence.push(Evidence {
                file: list.file.clone(),
                line: Some(list.line).filter(|line| *line > 0),
                says,
                weight: list.tier.weight(),
            });
        }
        for (root, count) in self.survey.roots().iter().take(20) {
            evidence.push(Evidence {
                file: root.clone(),
                line: None,
                says: format!("holds {count} tests"),
                weight: 90,
            });
        }
        if self.survey.as_text > 0 {
            let says =
                format!("{} files do not parse as Python 3 and were read as text", self.survey.as_text);
            evidence.push(Evidence { file: ".".into(), line: None, says, weight: 10 });
        }
        if self.survey.cut {
            evidence.push(Evidence {
                file: ".".into(),
                line: None,
                says: "more test files than are parsed".into(),
                weight: 0,
            });
        }
        evidence.sort_by_key(|evidence| std::cmp::Reverse(evidence.weight));
        evidence
    }

    fn drafts(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let special = self.special();
        if self.survey.count() > 0 {
            drafts.extend(self.pytest());
            drafts.extend(self.unittest());
            self.order(&mut drafts);
            self.run_from(&mut drafts);
            if self.about.native {
                drafts.splice(0..0, self.against_wheel());
            }
        }
        if special.iter().any(|draft| draft.tool == Tool::Django) {
            // Django's cases need its settings, which plain unittest does not load.
            drafts.retain(|draft| draft.tool != Tool::Unittest);
        }
        // What is neither pytest nor unittest was written down for a reason, unless pytest is configured.
        let at = if self.config.is_some() { drafts.len().min(1) } else { 0 };
        drafts.splice(at..at, special.into_iter().chain(self.nose()));
        let mut distinct: Vec<Draft> = Vec::new();
        for draft in drafts {
            if !distinct.iter().any(|other| {
                other.command == draft.command
                    && other.working == draft.working
                    && other.directory == draft.directory
            }) {
                distinct.push(draft);
            }
        }
        distinct.truncate(MOST_PLANS);
        distinct
    }

    /// True when something says pytest: a configuration, an import, a conftest, a bare test function.
    fn says_pytest(&self) -> bool {
        self.config.is_some()
            || self
                .survey
                .all()
                .any(|file| file.facts.imports_top("pytest") || file_name(&file.path) == "conftest.py")
            || self.survey.tests.iter().any(|file| file.facts.functions > 0)
    }

    /// unittest first where pytest cannot collect the suite.
    fn order(&self, drafts: &mut [Draft]) {
        let methods: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.methods)).sum();
        let functions: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.functions)).sum();
        let yields: u64 = self.survey.tests.iter().map(|file| u64::from(file.facts.yields)).sum();
        let pattern_free = self.survey.tests.iter().all(|file| self.survey_named(file));
        let yields_in_cases = yields > 0 && methods > functions;
        if self.config.is_none() && methods > 0 && (yields_in_cases || (pattern_free && methods >= functions))
        {
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
        let basis = Basis {
            about: self.about,
            survey: &self.survey,
            config: self.config.as_ref(),
            declared: &self.declared,
            used_extras: used_extras(self.reader, &self.survey, self.about),
        };
        // Who writes down what to install wants that installed.
        let tool = drafts.first().filter(|draft| draft.written.is_none()).map(|draft| draft.tool);
        for mut draft in drafts {
            if draft.tool == Tool::Pytest && draft.written.is_none() {
                self.without_system(&mut draft);
                self.without_network(&mut draft);
            }
            let preferred = draft.preferred.as_deref();
            let Needs { requirements, extras, why, inferred, ignored, origins, .. } =
                match draft.written.as_ref().filter(|written| written.lists_requirements()) {
                    Some(written) => given(&basis, draft.tool, written, self.reader),
                    None => needs(&basis, draft.tool, preferred),
                };
            for one in inferred {
                if !plans.inferred.contains(&one) {
                    plans.inferred.push(one);
                }
            }
            for one in origins {
                if !plans.origins.contains(&one) {
                    plans.origins.push(one);
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
                    Tool::Trial => Runner::Trial,
                    Tool::Zope => Runner::Zope,
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
                deselected: draft.deselected,
                system_packages: Vec::new(),
                timeout_s: None,
                why: draft.why.into_iter().chain(why).collect(),
            });
        }
        if let Some(first) = plans.plans.first().cloned() {
            let fewest = tool.and_then(|tool| with_least(&first, &least(&basis, tool)));
            let others = [without_pins(&first), fewest, self.without_checkers(&first)];
            plans.plans.splice(1..1, others.into_iter().flatten());
        }
        for list in &self.declared.lists {
            for (what, file, line, because) in &list.list.refused {
                let one = Ignored {
                    file: file.clone(),
                    line: Some(*line),
                    what: what.clone(),
                    because: (*because).to_owned(),
                };
                if plans.ignored.len() < 200 && !plans.ignored.contains(&one) {
                    plans.ignored.push(one);
                }
            }
        }
    }
}

/// The same plan with newest versions, where a list pins most of what it asks for: pins of another year often
/// cannot be installed on this Python.
fn without_pins(plan: &TestPlan) -> Option<TestPlan> {
    let pinned = plan.requirements.iter().filter(|text| without_pin(text).is_some()).count();
    if pinned < 3 || pinned * 2 < plan.requirements.len() {
        return None;
    }
    let mut unpinned = plan.clone();
    for requirement in &mut unpinned.requirements {
        if let Some(text) = without_pin(requirement) {
            *requirement = text;
        }
    }
    unpinned.why.push(format!(
        "the versions of {pinned} requirements are left open, in case those pinned cannot be installed"
    ));
    Some(unpinned)
}

/// The same plan with the least that it needs, where its lists ask for more: a list of everything that its maintainers
/// work with may hold what cannot be installed on this Python.
fn with_least(plan: &TestPlan, least: &Needs) -> Option<TestPlan> {
    if plan.requirements.len() + plan.extras.len() <= least.requirements.len() {
        return None;
    }
    let mut fewest =
        TestPlan { requirements: least.requirements.clone(), extras: Vec::new(), ..plan.clone() };
    fewest
        .why
        .push("only what the tests' own imports need, in case the whole list cannot be installed".to_owned());
    Some(fewest)
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
            deselected: Vec::new(),
            written: None,
        }
    }
}

fn join_path(folder: &str, name: &str) -> String {
    crate::tree::join(folder, name).unwrap_or_default()
}
