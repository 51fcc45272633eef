//! What is run in a cell, within which limits, and what was measured. Values only.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use wheeltapper_core::phase::{Exit, Limit};

/// Where a process in full mode sees the cell's tree.
pub const CELL_PATH: &str = "/cell";

/// Who runs a command: short, since it is part of temporary folders' names, which suites print into lines of 80 columns.
pub(crate) const USER_NAME: &str = "tap";

/// One untrusted command. Paths are those that the process itself sees.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// The program: a path, or a name that is looked up in the `PATH` of `environment`.
    pub program: OsString,
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// The whole environment; nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// The working directory.
    #[serde(with = "os_path")]
    pub directory: PathBuf,
    /// Files and directories of the host that are shown read-only.
    pub binds: Vec<Bind>,
    /// What it can reach.
    pub network: Network,
    /// When it is stopped.
    pub limits: Limits,
    /// Where its combined standard output and error go: a file of the supervisor's, created or truncated.
    #[serde(with = "os_path")]
    pub log: PathBuf,
}

/// A file or directory of the host, shown read-only in the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    #[serde(with = "os_path")]
    pub source: PathBuf,
    /// Absolute path in the cell; missing parents are created.
    #[serde(with = "os_path")]
    pub target: PathBuf,
}

impl Bind {
    /// Shows `path` at the same place inside.
    pub fn same(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Bind { source: path.clone(), target: path }
    }
}

/// A root file system, whose programs and libraries a world's commands see instead of the host's. Nothing in it is trusted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Root {
    /// The folder on the host. No link in it is ever followed from outside.
    #[serde(with = "os_path")]
    pub path: PathBuf,
    /// Its programs are told that the machine has 32 bits.
    pub narrow: bool,
}

impl Execution {
    /// True when it waited for a processor for a fifth of its time or more: what it did late says nothing of itself. One that
    /// was ended by its time limit after it had computed for all of that time was not.
    pub fn was_starved(&self) -> bool {
        let ready = self.wall.saturating_sub(self.waited);
        let had_its_time = self.limit == Some(Limit::Time) && !self.cut_short && self.cpu * 10 >= ready * 9;
        self.waited * 5 >= self.wall && !self.waited.is_zero() && !had_its_time
    }
}

/// What a command can reach beside its own loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Nothing.
    None,
    /// One port of its loopback, [`World::port`](crate::World::port), which the supervisor serves.
    Port,
}

/// When a command is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time, not counting time in which it waited for a processor that others had; three times as much in any case.
    pub wall: Duration,
    /// Time in which it neither prints nor uses the CPU.
    pub inactivity: Duration,
    /// Bytes of memory of all its processes together.
    pub memory: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Bytes printed.
    pub output: u64,
    /// Open files of each process (the soft limit).
    pub open_files: u64,
}

impl Default for Limits {
    /// Ten minutes, two of them without a sign of life, 2 GiB, 1,024 processes, 16 MiB of output, 1,024 open files.
    fn default() -> Self {
        Limits {
            wall: Duration::from_secs(600),
            inactivity: Duration::from_secs(120),
            memory: 2 << 30,
            processes: 1024,
            output: 16 << 20,
            open_files: 1024,
        }
    }
}

/// How much a world may write, over all its phases together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScratchLimits {
    /// Bytes.
    pub bytes: u64,
    /// Files, directories and links.
    pub inodes: u64,
}

impl Default for ScratchLimits {
    /// 2 GiB and 400,000 files.
    fn default() -> Self {
        ScratchLimits { bytes: 2 << 30, inodes: 400_000 }
    }
}

/// Where a figure of peak memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemorySource {
    /// The cgroup: all processes together, with the page cache and what they wrote to the scratch.
    Cgroup,
    /// The largest resident set of any one process.
    MaxRss,
    /// The Job Object of Windows: what all processes together had committed.
    Job,
    /// All processes together, as they were looked at some times a second.
    Sampled,
}

impl MemorySource {
    /// `cgroup`, `max_rss`, `job` or `sampled`, as results spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            MemorySource::Cgroup => "cgroup",
            MemorySource::MaxRss => "max_rss",
            MemorySource::Job => "job",
            MemorySource::Sampled => "sampled",
        }
    }
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// How it ended; signal 9 when a limit ended it.
    pub exit: Exit,
    /// The limit that ended it, or that explains its failure.
    pub limit: Option<Limit>,
    /// Why the program could not be started at all (`exit` is 126 or 127 then, as a shell would say).
    pub start_error: Option<String>,
    /// From its start to its end.
    pub wall: Duration,
    /// CPU time, user and system, of all its processes.
    pub cpu: Duration,
    /// Time in which it was ready to run and others had the processors: at least so much, zero where the kernel does not tell.
    pub waited: Duration,
    /// True when its time limit ended it although too much of its time was spent waiting for a processor.
    pub cut_short: bool,
    /// The most memory it used, in bytes.
    pub peak_memory: Option<u64>,
    /// Where that figure comes from.
    pub peak_memory_source: MemorySource,
    /// Bytes it printed, as far as they were read.
    pub output_bytes: u64,
    /// Processes that were still there a moment after it had ended; they were killed.
    pub left_processes: u32,
    /// How often a new process was denied because of the limit (0 where nobody counts).
    pub processes_denied: u64,
}

/// Paths as the bytes they are: JSON has no other way for those that are not UTF-8.
pub(crate) mod os_path {
    use std::{ffi::OsString, path::PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}
