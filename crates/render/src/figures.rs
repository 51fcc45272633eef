//! Counts over cells. Untested cells are counted apart: they are no part of any share.

use std::collections::{BTreeMap, BTreeSet};

use wheeltapper_core::{Cause, Outcome, ProjectName, Record};

/// What many cells come to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    outcomes: BTreeMap<Outcome, u64>,
    projects: BTreeSet<ProjectName>,
    environments: BTreeSet<String>,
    reused: u64,
    unclassified: u64,
    core_seconds: f64,
}

impl Figures {
    /// The figures of these records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut figures = Figures::default();
        records.into_iter().for_each(|record| figures.add(record));
        figures
    }

    /// Counts one more cell.
    pub fn add(&mut self, record: &Record) {
        *self.outcomes.entry(record.verdict.outcome).or_default() += 1;
        self.projects.insert(record.evidence.project.clone());
        self.environments.insert(record.evidence.environment.name.clone());
        let failed = record.verdict.outcome.is_failure();
        let classified = record.verdict.cause.as_ref().is_some_and(Cause::is_classified);
        self.unclassified += u64::from(failed && !classified);
        if record.reused_from.is_some() {
            self.reused += 1;
        } else {
            self.core_seconds += record.evidence.phases.values().filter_map(|phase| phase.cpu_s).sum::<f64>();
        }
    }

    /// All cells.
    pub fn cells(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Cells of this outcome.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(&outcome).copied().unwrap_or_default()
    }

    /// Cells by outcome; outcomes without a cell are absent.
    pub fn outcomes(&self) -> &BTreeMap<Outcome, u64> {
        &self.outcomes
    }

    /// Failures whose cause no rule names.
    pub fn unclassified(&self) -> u64 {
        self.unclassified
    }

    /// Cells whose package failed.
    pub fn failures(&self) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| outcome.is_failure()).map(|(_, count)| count).sum()
    }

    /// Cells that passed, of those that passed or failed, from 0 to 1. Untested, unsupported and farm errors are not
    /// in it. None without such a cell.
    pub fn share_passed(&self) -> Option<f64> {
        let passed = self.count(Outcome::Passed);
        let judged = passed + self.failures();
        (judged > 0).then(|| passed as f64 / judged as f64)
    }

    /// Different projects.
    pub fn projects(&self) -> usize {
        self.projects.len()
    }

    /// Different environments.
    pub fn environments(&self) -> usize {
        self.environments.len()
    }

    /// Cells that repeat a stored result.
    pub fn reused(&self) -> u64 {
        self.reused
    }

    /// CPU seconds of all phases of cells that were really run.
    pub fn core_seconds(&self) -> f64 {
        self.core_seconds
    }
}
