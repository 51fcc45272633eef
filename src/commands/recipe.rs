//! `wheeltapper recipe TARGET`: how a release's tests would be run, and why. Reads the sdist and, where one is published,
//! the wheel; runs nothing of either.

use std::io::Write as _;

use wheeltapper_agent::{
    HostEnvironment, Origin, Release, Source,
    recipe::{Installs, Subject},
    repository::{Look, Sourced, sourced},
};
use wheeltapper_coordinator::{Catalog, Target, local};
use wheeltapper_core::{Artifact, Popularity, TestSource};
use wheeltapper_recipe::Recipes;
use wheeltapper_render::{Ground, Need, PlanView, RecipeView, Unused, recipe_text};

use crate::{
    args::{RecipeArguments, RecipeFormat},
    commands::overrides,
    exit::{Exit, Failure},
    farm::{Reading, is_of_version, none_such},
    paths::Paths,
    repositories, view,
};

/// Version of the printed object's form.
const SCHEMA: u32 = 1;

/// Shows the plans of one release on one environment.
pub fn recipe(paths: &Paths, arguments: &RecipeArguments) -> Result<Exit, Failure> {
    let target = Target::parse(&arguments.target).map_err(|error| {
        Failure::new(Exit::Usage, error.to_string())
            .hint("a target is a project, project==version, or a path")
    })?;
    let recipes = overrides::read(&arguments.recipes)?;
    let tests_from = repositories::source(paths, arguments.source.source)?;
    let reading = Reading::open(paths)?;
    let environment = environment(&reading, arguments)?;
    let release = match &target {
        Target::Local(path) => local(path, &reading.work, &reading.index.files)?.0,
        Target::Project(name, wanted) => {
            let catalog = Catalog { client: reading.index.client.clone(), exclude_newer: None };
            let found = reading.runtime.block_on(catalog.choose(name, wanted, environment))?;
            if let Some(reason) = found.unsupported {
                view::remark(&format!("note: the release is not for {}: {reason}", environment.shown.name));
            }
            found.release
        }
    };
    let seen = look(&reading, &release, environment, &recipes, tests_from)?;
    let mut out = std::io::stdout().lock();
    match arguments.format {
        RecipeFormat::Text => {
            write!(out, "{}", recipe_text(&seen, view::width(), view::colour_on_stdout()))?;
        }
        RecipeFormat::Json => {
            serde_json::to_writer(&mut out, &seen).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(Exit::Success)
}

/// The environment asked for, else the newest Python that its makers support.
fn environment<'r>(
    reading: &'r Reading,
    arguments: &RecipeArguments,
) -> Result<&'r HostEnvironment, Failure> {
    let all = &reading.environments;
    let (found, asked) = match (&arguments.environment, &arguments.python) {
        (Some(name), _) => {
            (all.iter().find(|one| one.shown.name == *name), format!("no environment is called `{name}`"))
        }
        (None, Some(prefix)) => {
            (all.iter().rfind(|one| is_of_version(one, prefix)), format!("no Python {prefix} was found"))
        }
        (None, None) => {
            let plain = |one: &&HostEnvironment| {
                one.interpreter.implementation == "cpython"
                    && !one.interpreter.free_threaded
                    && !one.interpreter.version.any_prerelease()
            };
            (all.iter().rfind(plain).or(all.last()), "no usable Python was found".to_owned())
        }
    };
    found.ok_or_else(|| none_such(asked, all.iter()))
}

fn look(
    reading: &Reading,
    release: &Release,
    environment: &HostEnvironment,
    recipes: &Recipes,
    tests_from: TestSource,
) -> Result<RecipeView, Failure> {
    let Some(sdist) = release.origin(Artifact::Sdist) else {
        return Err(Failure::new(
            Exit::Input,
            format!("{} {} has no sdist: its tests are nowhere to be read", release.project, release.version),
        ));
    };
    let fetched = reading.index.fetch(sdist)?;
    let source = Source::unpacked(&reading.layers, 0, fetched.path(), sdist.filename(), &fetched.sha256())?
        .map_err(|reason| Failure::new(Exit::Input, format!("{}: {reason}", sdist.filename())))?;
    let (installs, wheel) = match release.origin(Artifact::Wheel) {
        Some(origin) => {
            let file = reading.index.fetch(origin)?;
            (Installs::of_wheel(file.path(), origin.filename())?, Some(origin))
        }
        None => (Installs::of_sources(&source, &release.project), None),
    };
    let subject = Subject {
        project: &release.project,
        version: &release.version,
        installs: &installs,
        environment,
        popularity: &Popularity::shipped(),
        overrides: &recipes.of(&release.project, &release.version),
    };
    let (repositories, layers) = (reading.repositories.as_ref(), &reading.layers);
    let look = Look { repositories, layers, slot: 0, source: tests_from, then: None };
    Ok(shown(release, environment, sdist, wheel, sourced(look, &source, &subject)?))
}

fn shown(
    release: &Release,
    environment: &HostEnvironment,
    sdist: &Origin,
    wheel: Option<&Origin>,
    sourced: Sourced,
) -> RecipeView {
    let Sourced { plans, told, source: _ } = sourced;
    let need = |requirement: &str, shown: String| {
        let origin = plans.origin(requirement);
        Need {
            requirement: shown,
            declared_by: origin.and_then(|origin| origin.declared_by.clone()),
            file: origin.and_then(|origin| origin.file.clone()),
            line: origin.and_then(|origin| origin.line),
            needed_for: origin.and_then(|origin| origin.needed_for.clone()),
        }
    };
    RecipeView {
        schema: SCHEMA,
        project: release.project.to_string(),
        version: release.version.to_string(),
        environment: environment.shown.name.clone(),
        sources: sdist.filename().to_owned(),
        wheel: wheel.map(|wheel| wheel.filename().to_owned()),
        plans: plans
            .plans
            .iter()
            .map(|plan| {
                let extras = plan.extras.iter().map(|extra| need(extra, format!("[{extra}]")));
                let requirements = plan.requirements.iter().map(|text| need(text, text.clone()));
                PlanView { plan: plan.clone(), origins: extras.chain(requirements).collect() }
            })
            .collect(),
        repository: told,
        none: plans.none,
        expected_tests: plans.expected_tests,
        rests_on: plans
            .evidence
            .iter()
            .map(|one| Ground {
                file: one.file.clone(),
                line: one.line,
                says: one.says.clone(),
                weight: one.weight,
            })
            .collect(),
        not_used: plans
            .ignored
            .iter()
            .map(|one| Unused {
                file: one.file.clone(),
                line: one.line,
                what: one.what.clone(),
                because: one.because.clone(),
            })
            .collect(),
    }
}
