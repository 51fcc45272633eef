//! What the pages of the site say, as values. A file a family of pages; here is what they share, and the environments.

mod clusters;
mod cycles;
mod projects;

use std::collections::BTreeSet;

use minijinja::{Value, context};
use wheeltapper_core::cycle::{Standing, State};

pub use self::{
    clusters::ClusterExample,
    projects::{Letter, People, letters},
};
pub(super) use self::{
    clusters::{clusters, signatures},
    cycles::{absent, cells_jsonl, cycle, cycles, front, has_lists, lists},
    projects::{letter, letters_index, maintainer, project},
};
use crate::{
    cycle::words,
    project_path,
    site::{cell_anchor, safe, view::Pill},
    text::one_line,
};

/// Rows of a list at most; the rest is in the machine-readable file.
const ROWS: usize = 1000;

/// `2026-11-22 10:03`.
fn when(time: &str) -> String {
    let minutes: String = time.chars().take(16).collect();
    one_line(&minutes.replace('T', " "), 16)
}

/// Where a cell's result is shown, relative to the site.
fn cell_href(standing: &Standing) -> String {
    let anchor = cell_anchor(&standing.cell.environment, standing.cell.artifact.as_str());
    format!("{}#{anchor}", project_path(&standing.cell.project))
}

/// A row of a list of cells. `root` leads to the site's folder.
fn row(standing: &Standing, root: &str) -> Value {
    let result = standing.result.as_ref();
    context! {
        project => standing.cell.project.as_str(),
        // A project of which nothing has come to a result has no page.
        href => result.map(|_| format!("{root}{}", cell_href(standing))),
        version => result.map(|result| one_line(&result.version, 60)),
        environment => one_line(&standing.cell.environment, 60),
        artifact => standing.cell.artifact.as_str(),
        pill => result.map(|result| Pill::full(result.outcome)),
        cause => result.and_then(|result| result.cause.clone()),
        since => standing.since.as_ref().map(|(time, version)| format!("{}, {}", when(time), one_line(version, 40))),
    }
}

/// The names of all environments.
pub fn environments(standings: &[Standing]) -> Vec<String> {
    let names: BTreeSet<&str> = standings.iter().map(|standing| standing.cell.environment.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Where an environment's page lies.
pub(super) fn environment_path(name: &str) -> String {
    format!("environment/{}.html", safe(name))
}

/// An environment's page: what fails there.
pub(super) fn environment(name: &str, standings: &[Standing]) -> Value {
    let here: Vec<&Standing> = standings.iter().filter(|one| one.cell.environment == name).collect();
    let failing: Vec<&&Standing> =
        here.iter().filter(|one| one.is_failing() || one.state == State::Flaky).collect();
    let counts: Vec<String> = State::ALL
        .iter()
        .filter_map(|state| {
            let count = here.iter().filter(|one| one.state == *state).count();
            (count > 0).then(|| format!("{count} {}", words(*state)))
        })
        .collect();
    context! {
        title => format!("Environment {}", one_line(name, 60)),
        trail => Vec::<Value>::new(),
        count => here.len(),
        lead => format!("{}. What fails or is flaky here:", counts.join(", ")),
        rows => failing.iter().take(ROWS).map(|standing| row(standing, "../")).collect::<Vec<_>>(),
        gone => false,
        more => failing.len().saturating_sub(ROWS),
        all => "../index.html",
    }
}
