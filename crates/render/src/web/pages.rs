//! What the pages of the site say, as values.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Value, context};
use wheeltapper_core::{
    ProjectName, Sha256,
    cycle::{Cycle, CycleSummary, Standing, State, Transition},
};

use super::{ProjectInput, badge, badge::Badge, chart, feed};
use crate::{
    Error, Ranks,
    cycle::words,
    project_path,
    site::{cell_anchor, safe, view::Pill},
    text::one_line,
};

/// Rows of a list at most; the rest is in the machine-readable file.
const ROWS: usize = 1000;
/// Rows of a list on the front page.
const FRONT: usize = 25;
/// Projects on one page of the list of all.
const LETTER: usize = 400;
/// Clusters that are shown.
const CLUSTERS: usize = 200;
/// Projects of a cluster that are shown.
const MEMBERS: usize = 60;

/// What a cluster looks like: taken from one of its cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterExample {
    /// The cause's title.
    pub title: String,
    /// The decisive line.
    pub line: Option<String>,
}

/// One who is concerned with projects. No address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// The name to be shown.
    pub name: String,
    /// The page, relative to the site.
    pub path: String,
    /// The projects.
    pub projects: Vec<ProjectName>,
}

impl People {
    /// A page for this name; `identity` tells people of one name apart, and is shown as a part of its digest only.
    pub fn new(name: &str, identity: &str) -> People {
        let digest = Sha256::of(identity.as_bytes()).short();
        let name = one_line(name, 80);
        let plain: String = name.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
        let path = format!(
            "maintainer/{}{}{digest}.html",
            plain.to_ascii_lowercase(),
            if plain.is_empty() { "" } else { "-" }
        );
        People { name, path, projects: Vec::new() }
    }
}

/// `2026-11-22 10:03`.
fn when(time: &str) -> String {
    let minutes: String = time.chars().take(16).collect();
    one_line(&minutes.replace('T', " "), 16)
}

fn core_hours(seconds: f64) -> String {
    format!("{:.1}", seconds / 3600.0)
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
        href => format!("{root}{}", cell_href(standing)),
        version => result.map(|result| one_line(&result.version, 60)),
        environment => one_line(&standing.cell.environment, 60),
        artifact => standing.cell.artifact.as_str(),
        pill => result.map(|result| Pill::full(result.outcome)),
        cause => result.and_then(|result| result.cause.clone()),
        since => standing.since.as_ref().map(|(time, version)| format!("{}, {}", when(time), one_line(version, 40))),
    }
}

/// The figures of a cycle; `base` leads from the page to the cycle's folder.
pub(super) fn cycle(cycle: &Cycle, base: &str) -> Value {
    let nothing = CycleSummary::default();
    let summary = cycle.summary.as_ref().unwrap_or(&nothing);
    let rows: Vec<Value> = State::ALL
        .iter()
        .filter(|state| summary.count(**state) > 0 || matches!(**state, State::NewlyFailing | State::Fixed))
        .map(|state| {
            let of = |counts: &BTreeMap<State, u64>| counts.get(state).copied().unwrap_or_default();
            context! {
                word => words(*state), run => of(&summary.run), reused => of(&summary.reused),
                all => summary.count(*state), href => format!("{base}{state}.html"),
            }
        })
        .collect();
    let due: Vec<String> = summary.due.iter().map(|(due, count)| format!("{count} {due}")).collect();
    context! {
        number => cycle.number,
        when => when(cycle.ended.as_deref().unwrap_or(&cycle.started)),
        // What follows the sign is a digest, for the program.
        scope => one_line(cycle.scope.split(" #").next().unwrap_or_default(), 200),
        started => when(&cycle.started),
        ended => cycle.ended.as_deref().map(when),
        rows,
        wanted => summary.wanted(), run => summary.count_run(), reused => summary.count_reused(),
        projects => summary.projects, absent => summary.absent,
        absent_href => format!("{base}not-planned.html"),
        core => core_hours(summary.core_seconds),
        due => due.join(", "),
        cells => format!("{base}cells.jsonl"),
        results => format!("{base}results.jsonl"),
    }
}

/// The list behind each state of a cycle.
pub(super) fn lists(cycle: &Cycle, standings: &[Standing]) -> Vec<(State, Value)> {
    let counted = |state: &&State| {
        let listed = cycle.summary.as_ref().is_some_and(|summary| summary.count(**state) > 0);
        listed || matches!(state, State::NewlyFailing | State::Fixed)
    };
    let mut by_state: BTreeMap<State, Vec<&Standing>> =
        State::ALL.iter().filter(counted).map(|state| (*state, Vec::new())).collect();
    for standing in standings.iter().filter(|standing| standing.cycle == cycle.number) {
        by_state.entry(standing.state).or_default().push(standing);
    }
    let list = |(state, cells): (State, Vec<&Standing>)| {
        let rows: Vec<Value> = cells.iter().take(ROWS).map(|cell| row(cell, "../../")).collect();
        let title = format!("Cycle {}: {}", cycle.number, words(state));
        let trail = [context! { name => format!("cycle {}", cycle.number), href => "index.html" }];
        let view = context! {
            title, trail => Value::from_iter(trail), count => cells.len(), rows, lead => None::<String>,
            more => cells.len().saturating_sub(ROWS), all => "cells.jsonl",
        };
        (state, view)
    };
    by_state.into_iter().map(list).collect()
}

/// Every cell that a cycle wanted, one JSON object a line.
pub(super) fn cells_jsonl(cycle: &Cycle, standings: &[Standing]) -> Vec<u8> {
    let mut lines = Vec::new();
    for standing in standings.iter().filter(|standing| standing.cycle == cycle.number) {
        let result = standing.result.as_ref();
        let line = serde_json::json!({
            "project": standing.cell.project, "environment": standing.cell.environment,
            "artifact": standing.cell.artifact, "state": standing.state,
            "how": if standing.due.is_some() { "run" } else { "reused" }, "due": standing.due,
            "version": result.map(|result| &result.version), "outcome": result.map(|result| result.outcome),
            "cause": result.and_then(|result| result.cause.as_ref()),
            "signature": result.and_then(|result| result.signature.as_ref()),
            "result": result.map(|result| &result.id),
            "failing_since": standing.since.as_ref().map(|(time, _)| time),
        });
        lines.extend_from_slice(line.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

/// Projects that a cycle could not plan.
pub(super) fn absent(cycle: &Cycle, absent: &[(ProjectName, String)]) -> Value {
    let rows: Vec<Value> = absent
        .iter()
        .take(ROWS)
        .map(|(project, why)| context! { project => project.as_str(), why => one_line(why, 300) })
        .collect();
    context! { number => cycle.number, count => absent.len(), rows }
}

/// The front page.
pub(super) fn front(
    cycles: &[Cycle],
    standings: &[Standing],
    news: &[Transition],
    examples: &BTreeMap<String, ClusterExample>,
) -> Result<Value, Error> {
    let last = cycles.iter().find(|cycle| cycle.summary.is_some());
    let base = last.map(|cycle| format!("cycle/{}/", cycle.number)).unwrap_or_default();
    let by_cell: BTreeMap<_, &Standing> =
        standings.iter().map(|standing| (&standing.cell, standing)).collect();
    let list = |states: &[State], id: &str, title: &str| {
        let items: Vec<&&Standing> = news
            .iter()
            .filter(|item| states.contains(&item.state))
            .filter_map(|item| by_cell.get(&item.cell))
            .collect();
        let state = items.first().map_or(states[0], |standing| standing.state);
        let rows: Vec<Value> = items
            .iter()
            .take(FRONT)
            .map(|standing| {
                let signature = standing.result.as_ref().and_then(|result| result.signature.as_ref());
                let title = signature.and_then(|signature| examples.get(signature));
                let title = title.map(|example| one_line(&example.title, 120));
                match title {
                    Some(cause) => context! { cause, ..row(standing, "") },
                    None => row(standing, ""),
                }
            })
            .collect();
        context! {
            id, title, count => items.len(), rows, href => format!("{base}{state}.html"),
            more => items.len() > FRONT,
        }
    };
    let lists = match last {
        None => Vec::new(),
        Some(_) => vec![
            list(&[State::NewlyFailing], "newly-failing", "Newly failing"),
            list(&[State::FailingAtFirst], "failing-at-first", "Failing when first seen"),
            list(&[State::Fixed], "fixed", "Fixed"),
        ],
    };
    let letters: Vec<Value> = letters(standings.iter().map(|standing| &standing.cell.project))
        .iter()
        .map(|letter| context! { label => &letter.label, href => &letter.path })
        .collect();
    Ok(context! {
        cycle => last.map(|last| cycle(last, &base)),
        charts => chart::charts(cycles)?,
        news => lists,
        letters,
        environments => environments(standings).iter().map(|name| {
            let here = || standings.iter().filter(|standing| standing.cell.environment == *name);
            context! {
                name => one_line(name, 60), href => environment_path(name), cells => here().count(),
                failing => here().filter(|standing| standing.state.is_failing()).count(),
            }
        }).collect::<Vec<_>>(),
    })
}

/// All cycles.
pub(super) fn cycles(cycles: &[Cycle]) -> Result<Value, Error> {
    let rows: Vec<Value> = cycles
        .iter()
        .map(|cycle| {
            let nothing = CycleSummary::default();
            let summary = cycle.summary.as_ref().unwrap_or(&nothing);
            context! {
                number => cycle.number,
                href => cycle.ended.is_some().then(|| format!("cycle/{}/index.html", cycle.number)),
                started => when(&cycle.started),
                wanted => summary.wanted(), run => summary.count_run(), failing => summary.failing(),
                newly => summary.count(State::NewlyFailing) + summary.count(State::FailingAtFirst),
                fixed => summary.count(State::Fixed),
                share => summary.share_passed().map(|share| format!("{:.1} %", share * 100.0)),
                core => core_hours(summary.core_seconds),
            }
        })
        .collect();
    Ok(context! { cycles => rows, charts => chart::charts(cycles)? })
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
        here.iter().filter(|one| one.state.is_failing() || one.state == State::Flaky).collect();
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
        more => failing.len().saturating_sub(ROWS),
        all => "../index.html",
    }
}

/// Failing cells by signature, what holds up most people first: signature, weight, cells.
fn clustered<'a>(standings: &'a [Standing], ranks: &Ranks) -> Vec<(&'a str, f64, Vec<&'a Standing>)> {
    let mut by_signature: BTreeMap<&str, Vec<&Standing>> = BTreeMap::new();
    for standing in standings.iter().filter(|standing| standing.state.is_failing()) {
        let signature = standing.result.as_ref().and_then(|result| result.signature.as_deref());
        if let Some(signature) = signature {
            by_signature.entry(signature).or_default().push(standing);
        }
    }
    let mut clusters: Vec<_> = by_signature
        .into_iter()
        .map(|(signature, cells)| {
            let projects: BTreeSet<&ProjectName> = cells.iter().map(|cell| &cell.cell.project).collect();
            // Downloads fall about as one over the rank; a project of no rank counts as the last.
            let weight: f64 = projects
                .iter()
                .map(|project| 1.0 / f64::from(ranks.get(*project).copied().unwrap_or(20_000) + 10))
                .sum();
            (signature, weight, cells)
        })
        .collect();
    clusters.sort_by(|left, right| right.1.total_cmp(&left.1).then(left.0.cmp(right.0)));
    clusters
}

/// The signatures that are shown, each with the id of a result that stands for it.
pub(super) fn signatures(standings: &[Standing], ranks: &Ranks) -> Vec<(String, String)> {
    clustered(standings, ranks)
        .into_iter()
        .take(CLUSTERS)
        .filter_map(|(signature, _, cells)| {
            let result = cells.first()?.result.as_ref()?;
            Some((signature.to_owned(), result.id.clone()))
        })
        .collect()
}

/// Failures that look alike.
pub(super) fn clusters(
    standings: &[Standing],
    examples: &BTreeMap<String, ClusterExample>,
    ranks: &Ranks,
) -> Value {
    let clusters = clustered(standings, ranks);
    let (count, more) = (clusters.len(), clusters.len().saturating_sub(CLUSTERS));
    let views: Vec<Value> = clusters
        .into_iter()
        .take(CLUSTERS)
        .map(|(signature, _, cells)| {
            let mut projects: BTreeMap<&ProjectName, &Standing> = BTreeMap::new();
            for cell in &cells {
                projects.entry(&cell.cell.project).or_insert(cell);
            }
            let example = examples.get(signature);
            let cause = cells.first().and_then(|cell| cell.result.as_ref()?.cause.clone());
            let title = example.map(|example| one_line(&example.title, 200)).or(cause).unwrap_or_default();
            context! {
                signature => safe(signature), title,
                line => example.and_then(|example| example.line.as_ref()).map(|line| one_line(line, 400)),
                cells => cells.len(), count => projects.len(), more => projects.len().saturating_sub(MEMBERS),
                projects => projects.iter().take(MEMBERS).map(|(project, standing)| {
                    context! { name => project.as_str(), href => cell_href(standing) }
                }).collect::<Vec<_>>(),
            }
        })
        .collect();
    context! { clusters => views, count, more }
}

/// A page of the list of all projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What leads there, e.g. `a` or `p 2`.
    pub label: String,
    /// The page, relative to the site.
    pub path: String,
    /// The first project of it, and how many there are.
    pub first: ProjectName,
    /// How many projects there are.
    pub count: usize,
}

/// The pages of the list of all projects, which come sorted; repeated names count once.
pub fn letters<'a>(projects: impl Iterator<Item = &'a ProjectName>) -> Vec<Letter> {
    let mut letters: Vec<(char, usize, Letter)> = Vec::new();
    let mut last = None;
    for project in projects {
        if last == Some(project) {
            continue;
        }
        last = Some(project);
        let first = project.as_str().chars().next().unwrap_or('0');
        match letters.last_mut() {
            Some((letter, _, page)) if *letter == first && page.count < LETTER => page.count += 1,
            previous => {
                let number = match previous {
                    Some((letter, number, _)) if *letter == first => *number + 1,
                    _ => 1,
                };
                let (label, name) = match number {
                    1 => (first.to_string(), first.to_string()),
                    number => (format!("{first} {number}"), format!("{first}-{number}")),
                };
                let page =
                    Letter { label, path: format!("a-z/{name}.html"), first: project.clone(), count: 1 };
                letters.push((first, number, page));
            }
        }
    }
    letters.into_iter().map(|(_, _, letter)| letter).collect()
}

fn letter_links(all: &[Letter], here: Option<&Letter>) -> Vec<Value> {
    all.iter()
        .map(|letter| {
            let href = letter.path.trim_start_matches("a-z/");
            context! { label => &letter.label, href, here => here == Some(letter) }
        })
        .collect()
}

/// The entrance of the list of all projects.
pub(super) fn letters_index(all: &[Letter], projects: usize) -> Value {
    context! {
        front => true, label => "all", heading => "All projects", count => projects,
        letters => letter_links(all, None), rows => Vec::<Value>::new(), environments => Vec::<Value>::new(),
    }
}

/// A page of the list of all projects, of the cells of its projects.
pub(super) fn letter(
    letter: &Letter,
    all: &[Letter],
    standings: &[Standing],
    environments: &[String],
) -> Value {
    let rows: Vec<Value> = standings
        .chunk_by(|left, right| left.cell.project == right.cell.project)
        .map(|cells| {
            let project = &cells[0].cell.project;
            let columns: Vec<Vec<Value>> = environments
                .iter()
                .map(|name| {
                    let here = cells.iter().filter(|cell| cell.cell.environment == *name);
                    here.map(|cell| {
                        let pill = cell.result.as_ref().map(|result| Pill::short(result.outcome));
                        context! { pill, artifact => cell.cell.artifact.as_str(), href => cell_href(cell) }
                    })
                    .collect()
                })
                .collect();
            let version = cells
                .iter()
                .find_map(|cell| cell.result.as_ref())
                .map(|result| one_line(&result.version, 40));
            context! { project => project.as_str(), href => project_path(project), version, columns }
        })
        .collect();
    context! {
        front => false, label => &letter.label, heading => format!("Projects: {}", letter.label), count => letter.count,
        letters => letter_links(all, Some(letter)), rows, environments => environments.to_vec(),
    }
}

/// The projects of one who is concerned with them; a slice of standings a project.
pub(super) fn maintainer(person: &People, standings: &[&[Standing]]) -> Value {
    let projects: Vec<Value> = standings
        .iter()
        .filter_map(|cells| {
            let first = cells.first()?;
            let shown: Vec<Value> = cells
                .iter()
                .filter_map(|cell| {
                    let result = cell.result.as_ref()?;
                    let environment = one_line(&cell.cell.environment, 60);
                    Some(context! { pill => Pill::short(result.outcome), environment, href => cell_href(cell) })
                })
                .collect();
            let version = first.result.as_ref().map(|result| one_line(&result.version, 40));
            let project = &first.cell.project;
            Some(context! { name => project.as_str(), href => project_path(project), version, cells => shown })
        })
        .collect();
    context! { name => &person.name, projects }
}

/// What a project's page has beside its cells.
pub(super) fn project(project: &ProjectName, input: &ProjectInput<'_>, badge: &Badge) -> Value {
    let news: Vec<Value> = input
        .news
        .iter()
        .take(50)
        .map(|item| {
            context! {
                when => when(&item.started), what => words(item.state), version => one_line(&item.version, 40),
                before => item.before.as_ref().map(|(_, version)| one_line(version, 40)),
                environment => one_line(&item.cell.environment, 60), outcome => item.outcome.as_str(),
                cycle => item.cycle, cycle_href => format!("../cycle/{}/index.html", item.cycle),
            }
        })
        .collect();
    let history: Vec<Value> = input
        .past
        .iter()
        .map(|past| {
            context! {
                when => when(&past.started), version => one_line(&past.version, 40),
                environment => one_line(&past.environment, 60), artifact => past.artifact.as_str(),
                pill => Pill::full(past.outcome), cause => past.cause.as_deref(),
            }
        })
        .collect();
    let people: Vec<Value> =
        input.people.iter().map(|(name, href)| context! { name => one_line(name, 80), href }).collect();
    let feed = feed::path(project);
    context! {
        badge => badge::path(project, "svg"), badge_json => badge::path(project, "json"),
        badge_text => format!("Badge: {}", badge.message),
        feed => feed.rsplit('/').next(), news, history, people,
    }
}
