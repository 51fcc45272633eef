//! The decision about the cells of a few projects at a time: which are due, and why.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use wheeltapper_agent::HostEnvironment;
use wheeltapper_core::{
    Outcome, ProjectName,
    cycle::{CellName, Due, Known, State, due, standing},
};
use wheeltapper_index::Kind;
use wheeltapper_store::{Decision, Store, StoredCell};

use super::Order;
use crate::{Catalog, Cell, Error, RunOptions, cells::following, fingerprint, plan};

/// A cell that is to be run, and why.
#[derive(Debug, Clone)]
pub(super) struct DueCell {
    pub cell: Cell,
    pub due: Due,
}

/// What was decided about some projects.
#[derive(Debug, Default)]
pub(super) struct Decided {
    pub due: Vec<DueCell>,
    pub stands: usize,
}

/// Decides about cells, and writes down what it decided.
pub(super) struct Decider {
    pub store: Store,
    pub cycle: i64,
    pub environments: Vec<Arc<HostEnvironment>>,
    pub options: RunOptions,
    /// Results older than this many seconds are had again.
    pub oldest: Option<u64>,
    pub now: Timestamp,
}

impl Decider {
    /// Decides about these projects.
    ///
    /// # Errors
    /// When the store cannot be used, or the index is lost.
    pub(super) async fn projects(
        &self,
        catalog: &Catalog,
        order: &Order,
        projects: &[ProjectName],
    ) -> Result<Decided, Error> {
        let mut absent = Vec::new();
        let mut cells = Vec::new();
        let lost = self.read_pages(catalog, projects, &mut absent).await?;
        for project in projects.iter().filter(|project| !lost.contains_key(project.as_str())) {
            let specifiers = order.specifiers(project);
            for environment in &self.environments {
                match catalog.choose(project, &specifiers, environment).await {
                    Ok(found) => cells.extend(plan(found, environment, &self.options)),
                    Err(Error::Index(error)) if error.kind() != Kind::Absent => return Err(error.into()),
                    Err(error @ (Error::Store(_) | Error::Render(_) | Error::Site { .. })) => {
                        return Err(error);
                    }
                    Err(Error::Index(_) | Error::User { .. })
                        if absent.iter().any(|(name, _)| name == project) =>
                    {
                        break;
                    }
                    Err(error) => {
                        absent.push((project.clone(), error.to_string()));
                        break;
                    }
                }
            }
        }
        self.store.note_absent(self.cycle, &absent).await?;
        self.cells(cells).await
    }

    /// Reads the pages of these projects, several at a time. A page that cannot be had costs its project this cycle; when
    /// none can be had, the index is lost.
    async fn read_pages(
        &self,
        catalog: &Catalog,
        projects: &[ProjectName],
        absent: &mut Vec<(ProjectName, String)>,
    ) -> Result<BTreeMap<String, ()>, Error> {
        let mut lost = BTreeMap::new();
        let mut last = None;
        for (project, error) in catalog.read_all(projects).await {
            if error.kind() == Kind::Absent {
                continue;
            }
            lost.insert(project.to_string(), ());
            absent.push((project, error.to_string()));
            last = Some(error);
        }
        match last {
            Some(error) if lost.len() == projects.len() => Err(error.into()),
            _ => Ok(lost),
        }
    }

    /// Decides about these cells, and about those that follow from results that stand.
    pub(super) async fn cells(&self, cells: Vec<Cell>) -> Result<Decided, Error> {
        let mut decided = Decided::default();
        let mut notes = Vec::new();
        let mut waiting = cells;
        while !waiting.is_empty() {
            let mut names: Vec<ProjectName> =
                waiting.iter().map(|cell| cell.job.release.project.clone()).collect();
            names.dedup();
            let stored = self.store.stored_cells(&names).await?;
            let mut next = Vec::new();
            for cell in waiting {
                let name = name_of(&cell);
                let known = stored.get(&name.project).into_iter().flatten().find(|stored| {
                    stored.environment == name.environment && stored.artifact == name.artifact
                });
                match self.decide(&cell, known) {
                    // It was decided and has settled before this cycle was interrupted.
                    Decision::Stands(State::Left) => {}
                    Decision::Due(due) => {
                        notes.push((name, Decision::Due(due)));
                        decided.due.push(DueCell { cell, due });
                        continue;
                    }
                    stands @ Decision::Stands(_) => {
                        notes.push((name, stands));
                        decided.stands += 1;
                    }
                }
                if let Some(known) = known.filter(|known| cell.then_wheel && may_be_unbuilt(known.outcome))
                    && let Some(record) = self.store.result(&known.result).await?
                {
                    next.extend(following(cell, &record));
                }
            }
            waiting = next;
        }
        self.store.decide(self.cycle, &notes).await?;
        Ok(decided)
    }

    /// `Stands(Left)` for a cell that this cycle has settled already.
    fn decide(&self, cell: &Cell, stored: Option<&StoredCell>) -> Decision {
        let request = fingerprint::request(&cell.job, &self.options.index_date);
        let of_this_cycle = stored.is_some_and(|stored| stored.run == self.options.run);
        let left = stored.and_then(|stored| stored.standing);
        let settled_here = left.is_some_and(|(cycle, state)| {
            cycle == self.cycle && state != State::Left && state != State::Unconfirmed
        });
        let known = stored.map(|stored| Known {
            request: stored.request,
            version: stored.version.clone(),
            outcome: stored.outcome,
            started: stored.started.parse::<Timestamp>().map_or(0, Timestamp::as_second),
            farm_failed: !settled_here
                && (stored.outcome == Outcome::FarmError
                    || left.is_some_and(|(_, state)| state == State::FarmError)),
            confirmed: stored.failures >= 2 || left.is_some_and(|(_, state)| state == State::Flaky),
            of_this_cycle,
        });
        let version = cell.job.release.version.to_string();
        match due(known.as_ref(), &request, &version, self.now.as_second(), self.oldest) {
            Some(due) => Decision::Due(due),
            None if settled_here => Decision::Stands(State::Left),
            // Run in this cycle, and killed before what became of it was noted.
            None if of_this_cycle => Decision::Due(Due::NeverRun),
            None => {
                let outcome = stored.map_or(Outcome::FarmError, |stored| stored.outcome);
                Decision::Stands(standing(left.map(|(_, state)| state), outcome))
            }
        }
    }
}

/// Whether a cell of this outcome may have come to no wheel of its own.
fn may_be_unbuilt(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::FetchFailed | Outcome::BuildFailed | Outcome::Unsupported)
}

/// The name of a planned cell.
pub(super) fn name_of(cell: &Cell) -> CellName {
    CellName {
        project: cell.job.release.project.clone(),
        environment: cell.job.environment.shown.name.clone(),
        artifact: cell.job.artifact,
    }
}
