//! What there is to tell, and to whom: failures that were seen twice and not told yet, told failures that are mended. A
//! failure whose blame is a dependency is that dependency's, once.

use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime::Handle;
use wheeltapper_core::{
    Blame, Notify, ProjectName, Record,
    cycle::{CellName, People, Standing, State},
};
use wheeltapper_render::letter::Item;
use wheeltapper_store::{Store, Told};

use super::{Contact, notify};
use crate::Error;

/// What the news is made from.
pub(super) struct News<'a> {
    pub standings: &'a [Standing],
    /// Records of the results that cells stand at, by id.
    pub records: &'a BTreeMap<String, Record>,
    pub people: &'a BTreeMap<ProjectName, People>,
    pub told: &'a [Told],
    pub regressions: &'a Regressions,
}

/// Failures that began after the cell had passed, of the projects whose maintainers wish to hear of no others: cells, and
/// when they began to fail.
#[derive(Debug, Default)]
pub(super) struct Regressions(BTreeSet<(CellName, String)>);

impl Regressions {
    /// Reads them, of the projects whose maintainers wish so.
    pub(super) fn read(
        handle: &Handle,
        store: &Store,
        people: &BTreeMap<ProjectName, People>,
    ) -> Result<Self, Error> {
        let mut found = BTreeSet::new();
        for (project, _) in people.iter().filter(|(_, one)| notify(Some(one)) == Some(Notify::Regressions)) {
            let all = handle.block_on(store.transitions(None, Some(project)))?;
            let newly = all.into_iter().filter(|one| one.state == State::NewlyFailing);
            found.extend(newly.map(|one| (one.cell, one.started)));
        }
        Ok(Regressions(found))
    }

    fn holds(&self, standing: &Standing) -> bool {
        let Some((since, _)) = &standing.since else { return false };
        self.0.contains(&(standing.cell.clone(), since.clone()))
    }
}

/// One item of a letter, and the words by which it is known to have been told.
#[derive(Debug, Clone)]
pub(super) struct Piece<'a> {
    pub item: Item<'a>,
    /// All cells that it tells of, those of dependants too.
    cells: Vec<&'a Standing>,
}

impl Piece<'_> {
    /// What is remembered of it.
    pub(super) fn told(&self, contact: &str) -> Vec<Told> {
        let tell = |standing: &&Standing| Told {
            contact: contact.to_owned(),
            cell: standing.cell.clone(),
            what: what(standing),
        };
        self.cells.iter().map(tell).collect()
    }
}

/// The words by which a cell's news is known: a failure by its beginning, a repair by its result.
fn what(standing: &Standing) -> String {
    if is_told_as_failing(standing.state) {
        let since = standing.since.as_ref().map_or("", |(time, _)| time.as_str());
        format!("failing {since}")
    } else {
        let result = standing.result.as_ref().map_or("", |result| result.id.as_str());
        format!("fixed {result}")
    }
}

/// Failures that were confirmed.
fn is_told_as_failing(state: State) -> bool {
    matches!(state, State::NewlyFailing | State::FailingAtFirst | State::StillFailing)
}

/// Whether anybody could have to be told of this cell.
pub(super) fn may_be_told(standing: &Standing, told: &[Told]) -> bool {
    is_told_as_failing(standing.state)
        || (is_mended(standing.state) && told.iter().any(|told| told.cell == standing.cell))
}

fn is_mended(state: State) -> bool {
    matches!(state, State::Fixed | State::Passed | State::Untested)
}

impl<'a> News<'a> {
    /// What each contact is to be told; nobody for whom there is nothing.
    pub(super) fn by_contact(&self) -> BTreeMap<Contact, Vec<Piece<'a>>> {
        let mut told: BTreeMap<(&str, &_), Vec<&str>> = BTreeMap::new();
        for known in self.told {
            told.entry((known.contact.as_str(), &known.cell)).or_default().push(known.what.as_str());
        }
        // Contact -> (project, fixed, alike) -> cells.
        type Alike<'a> = (&'a ProjectName, bool, String);
        let mut letters: BTreeMap<Contact, BTreeMap<Alike<'a>, Vec<&'a Standing>>> = BTreeMap::new();
        for standing in self.standings {
            let Some(record) = standing.result.as_ref().and_then(|result| self.records.get(&result.id))
            else {
                continue;
            };
            let what = what(standing);
            if is_told_as_failing(standing.state) {
                let Some(project) = self.concerned(standing, record) else { continue };
                let only_regressions = notify(self.people.get(project)) == Some(Notify::Regressions);
                if only_regressions && *project == standing.cell.project && !self.regressions.holds(standing)
                {
                    continue;
                }
                let alike = alike(standing, record, project);
                for contact in Contact::all_of(project, self.people.get(project)) {
                    let known = told.get(&(contact.key.as_str(), &standing.cell));
                    if known.is_none_or(|known| !known.contains(&what.as_str())) {
                        let letter = letters.entry(contact).or_default();
                        letter.entry((project, false, alike.clone())).or_default().push(standing);
                    }
                }
            } else if is_mended(standing.state) {
                // Whoever was told that it fails is told that it no longer does: whoever that was.
                let project = &standing.cell.project;
                let contacts = self.everybody_told(standing);
                for contact in contacts {
                    let known =
                        told.get(&(contact.key.as_str(), &standing.cell)).cloned().unwrap_or_default();
                    let failing = known.iter().filter(|what| what.starts_with("failing")).count();
                    let fixed = known.iter().filter(|what| what.starts_with("fixed")).count();
                    if failing > fixed {
                        let alike = format!("fixed {}", record.evidence.version);
                        let letter = letters.entry(contact).or_default();
                        letter.entry((project, true, alike)).or_default().push(standing);
                    }
                }
            }
        }
        letters
            .into_iter()
            .map(|(contact, groups)| {
                let pieces = groups.into_iter().filter_map(|(key, cells)| self.piece(key.0, key.1, cells));
                (contact, pieces.collect::<Vec<_>>())
            })
            .filter(|(_, pieces)| !pieces.is_empty())
            .collect()
    }

    /// Whose failure it is; none where it is no project's.
    fn concerned(&self, standing: &'a Standing, record: &'a Record) -> Option<&'a ProjectName> {
        let cause = record.verdict.cause.as_ref()?;
        match cause.blame {
            Blame::Package => Some(&standing.cell.project),
            Blame::Dependency => {
                let named: Option<ProjectName> =
                    cause.dependency.as_ref().and_then(|dependency| dependency.project.parse().ok());
                let installed = record.evidence.installed.iter().map(|installed| &installed.project);
                let known = self.standings.iter().map(|standing| &standing.cell.project);
                // Only a project that was really there, or that we know: a log may name anything.
                named.and_then(|named| installed.chain(known).find(|project| **project == named))
            }
            Blame::Interpreter | Blame::Platform | Blame::Recipe | Blame::Farm => None,
        }
    }

    /// Those who were told that this cell fails, as far as they are still reachable by what is known today.
    fn everybody_told(&self, standing: &Standing) -> Vec<Contact> {
        let keys: BTreeSet<&str> = self
            .told
            .iter()
            .filter(|told| told.cell == standing.cell)
            .map(|told| told.contact.as_str())
            .collect();
        if keys.is_empty() {
            return Vec::new();
        }
        let own = Contact::all_of(&standing.cell.project, self.people.get(&standing.cell.project));
        let others = self.people.iter().flat_map(|(project, people)| Contact::all_of(project, Some(people)));
        let mut found: BTreeMap<String, Contact> = BTreeMap::new();
        for contact in own.into_iter().chain(others).filter(|contact| keys.contains(contact.key.as_str())) {
            found.entry(contact.key.clone()).or_insert(contact);
        }
        found.into_values().collect()
    }

    fn piece(&self, project: &'a ProjectName, fixed: bool, cells: Vec<&'a Standing>) -> Option<Piece<'a>> {
        let first = *cells.first()?;
        let record = self.records.get(&first.result.as_ref()?.id)?;
        let failing = (&first.cell.project, record.evidence.version.as_str());
        let own = cells.iter().copied().filter(|cell| cell.cell.project == *failing.0).collect();
        let others: BTreeSet<&ProjectName> =
            cells.iter().map(|cell| &cell.cell.project).filter(|other| *other != failing.0).collect();
        let dependants = others.into_iter().collect();
        Some(Piece { item: Item { project, failing, fixed, cells: own, record, dependants }, cells })
    }
}

/// What makes failures one item: a project's own by release and signature; a dependency's by signature alone.
fn alike(standing: &Standing, record: &Record, project: &ProjectName) -> String {
    let signature = record.verdict.signature.as_deref().unwrap_or(record.verdict.outcome.as_str());
    if *project == standing.cell.project {
        format!("{} {signature}", record.evidence.version)
    } else {
        format!("dependants {signature}")
    }
}
