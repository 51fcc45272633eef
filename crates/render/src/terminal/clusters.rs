//! Clusters of failures as `clusters` prints them.

use wheeltapper_core::cluster::{Cluster, Clusters};

use super::{paint::Paint, reasons::counted};
use crate::{
    groups::blamed,
    text::{one_line, wrap},
};

/// How many members of a cluster are named.
const NAMED: usize = 8;

/// The clusters, what holds up most first, at most so many; and the share of failures that no rule names.
pub fn clusters(found: &Clusters, most: usize, width: usize, colour: bool) -> String {
    let (paint, columns) = (Paint(colour), width.max(48) - 3);
    let mut text = String::new();
    for cluster in found.clusters.iter().take(most) {
        text.push_str(&one_cluster(cluster, paint, columns));
    }
    if found.clusters.len() > most {
        text.push_str(&format!("… and {} more clusters\n", found.clusters.len() - most));
    }
    text.push_str(&format!("{}\n", unclassified_share(found)));
    text
}

/// `12 of 300 failures (4 %) have no cause that a rule names`.
pub fn unclassified_share(found: &Clusters) -> String {
    let share =
        if found.failures == 0 { 0.0 } else { 100.0 * found.unclassified as f64 / found.failures as f64 };
    format!(
        "{} of {} ({share:.0} %) with no cause that a rule names",
        found.unclassified,
        counted(found.failures as u64, "failure")
    )
}

fn one_cluster(cluster: &Cluster, paint: Paint, columns: usize) -> String {
    let cause = &cluster.cause;
    let subject = cause.subject.as_ref().map(|subject| format!(": {subject}")).unwrap_or_default();
    let title = one_line(&format!("{}{subject}", cause.title), columns);
    let held = if cluster.dependents.is_empty() {
        String::new()
    } else {
        format!("; required by {} tapped here", counted(cluster.dependents.len() as u64, "other project"))
    };
    let facts = format!(
        "{} · blame {} · {} in {}{held}",
        cluster.signature,
        blamed(cause.blame.as_str(), cause.dependency.as_ref()),
        counted(cluster.cells as u64, "cell"),
        counted(cluster.members.len() as u64, "release"),
    );
    let mut text = format!("{}\n   {}\n", paint.strong(&title), paint.faint(&one_line(&facts, columns)));
    let mut names: Vec<String> = cluster
        .members
        .iter()
        .take(NAMED)
        .map(|member| {
            let rank = member.rank.map(|rank| format!(" (#{rank})")).unwrap_or_default();
            format!("{} {}{rank}", member.project, member.version)
        })
        .collect();
    if cluster.members.len() > NAMED {
        names.push(format!("and {} more", cluster.members.len() - NAMED));
    }
    for line in wrap(&one_line(&names.join(", "), 2000), columns) {
        text.push_str(&format!("   {line}\n"));
    }
    if let Some(line) = cause.evidence.first() {
        text.push_str(&format!("   {}\n", paint.faint(&one_line(&line.text, columns))));
    }
    if let Some(suggestion) = &cluster.suggestion {
        for line in wrap(&one_line(&format!("→ {suggestion}"), 2000), columns) {
            text.push_str(&format!("   {line}\n"));
        }
    }
    text.push('\n');
    text
}
