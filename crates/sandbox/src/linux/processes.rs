//! Looking at processes through `/proc`: those of a pid namespace, or the descendants of one process.

use std::{collections::BTreeMap, fs, io};

/// What `/proc/<pid>/stat` tells.
pub(super) struct Stat {
    pub(super) parent: i32,
    pub(super) ended: bool,
    pub(super) ticks: u64,
}

/// State, parent and CPU ticks of a process. Its name may hold anything, brackets too.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Stat { parent: fields.get(1)?.parse().ok()?, ended: matches!(*fields.first()?, "Z" | "X"), ticks })
}

fn all() -> BTreeMap<i32, Stat> {
    let Ok(folder) = fs::read_dir("/proc") else { return BTreeMap::new() };
    folder
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

/// Living processes below this one. For the first process of a pid namespace these are all the others.
pub(super) fn below(top: i32) -> Vec<i32> {
    let all = all();
    let descends = |mut pid: i32| {
        // A chain is as long as there are processes, at most; each link was read at its own moment.
        for _ in 0..all.len() {
            if pid == top {
                return true;
            }
            match all.get(&pid) {
                Some(stat) => pid = stat.parent,
                None => return false,
            }
        }
        false
    };
    all.iter()
        .filter(|(pid, stat)| **pid != top && !stat.ended && descends(stat.parent))
        .map(|(pid, _)| *pid)
        .collect()
}

/// Kills every process below this one and reaps those that become its children, until there is none.
pub(super) fn end_below(top: i32) {
    loop {
        for pid in below(top) {
            // SAFETY: kill has no memory effects; the process is a descendant of this one.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        // SAFETY: waitpid without a place for the status.
        let waited = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
        if waited < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD) {
            return;
        }
    }
}

/// CPU microseconds and bytes of memory (without what is shared) that these processes use.
pub(super) fn usage(pids: &[i32]) -> (u64, u64) {
    // SAFETY: sysconf with plain numbers.
    let (tick, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK), libc::sysconf(libc::_SC_PAGESIZE)) };
    let (mut ticks, mut pages) = (0, 0);
    for pid in pids {
        ticks += stat(*pid).map_or(0, |stat| stat.ticks);
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
        let mut numbers = statm.split(' ').filter_map(|number| number.parse::<u64>().ok());
        if let (Some(resident), Some(shared)) = (numbers.nth(1), numbers.next()) {
            pages += resident.saturating_sub(shared);
        }
    }
    (ticks * 1_000_000 / tick.max(1) as u64, pages * page.max(1) as u64)
}
