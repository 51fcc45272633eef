//! Plans for a release's tests: what `recipe` works out of its sources and its wheel, without guesses that nobody vouches
//! for. The same for a cell that runs them and for a user who only looks.

use std::{collections::BTreeMap, path::Path};

use wheeltapper_core::{
    Popularity, ProjectName, Version,
    metadata::Metadata,
    pep508_rs::{self, MarkerEnvironment},
};
use wheeltapper_index::Wheel;
use wheeltapper_recipe::{About, Ignored, Interpreter, Override, Plans, SourceTree as _, plan, unbuilt};

use crate::{
    environment::HostEnvironment,
    phases::{
        import::{is_native, modules},
        install::below_site_packages,
    },
    source::Source,
};

/// What installing a release gives.
#[derive(Debug, Clone, Default)]
pub struct Installs {
    /// Its metadata.
    pub metadata: Metadata,
    /// Files below site-packages.
    pub files: Vec<String>,
    /// Its modules, as the import phase would take them.
    pub modules: Vec<String>,
    /// Whether there is compiled code among them.
    pub native: bool,
}

impl Installs {
    /// What a wheel says of itself.
    ///
    /// # Errors
    /// When it is no wheel that can be read.
    pub fn of_wheel(path: &Path, filename: &str) -> Result<Installs, wheeltapper_index::Error> {
        let mut wheel = Wheel::open_as(path, filename, &wheeltapper_index::Limits::default())?;
        let metadata = wheel.read_info("METADATA")?.unwrap_or_default();
        let metadata = Metadata::parse(&String::from_utf8_lossy(&metadata));
        let files: Vec<String> =
            wheel.members().iter().filter_map(|member| below_site_packages(&member.path)).collect();
        Ok(Installs {
            modules: modules(&metadata, &files).into_iter().map(|(name, _)| name).collect(),
            native: files.iter().any(|path| is_native(path)),
            metadata,
            files,
        })
    }

    /// What the sources let expect, where there is no wheel to ask.
    pub fn of_sources(source: &Source, project: &ProjectName) -> Installs {
        let metadata = source.read("PKG-INFO", 1 << 20).unwrap_or_default();
        let expected = unbuilt(source, project.as_str());
        Installs {
            metadata: Metadata::parse(&String::from_utf8_lossy(&metadata)),
            files: expected.installed_files,
            modules: expected.import_names,
            native: expected.native,
        }
    }
}

/// A release whose tests are to be run, on an environment.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its project.
    pub project: &'a ProjectName,
    /// Its version.
    pub version: &'a Version,
    /// What installing it gives.
    pub installs: &'a Installs,
    /// Where.
    pub environment: &'a HostEnvironment,
    /// Which projects are well known.
    pub popularity: &'a Popularity,
    /// What the user and this program wrote down of it, strongest first.
    pub overrides: &'a [Override],
}

impl<'a> Subject<'a> {
    /// What the rules are told of it.
    pub(crate) fn about(&self) -> About<'a> {
        let (installs, interpreter) = (self.installs, &self.environment.interpreter);
        let runtime = installs.metadata.requires_dist.iter().filter(|text| !text.contains("extra"));
        About {
            project: self.project,
            version: self.version,
            import_names: installs.modules.clone(),
            installed_files: installs.files.clone(),
            native: installs.native,
            runtime_requirements: runtime.cloned().collect(),
            provides_extra: extras(&installs.metadata, &interpreter.markers),
            overrides: self.overrides.to_vec(),
            interpreter: Interpreter {
                version: interpreter.minor(),
                implementation: interpreter.implementation.clone(),
                platform: interpreter.markers.sys_platform().to_owned(),
            },
        }
    }

    /// Works out how the tests in this tree are run, best plan first.
    pub fn plans(&self, source: &Source) -> Plans {
        let mut plans = plan(source, &self.about());
        without_unknown(&mut plans, &self.installs.metadata, self.popularity);
        plans
    }
}

/// A requirement that nobody declares is a guess; a project that nobody knows is not installed on a guess.
fn without_unknown(plans: &mut Plans, metadata: &Metadata, popularity: &Popularity) {
    let own: Vec<ProjectName> =
        metadata.requires_dist.iter().filter_map(|text| named(text)?.parse().ok()).collect();
    let unknown: Vec<_> = plans
        .inferred
        .iter()
        .filter(|one| !one.from_table && !own.contains(&one.project))
        .filter(|one| popularity.rank(&one.project).is_none())
        .cloned()
        .collect();
    for guess in unknown {
        let because = format!("{} needs it, and no well-known project is called so", guess.needed_for);
        for plan in &mut plans.plans {
            plan.requirements.retain(|text| named(text).as_deref() != Some(guess.project.as_str()));
            plan.why.push(format!(
                "{} needs {}, which no well-known project is called",
                guess.needed_for, guess.project
            ));
        }
        let what = guess.project.to_string();
        plans.ignored.push(Ignored { file: guess.file, line: guess.line, what, because });
    }
}

/// The project that a requirement names.
fn named(requirement: &str) -> Option<String> {
    Some(requirement.parse::<pep508_rs::Requirement>().ok()?.name.to_string())
}

/// Each extra with the requirements that it adds here.
fn extras(metadata: &Metadata, markers: &MarkerEnvironment) -> BTreeMap<String, Vec<String>> {
    let plain: Vec<String> = metadata.requirements(markers, &[]).map(texts).unwrap_or_default();
    let added = |extra: &String| {
        let names: Vec<_> = extra.parse().into_iter().collect();
        let all = metadata.requirements(markers, &names).map(texts).unwrap_or_default();
        all.into_iter().filter(|text| !plain.contains(text)).collect()
    };
    metadata.provides_extra.iter().map(|extra| (extra.clone(), added(extra))).collect()
}

fn texts(requirements: Vec<pep508_rs::Requirement>) -> Vec<String> {
    requirements.iter().map(ToString::to_string).collect()
}
