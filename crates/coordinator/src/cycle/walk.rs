//! The walk itself: batches of projects are decided about while slots run what is due, and the cursor follows the last
//! batch of which every cell has settled.

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::Duration,
};

use jiff::Timestamp;
use tokio::runtime::Handle;
use wheeltapper_agent::{Agent, HostEnvironment};
use wheeltapper_core::{
    Outcome, Phase, Record,
    cycle::{CellName, Cycle, Due, Runs, State, compared_with, standing, state},
};
use wheeltapper_store::{Decision, Settled, Store};

use super::{
    Order,
    crew::{Crew, Returned, Work},
    decide::{Decider, DueCell, name_of},
};
use crate::{Catalog, Cell, Error, Event, RunOptions, cells::following, fingerprint, runner::Runner};

/// How a walk is done.
#[derive(Debug, Clone)]
pub struct WalkOptions {
    /// How cells are run.
    pub run: RunOptions,
    /// Results older than this are had again.
    pub oldest: Option<Duration>,
    /// A cell that has not come back after this is given up, and its slot with it.
    pub longest: Duration,
}

/// Whether cells may be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Yes.
    Go,
    /// Not now; those that run go on.
    Pause,
    /// No more in this sitting; those that run go on to their end.
    Stop,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every project had its turn.
    Complete,
    /// It was held, stopped by the user, or lost its slots; the same cycle goes on later.
    Unfinished,
}

/// Everything that a walk stands on.
pub struct Walk<'a> {
    /// Runs what is asynchronous.
    pub handle: &'a Handle,
    /// Runs cells.
    pub agent: &'a Arc<Agent>,
    /// Results.
    pub store: &'a Store,
    /// The cycle, begun or to be gone on with.
    pub cycle: &'a Cycle,
    /// Whose turn it is.
    pub order: &'a Order,
    /// Where.
    pub environments: &'a [Arc<HostEnvironment>],
    /// How.
    pub options: &'a WalkOptions,
}

/// Projects that are decided about at a time.
const BATCH: usize = 250;
/// Batches after which pages that were read are forgotten.
const FORGET: usize = 8;
/// How often the hold is looked at while nothing happens.
const LOOK: Duration = Duration::from_millis(500);

/// A cell on its way.
struct Task {
    due: DueCell,
    attempt: u32,
}

/// What a slot brings back: the tasks that follow.
type Answer = Result<Vec<Task>, Error>;

impl Walk<'_> {
    /// Walks until every project had its turn, `hold` says stop, or the user does. `catalog` makes a view of the index with
    /// nothing read yet. Blocking.
    ///
    /// # Errors
    /// When the index or the store is lost; what has settled is kept, and the same cycle goes on later.
    pub fn walk(
        &self,
        catalog: &dyn Fn() -> Result<Catalog, Error>,
        hold: &dyn Fn() -> Hold,
        events: &mpsc::Sender<Event>,
    ) -> Result<Ended, Error> {
        let options = &self.options.run;
        let now = options.not_before.map_or_else(Timestamp::now, |least| Timestamp::now().max(least));
        let decider = Arc::new(Decider {
            store: self.store.clone(),
            cycle: self.cycle.number,
            environments: self.environments.to_vec(),
            options: options.clone(),
            oldest: self.options.oldest.map(|age| age.as_secs()),
            now,
        });
        let runner = Arc::new(Runner::new(self.handle, self.agent, self.store, options.clone(), events));
        let settler = Settler {
            handle: self.handle.clone(),
            store: self.store.clone(),
            cycle: self.cycle.number,
            index_date: options.index_date.clone(),
            run: options.run.clone(),
            runner: Arc::clone(&runner),
            decider: Arc::clone(&decider),
            events: events.clone(),
        };
        let work: Work<Task, Answer> = Arc::new(move |slot, task| settler.work(slot, task));
        let mut march = March {
            walk: self,
            decider,
            crew: Crew::new(options.jobs, self.options.longest, &work),
            queue: VecDeque::new(),
            open: BTreeMap::new(),
            position: self.order.position(&self.cycle.cursor),
            batches: 0,
            events,
        };
        march.go(catalog, hold)?;
        if let Some(error) = runner.failure() {
            return Err(error);
        }
        let complete = march.position >= self.order.len() && march.open.is_empty();
        Ok(if complete && !self.agent.cancel.is_cancelled() { Ended::Complete } else { Ended::Unfinished })
    }
}

/// The state of a walk.
struct March<'a> {
    walk: &'a Walk<'a>,
    decider: Arc<Decider>,
    crew: Crew<Task, Answer>,
    /// Tasks with the number of their batch.
    queue: VecDeque<(u64, Task)>,
    /// Batches with open cells, or decided after such: where they end, and how many cells are open.
    open: BTreeMap<u64, (String, usize)>,
    position: usize,
    batches: u64,
    events: &'a mpsc::Sender<Event>,
}

impl March<'_> {
    fn go(
        &mut self,
        catalog: &dyn Fn() -> Result<Catalog, Error>,
        hold: &dyn Fn() -> Hold,
    ) -> Result<(), Error> {
        let mut view = catalog()?;
        let ahead = self.walk.options.run.jobs * 4;
        loop {
            let hold = if self.walk.agent.cancel.is_cancelled() { Hold::Stop } else { hold() };
            if hold == Hold::Stop && self.crew.busy() == 0 {
                return Ok(());
            }
            if hold == Hold::Go {
                if self.queue.len() < ahead && self.position < self.walk.order.len() {
                    if self.batches.is_multiple_of(FORGET as u64) {
                        view = catalog()?;
                    }
                    self.decide(&view)?;
                }
                while self.crew.idle() > 0
                    && let Some((batch, task)) = self.queue.pop_front()
                {
                    if let Err(task) = self.crew.give(batch, task) {
                        self.queue.push_front((batch, task));
                        break;
                    }
                }
            }
            let undecided = self.position < self.walk.order.len() && self.queue.len() < ahead;
            if self.crew.busy() == 0 && self.queue.is_empty() && !undecided {
                return Ok(());
            }
            if self.crew.is_lost() {
                let words = "every slot hangs; the cycle ends here, and its cells are left".to_owned();
                let _ = self.events.send(Event::Lost(None, words));
                return Ok(());
            }
            let patience =
                if undecided && hold == Hold::Go && self.crew.idle() > 0 { Duration::ZERO } else { LOOK };
            if self.crew.busy() > 0 || patience > Duration::ZERO {
                self.take_back(patience)?;
            }
        }
    }

    fn decide(&mut self, catalog: &Catalog) -> Result<(), Error> {
        let Some((projects, cursor)) = self.walk.order.batch(self.position, BATCH) else { return Ok(()) };
        let deciding = self.decider.projects(catalog, self.walk.order, &projects);
        let decided = self.walk.handle.block_on(deciding)?;
        self.position += projects.len();
        let batch = self.batches;
        self.batches += 1;
        let _ = self.events.send(Event::Decided {
            due: decided.due.len(),
            stand: decided.stands,
            projects: projects.len(),
            left: self.walk.order.len() - self.position,
        });
        self.open.insert(batch, (cursor, decided.due.len()));
        self.queue.extend(decided.due.into_iter().map(|due| (batch, Task { due, attempt: 1 })));
        self.advance()
    }

    fn take_back(&mut self, patience: Duration) -> Result<(), Error> {
        let (batch, more) = match self.crew.wait(patience) {
            None => return Ok(()),
            Some(Returned::Done(batch, answer)) => (batch, answer?),
            Some(Returned::Hung(batch)) => {
                let words = "a cell did not come back and is given up; its slot is closed".to_owned();
                let _ = self.events.send(Event::Lost(None, words));
                (batch, Vec::new())
            }
        };
        if let Some((_, open)) = self.open.get_mut(&batch) {
            *open = *open + more.len() - 1;
        }
        // A second run soon after the first: what differs then is less likely the world.
        self.queue.extend(more.into_iter().map(|task| (batch, task)));
        self.advance()
    }

    /// Moves the cursor past every batch that has settled.
    fn advance(&mut self) -> Result<(), Error> {
        if self.walk.agent.cancel.is_cancelled() {
            return Ok(());
        }
        let mut reached = None;
        while let Some(first) = self.open.first_entry() {
            if first.get().1 > 0 {
                break;
            }
            reached = Some(first.remove().0);
        }
        let Some(cursor) = reached else { return Ok(()) };
        let listed = self.walk.order.len() as u64;
        let advancing = self.walk.store.advance_cycle(self.walk.cycle.number, &cursor, listed);
        Ok(self.walk.handle.block_on(advancing)?)
    }
}

/// Runs a cell in its slot and notes what became of it.
struct Settler {
    handle: Handle,
    store: Store,
    cycle: i64,
    index_date: String,
    run: String,
    runner: Arc<Runner>,
    decider: Arc<Decider>,
    events: mpsc::Sender<Event>,
}

impl Settler {
    fn work(&self, slot: usize, task: Task) -> Answer {
        let Task { due: DueCell { cell, due }, attempt } = task;
        let name = name_of(&cell);
        let again = matches!(due, Due::Unconfirmed | Due::Age | Due::FarmError);
        if attempt == 1 {
            // Run in this cycle already, and killed before it was noted.
            if let Some((noted, record)) = self.note(&name, &cell)?
                && !matches!(noted, State::Unconfirmed | State::FarmError | State::Left)
            {
                let _ = self.events.send(Event::Settled(None, Box::new(record.clone())));
                return self.what_follows(following(cell, &record));
            }
            if !again
                && let Some(record) = self.runner.settle_without_running(&cell)?
                && (record.reused_from.is_none() || self.stands(&name, &record)?)
            {
                if record.reused_from.is_none() {
                    self.note(&name, &cell)?;
                }
                let more = self.what_follows(following(cell, &record));
                let _ = self.events.send(Event::Settled(None, Box::new(record)));
                return more;
            }
        }
        let more = self.runner.run_cell(slot, cell.clone(), attempt);
        if let Some((retried, attempt)) = more.iter().find(|(_, attempt)| *attempt > 1).cloned() {
            return Ok(vec![Task { due: DueCell { cell: retried, due }, attempt }]);
        }
        match self.note(&name, &cell)? {
            // One failure may be chance: the second run tells. There is no third.
            Some((State::Unconfirmed, _)) if due != Due::Unconfirmed => {
                let _ = self.events.send(Event::Added);
                Ok(vec![Task { due: DueCell { cell, due: Due::Unconfirmed }, attempt: 1 }])
            }
            _ => self.what_follows(more.into_iter().map(|(cell, _)| cell)),
        }
    }

    /// Notes a reused result, if it may stand: a failure must have been seen twice.
    fn stands(&self, name: &CellName, record: &Record) -> Result<bool, Error> {
        let failed = record.verdict.outcome.is_failure();
        if failed && self.handle.block_on(self.store.failures_of(&record.request))? < 2 {
            return Ok(false);
        }
        let decision = Decision::Stands(standing(None, record.verdict.outcome));
        self.handle.block_on(self.store.decide(self.cycle, &[(name.clone(), decision)]))?;
        Ok(true)
    }

    /// Derives what became of a cell from its results in this cycle, and writes it down. None where it has none.
    fn note(&self, name: &CellName, cell: &Cell) -> Result<Option<(State, Record)>, Error> {
        let request = fingerprint::request(&cell.job, &self.index_date);
        self.handle.block_on(async {
            let mut records = self.store.cell_results(name, &self.run).await?;
            records.retain(|record| record.request == request && record.reused_from.is_none());
            let earlier = self.store.verdicts_before(name, &self.run).await?;
            let outcomes: Vec<Outcome> = earlier.iter().map(|(_, outcome)| *outcome).collect();
            let before = compared_with(&outcomes).map(|index| earlier[index].clone());
            let runs = Runs {
                outcomes: records.iter().map(|record| record.verdict.outcome).collect(),
                flaky: records.iter().any(|record| record.flaky.is_some()),
                confirmed: self.store.failures_of(&request).await? >= 2,
            };
            let core_s = records.iter().map(core_seconds).sum();
            let shown = records.iter().rposition(|record| record.verdict.outcome != Outcome::FarmError);
            let Some(index) = shown.or_else(|| records.len().checked_sub(1)) else { return Ok(None) };
            let state = state(before.as_ref().map(|(_, outcome)| *outcome), &runs);
            let result = records[index].id.clone();
            let settled = Settled { state, result, before: before.map(|(id, _)| id), core_s };
            self.store.settle(self.cycle, name, &settled).await?;
            Ok(Some((state, records.swap_remove(index))))
        })
    }

    /// Decides about cells that follow from a result.
    fn what_follows(&self, cells: impl IntoIterator<Item = Cell>) -> Answer {
        let cells: Vec<Cell> = cells.into_iter().collect();
        if cells.is_empty() {
            return Ok(Vec::new());
        }
        let decided = self.handle.block_on(self.decider.cells(cells))?;
        for _ in &decided.due {
            let _ = self.events.send(Event::Added);
        }
        Ok(decided.due.into_iter().map(|due| Task { due, attempt: 1 }).collect())
    }
}

/// CPU seconds of all phases.
fn core_seconds(record: &Record) -> f64 {
    record.evidence.phases.values().filter_map(|phase| phase.cpu_s).sum()
}

/// How long a cell may take at most before it is given up: every phase to its limit, the tests several times, and what
/// lies between.
pub fn longest(limits: &wheeltapper_core::Limits) -> Duration {
    let phases = u32::try_from(Phase::ALL.len()).unwrap_or(6);
    limits.build() * 2 + limits.test() * 6 + limits.step() * phases + Duration::from_secs(1200)
}

/// A file whose presence pauses cycles.
pub fn pause_file(data: &std::path::Path) -> PathBuf {
    data.join("cycle.paused")
}
