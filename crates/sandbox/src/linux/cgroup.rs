//! Control groups, version 1 and 2, written directly: limits on and figures of all processes of a cell together.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::command::os_path;

/// Where this supervisor may make groups.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Place {
    /// One folder in each version 1 hierarchy. The cpu hierarchy is left alone: a process that enters a new group there waits
    /// behind everything that runs, 15 ms on a busy machine. Fair shares come from sessions (autogroup).
    V1 {
        #[serde(with = "os_path")]
        memory: PathBuf,
        #[serde(with = "os_path")]
        pids: PathBuf,
        cpuacct: Option<std::ffi::OsString>,
    },
    /// A folder of the version 2 hierarchy whose children have the memory and pids controllers.
    V2 {
        #[serde(with = "os_path")]
        parent: PathBuf,
    },
}

impl Place {
    /// `v1` or `v2`, as results spell it.
    pub(super) fn version(&self) -> &'static str {
        match self {
            Place::V1 { .. } => "v1",
            Place::V2 { .. } => "v2",
        }
    }

    /// Every folder in which groups are made.
    pub(super) fn folders(&self) -> Vec<&Path> {
        match self {
            Place::V1 { memory, pids, cpuacct } => {
                let mut folders = vec![memory.as_path(), pids.as_path()];
                folders.extend(cpuacct.as_deref().map(Path::new));
                folders.sort();
                folders.dedup();
                folders
            }
            Place::V2 { parent } => vec![parent],
        }
    }
}

/// A mounted hierarchy, from `/proc/self/mountinfo`.
struct Hierarchy {
    /// The part of the hierarchy that is mounted.
    root: String,
    point: PathBuf,
    version: u8,
    options: String,
}

fn hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let before: Vec<&str> = before.split(' ').collect();
        let after: Vec<&str> = after.split(' ').collect();
        let (Some(root), Some(point), Some(kind)) = (before.get(3), before.get(4), after.first()) else {
            continue;
        };
        let version = match *kind {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => continue,
        };
        let options = after.get(2).copied().unwrap_or_default().to_owned();
        found.push(Hierarchy { root: (*root).to_owned(), point: point.into(), version, options });
    }
    found
}

impl Hierarchy {
    /// The folder of a group that `/proc/self/cgroup` names, if it can be seen from here.
    fn folder(&self, group: &str) -> PathBuf {
        let beneath = group.strip_prefix(&self.root).unwrap_or(group);
        self.point.join(beneath.trim_start_matches('/'))
    }
}

/// Finds where groups can be made, and why not, if nowhere. May move this process into a leaf group of its own (version 2).
pub(super) fn find(supervisor: &str) -> Result<Place, String> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let hierarchies = hierarchies(&mountinfo);
    let mut reasons = Vec::new();
    match find_v2(&hierarchies, &own, supervisor) {
        Ok(place) => return Ok(place),
        Err(reason) => reasons.push(reason),
    }
    match find_v1(&hierarchies, &own, supervisor) {
        Ok(place) => Ok(place),
        Err(reason) => {
            reasons.push(reason);
            Err(reasons.join("; "))
        }
    }
}

fn find_v1(hierarchies: &[Hierarchy], own: &str, supervisor: &str) -> Result<Place, String> {
    let folder = |controller: &str| {
        let hierarchy = hierarchies.iter().find(|mounted| {
            mounted.version == 1 && mounted.options.split(',').any(|option| option == controller)
        })?;
        let group = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let controllers = parts.next()?;
            controllers.split(',').any(|name| name == controller).then(|| parts.next()).flatten()
        })?;
        // In a container the group's own folder may not be what is mounted.
        [hierarchy.folder(group), hierarchy.point.clone()].into_iter().find(|folder| folder.is_dir())
    };
    let (Some(memory), Some(pids)) = (folder("memory"), folder("pids")) else {
        return Err("no version 1 hierarchy with memory and pids".to_owned());
    };
    for parent in [&memory, &pids] {
        let trial = parent.join(format!("{supervisor}-trial"));
        fs::create_dir(&trial).map_err(|error| format!("{}: {error}", parent.display()))?;
        // A leftover trial is swept with the rest.
        let _ = fs::remove_dir(&trial);
    }
    let optional = |controller: &str| folder(controller).map(PathBuf::into_os_string);
    Ok(Place::V1 { memory, pids, cpuacct: optional("cpuacct") })
}

fn find_v2(hierarchies: &[Hierarchy], own: &str, supervisor: &str) -> Result<Place, String> {
    let mounted = hierarchies.iter().find(|mounted| mounted.version == 2).ok_or("cgroup2 is not mounted")?;
    let group = own.lines().find_map(|line| line.strip_prefix("0::")).ok_or("no cgroup2 group")?;
    let own_folder = mounted.folder(group);
    let has = |folder: &Path, file: &str| {
        let listed = fs::read_to_string(folder.join(file)).unwrap_or_default();
        ["memory", "pids"].iter().all(|wanted| listed.split_whitespace().any(|name| name == *wanted))
    };
    if !has(&own_folder, "cgroup.controllers") && !has(&mounted.point, "cgroup.controllers") {
        return Err("cgroup2 has no memory and pids controllers here".to_owned());
    }
    // Our own group if it can be had: its limits bind us too. Else, for root, the top, which has no processes' rule.
    let mut reasons = Vec::new();
    for parent in [&own_folder, &mounted.point] {
        if has(parent, "cgroup.controllers") {
            match take_v2(parent, &has, supervisor) {
                Ok(()) => return Ok(Place::V2 { parent: parent.clone() }),
                Err(reason) => reasons.push(format!("{}: {reason}", parent.display())),
            }
        }
    }
    Err(reasons.join("; "))
}

/// Makes `parent`'s children have the controllers. A group with processes of its own cannot hand them down: if the only
/// one is this process, it moves to a leaf.
fn take_v2(parent: &Path, has: &dyn Fn(&Path, &str) -> bool, supervisor: &str) -> Result<(), String> {
    let leaf = parent.join(format!("{supervisor}-supervisor"));
    if !has(parent, "cgroup.subtree_control")
        && fs::write(parent.join("cgroup.subtree_control"), "+memory +pids").is_err()
    {
        let processes = fs::read_to_string(parent.join("cgroup.procs")).map_err(|error| error.to_string())?;
        let own = std::process::id().to_string();
        if processes.lines().any(|line| line != own) {
            return Err(
                "other processes live in this group, so it cannot have limited groups beneath".to_owned()
            );
        }
        fs::create_dir(&leaf).map_err(|error| error.to_string())?;
        fs::write(leaf.join("cgroup.procs"), &own).map_err(|error| error.to_string())?;
        fs::write(parent.join("cgroup.subtree_control"), "+memory +pids")
            .map_err(|error| error.to_string())?;
    }
    let trial = parent.join(format!("{supervisor}-trial"));
    fs::create_dir(&trial).map_err(|error| error.to_string())?;
    let usable = has(&trial, "cgroup.controllers");
    let _ = fs::remove_dir(&trial);
    if usable { Ok(()) } else { Err("a new group has no memory controller".to_owned()) }
}

/// One run's group.
pub(super) struct Group {
    place: Place,
    name: String,
}

/// What a group counted.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Figures {
    pub(super) peak_memory: Option<u64>,
    pub(super) memory_kills: u64,
    pub(super) processes_denied: u64,
}

impl Group {
    /// Makes the group with its limits: bytes of memory (and no swap), processes and threads.
    pub(super) fn make(place: &Place, name: &str, memory: u64, processes: u64) -> io::Result<Group> {
        let group = Group { place: place.clone(), name: name.to_owned() };
        for folder in place.folders() {
            fs::create_dir(folder.join(name))?;
        }
        let write = |file: PathBuf, value: u64| fs::write(file, value.to_string());
        match place {
            Place::V1 { memory: folder, pids, .. } => {
                let folder = folder.join(name);
                write(folder.join("memory.limit_in_bytes"), memory)?;
                // Absent where swap is not accounted.
                let _ = write(folder.join("memory.memsw.limit_in_bytes"), memory);
                let _ = write(folder.join("memory.swappiness"), 0);
                write(pids.join(name).join("pids.max"), processes)?;
            }
            Place::V2 { parent } => {
                let folder = parent.join(name);
                write(folder.join("memory.max"), memory)?;
                let _ = write(folder.join("memory.swap.max"), 0);
                let _ = write(folder.join("memory.oom.group"), 1);
                write(folder.join("pids.max"), processes)?;
            }
        }
        Ok(group)
    }

    fn v1(&self, controller: &Path) -> PathBuf {
        controller.join(&self.name)
    }

    /// Moves this process, which has one thread, into a version 1 group. Nobody has to hold still for that, as all of the
    /// machine does for [`Group::join`]: half a millisecond against seven, and more where much runs.
    pub(super) fn enter(place: &Place, name: &str) -> io::Result<()> {
        place.folders().into_iter().try_for_each(|folder| fs::write(folder.join(name).join("tasks"), "0"))
    }

    /// Moves a process in.
    pub(super) fn join(&self, pid: i32) -> io::Result<()> {
        for folder in self.place.folders() {
            fs::write(folder.join(&self.name).join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// CPU time of all its processes, living and dead.
    pub(super) fn cpu(&self) -> Option<Duration> {
        match &self.place {
            Place::V1 { cpuacct, .. } => {
                let file = self.v1(Path::new(cpuacct.as_deref()?)).join("cpuacct.usage");
                Some(Duration::from_nanos(number(&file)?))
            }
            Place::V2 { parent } => {
                let file = parent.join(&self.name).join("cpu.stat");
                Some(Duration::from_micros(keyed(&file, "usage_usec")?))
            }
        }
    }

    /// Its living threads, by the numbers that this process knows them by.
    pub(super) fn threads(&self) -> Vec<i32> {
        let file = match &self.place {
            Place::V1 { pids, .. } => self.v1(pids).join("tasks"),
            Place::V2 { parent } => parent.join(&self.name).join("cgroup.threads"),
        };
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Everything else it counted.
    pub(super) fn figures(&self) -> Figures {
        match &self.place {
            Place::V1 { memory, pids, .. } => Figures {
                peak_memory: number(&self.v1(memory).join("memory.max_usage_in_bytes")),
                memory_kills: keyed(&self.v1(memory).join("memory.oom_control"), "oom_kill").unwrap_or(0),
                processes_denied: keyed(&self.v1(pids).join("pids.events"), "max").unwrap_or(0),
            },
            Place::V2 { parent } => {
                let folder = parent.join(&self.name);
                Figures {
                    peak_memory: number(&folder.join("memory.peak")),
                    memory_kills: keyed(&folder.join("memory.events"), "oom_kill").unwrap_or(0),
                    processes_denied: keyed(&folder.join("pids.events"), "max").unwrap_or(0),
                }
            }
        }
    }

    /// Kills what is left and removes the group.
    pub(super) fn remove(&self) {
        for folder in self.place.folders() {
            remove_folder(&folder.join(&self.name));
        }
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn keyed(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Kills a group's processes, waits for them to be gone (bounded), and removes its folder.
pub(super) fn remove_folder(folder: &Path) {
    for _ in 0..200 {
        match fs::remove_dir(folder) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            _ => return,
        }
        if fs::write(folder.join("cgroup.kill"), "1").is_err() {
            let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for pid in processes.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0) {
                // SAFETY: kill has no memory effects; the process is one of a group of ours.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_is_read() {
        let text = "30 24 0:26 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                    31 24 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n\
                    32 24 0:28 / /proc rw - proc proc rw\n";
        let found = hierarchies(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].version, found[0].options.as_str()), (1, "rw,memory"));
        assert_eq!(found[0].folder("/a/b"), Path::new("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(found[1].folder("/docker/abc/x"), Path::new("/sys/fs/cgroup/x"));
    }
}
