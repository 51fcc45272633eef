//! What the machine is, and what it has spent.

use std::process::Command;

/// Facts of the machine that a reader needs to compare.
pub struct Machine {
    /// Processors.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The load average of the last minute when the bench began.
    pub load: String,
    /// The nice value under which everything runs.
    pub priority: i64,
    /// The day.
    pub date: String,
}

impl Machine {
    /// Looks.
    pub fn look() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim_start_matches([' ', '\t', ':']).trim().to_owned()
        };
        let memory = field(&file("/proc/meminfo"), "MemTotal");
        let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output();
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: field(&file("/proc/cpuinfo"), "model name"),
            memory: memory.trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024,
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(),
            priority: own_stat(19) as i64,
            date: date
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
                .unwrap_or_default(),
        }
    }
}

/// The load average of the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Seconds of CPU that children which have been waited for have used, theirs included.
pub fn cpu_of_children() -> f64 {
    // cutime and cstime, in hundredths of a second.
    (own_stat(16) + own_stat(17)) / 100.0
}

/// A field of `/proc/self/stat`, counted as proc(5) does; those behind the name only.
fn own_stat(field: usize) -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

/// The share of a process in memory (PSS), in bytes; 0 when it is gone.
pub fn proportional_memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) * 1024
}
