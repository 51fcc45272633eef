//! What settles single cells: the same for a run and for a cycle. A result is reused, told without running, or run, and stored.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Instant,
};

use jiff::Timestamp;
use tokio::runtime::Handle;
use wheeltapper_agent::{Agent, Job, Report};
use wheeltapper_core::{
    Evidence, Outcome, Phase, ProjectName, Reason, Record, Sha256, TestsRepository,
    classify::classify,
    flaky::{FlakyTest, flaky_tests},
    next_step::flaky_rate,
    record::{IndexAnswer, SCHEMA, Verdict},
};
use wheeltapper_store::Store;

use crate::{
    cells::{Cell, following},
    error::Error,
    fingerprint,
    letters::remember,
    run::{Event, RunOptions},
};

/// What settles single cells: the same for a run and for a cycle.
pub(crate) struct Runner {
    pub(crate) handle: Handle,
    agent: Arc<Agent>,
    pub(crate) store: Store,
    options: RunOptions,
    events: mpsc::Sender<Event>,
    failed: Mutex<Option<Error>>,
    serial: AtomicU64,
}

/// What came of the cells that need no sandbox.
pub(crate) struct Ahead {
    /// Those that do, in their order.
    pub(crate) waiting: Vec<Cell>,
    /// How many were settled.
    pub(crate) settled: usize,
    /// How many were not looked at, because the user stopped.
    pub(crate) left: usize,
}

/// How many threads settle cells without running: while one waits for the one writer, others look up and compare.
const LOOKING_UP: usize = 4;
/// How many cells each of them looks up before it writes what it found: one transaction for all of them.
const TOGETHER: usize = 16;
/// How many earlier results on the same inputs tell of flaky tests.
const SAME_INPUTS: u32 = 50;

impl Runner {
    pub(crate) fn new(
        handle: &Handle,
        agent: &Arc<Agent>,
        store: &Store,
        options: RunOptions,
        events: &mpsc::Sender<Event>,
    ) -> Self {
        Runner {
            handle: handle.clone(),
            agent: Arc::clone(agent),
            store: store.clone(),
            options,
            events: events.clone(),
            failed: Mutex::new(None),
            serial: AtomicU64::new(0),
        }
    }

    /// What stopped the run as a whole, if anything did.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The time, never before the time that the run was told to count on from.
    fn now(&self) -> Timestamp {
        self.options.not_before.map_or_else(Timestamp::now, |least| Timestamp::now().max(least))
    }

    /// Settles the cells that need no sandbox.
    pub(crate) fn settle_ahead(&self, cells: Vec<Cell>) -> Result<Ahead, Error> {
        let cells: Mutex<VecDeque<(usize, Cell)>> = Mutex::new(cells.into_iter().enumerate().collect());
        let (waiting, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        let settled = AtomicU64::new(0);
        let some = || -> Vec<(usize, Cell)> {
            let mut cells = cells.lock().unwrap_or_else(PoisonError::into_inner);
            let count = cells.len().min(TOGETHER);
            cells.drain(..count).collect()
        };
        let settle_some = |some: Vec<(usize, Cell)>| -> Result<(), Error> {
            let (mut found, mut records) = (Vec::new(), Vec::new());
            for (index, cell) in some {
                match self.settled_already(&cell)? {
                    Some(record) => {
                        found.push((index, cell));
                        records.push(record);
                    }
                    None => waiting.lock().unwrap_or_else(PoisonError::into_inner).push((index, cell)),
                }
            }
            self.handle.block_on(self.store.record_all(&records))?;
            for ((index, cell), record) in found.into_iter().zip(records) {
                settled.fetch_add(1, Ordering::Relaxed);
                // What follows from a result follows from it reused as well.
                if let Some(next) = following(cell, &record) {
                    let _ = self.events.send(Event::Added);
                    cells.lock().unwrap_or_else(PoisonError::into_inner).push_front((index, next));
                }
                let _ = self.events.send(Event::Settled(None, Box::new(record)));
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..LOOKING_UP {
                scope.spawn(|| {
                    while !self.agent.cancel.is_cancelled() {
                        let some = some();
                        if some.is_empty() {
                            return;
                        }
                        if let Err(error) = settle_some(some) {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                            return;
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let mut waiting = waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        waiting.sort_by_key(|(index, _)| *index);
        Ok(Ahead {
            waiting: waiting.into_iter().map(|(_, cell)| cell).collect(),
            settled: usize::try_from(settled.into_inner()).unwrap_or(usize::MAX),
            left: cells.into_inner().unwrap_or_else(PoisonError::into_inner).len(),
        })
    }

    /// Settles a cell that needs no sandbox, and stores its result.
    pub(crate) fn settle_without_running(&self, cell: &Cell) -> Result<Option<Record>, Error> {
        let record = self.settled_already(cell)?;
        self.handle.block_on(self.store.record_all(record.as_slice()))?;
        Ok(record)
    }

    /// The result of a cell that needs no sandbox, not stored yet: it is unsupported, or its result can be reused.
    fn settled_already(&self, cell: &Cell) -> Result<Option<Record>, Error> {
        let request = fingerprint::request(&cell.job, &self.options.index_date);
        if !self.options.fresh
            && let Some(known) = self.known(&request)?
            && self.still_holds(&known)
        {
            return Ok(Some(self.repeated(known, cell)));
        }
        let Some(reason) = cell.unsupported else { return Ok(None) };
        let evidence = unsupported(&cell.job, reason);
        let report = Report {
            evidence,
            logs: Default::default(),
            asked: vec![cell.job.release.project.to_string()],
            people: None,
        };
        Ok(Some(self.record_of(&cell.job, &report, request, 1, self.now(), 0.0)))
    }

    /// The stored result of this request. One that an older program wrote in a form of its own is run again.
    fn known(&self, request: &Sha256) -> Result<Option<Record>, Error> {
        match self.handle.block_on(self.store.find_request(request)) {
            Err(wheeltapper_store::Error::Unreadable { .. }) => Ok(None),
            other => Ok(other?),
        }
    }

    /// True when every index answer that the result rests on is the same today.
    fn still_holds(&self, record: &Record) -> bool {
        // A page says nothing of whether the file can be had; to ask for it again costs one request.
        record.verdict.outcome != Outcome::FetchFailed
            && record.index_answers.iter().all(|answer| self.answer(&answer.project) == Some(answer.digest))
            && record.evidence.repository.as_ref().is_none_or(|then| self.repository_stands(record, then))
    }

    fn repository_stands(&self, record: &Record, then: &TestsRepository) -> bool {
        let version = record.evidence.version.parse();
        version.is_ok_and(|version| self.agent.repository_stands(&record.evidence.project, &version, then))
    }

    fn answer(&self, project: &str) -> Option<Sha256> {
        let name: ProjectName = project.parse().ok()?;
        match self.handle.block_on(self.agent.index.proxy.page(&name)) {
            Ok(page) => Some(page.digest),
            // "There is no such project" is an answer, too.
            Err(wheeltapper_index::Error::ProjectNotFound(_)) => Some(Sha256::of(b"not found")),
            Err(_) => None,
        }
    }

    fn repeated(&self, known: Record, cell: &Cell) -> Record {
        let original = known.reused_from.clone().unwrap_or_else(|| known.id.clone());
        let verdict = known.verdict.clone();
        Record {
            id: self.id(&cell.job, &known.request),
            run: self.options.run.clone(),
            started: stamp(self.now()),
            reused_from: Some(original),
            verdict,
            ..known
        }
    }

    fn id(&self, job: &Job, request: &Sha256) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed).to_string();
        let parts = [self.options.run.as_str(), job.release.project.as_str(), &request.hex(), &serial];
        Sha256::of_parts(parts).hex()[..20].to_owned()
    }

    /// Runs a cell and stores its result; returns the cells that follow from it.
    pub(crate) fn run_cell(&self, slot: usize, cell: Cell, attempt: u32) -> Vec<(Cell, u32)> {
        let job = &cell.job;
        let request = fingerprint::request(job, &self.options.index_date);
        let shown = format!(
            "{} {} · {} · {}",
            job.release.project, job.release.version, job.environment.shown.name, job.artifact
        );
        let _ = self.events.send(Event::Started(slot, shown.clone()));
        let (started, clock) = (self.now(), Instant::now());
        let progress = |phase| {
            let _ = self.events.send(Event::Phase(slot, phase));
        };
        // A panic is a bug of ours: told as such, it costs one cell, and not the run.
        let tapped =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.agent.tap(slot, job, &progress)));
        let tapped = tapped.unwrap_or_else(|panic| {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(wheeltapper_agent::Error::Bug(words.to_owned()))
        });
        let report = match tapped {
            Ok(report) => report,
            // Whatever a cell says that was stopped in the middle, being stopped is why.
            Err(_) if self.agent.cancel.is_cancelled() => {
                let _ = self.events.send(Event::Lost(Some(slot), format!("{shown}: stopped")));
                return Vec::new();
            }
            Err(error) if attempt < 2 => {
                let _ =
                    self.events.send(Event::Lost(Some(slot), format!("{shown}: {error}; it is tried again")));
                let _ = self.events.send(Event::Added);
                return vec![(cell, attempt + 1)];
            }
            Err(error) => farm_error(job, &error.to_string()),
        };
        if let Err(error) = self.handle.block_on(remember(&self.store, &report)) {
            let _ = self.events.send(Event::Lost(None, format!("{shown}: {error}")));
        }
        let record = self.record_of(job, &report, request, attempt, started, clock.elapsed().as_secs_f64());
        if let Err(error) = self.handle.block_on(self.store.record(&record, &report.logs)) {
            self.agent.cancel.cancel();
            let _ = self.events.send(Event::Lost(Some(slot), format!("{shown}: {error}")));
            self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.into());
            return Vec::new();
        }
        if let Err(error) = self.judge_older(&record) {
            let _ = self.events.send(Event::Lost(None, format!("{shown}: {error}")));
        }
        let next = following(cell, &record);
        let _ = self.events.send(Event::Settled(Some(slot), Box::new(record)));
        if next.is_some() {
            let _ = self.events.send(Event::Added);
        }
        next.map(|cell| (cell, 1)).into_iter().collect()
    }

    fn record_of(
        &self,
        job: &Job,
        report: &Report,
        request: Sha256,
        attempt: u32,
        started: Timestamp,
        wall_s: f64,
    ) -> Record {
        let texts: BTreeMap<Phase, String> = report
            .logs
            .iter()
            .map(|(phase, log)| (*phase, String::from_utf8_lossy(log).into_owned()))
            .collect();
        let mut evidence = report.evidence.clone();
        evidence.elsewhere = self.elsewhere(&evidence);
        let verdict: Verdict = classify(&evidence, &texts);
        let index_answers = report
            .asked
            .iter()
            .map(|project| {
                // An answer that is lost meanwhile is none that a later run could find the same.
                let digest = self.answer(project).unwrap_or_else(|| Sha256::of(b"lost"));
                IndexAnswer { project: project.clone(), digest }
            })
            .collect();
        let id = self.id(job, &request);
        for (phase, report) in &mut evidence.phases {
            report.log = texts.contains_key(phase).then(|| format!("{id}/{phase}"));
        }
        let inputs = fingerprint::inputs(&request, &evidence);
        Record {
            schema: SCHEMA,
            flaky: flaky_rate(&evidence),
            flaky_tests: self.flaky_tests(&evidence, &inputs),
            id,
            run: self.options.run.clone(),
            inputs,
            evidence,
            verdict,
            options: job.options.clone(),
            attempt,
            request,
            index_answers,
            reused_from: None,
            started: stamp(started),
            wall_s: (wall_s * 1000.0).round() / 1000.0,
        }
    }
}

impl Runner {
    /// The tests that changed their result in this and in earlier results on the same inputs.
    fn flaky_tests(&self, evidence: &Evidence, inputs: &Sha256) -> Vec<FlakyTest> {
        if evidence.tests.is_none() {
            return Vec::new();
        }
        // What cannot be read says nothing, and costs this result nothing.
        let known = self.handle.block_on(self.store.of_inputs(evidence, inputs, SAME_INPUTS));
        let known = known.unwrap_or_default();
        flaky_tests(std::iter::once(evidence).chain(known.iter().map(|record| &record.evidence)))
    }
}

fn stamp(time: Timestamp) -> String {
    time.round(jiff::Unit::Second).unwrap_or(time).to_string()
}

fn unsupported(job: &Job, reason: Reason) -> Evidence {
    let mut evidence = bare(job);
    evidence.unsupported = Some(reason);
    evidence
}

fn farm_error(job: &Job, error: &str) -> Report {
    let mut evidence = bare(job);
    evidence.farm_error = Some(error.to_owned());
    Report { evidence, logs: Default::default(), asked: Vec::new(), people: None }
}

/// The evidence of a cell in which nothing was run.
fn bare(job: &Job) -> Evidence {
    wheeltapper_agent::blank_evidence(job)
}
