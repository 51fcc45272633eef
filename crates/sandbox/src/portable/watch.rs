//! The eyes on one running command: its limits, its signs of life, its end.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use wheeltapper_core::phase::{Exit, Limit};

use super::{output::Output, system, trees};
use crate::{Cancel, Command, Error, Execution, MemorySource, Mode, ScratchLimits};

/// How often limits are looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long what a command leaves behind has to end by itself before it counts as left.
const GRACE: Duration = Duration::from_millis(100);

/// Where a command runs, and within what.
#[derive(Debug)]
pub(crate) struct Place {
    /// How it is confined.
    pub(crate) mode: Mode,
    /// The tree.
    pub(crate) root: PathBuf,
    /// Its temporary folder.
    pub(crate) temporary: PathBuf,
    /// How much it may write.
    pub(crate) limits: ScratchLimits,
}

/// What a command and all that it started use.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// User and system time so far, of those that ended as well.
    pub(crate) cpu: Duration,
    /// Bytes of memory now.
    pub(crate) memory: u64,
    /// Processes now.
    pub(crate) processes: u64,
}

/// What the system itself says once all is over, where it counts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account {
    /// The most memory of all processes together.
    pub(crate) peak_memory: Option<u64>,
    /// True when it refused memory.
    pub(crate) memory_refused: bool,
    /// How often it refused a process.
    pub(crate) processes_refused: u64,
}

/// Runs a command to its end, and to that of everything it started.
pub(super) fn run(command: &Command, place: &Place, cancel: &Cancel) -> Result<Execution, Error> {
    let log = &command.log;
    let log = File::create(log).map_err(|error| Error::io(format!("create {}", log.display()), error))?;
    let (reader, writer) = io::pipe().map_err(|error| Error::io("make a pipe", error))?;
    let begun = Instant::now();
    let running = match system::Running::start(command, place, writer)? {
        Ok(running) => running,
        Err(why) => return Ok(not_started(why)),
    };
    let output = Output::collect(reader, log, command.limits.output);
    let (free, had) = (system::free_bytes(&place.root), written(place)?);
    let used = Usage::default();
    let watch = Watch {
        command,
        place,
        running,
        output,
        begun,
        used,
        peak: 0,
        alive: (begun, 0, Duration::ZERO),
        free,
        had,
    };
    watch.until_end(cancel)
}

/// As a shell would say it of a program that it cannot start.
fn not_started(why: String) -> Execution {
    Execution {
        exit: Exit::Code(127),
        limit: None,
        start_error: Some(why),
        wall: Duration::ZERO,
        cpu: Duration::ZERO,
        waited: Duration::ZERO,
        cut_short: false,
        peak_memory: None,
        peak_memory_source: MemorySource::Sampled,
        output_bytes: 0,
        left_processes: 0,
        processes_denied: 0,
    }
}

struct Watch<'a> {
    command: &'a Command,
    place: &'a Place,
    running: system::Running,
    output: Output,
    begun: Instant,
    used: Usage,
    /// The most memory that was seen.
    peak: u64,
    /// The last sign of life: when, bytes printed and CPU time used by then.
    alive: (Instant, u64, Duration),
    /// Bytes that the disk had free at the beginning.
    free: u64,
    /// Bytes and files that were in the tree before.
    had: (u64, u64),
}

impl Watch<'_> {
    fn until_end(mut self, cancel: &Cancel) -> Result<Execution, Error> {
        let mut limit = None;
        let mut ended = None;
        while ended.is_none() && limit.is_none() {
            ended = self.running.ended(TICK)?;
            if cancel.is_cancelled() {
                self.running.kill();
                self.output.finish();
                return Err(Error::Cancelled);
            }
            self.sample();
            limit = self.hit();
        }
        let wall = self.begun.elapsed();
        let left_processes = if limit.is_none() { self.left() } else { 0 };
        self.running.kill();
        self.output.finish();
        let account = self.running.account();
        let failed = ended != Some(Exit::Code(0));
        // One that ended at once was not looked at while it ran.
        let limit = limit.or_else(|| self.output.flooded().then_some(Limit::Output)).or_else(|| {
            if account.memory_refused {
                Some(Limit::Memory)
            } else if failed && account.processes_refused > 0 {
                Some(Limit::Processes)
            } else if failed && self.disk_is_full() {
                Some(Limit::Disk)
            } else {
                None
            }
        });
        let exit = match (ended, limit) {
            (Some(exit), None) => exit,
            _ => Exit::Signal(9),
        };
        let (peak_memory, peak_memory_source) = match account.peak_memory {
            Some(bytes) => (bytes, MemorySource::Job),
            None => (self.peak, MemorySource::Sampled),
        };
        Ok(Execution {
            exit,
            limit,
            start_error: None,
            wall,
            cpu: self.used.cpu,
            waited: Duration::ZERO,
            cut_short: false,
            peak_memory: Some(peak_memory),
            peak_memory_source,
            output_bytes: self.output.bytes(),
            left_processes,
            processes_denied: account.processes_refused,
        })
    }

    fn sample(&mut self) {
        self.used = self.running.usage();
        self.peak = self.peak.max(self.used.memory);
    }

    /// The limit that is reached, if one is.
    fn hit(&mut self) -> Option<Limit> {
        let limits = &self.command.limits;
        let now = Instant::now();
        let (since, bytes, cpu) = self.alive;
        let quiet = now.duration_since(since);
        // A process that only polls a clock is as dead as one that sleeps: one percent of a core is a sign of life.
        let worked = self.used.cpu.saturating_sub(cpu) > Duration::from_millis(10).max(quiet / 100);
        if worked || self.output.bytes() > bytes {
            self.alive = (now, self.output.bytes(), self.used.cpu);
        }
        if self.output.flooded() {
            Some(Limit::Output)
        } else if self.begun.elapsed() >= limits.wall {
            Some(Limit::Time)
        } else if self.used.memory > limits.memory || self.running.account().memory_refused {
            Some(Limit::Memory)
        } else if self.used.processes > limits.processes {
            Some(Limit::Processes)
        } else if self.disk_is_full() {
            Some(Limit::Disk)
        } else if now.duration_since(self.alive.0) >= limits.inactivity {
            Some(Limit::Inactivity)
        } else {
            None
        }
    }

    /// Processes that are still there although the command has ended.
    fn left(&mut self) -> u32 {
        let until = Instant::now() + GRACE;
        loop {
            self.sample();
            let left = u32::try_from(self.used.processes).unwrap_or(u32::MAX);
            if left == 0 || Instant::now() >= until {
                return left;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// More was written than may be. Others write to this disk too: only what is really there counts.
    fn disk_is_full(&self) -> bool {
        let gone = self.free.saturating_sub(system::free_bytes(&self.place.root));
        gone > self.place.limits.bytes.min(self.place.limits.inodes * 512)
            && written(self.place).is_ok_and(|(bytes, files)| {
                bytes > self.had.0 + self.place.limits.bytes || files > self.had.1 + self.place.limits.inodes
            })
    }
}

/// Bytes and files in the folders that a command may write to.
fn written(place: &Place) -> Result<(u64, u64), Error> {
    let everything = ScratchLimits { bytes: u64::MAX, inodes: u64::MAX };
    let of = |folder: &Path| trees::count(folder, everything).map(|counted| (counted.bytes, counted.files));
    let (tree, temporary) = (of(&place.root)?, of(&place.temporary)?);
    Ok((tree.0 + temporary.0, tree.1 + temporary.1))
}
