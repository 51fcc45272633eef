//! What the site was made from: a short digest a page, so that what has not changed need not be made to see that.

use std::{collections::BTreeMap, io, path::Path};

use wheeltapper_core::{
    Sha256,
    cycle::{People, Standing, State},
};

use super::{OWN, PublishOptions, stage::Stage};

/// Digests of what pages were made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps {
    /// What all pages depend on.
    frame: String,
    /// By project.
    pub projects: BTreeMap<String, String>,
    /// By page, of lists.
    pub pages: BTreeMap<String, String>,
}

impl Stamps {
    /// The stamps of a site; none where it was made otherwise.
    pub(super) fn read(site: &Path, options: &PublishOptions) -> Stamps {
        let address = options.address.as_deref().unwrap_or_default();
        let version = wheeltapper_render::web::SITE.to_string();
        let frame = of(&[version, options.program.clone(), address.to_owned()]);
        let found = std::fs::read(site.join(OWN).join(FILE)).ok();
        type Kept = (String, BTreeMap<String, String>, BTreeMap<String, String>);
        let kept: Option<Kept> = found.and_then(|text| serde_json::from_slice(&text).ok());
        match kept {
            Some((made, projects, pages)) if made == frame => Stamps { frame, projects, pages },
            Some((_, _, pages)) => {
                // Its pages are known, so that those that are no more can be taken away; none of them is current.
                let pages = pages.into_keys().map(|path| (path, String::new())).collect();
                Stamps { frame, projects: BTreeMap::new(), pages }
            }
            None => Stamps { frame, ..Stamps::default() },
        }
    }

    /// The same frame, and nothing made yet.
    pub(super) fn emptied(&self) -> Stamps {
        Stamps { frame: self.frame.clone(), ..Stamps::default() }
    }

    /// Writes them with the site.
    pub(super) fn write(&self, stage: &Stage) -> io::Result<()> {
        let text = serde_json::to_vec(&(&self.frame, &self.projects, &self.pages))?;
        stage.put(&format!("{OWN}/{FILE}"), &text)
    }
}

const FILE: &str = "stamps.json";

/// The digest of these parts.
pub(super) fn of(parts: &[String]) -> String {
    Sha256::of_parts(parts.iter().map(String::as_str)).short()
}

/// The digest of all that a project's pages are made from: its results, and what else they show.
pub(super) fn of_project(cells: &[Standing], people: Option<&People>) -> String {
    let mut parts = Vec::with_capacity(cells.len() + 1);
    for cell in cells {
        // A result that is judged again by newer rules keeps its id.
        let result = cell.result.as_ref().map_or_else(String::new, |result| {
            let (cause, signature) = (result.cause.as_deref(), result.signature.as_deref());
            format!("{} {} {cause:?} {signature:?}", result.id, result.outcome)
        });
        let kind = match cell.state {
            State::Flaky => "flaky",
            state if state.is_failing() => "failing",
            _ => "",
        };
        let since = cell.since.as_ref().map_or("", |(time, _)| time.as_str());
        parts.push(format!("{} {} {result} {kind} {since}", cell.cell.environment, cell.cell.artifact));
    }
    parts.push(people.map(|people| format!("{people:?}")).unwrap_or_default());
    of(&parts)
}
