//! Cells that fail alike are told once: grouped by release, outcome and cause, ranked by how many people they hold up.

use std::collections::BTreeMap;

use wheeltapper_core::{Artifact, EvidenceLine, Outcome, ProjectName, Record, cause::Dependency};

/// Popularity ranks, from 1 for the most downloaded.
pub type Ranks = BTreeMap<ProjectName, u32>;

/// What a listing needs of one cell; small, so that a site of many thousand cells fits in memory.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub project: ProjectName,
    pub version: String,
    pub environment: String,
    pub artifact: Artifact,
    pub outcome: Outcome,
    /// The reason of an outcome that has one, the cause's title of a failure, the farm's own words of its error.
    pub why: String,
    pub blame: Option<String>,
    pub decisive: Option<EvidenceLine>,
}

impl Cell {
    pub fn of(record: &Record) -> Self {
        let (evidence, verdict) = (&record.evidence, &record.verdict);
        let cause = verdict.cause.as_ref();
        let why = match (cause, verdict.reason, evidence.farm_error.as_deref()) {
            (Some(cause), _, _) => cause.title.clone(),
            (None, Some(reason), _) => reason.to_string(),
            (None, None, Some(fault)) => fault.to_owned(),
            (None, None, None) => String::new(),
        };
        Cell {
            project: evidence.project.clone(),
            version: evidence.version.clone(),
            environment: evidence.environment.name.clone(),
            artifact: evidence.artifact,
            outcome: verdict.outcome,
            why,
            blame: cause.map(|cause| blamed(cause.blame.as_str(), cause.dependency.as_ref())),
            decisive: cause.and_then(|cause| cause.evidence.first().cloned()),
        }
    }
}

/// `package`, or `dependency numpy 2.0`.
pub(crate) fn blamed(blame: &str, dependency: Option<&Dependency>) -> String {
    match dependency {
        Some(Dependency { project, version: Some(version) }) => format!("{blame} {project} {version}"),
        Some(Dependency { project, version: None }) => format!("{blame} {project}"),
        None => blame.to_owned(),
    }
}

/// Cells of one release that came out alike for the same reason.
#[derive(Debug, Clone)]
pub(crate) struct Group<'a> {
    pub first: &'a Cell,
    /// Where, in the order given; `debian12-cp313`, or `debian12-cp313 (wheel)`.
    pub places: Vec<String>,
    pub rank: Option<u32>,
}

/// The groups of these cells: ranked projects first, then by how early they fail, then by name.
pub(crate) fn groups<'a>(cells: impl IntoIterator<Item = &'a Cell>, ranks: &Ranks) -> Vec<Group<'a>> {
    let mut groups: BTreeMap<(u32, Outcome, &ProjectName, &str, &str), Group<'a>> = BTreeMap::new();
    for cell in cells {
        let rank = ranks.get(&cell.project).copied();
        let key =
            (rank.unwrap_or(u32::MAX), cell.outcome, &cell.project, cell.version.as_str(), cell.why.as_str());
        let group = groups.entry(key).or_insert_with(|| Group { first: cell, places: Vec::new(), rank });
        group.places.push(match cell.artifact {
            Artifact::Sdist => cell.environment.clone(),
            Artifact::Wheel => format!("{} (wheel)", cell.environment),
        });
    }
    groups.into_values().collect()
}
