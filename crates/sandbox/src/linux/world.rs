//! A cell's tree: ordered lower layers, a current upper, and the scratch that holds what cells wrote.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    sync::{
        Arc,
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
    spec::{Identity, Layer},
};
use crate::{CELL_PATH, Changes, Entry, Error, Exported, ScratchLimits};

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
}

/// What one slot's cells write: a tmpfs with a limit on bytes and inodes.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) host: Arc<Inner>,
    pub(super) slot: usize,
    pub(super) limits: ScratchLimits,
    pub(super) accounts: PathBuf,
    path: PathBuf,
    uppers: AtomicU64,
}

impl Scratch {
    fn new(host: Arc<Inner>, slot: usize, limits: ScratchLimits) -> Result<Self, Error> {
        if slot >= 256 || !host.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(slot) {
            return Err(Error::SlotInUse(slot));
        }
        let path = if host.scratch_on_disk {
            host.settings.runtime.join(format!("{}-slot-{slot}", host.name))
        } else {
            host.stage.join("slots").join(slot.to_string())
        };
        let accounts = host.stage.join("accounts").join(slot.to_string());
        // From here on its drop gives the slot back.
        let scratch = Scratch { host, slot, limits, accounts, path, uppers: AtomicU64::new(0) };
        let io = |error| Error::io(format!("prepare slot {slot}"), error);
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
        if self.host.scratch_on_disk {
            // What cannot be removed now is swept at the next start.
            let _ = remove::tree(&self.path);
        } else {
            // Unmounting frees everything, whatever cells made of it.
            let _ = unmount(&self.path, UnmountFlags::DETACH);
            let _ = fs::remove_dir(&self.path);
        }
        self.host.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(&self.slot);
    }
}

impl World {
    pub(super) fn new(
        host: Arc<Inner>,
        slot: usize,
        layers: &[PathBuf],
        limits: ScratchLimits,
    ) -> Result<Self, Error> {
        let scratch = Scratch::new(host, slot, limits)?;
        let current = scratch.upper()?;
        Ok(World { scratch: Arc::new(scratch), host_layers: layers.to_vec(), sealed: Vec::new(), current })
    }

    /// Where the commands see the tree: [`CELL_PATH`] in full mode.
    pub fn root(&self) -> &Path {
        Path::new(CELL_PATH)
    }

    /// Where the commands see their temporary folder.
    pub fn temporary(&self) -> &Path {
        Path::new("/tmp")
    }

    /// The port of [`crate::Network::Port`].
    pub fn port(&self) -> u16 {
        PORT
    }

    pub(super) fn current(&self) -> &Path {
        &self.current
    }

    fn upper(&self) -> PathBuf {
        self.current.join("upper")
    }

    /// The lower layers, the highest first.
    pub(super) fn lowers(&self) -> Vec<Layer> {
        // A plain user's layers are its own already, inside as outside.
        let foreign = matches!(self.scratch.host.power, Power::Root { .. });
        let sealed = self.sealed.iter().rev().map(|path| Layer { path: path.clone(), foreign: false });
        let host = self.host_layers.iter().rev().map(|path| Layer { path: path.clone(), foreign });
        let base = Layer { path: self.scratch.path.join("base"), foreign: false };
        sealed.chain(host).chain([base]).collect()
    }

    fn merged(&self) -> Result<Merged, Error> {
        let lowers = self.lowers();
        let upper = self.upper();
        Merged::root([upper.as_path()].into_iter().chain(lowers.iter().map(|layer| layer.path.as_path())))
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
        let mut merged = self.merged()?;
        let mut at = layers::open_root(&self.upper())?;
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
        let (file, size) = self.merged()?.descend(parents, relative)?.open_file(name, relative)?;
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
        let entries = self.merged()?.descend(&names, relative)?.entries(LISTED, relative)?;
        Ok(entries.into_iter().map(|(name, file_type, size)| Entry { name, file_type, size }).collect())
    }

    /// The exact set of files that were written to the current upper, sorted by path.
    ///
    /// # Errors
    /// When the scratch itself cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        let lowers = self.lowers();
        super::changes::changes(
            &self.upper(),
            &lowers.iter().map(|layer| layer.path.as_path()).collect::<Vec<_>>(),
        )
    }

    /// Makes the current upper the topmost lower layer and begins a fresh one, with fresh temporary folders: what the next
    /// commands write is told apart exactly.
    ///
    /// # Errors
    /// When the scratch is full.
    pub fn seal(&mut self) -> Result<(), Error> {
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
        Ok(World {
            scratch: Arc::clone(&self.scratch),
            host_layers: self.host_layers.iter().chain(layers).cloned().collect(),
            sealed: self.sealed.clone(),
            current: self.scratch.upper()?,
        })
    }

    /// Copies the current upper out as a new layer at `to` (which appears at once, complete, or not at all; an existing
    /// one stays as it is). Regular files, directories and symbolic links only; set-id bits are dropped, deletions too.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it is more than `max`.
    pub fn export(&self, to: &Path, max: ScratchLimits) -> Result<Exported, Error> {
        super::changes::export(&self.upper(), to, max)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A fork's current upper is nobody else's. With the last world the whole scratch goes, so its own need not.
        if Arc::strong_count(&self.scratch) > 1 {
            let _ = remove::tree(&self.current);
        }
    }
}
