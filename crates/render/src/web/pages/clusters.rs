//! Failures that look alike.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Value, context};
use wheeltapper_core::{ProjectName, cycle::Standing};

use super::cell_href;
use crate::{Ranks, site::safe, text::one_line};

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

/// Failing cells by signature, what holds up most people first: signature, weight, cells.
fn clustered<'a>(standings: &'a [Standing], ranks: &Ranks) -> Vec<(&'a str, f64, Vec<&'a Standing>)> {
    let mut by_signature: BTreeMap<&str, Vec<&Standing>> = BTreeMap::new();
    for standing in standings.iter().filter(|standing| standing.is_failing()) {
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
pub(in crate::web) fn signatures(standings: &[Standing], ranks: &Ranks) -> Vec<(String, String)> {
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
pub(in crate::web) fn clusters(
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
