//! Brings the site up to date with the store: pages whose results changed are made anew, everything is moved into place at
//! once. What the pages say is the render crate's.

mod stage;
mod stamps;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::runtime::Handle;
use wheeltapper_core::{
    ProjectName,
    cycle::{Cycle, People, Standing},
};
use wheeltapper_render::{
    Ranks, ReportFile,
    web::{self, ClusterExample, ProjectInput, Site},
};
use wheeltapper_store::Store;

use self::{stage::Stage, stamps::Stamps};
use crate::{Error, letters::named_people};

pub use stage::OWN;

/// How the site is published.
#[derive(Debug, Clone)]
pub struct PublishOptions {
    /// The site's folder.
    pub site: PathBuf,
    /// Name and version of the program.
    pub program: String,
    /// The site's public address.
    pub address: Option<String>,
    /// Which projects hold up most people.
    pub ranks: Ranks,
    /// Projects that are made at a time.
    pub workers: usize,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Published {
    /// Files that were written because they changed.
    pub written: usize,
    /// Files that were taken away.
    pub removed: usize,
    /// Projects whose pages were made anew.
    pub projects: usize,
}

/// Results of a project's past that its page shows.
const PAST: u32 = 60;
/// Records of a page of a cycle's results.
const PAGE: i64 = 500;

/// Brings the site up to date. Blocking.
///
/// # Errors
/// When the store or the disk fails; the site is then as it was, or the change is carried to its end the next time.
pub fn publish(handle: &Handle, store: &Store, options: &PublishOptions) -> Result<Published, Error> {
    let failed = |error: std::io::Error| Error::Site { path: options.site.clone(), source: error };
    let stage = Stage::begin(&options.site).map_err(failed)?;
    let site = Site::new(options.program.clone(), options.address.as_deref())?;
    let standings = handle.block_on(store.standings(None))?;
    let people = handle.block_on(store.people())?;
    let before = Stamps::read(&options.site, options);
    let mut publisher = Publisher {
        handle,
        store,
        options,
        site,
        stage,
        standings,
        people,
        stamps: before.emptied(),
        before,
    };
    let projects = publisher.projects()?;
    publisher.lists()?;
    publisher.cycles()?;
    publisher.stamps.write(&publisher.stage).map_err(failed)?;
    let (written, removed) = publisher.stage.commit().map_err(failed)?;
    Ok(Published { written, removed, projects })
}

/// The last cycle, where it has ended and this site does not tell of it: who was to bring the site up to date was killed. Only
/// until the next cycle begins are its lists to be had.
///
/// # Errors
/// When the store fails.
pub async fn untold(store: &Store, site: &Path) -> Result<Option<Cycle>, Error> {
    let last = store.cycles(1).await?.into_iter().next().filter(|cycle| cycle.ended.is_some());
    Ok(last.filter(|cycle| !site.join(page_of(cycle)).exists()))
}

/// The page of a cycle.
fn page_of(cycle: &Cycle) -> String {
    format!("cycle/{}/index.html", cycle.number)
}

struct Publisher<'a> {
    handle: &'a Handle,
    store: &'a Store,
    options: &'a PublishOptions,
    site: Site,
    stage: Stage,
    standings: Vec<Standing>,
    people: BTreeMap<ProjectName, People>,
    before: Stamps,
    stamps: Stamps,
}

impl Publisher<'_> {
    fn put(&self, file: &ReportFile) -> Result<(), Error> {
        let failed = |source| Error::Site { path: self.options.site.join(&file.path), source };
        self.stage.put(&file.path, &file.bytes).map_err(failed)
    }

    /// The cells of each project that has a page: of which something has come to a result.
    fn by_project(&self) -> impl Iterator<Item = &[Standing]> {
        let projects = self.standings.chunk_by(|left, right| left.cell.project == right.cell.project);
        projects.filter(|cells| cells.iter().any(|cell| cell.result.is_some()))
    }

    /// The pages of the list of all projects.
    fn letters(&self) -> Vec<web::Letter> {
        web::letters(self.by_project().map(|cells| &cells[0].cell.project))
    }

    /// The pages of projects that changed; how many.
    fn projects(&mut self) -> Result<usize, Error> {
        let mut stamps = BTreeMap::new();
        let mut changed: Vec<&[Standing]> = Vec::new();
        for cells in self.by_project() {
            let project = &cells[0].cell.project;
            let stamp = stamps::of_project(cells, self.people.get(project));
            if self.before.projects.get(project.as_str()) != Some(&stamp) {
                changed.push(cells);
            }
            stamps.insert(project.to_string(), stamp);
        }
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..self.options.workers.max(1) {
                scope.spawn(|| {
                    while let Some(cells) = changed.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Err(error) = self.project(cells) {
                            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            next.store(changed.len(), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let count = changed.len();
        self.stamps.projects = stamps;
        Ok(count)
    }

    fn project(&self, standings: &[Standing]) -> Result<(), Error> {
        let project = &standings[0].cell.project;
        let (cells, past, news) = self.handle.block_on(async {
            let mut cells = Vec::new();
            for record in self.store.latest(project).await? {
                let logs = self.store.logs(&record.id).await?;
                cells.push((record, logs));
            }
            let past = self.store.past(project, PAST).await?;
            let news = self.store.transitions(None, Some(project)).await?;
            Ok::<_, wheeltapper_store::Error>((cells, past, news))
        })?;
        let people: Vec<(String, String)> = self
            .people
            .get(project)
            .map(|people| named_people(project, people))
            .unwrap_or_default()
            .into_iter()
            .map(|person| (person.name, person.path))
            .collect();
        let input = ProjectInput { cells: &cells, standings, past: &past, news: &news, people: &people };
        for file in self.site.project(&input)? {
            self.put(&file)?;
        }
        Ok(())
    }

    /// The pages that list: all projects, environments, maintainers, clusters, and the search's names.
    fn lists(&mut self) -> Result<(), Error> {
        for file in &Site::assets() {
            self.put(file)?;
        }
        for file in &Site::names(self.by_project().map(|cells| &cells[0].cell.project)) {
            self.put(file)?;
        }
        let environments = web::environments(&self.standings);
        for name in &environments {
            self.put(&self.site.environment(name, &self.standings)?)?;
        }
        let letters = self.letters();
        let mut stamps = BTreeMap::new();
        let frame: Vec<String> =
            letters.iter().map(|letter| letter.path.clone()).chain(environments.iter().cloned()).collect();
        let projects: Vec<&[Standing]> = self.by_project().collect();
        let mut from = 0;
        for letter in &letters {
            let here = &projects[from..from + letter.count];
            from += letter.count;
            let mut parts = frame.clone();
            parts.extend(
                here.iter()
                    .filter_map(|cells| self.stamps.projects.get(cells[0].cell.project.as_str()).cloned()),
            );
            let stamp = stamps::of(&parts);
            if self.before.pages.get(&letter.path) != Some(&stamp) {
                let cells: Vec<Standing> = here.iter().flat_map(|cells| cells.iter().cloned()).collect();
                self.put(&self.site.letter(letter, &letters, &cells, &environments)?)?;
            }
            stamps.insert(letter.path.clone(), stamp);
        }
        self.put(&self.site.letters(&letters, projects.len())?)?;
        self.maintainers(&projects, &mut stamps)?;
        for path in self.before.pages.keys().filter(|path| !stamps.contains_key(*path)) {
            self.stage.remove(path);
        }
        self.stamps.pages = stamps;
        Ok(())
    }

    fn maintainers(
        &self,
        projects: &[&[Standing]],
        stamps: &mut BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let by_name: BTreeMap<&ProjectName, &[Standing]> =
            projects.iter().map(|cells| (&cells[0].cell.project, *cells)).collect();
        let mut all: BTreeMap<String, web::People> = BTreeMap::new();
        for (project, people) in self.people.iter().filter(|(project, _)| by_name.contains_key(project)) {
            for person in named_people(project, people) {
                all.entry(person.path.clone()).or_insert(person).projects.push(project.clone());
            }
        }
        for person in all.values() {
            let cells: Vec<&[Standing]> =
                person.projects.iter().filter_map(|project| by_name.get(project).copied()).collect();
            let mut parts = vec![person.name.clone()];
            parts.extend(
                person
                    .projects
                    .iter()
                    .filter_map(|project| self.stamps.projects.get(project.as_str()).cloned()),
            );
            let stamp = stamps::of(&parts);
            if self.before.pages.get(&person.path) != Some(&stamp) {
                self.put(&self.site.maintainer(person, &cells)?)?;
            }
            stamps.insert(person.path.clone(), stamp);
        }
        Ok(())
    }

    /// The front page, the clusters, and the pages of cycles.
    fn cycles(&self) -> Result<(), Error> {
        let cycles = self.handle.block_on(self.store.cycles(1000))?;
        let examples = self.examples()?;
        let last = cycles.iter().find(|cycle| cycle.is_telling());
        let news = match last {
            Some(cycle) => self.handle.block_on(self.store.transitions(Some(cycle.number), None))?,
            None => Vec::new(),
        };
        self.put(&self.site.front(&cycles, &self.standings, &news, &examples, &self.letters())?)?;
        self.put(&self.site.cycles(&cycles)?)?;
        self.put(&self.site.clusters(&self.standings, &examples, &self.options.ranks)?)?;
        for cycle in cycles.iter().filter(|cycle| cycle.ended.is_some()) {
            let there = self.options.site.join(page_of(cycle)).exists();
            if !there || last.is_some_and(|last| last.number == cycle.number) {
                let absent = self.handle.block_on(self.store.absent(cycle.number))?;
                for file in self.site.cycle(cycle, &self.standings, &absent)? {
                    self.put(&file)?;
                }
                self.results(cycle)?;
            }
        }
        Ok(())
    }

    /// The records that a cycle brought, one a line. They are many: never all in memory.
    fn results(&self, cycle: &Cycle) -> Result<(), Error> {
        let path = format!("cycle/{}/results.jsonl", cycle.number);
        let failed = |source| Error::Site { path: self.options.site.join(&path), source };
        if self.options.site.join(&path).exists() {
            return Ok(());
        }
        let mut file = std::io::BufWriter::new(self.stage.create(&path).map_err(failed)?);
        let mut after = 0;
        loop {
            let page = self.handle.block_on(self.store.run_page(&cycle.run, after, PAGE))?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, line) in &page {
                file.write_all(line).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
            }
        }
        file.flush().map_err(failed)
    }

    fn examples(&self) -> Result<BTreeMap<String, ClusterExample>, Error> {
        let mut examples = BTreeMap::new();
        for (signature, result) in Site::signatures(&self.standings, &self.options.ranks) {
            let record = self.handle.block_on(self.store.result(&result))?;
            if let Some(cause) = record.and_then(|record| record.verdict.cause) {
                let line = cause.evidence.first().map(|line| line.text.clone());
                examples.insert(signature, ClusterExample { title: cause.title, line });
            }
        }
        Ok(examples)
    }
}
