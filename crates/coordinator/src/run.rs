//! A run: cells are handed to slots, results are stored as each settles. One stream of events, any number of reporters.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use jiff::Timestamp;
use tokio::runtime::Handle;
use wheeltapper_agent::{Agent, Recipes};
use wheeltapper_core::{Options, Phase, Record};
use wheeltapper_store::Store;

use crate::{
    cells::{Artifacts, Cell},
    error::Error,
    runner::Runner,
};

/// How a run is done.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// How cells are run.
    pub cell: Options,
    /// Which artifacts.
    pub artifacts: Artifacts,
    /// Slots: cells at a time.
    pub jobs: usize,
    /// Do not reuse results.
    pub fresh: bool,
    /// The `--exclude-newer` date as given, empty for none.
    pub index_date: String,
    /// Overrides of the user and of this program.
    pub recipes: Arc<Recipes>,
    /// The run's id.
    pub run: String,
    /// Results are not dated before this, whatever the machine's clock says.
    pub not_before: Option<Timestamp>,
}

/// What happens in a run, in the order in which it happens.
#[derive(Debug)]
pub enum Event {
    /// So many cells are planned.
    Planned(usize),
    /// A cell was added while running.
    Added,
    /// A cycle has decided about so many more projects: cells that are due, cells that stand, projects, projects left.
    Decided {
        /// Cells that are due.
        due: usize,
        /// Cells whose result stands.
        stand: usize,
        /// Projects decided about.
        projects: usize,
        /// Projects that are left.
        left: usize,
    },
    /// A cycle is over: nothing follows that is waited for.
    Ended,
    /// A slot began a cell: slot, what is shown of the cell.
    Started(usize, String),
    /// A slot's cell entered a phase.
    Phase(usize, Phase),
    /// A cell settled; the slot is free. `None`: it was reused and had no slot.
    Settled(Option<usize>, Box<Record>),
    /// A cell could not be stored or run, and is given up in this run.
    Lost(Option<usize>, String),
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Cells that were planned.
    pub wanted: usize,
    /// Results reused.
    pub reused: usize,
    /// Cells run.
    pub run: usize,
    /// Cells that were not run because the user stopped.
    pub left: usize,
}

struct Queue {
    cells: VecDeque<(Cell, u32)>,
    /// Cells that slots are working on, which may add more.
    open: usize,
}

/// Runs cells on slots until all have settled or the user stops. Blocking; call it from a thread that may wait.
///
/// # Errors
/// When the store cannot be written: nothing would be kept.
pub fn run(
    handle: &Handle,
    agent: &Arc<Agent>,
    store: &Store,
    cells: Vec<Cell>,
    options: &RunOptions,
    events: &mpsc::Sender<Event>,
) -> Result<Summary, Error> {
    let _ = events.send(Event::Planned(cells.len()));
    let mut summary = Summary { wanted: cells.len(), ..Summary::default() };
    let runner = Runner::new(handle, agent, store, options.clone(), events);
    let ahead = runner.settle_ahead(cells)?;
    (summary.reused, summary.left) = (ahead.settled, ahead.left);
    let waiting = ahead.waiting.into_iter().map(|cell| (cell, 1)).collect();
    let queue = Mutex::new(Queue { cells: waiting, open: 0 });
    let changed = Condvar::new();
    let ran = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for slot in 0..options.jobs {
            let (runner, queue, changed, ran) = (&runner, &queue, &changed, &ran);
            let _ = std::thread::Builder::new().name(format!("slot-{slot}")).spawn_scoped(scope, move || {
                while let Some((cell, attempt)) = next(queue, changed, agent) {
                    let more = runner.run_cell(slot, cell, attempt);
                    ran.fetch_add(1, Ordering::Relaxed);
                    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    queue.open -= 1;
                    queue.cells.extend(more);
                    changed.notify_all();
                }
            });
        }
    });
    let queue = queue.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.run = usize::try_from(ran.into_inner()).unwrap_or(usize::MAX);
    summary.left += queue.cells.len();
    match runner.failure() {
        Some(error) => Err(error),
        None => Ok(summary),
    }
}

fn next(queue: &Mutex<Queue>, changed: &Condvar, agent: &Agent) -> Option<(Cell, u32)> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if agent.cancel.is_cancelled() {
            return None;
        }
        if let Some(cell) = queue.cells.pop_front() {
            queue.open += 1;
            return Some(cell);
        }
        if queue.open == 0 {
            return None;
        }
        queue = changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}
