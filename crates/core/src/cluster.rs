//! Clusters: failures that share a signature, ranked by whom they hold up. Pure over records.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Popularity, ProjectName, Record, advice, cause::Cause, evidence::Evidence};

/// A release that a cluster holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its project.
    pub project: ProjectName,
    /// Its version.
    pub version: String,
    /// Where it failed so: environments, each once.
    pub environments: BTreeSet<String>,
    /// The project's rank by downloads, from 1.
    pub rank: Option<usize>,
}

/// Failures that share a signature.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// The signature.
    pub signature: String,
    /// The cause of the most downloaded member's failure.
    pub cause: Cause,
    /// How many cells failed so.
    pub cells: usize,
    /// The releases, the most downloaded first.
    pub members: Vec<Member>,
    /// Other projects of those tapped that require a member at runtime.
    pub dependents: BTreeSet<ProjectName>,
    /// What the maintainers could do, where one sentence fits all members.
    pub suggestion: Option<String>,
    /// How much it holds up, for ranking: downloads fall about as the inverse of the rank.
    pub weight: f64,
}

/// The clusters of these results, what holds up most first, and how many failures no rule names.
#[derive(Debug, Clone, Default)]
pub struct Clusters {
    /// Those with a signature, ranked.
    pub clusters: Vec<Cluster>,
    /// All failures.
    pub failures: usize,
    /// Failures whose cause is found by elimination only.
    pub unclassified: usize,
}

/// Gathers records one by one, so that a whole store need not be in memory.
#[derive(Debug, Default)]
pub struct Gathering {
    groups: BTreeMap<String, Group>,
    /// Who requires a project at runtime.
    required_by: BTreeMap<ProjectName, BTreeSet<ProjectName>>,
    failures: usize,
    unclassified: usize,
}

#[derive(Debug)]
struct Group {
    cells: usize,
    members: BTreeMap<(ProjectName, String), BTreeSet<String>>,
    causes: BTreeMap<ProjectName, Cause>,
    advice: BTreeSet<String>,
    fixes: BTreeSet<Option<String>>,
}

impl Gathering {
    /// Takes a result in.
    pub fn add(&mut self, record: &Record) {
        let evidence = &record.evidence;
        self.note_requirements(evidence);
        let (Some(cause), true) = (&record.verdict.cause, record.verdict.outcome.is_failure()) else {
            return;
        };
        self.failures += 1;
        self.unclassified += usize::from(!cause.is_classified());
        let Some(signature) = &record.verdict.signature else { return };
        let group = self.groups.entry(signature.clone()).or_insert_with(|| Group {
            cells: 0,
            members: BTreeMap::new(),
            causes: BTreeMap::new(),
            advice: BTreeSet::new(),
            fixes: BTreeSet::new(),
        });
        group.cells += 1;
        let environments =
            group.members.entry((evidence.project.clone(), evidence.version.clone())).or_default();
        environments.insert(evidence.environment.name.clone());
        group.advice.insert(advice::for_maintainer(cause));
        group.fixes.insert(evidence.fix.as_ref().filter(|fix| fix.verified).map(ToString::to_string));
        group.causes.entry(evidence.project.clone()).or_insert_with(|| cause.clone());
    }

    fn note_requirements(&mut self, evidence: &Evidence) {
        for installed in evidence.installed.iter().filter(|installed| installed.purpose == "runtime") {
            let dependents = self.required_by.entry(installed.project.clone()).or_default();
            dependents.insert(evidence.project.clone());
        }
    }

    /// The clusters of all that was taken in.
    pub fn ranked(self, popularity: &Popularity) -> Clusters {
        let weight_of = |project: &ProjectName| {
            1.0 / popularity.rank(project).unwrap_or(popularity.len().max(1_000) * 2) as f64
        };
        let mut clusters: Vec<Cluster> = self
            .groups
            .into_iter()
            .filter_map(|(signature, group)| {
                let projects: BTreeSet<&ProjectName> =
                    group.members.keys().map(|(project, _)| project).collect();
                let dependents: BTreeSet<ProjectName> = projects
                    .iter()
                    .filter_map(|project| self.required_by.get(project))
                    .flatten()
                    .filter(|dependent| !projects.contains(dependent))
                    .cloned()
                    .collect();
                let weight = projects.iter().map(|project| weight_of(project)).sum::<f64>()
                    + dependents.iter().map(weight_of).sum::<f64>();
                let mut members: Vec<Member> = group
                    .members
                    .into_iter()
                    .map(|((project, version), environments)| Member {
                        rank: popularity.rank(&project),
                        project,
                        version,
                        environments,
                    })
                    .collect();
                members.sort_by_key(|member| (member.rank.unwrap_or(usize::MAX), member.project.clone()));
                let cause = group.causes.get(&members.first()?.project)?.clone();
                let suggestion = one(group.fixes).flatten().or_else(|| one(group.advice));
                Some(Cluster {
                    signature,
                    cause,
                    cells: group.cells,
                    members,
                    dependents,
                    suggestion,
                    weight,
                })
            })
            .collect();
        clusters.sort_by(|left, right| {
            right.weight.total_cmp(&left.weight).then_with(|| left.signature.cmp(&right.signature))
        });
        Clusters { clusters, failures: self.failures, unclassified: self.unclassified }
    }
}

/// The only item of a set.
fn one<T>(set: BTreeSet<T>) -> Option<T> {
    let mut items = set.into_iter();
    let first = items.next()?;
    items.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(project: &str, environment: &str, subject: &str, requires: &str) -> Record {
        let digest = crate::Sha256::of(b"x");
        let failed = !subject.is_empty();
        let mut value = crate::samples::evidence();
        value["project"] = json!(project);
        value["environment"]["name"] = json!(environment);
        if !requires.is_empty() {
            value["installed"] =
                json!([{"project": requires, "version": "1", "sha256": null, "for": "runtime"}]);
        }
        let cause = failed.then(|| {
            json!({
                "id": "missing-header", "phase": "build", "blame": "platform", "dependency": null, "title": "t",
                "detail": "d", "subject": subject, "evidence": [], "confidence": "medium",
            })
        });
        let settled = json!({
            "schema": 1, "id": format!("{project}-{environment}"), "run": "r", "rules": 1,
            "outcome": if failed { "build-failed" } else { "passed" }, "reason": null, "cause": cause,
            "signature": failed.then(|| format!("of-{subject}")), "flaky": null, "attempt": 1, "request": digest,
            "index_answers": [], "inputs": digest, "reused_from": null, "started": "2026-01-01T00:00:00Z",
            "wall_s": 1.0, "options": {"tests": true, "setup_py": false, "limits": crate::Limits::default()},
        });
        value.as_object_mut().unwrap().extend(settled.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_holds_up_most_comes_first() {
        let mut gathering = Gathering::default();
        for record in [
            record("six", "a", "ffi.h", ""),
            record("six", "b", "ffi.h", ""),
            record("unheard-of", "a", "ffi.h", ""),
            record("nobody-knows", "a", "pq.h", ""),
            record("requests", "a", "", "six"),
        ] {
            gathering.add(&record);
        }
        let found = gathering.ranked(&Popularity::shipped());
        assert_eq!((found.failures, found.unclassified, found.clusters.len()), (4, 0, 2));
        let first = &found.clusters[0];
        assert_eq!((first.cells, first.members.len(), first.signature.as_str()), (3, 2, "of-ffi.h"));
        assert_eq!(first.members[0].project.as_str(), "six");
        assert_eq!(first.members[0].environments.len(), 2);
        assert_eq!(first.dependents.iter().map(ProjectName::as_str).collect::<Vec<_>>(), ["requests"]);
        assert!(first.suggestion.is_some());
    }
}
