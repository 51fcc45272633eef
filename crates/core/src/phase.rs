//! The six phases of a cell, and what is reported of each.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// A step in the life of a release on one environment, in the order in which they happen.
    Phase: "phase" {
        /// The distribution is fetched through the index proxy and its hash verified.
        Fetch = "fetch",
        /// The wheel is built from the sdist by the package's own backend (PEP 517) or `setup.py`.
        Build = "build",
        /// Runtime requirements, then the release itself.
        Install = "install",
        /// Every module the release ships is imported in a fresh interpreter.
        Import = "import",
        /// The tests that the release ships run against the installed copy.
        Test = "test",
        /// The release is removed by the user's installer; nothing of it may stay.
        Uninstall = "uninstall",
    }
}

words! {
    /// How a phase ended.
    Status: "status" {
        /// It did what it should.
        Passed = "passed",
        /// It did not.
        Failed = "failed",
        /// It did not run; the reason says why.
        Skipped = "skipped",
    }
}

words! {
    /// A resource limit that ended a command.
    Limit: "limit" {
        /// Wall time.
        Time = "time",
        /// Neither output nor CPU use for too long.
        Inactivity = "inactivity",
        /// Memory of all processes together.
        Memory = "memory",
        /// Number of processes and threads.
        Processes = "processes",
        /// Bytes or inodes written.
        Disk = "disk",
        /// Bytes printed.
        Output = "output",
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// It was ended by this signal.
    Signal(i32),
}

impl Exit {
    /// True for exit status 0.
    pub const fn success(self) -> bool {
        matches!(self, Exit::Code(0))
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Something noticed in a phase that did not fail it by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable identifier, such as `sdist-differs-from-wheel`.
    pub id: String,
    /// One sentence.
    pub text: String,
    /// What it rests on, line by line.
    pub evidence: Vec<String>,
}

impl Finding {
    /// A finding with its sentence and evidence.
    pub fn new(id: &str, text: impl Into<String>, evidence: Vec<String>) -> Self {
        Finding { id: id.to_owned(), text: text.into(), evidence }
    }
}

/// What happened in one phase. Sizes in bytes, times in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseReport {
    /// How it ended.
    pub status: Status,
    /// Wall time.
    pub wall_s: f64,
    /// CPU time, user and system, of all processes.
    pub cpu_s: Option<f64>,
    /// Time in which its processes were ready to run and others had the processors; at least so much.
    #[serde(default)]
    pub cpu_wait_s: Option<f64>,
    /// Peak memory of all processes together, but of the largest one where `peak_memory_source` is `max_rss`.
    pub peak_memory: Option<u64>,
    /// `cgroup`, `max_rss`, `job` or `sampled`.
    pub peak_memory_source: Option<String>,
    /// Exit status, when the phase's command exited.
    pub exit: Option<i32>,
    /// Signal number, when a signal ended it.
    pub signal: Option<i32>,
    /// The limit that was hit.
    pub limit: Option<Limit>,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// What was noticed beside the status.
    pub findings: Vec<Finding>,
    /// Reference of the stored log.
    pub log: Option<String>,
}

impl PhaseReport {
    /// A phase that ran no command.
    pub fn bare(status: Status) -> Self {
        PhaseReport {
            status,
            wall_s: 0.0,
            cpu_s: None,
            cpu_wait_s: None,
            peak_memory: None,
            peak_memory_source: None,
            exit: None,
            signal: None,
            limit: None,
            reason: None,
            findings: Vec::new(),
            log: None,
        }
    }

    /// A phase that did not run.
    pub fn skipped(reason: impl Into<String>) -> Self {
        PhaseReport { reason: Some(reason.into()), ..PhaseReport::bare(Status::Skipped) }
    }
}
