//! The supervisor's side of a host: its private mount namespace, its stage, who cells run as, and what dead supervisors left.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use wheeltapper_core::environment::Containment;

use super::{
    cgroup, inside, mounts, remove,
    spec::{Identity, System},
    system,
};
use crate::{Error, Mode, Root, ScratchLimits, Settings, World};

/// The first of the uids that slots get where the supervisor is root: far from what distributions hand out, and small enough
/// for the seven octal digits of a tar header.
const FIRST_UID: u32 = 2_000_000;

/// How many slots a supervisor may have.
const SLOTS: u32 = 4096;

/// What can be had on this host.
#[derive(Debug, Clone)]
pub struct Host {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    /// This supervisor's name, in the names of its folders and cgroups.
    pub(super) name: String,
    /// Its private folder: a tmpfs that only its own mount namespace knows.
    pub(super) stage: PathBuf,
    pub(super) power: Power,
    pub(super) cgroup: Result<cgroup::Place, String>,
    pub(super) slots: Mutex<BTreeSet<usize>>,
    /// The configuration prepared for each root file system.
    configurations: Mutex<BTreeMap<Root, PathBuf>>,
    /// Where cells write: memory, unless this kernel's tmpfs cannot carry a plain user's overlay.
    pub(super) scratch_on_disk: bool,
    runs: AtomicU64,
}

/// What the supervisor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    /// Root on the host: slots have users of their own, from this one on.
    Root { first_uid: u32 },
    /// An ordinary user, with a user namespace.
    User { uid: u32, gid: u32 },
}

/// Prepares this process to run cells. Call it first thing in `main`: the process must have one thread.
///
/// In full mode the process goes into a mount namespace of its own (and, unless it is root, a user namespace in which it
/// stays itself), so that everything mounted for cells vanishes with it, however it ends. What supervisors that were
/// killed have left is removed.
///
/// # Errors
/// [`Error::Refused`] with what the host denies and how to allow it, where that is known.
pub fn enter(settings: Settings) -> Result<Host, Error> {
    enter_with(settings, Scratches::WhereTheyFit)
}

/// [`enter`] as on a kernel whose tmpfs has no user attributes: for tests on newer ones.
///
/// # Errors
/// As [`enter`].
#[doc(hidden)]
pub fn enter_with_scratch_on_disk(settings: Settings) -> Result<Host, Error> {
    enter_with(settings, Scratches::OnDisk)
}

/// Where cells write.
enum Scratches {
    WhereTheyFit,
    OnDisk,
}

fn enter_with(mut settings: Settings, scratch: Scratches) -> Result<Host, Error> {
    let runtime = &settings.runtime;
    fs::create_dir_all(runtime).map_err(|error| Error::io(format!("create {}", runtime.display()), error))?;
    let runtime =
        fs::canonicalize(runtime).map_err(|error| Error::io(format!("find {}", runtime.display()), error))?;
    settings.runtime.clone_from(&runtime);
    let name = own_name().map_err(|error| Error::io("read /proc/self/stat", error))?;
    sweep(&runtime);

    let full = settings.mode == Mode::Full;
    let power = if full { namespaces()? } else { who()? };
    // Version 2 may have to move this process, so it comes while there is one thread.
    let cgroup = cgroup::find(&name);
    if let Ok(place) = &cgroup {
        place.folders().into_iter().for_each(sweep_groups);
    }
    let stage = runtime.join(&name);
    fs::create_dir(&stage).map_err(|error| Error::io(format!("create {}", stage.display()), error))?;
    if full {
        prepare(&stage).map_err(|(what, error)| refused(what, &error))?;
    }
    let on_disk = match scratch {
        Scratches::OnDisk => true,
        Scratches::WhereTheyFit => !(full && carries_overlay(&stage, power)),
    };
    Ok(Host {
        inner: Arc::new(Inner {
            settings,
            name,
            stage,
            power,
            cgroup,
            slots: Mutex::default(),
            configurations: Mutex::default(),
            scratch_on_disk: on_disk,
            runs: AtomicU64::new(0),
        }),
    })
}

/// The power of a supervisor that makes no namespace.
fn who() -> Result<Power, Error> {
    // SAFETY: getters.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    if uid == 0 { root() } else { Ok(Power::User { uid, gid }) }
}

/// Root with users to give: cells never run as root.
fn root() -> Result<Power, Error> {
    let first_uid = first_uid().ok_or_else(|| Error::Refused {
        what: "a user of the cells' own".to_owned(),
        reason: "root here has no other uids to give (/proc/self/uid_map), and cells never run as root"
            .to_owned(),
        remedy: Some("run wheeltapper as an ordinary user".to_owned()),
    })?;
    Ok(Power::Root { first_uid })
}

/// Goes into the namespaces and tells with what power.
fn namespaces() -> Result<Power, Error> {
    // SAFETY: getters; unshare with plain flags. The caller promises one thread.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    // SAFETY: as above.
    let unshare =
        |flags| if unsafe { libc::unshare(flags) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    if uid == 0 {
        unshare(libc::CLONE_NEWNS).map_err(|error| refused("a mount namespace", &error))?;
        mounts::make_private(true).map_err(|error| refused("making mounts private", &error))?;
        return root();
    }
    unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map_err(|error| refused("a user namespace", &error))?;
    // The user stays itself: programs started from here see no root, and lose the namespace's capabilities.
    super::launcher::map_self(uid, gid).map_err(|error| refused("mapping the user", &error))?;
    mounts::make_private(true).map_err(|error| refused("mounts in a user namespace", &error))?;
    Ok(Power::User { uid, gid })
}

/// The first uid of the slots: what this user namespace has as both uids and gids.
fn first_uid() -> Option<u32> {
    let ranges = |file: &str| -> Vec<(u64, u64)> {
        fs::read_to_string(file)
            .unwrap_or_default()
            .lines()
            .filter_map(|line| {
                let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
                let (inside, _, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
                Some((inside, inside + count))
            })
            .collect()
    };
    let (uids, gids) = (ranges("/proc/self/uid_map"), ranges("/proc/self/gid_map"));
    let has = |ranges: &[(u64, u64)], first: u64, count: u64| {
        ranges.iter().any(|(from, to)| *from <= first && first + count <= *to)
    };
    let fits = |first: u64, count: u64| has(&uids, first, count) && has(&gids, first, count);
    // A small map (a rootless container's 65,536) has its upper end to give.
    let high = [u64::from(FIRST_UID), 200_000];
    let ends = uids.iter().map(|(_, to)| to.saturating_sub(512));
    high.into_iter()
        .filter(|first| fits(*first, u64::from(SLOTS)))
        .chain(ends.filter(|first| *first > 1000 && fits(*first, 256)))
        .next()
        .and_then(|first| u32::try_from(first).ok())
}

/// Fills the stage with what all cells share.
fn prepare(stage: &Path) -> Result<(), (&'static str, io::Error)> {
    mounts::tmpfs(stage, 64 << 20, 65_536, 0o755).map_err(|error| ("mounting a tmpfs", error))?;
    system::prepare_configuration(&stage.join("etc")).map_err(|error| ("showing parts of /etc", error))?;
    inside::prepare_devices(&stage.join("dev")).map_err(|error| ("showing devices", error))?;
    for name in ["root", "layers", "slots", "accounts"] {
        fs::create_dir(stage.join(name)).map_err(|error| ("making the stage", error))?;
    }
    Ok(())
}

/// True when an overlay's upper on this tmpfs can mark a replaced directory: for a plain user from Linux 6.6 on.
fn carries_overlay(stage: &Path, power: Power) -> bool {
    let name = match power {
        Power::Root { .. } => "trusted.overlay.opaque",
        Power::User { .. } => "user.overlay.opaque",
    };
    let trial = stage.join("layers");
    let works = rustix::fs::setxattr(&trial, name, b"n", rustix::fs::XattrFlags::empty()).is_ok();
    if works {
        // Only an empty folder's; harmless if it stays.
        let _ = rustix::fs::removexattr(&trial, name);
    }
    works
}

/// A refusal with the one line that allows it, where the host gives away why it refuses.
fn refused(what: &str, error: &io::Error) -> Error {
    Error::Refused { what: what.to_owned(), reason: error.to_string(), remedy: remedy(error) }
}

/// The line that allows what was denied with this error, if the host shows why it denies.
pub(super) fn remedy(error: &io::Error) -> Option<String> {
    let setting = |file: &str| fs::read_to_string(file).ok().map(|text| text.trim().to_owned());
    let denied =
        matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS));
    if !denied {
        None
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/wheeltapper".into());
        let program = program.display();
        Some(format!(
            "printf 'abi <abi/4.0>,\\nprofile wheeltapper {program} flags=(unconfined) {{\\n  userns,\\n}}\\n' | \
             sudo tee /etc/apparmor.d/wheeltapper && sudo apparmor_parser -r /etc/apparmor.d/wheeltapper"
        ))
    } else if setting("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        Some("sudo sysctl -w kernel.unprivileged_userns_clone=1".to_owned())
    } else if setting("/proc/sys/user/max_user_namespaces").as_deref() == Some("0") {
        Some("sudo sysctl -w user.max_user_namespaces=15000".to_owned())
    } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        Some("docker run --privileged … (or: --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined)".to_owned())
    } else {
        None
    }
}

/// `<pid>-<start time>`: unique while the machine runs.
fn own_name() -> io::Result<String> {
    let pid = std::process::id();
    Ok(format!("wheeltapper-{pid}-{}", start_time(pid).ok_or(io::ErrorKind::NotFound)?))
}

/// When a process was started, in ticks since boot.
fn start_time(pid: u32) -> Option<u64> {
    let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// True when `name` belongs to a supervisor that is no more.
fn is_left_behind(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("wheeltapper-") else { return false };
    let mut parts = rest.splitn(3, '-');
    let (Some(pid), Some(start)) = (parts.next(), parts.next()) else { return false };
    let (Ok(pid), Ok(start)) = (pid.parse::<u32>(), start.parse::<u64>()) else { return false };
    start_time(pid) != Some(start)
}

/// Removes folders of supervisors that are no more.
fn sweep(runtime: &Path) {
    for entry in fs::read_dir(runtime).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_left_behind) {
            // What cannot be removed now is tried again at the next start.
            let _ = remove::tree(&entry.path());
        }
    }
}

/// Removes cgroups of supervisors that are no more; what still runs in them is killed.
fn sweep_groups(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_left_behind) {
            cgroup::remove_folder(&entry.path());
        }
    }
}

impl Inner {
    pub(super) fn identity(&self, slot: usize) -> Identity {
        match self.power {
            Power::Root { first_uid } => {
                let uid = first_uid + slot as u32;
                Identity::Slot { uid, gid: uid }
            }
            Power::User { uid, gid } => Identity::Mapped { outer_uid: uid, outer_gid: gid },
        }
    }

    /// What cells stand on: this root file system, prepared once, or the host's own.
    pub(super) fn system(&self, root: Option<&Root>) -> Result<System, Error> {
        let Some(root) = root else {
            return Ok(System { root: None, configuration: self.stage.join("etc") });
        };
        if self.settings.mode != Mode::Full {
            return Err(Error::Refused {
                what: format!("the root file system {}", root.path.display()),
                reason: format!("--sandbox {} shows commands the host's own", self.settings.mode),
                remedy: None,
            });
        }
        let mut known = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        let number = known.len();
        let configuration = match known.get(root) {
            Some(configuration) => configuration.clone(),
            None => {
                let folder = self.stage.join(format!("etc-{number}"));
                let made = self.stage.join(format!("etc-{number}-made"));
                let user = matches!(self.power, Power::User { .. });
                system::prepare_configuration_of(root, &folder, &made, user)
                    .map_err(|error| Error::io(format!("show {}/etc", root.path.display()), error))?;
                known.insert(root.clone(), folder.clone());
                folder
            }
        };
        Ok(System { root: Some(root.clone()), configuration })
    }

    /// A name for the next run's cgroup.
    pub(super) fn next_run(&self) -> String {
        format!("{}-{}", self.name, self.runs.fetch_add(1, Ordering::Relaxed))
    }
}

impl Host {
    /// How commands are contained, as every result records it.
    pub fn containment(&self) -> Containment {
        let version = match &self.inner.cgroup {
            Ok(place) => place.version(),
            Err(_) => "none",
        };
        Containment {
            sandbox: self.inner.settings.mode.to_string(),
            cgroup: version.to_owned(),
            network: match self.inner.settings.mode {
                Mode::Full => "index-only",
                Mode::Reduced | Mode::None => "host",
            }
            .to_owned(),
            privileged: matches!(self.inner.power, Power::Root { .. }),
        }
    }

    /// A new tree for cells on these layers (absolute paths of directories, the lowest first), in a scratch of its own.
    ///
    /// A slot (0 to 255) has one scratch at a time: it is free again when the world and all its forks are dropped.
    ///
    /// # Errors
    /// [`Error::SlotInUse`], or what the host refuses.
    pub fn world(&self, slot: usize, layers: &[PathBuf], limits: ScratchLimits) -> Result<World, Error> {
        self.world_on(None, slot, layers, limits)
    }

    /// The same on a root file system instead of the host's own system.
    ///
    /// # Errors
    /// As [`Host::world`]; also [`Error::Refused`] for a root file system in any but the full mode.
    pub fn world_on(
        &self,
        root: Option<&Root>,
        slot: usize,
        layers: &[PathBuf],
        limits: ScratchLimits,
    ) -> Result<World, Error> {
        World::new(Arc::clone(&self.inner), root, slot, layers, limits)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.settings.mode != Mode::Full {
            let _ = fs::remove_dir(&self.stage);
            return;
        }
        // Worlds are gone by now: they hold this. Only the supervisor's own namespace knows these mounts.
        let _ = rustix::mount::unmount(&self.stage, rustix::mount::UnmountFlags::DETACH);
        let _ = fs::remove_dir(&self.stage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whether_their_supervisor_lives() {
        let own = own_name().unwrap();
        assert!(!is_left_behind(&own));
        assert!(!is_left_behind(&format!("{own}-12")));
        assert!(is_left_behind(&format!("wheeltapper-{}-1-3", std::process::id())));
        assert!(is_left_behind("wheeltapper-4194305-77"));
        assert!(!is_left_behind("wheeltapper-x-77"));
        assert!(!is_left_behind("someone-elses"));
    }
}
