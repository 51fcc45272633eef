//! A cell's tree: ordered lower layers, a current upper, and the scratch that holds what cells wrote.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, XattrFlags, fchmod, fchown, fsetxattr, mkdirat, openat, unlinkat},
    mount::{UnmountFlags, unmount},
};

use super::{
    enter::{Inner, Power},
    layers::{self, Merged},
    mounts, remove,
    spec::{Contained, Identity, Layer, System},
};
use crate::{CELL_PATH, Changes, Entry, Error, Exported, Root, ScratchLimits, copies::Copied};

/// The port that a cell sees as its index's. Its network namespace is its own, so nothing else can be there.
const PORT: u16 = 3141;

/// The most names that [`World::list`] returns.
const LISTED: usize = 100_000;

/// A cell's tree. Commands run in it one after the other; what they write goes to the current upper.
#[derive(Debug)]
pub struct World {
    pub(super) scratch: Arc<Scratch>,
    /// Layers of the host's, the lowest first.
    host_layers: Vec<PathBuf>,
    /// Uppers of phases that are over, the oldest first.
    sealed: Vec<PathBuf>,
    /// The folder of the current upper: `upper`, `work`, `tmp`, `shm`.
    current: PathBuf,
    /// Without an overlay the upper is the whole tree.
    copied: Option<Copied>,
    root: PathBuf,
    temporary: PathBuf,
}

/// What one slot's cells write: a tmpfs with a limit on bytes and inodes.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) host: Arc<Inner>,
    pub(super) system: System,
    pub(super) slot: usize,
    pub(super) limits: ScratchLimits,
    pub(super) accounts: PathBuf,
    path: PathBuf,
    uppers: AtomicU64,
    /// Without a network namespace: the port that the supervisor serves.
    pub(super) socket: Option<TcpListener>,
    /// Without an overlay: whose tree is in the slot's one place now.
    active: Mutex<Option<PathBuf>>,
    /// Without an overlay: what keeps other supervisors out of that place.
    lock: Option<fs::File>,
}

impl Scratch {
    fn new(host: Arc<Inner>, system: System, slot: usize, limits: ScratchLimits) -> Result<Self, Error> {
        if slot >= crate::MOST_SLOTS
            || !host.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(slot)
        {
            return Err(Error::SlotInUse(slot));
        }
        let full = host.settings.mode == crate::Mode::Full;
        let path = if !full {
            host.settings.runtime.join(format!("slot-{slot}"))
        } else if host.scratch_on_disk {
            host.settings.runtime.join(format!("{}-slot-{slot}", host.name))
        } else {
            host.stage.join("slots").join(slot.to_string())
        };
        let accounts = host.stage.join("accounts").join(slot.to_string());
        // From here on its drop gives the slot back.
        let mut scratch = Scratch {
            host,
            system,
            slot,
            limits,
            accounts,
            path,
            uppers: AtomicU64::new(0),
            socket: None,
            active: Mutex::default(),
            lock: None,
        };
        let io = |error| Error::io(format!("prepare slot {slot}"), error);
        if !full {
            // The place is the same in every run, since layers may hold its path; so one supervisor has it at a time.
            let lock = fs::File::create(scratch.path.with_extension("lock")).map_err(io)?;
            lock.try_lock().map_err(|_| Error::SlotInUse(slot))?;
            scratch.lock = Some(lock);
            remove::tree(&scratch.path)?;
            fs::create_dir(&scratch.path).map_err(io)?;
            scratch.socket = Some(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?);
            return Ok(scratch);
        }
        fs::create_dir_all(&scratch.path).map_err(io)?;
        if !scratch.host.scratch_on_disk {
            mounts::tmpfs(&scratch.path, limits.bytes, limits.inodes, 0o755).map_err(io)?;
        }
        fs::create_dir_all(&scratch.accounts).map_err(io)?;
        let (uid, gid) = scratch.host.identity(slot).inside();
        let (passwd, group) = super::inside::accounts(uid, gid);
        fs::write(scratch.accounts.join("passwd"), passwd).map_err(io)?;
        fs::write(scratch.accounts.join("group"), group).map_err(io)?;
        // The lowest layer of all: what the world has before anything is put into it.
        scratch.directory(&scratch.path.join("base"), 0o755)?;
        scratch.directory(&scratch.path.join("base/home"), 0o755)?;
        Ok(scratch)
    }

    /// Who owns what cells write, as the supervisor sees it.
    pub(super) fn owner(&self) -> (u32, u32) {
        match self.host.identity(self.slot) {
            Identity::Slot { uid, gid } => (uid, gid),
            Identity::Mapped { outer_uid, outer_gid } => (outer_uid, outer_gid),
        }
    }

    fn directory(&self, path: &Path, mode: u32) -> Result<(), Error> {
        let (uid, gid) = self.owner();
        fs::create_dir(path)
            .and_then(|()| chown(path, Some(uid), Some(gid)))
            .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
            .map_err(|error| Error::io(format!("create {}", path.display()), error))
    }

    fn upper(&self) -> Result<PathBuf, Error> {
        let path = self.path.join(self.uppers.fetch_add(1, Ordering::Relaxed).to_string());
        self.directory(&path, 0o755)?;
        for (name, mode) in [("upper", 0o755), ("work", 0o755), ("tmp", 0o1777), ("shm", 0o1777)] {
            self.directory(&path.join(name), mode)?;
        }
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let owned = self.host.settings.mode == crate::Mode::Full || self.lock.is_some();
        if !owned {
            // Another supervisor's.
        } else if self.host.scratch_on_disk {
            // What cannot be removed now is swept at the next start.
            let _ = remove::tree(&self.path);
        } else {
            // Unmounting frees everything, whatever cells made of it.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
            let _ = fs::remove_dir(&self.path);
        }
        if let Some(lock) = self.lock.take() {
            // Closing would not do: a process that is being started may hold a copy until it executes.
            let _ = lock.unlock();
        }
        self.host.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.slot);
    }
}

/// Keeps a world's tree in its slot's one place, where there is no overlay.
type Active<'a> = Option<MutexGuard<'a, Option<PathBuf>>>;

impl World {
    pub(super) fn new(
        host: Arc<Inner>,
        root: Option<&Root>,
        slot: usize,
        layers: &[PathBuf],
        limits: ScratchLimits,
    ) -> Result<Self, Error> {
        let system = host.system(root)?;
        let scratch = Arc::new(Scratch::new(host, system, slot, limits)?);
        Self::with(scratch, layers.to_vec(), Vec::new(), None)
    }

    fn with(
        scratch: Arc<Scratch>,
        host_layers: Vec<PathBuf>,
        sealed: Vec<PathBuf>,
        like: Option<&Copied>,
    ) -> Result<Self, Error> {
        let current = scratch.upper()?;
        if scratch.host.settings.mode == crate::Mode::Full {
            let (root, temporary) = (CELL_PATH.into(), "/tmp".into());
            return Ok(World { scratch, host_layers, sealed, current, copied: None, root, temporary });
        }
        let tree = current.join("upper");
        let owner = matches!(scratch.host.power, Power::Root { .. }).then(|| scratch.owner());
        scratch.directory(&tree.join("home"), 0o755)?;
        let copied = Copied::new(&tree, current.join("sealed"), &host_layers, like, owner)?;
        let (root, temporary) = (scratch.path.join("cell"), current.join("tmp"));
        Ok(World { scratch, host_layers, sealed, current, copied: Some(copied), root, temporary })
    }

    /// Where the commands see the tree: [`CELL_PATH`] in full mode, the slot's own place otherwise.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the commands see their temporary folder.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// True when every world sees its tree at this path: what files of a layer say of their own place holds.
    pub fn keeps_paths(&self) -> bool {
        self.copied.is_none()
    }

    /// The port of [`crate::Network::Port`].
    pub fn port(&self) -> u16 {
        let socket = self.scratch.socket.as_ref();
        socket.and_then(|socket| socket.local_addr().ok()).map_or(PORT, |address| address.port())
    }

    /// How this world's commands are contained, and what they may write to where no wall of their own says so.
    pub(super) fn containment(&self) -> (Contained, Vec<PathBuf>) {
        let contained = match self.scratch.host.settings.mode {
            crate::Mode::Full => return (Contained::Full, Vec::new()),
            crate::Mode::Reduced => Contained::Reduced,
            crate::Mode::None => Contained::Not,
        };
        (contained, vec![self.root.clone(), self.temporary.clone()])
    }

    pub(super) fn current(&self) -> &Path {
        &self.current
    }

    /// Without an overlay: moves this world's tree to the slot's one place, and keeps it there for as long as the guard lives.
    pub(super) fn activate(&self) -> Result<Active<'_>, Error> {
        if self.copied.is_none() {
            return Ok(None);
        }
        let mut active = self.scratch.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.as_deref() != Some(self.current.as_path()) {
            let moved = |from: &Path, to: &Path| {
                fs::rename(from, to).map_err(|error| Error::io(format!("move {}", from.display()), error))
            };
            if let Some(other) = active.take() {
                moved(&self.root, &other.join("upper"))?;
            }
            moved(&self.current.join("upper"), &self.root)?;
            *active = Some(self.current.clone());
        }
        Ok(Some(active))
    }

    /// The current upper, or the whole tree without an overlay. Its guard must live as long as it is used.
    fn upper(&self) -> Result<(PathBuf, Active<'_>), Error> {
        let guard = self.activate()?;
        let path = if self.copied.is_some() { self.root.clone() } else { self.current.join("upper") };
        Ok((path, guard))
    }

    /// The lower layers, the highest first.
    pub(super) fn lowers(&self) -> Vec<Layer> {
        if self.copied.is_some() {
            return Vec::new();
        }
        // A plain user's layers are its own already, inside as outside.
        let foreign = matches!(self.scratch.host.power, Power::Root { .. });
        let sealed = self.sealed.iter().rev().map(|path| Layer { path: path.clone(), foreign: false });
        let host = self.host_layers.iter().rev().map(|path| Layer { path: path.clone(), foreign });
        let base = Layer { path: self.scratch.path.join("base"), foreign: false };
        sealed.chain(host).chain([base]).collect()
    }

    fn merged(&self, upper: &Path) -> Result<Merged, Error> {
        let lowers = self.lowers();
        Merged::root([upper].into_iter().chain(lowers.iter().map(|layer| layer.path.as_path())))
    }

    /// Puts a file into the current upper, as the cell's own; missing directories are made. Nothing may run meanwhile.
    ///
    /// # Errors
    /// [`Error::NotBeneath`] for a path that leaves the tree or passes through a symbolic link.
    pub fn write(&self, relative: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
        let names = layers::names(relative)?;
        let Some((name, parents)) = names.split_last() else {
            return Err(Error::NotBeneath(relative.to_owned()));
        };
        let io =
            |error: rustix::io::Errno| Error::io(format!("write {} in the cell", relative.display()), error);
        let (uid, gid) = self.scratch.owner();
        let owner = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        let (upper, _active) = self.upper()?;
        let mut merged = self.merged(&upper)?;
        let mut at = layers::open_root(&upper)?;
        for parent in parents {
            let below = match merged.find(parent).map_err(io)? {
                layers::Found::Directory(directory) => Some(directory),
                layers::Found::Nothing => None,
                layers::Found::Leaf { .. } => return Err(Error::NotBeneath(relative.to_owned())),
            };
            match layers::look(&at, parent).map_err(io)? {
                Some(stat) if !layers::is_whiteout(&stat) => {}
                hidden => {
                    if hidden.is_some() {
                        unlinkat(&at, *parent, AtFlags::empty()).map_err(io)?;
                    }
                    mkdirat(&at, *parent, Mode::from_raw_mode(0o755)).map_err(io)?;
                    let made = layers::open_directory(&at, parent).map_err(io)?;
                    fchown(&made, Some(owner.0), Some(owner.1)).map_err(io)?;
                    if hidden.is_some() {
                        let name = match self.scratch.host.power {
                            Power::Root { .. } => "trusted.overlay.opaque",
                            Power::User { .. } => "user.overlay.opaque",
                        };
                        fsetxattr(&made, name, b"y", XattrFlags::empty()).map_err(io)?;
                    }
                }
            }
            at = layers::open_directory(&at, parent).map_err(io)?;
            merged = match below {
                Some(directory) => directory,
                None => Merged::root([])?,
            };
        }
        match merged.find(name).map_err(io)? {
            layers::Found::Directory(_) => {
                return Err(Error::WrongType { path: relative.to_owned(), expected: "regular file" });
            }
            layers::Found::Nothing | layers::Found::Leaf { .. } => {}
        }
        // Whatever is there, link, FIFO or mark of a deletion, makes way; a new file is nobody's hard link.
        if layers::look(&at, name).map_err(io)?.is_some() {
            unlinkat(&at, *name, AtFlags::empty()).map_err(io)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&at, *name, flags, Mode::from_raw_mode(0o600)).map_err(io)?;
        let mut file = fs::File::from(file);
        file.write_all(bytes)
            .map_err(|error| Error::io(format!("write {} in the cell", relative.display()), error))?;
        fchown(&file, Some(owner.0), Some(owner.1)).map_err(io)?;
        fchmod(&file, Mode::from_raw_mode(mode & 0o777)).map_err(io)
    }

    /// The bytes of a regular file of the tree as it is now; at most `max` of them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WrongType`], [`Error::TooLarge`], [`Error::NotBeneath`]: the content of a cell is
    /// strangers', so each of these may be their doing.
    pub fn read(&self, relative: &Path, max: u64) -> Result<Vec<u8>, Error> {
        let names = layers::names(relative)?;
        let Some((name, parents)) = names.split_last() else {
            return Err(Error::WrongType { path: relative.to_owned(), expected: "regular file" });
        };
        let (upper, _active) = self.upper()?;
        let (file, size) = self.merged(&upper)?.descend(parents, relative)?.open_file(name, relative)?;
        let too_large = || Error::TooLarge { path: relative.to_owned(), max };
        if size > max {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        fs::File::from(file)
            .take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io(format!("read {} in the cell", relative.display()), error))?;
        if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
    }

    /// What is in a directory of the tree as it is now (layers and upper merged), sorted by name.
    ///
    /// # Errors
    /// As [`World::read`].
    pub fn list(&self, relative: &Path) -> Result<Vec<Entry>, Error> {
        let names = layers::names(relative)?;
        let (upper, _active) = self.upper()?;
        let entries = self.merged(&upper)?.descend(&names, relative)?.entries(LISTED, relative)?;
        Ok(entries.into_iter().map(|(name, file_type, size)| Entry { name, file_type, size }).collect())
    }

    /// The exact set of files that were written to the current upper, sorted by path.
    ///
    /// # Errors
    /// When the scratch itself cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        let (upper, _active) = self.upper()?;
        if let Some(copied) = &self.copied {
            return copied.changes(&upper);
        }
        let lowers = self.lowers();
        super::changes::changes(&upper, &lowers.iter().map(|layer| layer.path.as_path()).collect::<Vec<_>>())
    }

    /// Makes the current upper the topmost lower layer and begins a fresh one, with fresh temporary folders: what the next
    /// commands write is told apart exactly.
    ///
    /// # Errors
    /// When the scratch is full.
    pub fn seal(&mut self) -> Result<(), Error> {
        if self.copied.is_some() {
            let (upper, active) = self.upper()?;
            drop(active);
            remove::tree(&self.temporary)?;
            self.scratch.directory(&self.temporary, 0o1777)?;
            return match &mut self.copied {
                Some(copied) => copied.seal(&upper),
                None => Ok(()),
            };
        }
        let next = self.scratch.upper()?;
        let done = std::mem::replace(&mut self.current, next);
        for name in ["tmp", "shm", "work"] {
            remove::tree(&done.join(name))?;
        }
        self.sealed.push(done.join("upper"));
        Ok(())
    }

    /// Another world in the same scratch on the same sealed layers; the current upper is not part of it.
    ///
    /// # Errors
    /// When the scratch is full.
    pub fn fork(&self) -> Result<World, Error> {
        self.fork_with(&[])
    }

    /// Like [`World::fork`], with further layers of the host's between the base layers and what this world wrote.
    ///
    /// # Errors
    /// When the scratch is full.
    pub fn fork_with(&self, layers: &[PathBuf]) -> Result<World, Error> {
        let host_layers = self.host_layers.iter().chain(layers).cloned().collect();
        Self::with(Arc::clone(&self.scratch), host_layers, self.sealed.clone(), self.copied.as_ref())
    }

    /// Copies the current upper out as a new layer at `to` (which appears at once, complete, or not at all; an existing
    /// one stays as it is). Regular files, directories and symbolic links only; set-id bits are dropped, deletions too.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it is more than `max`.
    pub fn export(&self, to: &Path, max: ScratchLimits) -> Result<Exported, Error> {
        let (upper, _active) = self.upper()?;
        let Some(copied) = &self.copied else { return super::changes::export(&upper, to, max) };
        let gathered = self.current.join("gathered");
        let result = copied.gather(&upper, &gathered).and_then(|refused| {
            let exported = super::changes::export(&gathered, to, max)?;
            Ok(Exported { refused: exported.refused + refused, ..exported })
        });
        remove::tree(&gathered)?;
        result
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A fork's current upper is nobody else's. With the last world the whole scratch goes, so its own need not.
        if Arc::strong_count(&self.scratch) > 1 {
            if let Some(mut active) = self.copied.as_ref().and_then(|_| self.scratch.active.lock().ok())
                && active.as_deref() == Some(self.current.as_path())
            {
                let _ = remove::tree(&self.root);
                *active = None;
            }
            let _ = remove::tree(&self.current);
        }
    }
}
