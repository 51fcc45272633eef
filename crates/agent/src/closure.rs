//! What a release, its build and its tests could ask an installer for, as far as that can be told without running any of it:
//! the files that a machine without a network has to be given.

use std::collections::BTreeSet;

use wheeltapper_core::{ProjectName, Version, build_system::BuildSystem, metadata::Metadata};
use wheeltapper_recipe::{Plans, SourceTree as _};

use crate::{
    environment::HostEnvironment,
    error::Error,
    resolve::{Asked, LockedWheel, Question, Resolution, Resolver},
    source::Source,
};

/// A release as it lies here, unpacked and not run.
#[derive(Debug, Clone, Copy)]
pub struct Still<'a> {
    /// Its project.
    pub project: &'a ProjectName,
    /// Its version.
    pub version: &'a Version,
    /// Its sdist, where it is built or tested from one.
    pub source: Option<&'a Source>,
    /// The metadata of its wheel, or what its sdist says of itself.
    pub metadata: &'a Metadata,
    /// How its tests could be run.
    pub plans: &'a Plans,
}

/// What any phase on any plan asks for.
#[derive(Debug, Default)]
pub struct Closure {
    /// Wheels, each once.
    pub wheels: Vec<LockedWheel>,
    /// Projects that a question names which has no answer: some of them may not exist.
    pub in_vain: BTreeSet<ProjectName>,
}

/// What any phase on any plan asks for; the error is what has no wheel there, so that only running strangers' code would tell.
/// What cannot be resolved at all adds no wheel: it cannot be resolved there either.
///
/// # Errors
/// When the resolver cannot be run, or the index is lost.
pub fn closure(
    resolver: &Resolver,
    environment: &HostEnvironment,
    asked: &Asked<'_>,
    still: Still<'_>,
) -> Result<Result<Closure, String>, Error> {
    let Closure { mut wheels, mut in_vain } = Closure::default();
    let mut below = Vec::new();
    for (number, question) in questions(environment, still).into_iter().enumerate() {
        let of_tests = number >= FIRST_OF_TESTS;
        let question =
            Question { constraints: if of_tests { Vec::clone(&below) } else { Vec::new() }, ..question };
        match resolver.resolve(environment, asked, &question)? {
            Resolution::NeedsBuild(what) => return Ok(Err(what)),
            Resolution::Impossible(words) => {
                in_vain.extend(question.projects());
                in_vain.extend(not_found(&words));
            }
            Resolution::Locked(more) => {
                if number == RUNTIME {
                    below =
                        more.iter().map(|wheel| format!("{}=={}", wheel.project, wheel.version)).collect();
                }
                wheels.extend(more);
            }
        }
    }
    wheels.sort_by(|left, right| left.filename.cmp(&right.filename));
    wheels.dedup();
    Ok(Ok(Closure { wheels, in_vain }))
}

/// The projects of which the resolver says that they were not found.
fn not_found(words: &str) -> impl Iterator<Item = ProjectName> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let named: Vec<_> =
        words.windows(4).filter(|four| four[1..] == ["was", "not", "found"]).map(|four| four[0]).collect();
    named.into_iter().filter_map(|name| name.parse().ok())
}

const RUNTIME: usize = 1;
const FIRST_OF_TESTS: usize = 2;

/// The questions of the build, of the release itself, and of each plan, in this order.
fn questions(environment: &HostEnvironment, still: Still<'_>) -> Vec<Question> {
    let markers = &environment.interpreter.markers;
    let of = |requirements: Vec<String>| Question { requirements, ..Question::default() };
    let runtime = |extras: &[String]| -> Vec<String> {
        let extras: Vec<_> = extras.iter().filter_map(|extra| extra.parse().ok()).collect();
        let found = still.metadata.runtime(still.project, markers, &extras).unwrap_or_default();
        found.iter().map(ToString::to_string).collect()
    };
    let mut questions = vec![of(build(still.source)), of(runtime(&[]))];
    questions.extend(still.plans.plans.iter().map(|plan| {
        let mut requirements = plan.requirements.clone();
        requirements.extend(runtime(&plan.extras));
        of(requirements)
    }));
    questions
}

/// What the build asks for, and what its backend may ask for once it runs.
fn build(source: Option<&Source>) -> Vec<String> {
    let Some(source) = source else { return Vec::new() };
    let pyproject =
        source.read("pyproject.toml", 4 << 20).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let system = BuildSystem::read(pyproject.as_deref(), source.file("setup.py").is_some());
    let Ok(system) = system else { return Vec::new() };
    let mut requires = system.requires;
    if system.backend.starts_with("setuptools") {
        requires.push("wheel".to_owned());
    }
    requires
}
