//! A project's page, the lists of all projects, and those of one who is concerned with them.

use minijinja::{Value, context};
use wheeltapper_core::{ProjectName, Sha256, cycle::Standing};

use super::{cell_href, when};
use crate::{
    cycle::words,
    project_path,
    site::view::Pill,
    text::one_line,
    web::{ProjectInput, badge, badge::Badge, feed},
};

/// Projects on one page of the list of all.
const LETTER: usize = 400;

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
pub(in crate::web) fn letters_index(all: &[Letter], projects: usize) -> Value {
    context! {
        front => true, label => "all", heading => "All projects", count => projects,
        letters => letter_links(all, None), rows => Vec::<Value>::new(), environments => Vec::<Value>::new(),
    }
}

/// A page of the list of all projects, of the cells of its projects.
pub(in crate::web) fn letter(
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
                    here.filter_map(|cell| {
                        let pill = Pill::short(cell.result.as_ref()?.outcome);
                        Some(context! { pill, artifact => cell.cell.artifact.as_str(), href => cell_href(cell) })
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
pub(in crate::web) fn maintainer(person: &People, standings: &[&[Standing]]) -> Value {
    let projects: Vec<Value> = standings
        .iter()
        .filter_map(|cells| {
            let first = cells.first()?;
            let shown: Vec<Value> = cells
                .iter()
                .filter_map(|cell| {
                    let result = cell.result.as_ref()?;
                    let environment = one_line(&cell.cell.environment, 60);
                    let (artifact, href) = (cell.cell.artifact.as_str(), cell_href(cell));
                    Some(context! { pill => Pill::short(result.outcome), environment, artifact, href })
                })
                .collect();
            let version = first.result.as_ref().map(|result| one_line(&result.version, 40));
            let project = &first.cell.project;
            Some(
                context! { name => project.as_str(), href => project_path(project), version, cells => shown },
            )
        })
        .collect();
    context! { name => &person.name, projects }
}

/// What a project's page has beside its cells.
pub(in crate::web) fn project(project: &ProjectName, input: &ProjectInput<'_>, badge: &Badge) -> Value {
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
