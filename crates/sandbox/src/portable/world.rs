//! A cell's tree where nothing can be overlaid: a copy of its layers, in a folder of its own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::{Component, Path, PathBuf},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use super::{host::Inner, system, trees, watch};
use crate::{
    Cancel, Changes, Command, Entry, Error, Execution, Exported, FileType, Mode, Network, ScratchLimits,
    copies::Copied,
};

/// The most names that [`World::list`] returns.
const LISTED: usize = 100_000;

/// How often a tree is tried to be moved: what watches files for viruses may hold one for a moment.
const MOVES: u32 = 40;

/// A cell's tree. Commands run in it one after the other.
#[derive(Debug)]
pub struct World {
    host: Arc<Inner>,
    layers: Vec<PathBuf>,
    limits: ScratchLimits,
    /// `tree`, `sealed` and `tmp` of this world.
    folder: PathBuf,
    copied: Copied,
    socket: Arc<TcpListener>,
    root: PathBuf,
    temporary: PathBuf,
}

impl World {
    pub(super) fn new(
        host: Arc<Inner>,
        layers: Vec<PathBuf>,
        limits: ScratchLimits,
        like: Option<&World>,
    ) -> Result<Self, Error> {
        let folder = host.world_folder()?;
        let io = |error| Error::io(format!("create {}", folder.display()), error);
        if host.mode != Mode::None {
            system::open_to_cells(&folder)?;
        }
        let (tree, temporary) = (folder.join("tree"), folder.join("tmp"));
        fs::create_dir_all(tree.join("home")).map_err(io)?;
        fs::create_dir(&temporary).map_err(io)?;
        let copied = Copied::new(&tree, folder.join("sealed"), &layers, like.map(|like| &like.copied), None)?;
        let socket = match like {
            Some(like) => Arc::clone(&like.socket),
            None => Arc::new(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?),
        };
        let root = host.place();
        Ok(World { host, layers, limits, folder, copied, socket, root, temporary })
    }

    /// Where the commands see the tree: the same for every world of this data folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the commands see their temporary folder.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// True when every world sees its tree at this path: what files of a layer say of their own place holds.
    pub fn keeps_paths(&self) -> bool {
        true
    }

    /// The port of [`crate::Network::Port`].
    pub fn port(&self) -> u16 {
        self.socket.local_addr().map_or(0, |address| address.port())
    }

    /// Runs a command in the tree and waits for it and everything it started to be gone.
    ///
    /// With [`Network::Port`](crate::Network::Port), `listener` is given the socket that the index is to be served on.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or the sandbox's own failures. A command that fails, or cannot be started, is no error.
    pub fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        listener: Option<&mut dyn FnMut(TcpListener)>,
    ) -> Result<Execution, Error> {
        if let Some(bind) = command.binds.iter().find(|bind| bind.source != bind.target) {
            return Err(Error::Refused {
                what: format!("showing {} at {}", bind.source.display(), bind.target.display()),
                reason: "only the full sandbox can show things elsewhere".to_owned(),
                remedy: None,
            });
        }
        if let (Network::Port, Some(listener)) = (command.network, listener) {
            listener(self.socket.try_clone().map_err(|error| Error::io("share the port", error))?);
        }
        let _active = self.activate()?;
        let place = watch::Place {
            mode: self.host.mode,
            root: self.root.clone(),
            temporary: self.temporary.clone(),
            limits: self.limits,
        };
        watch::run(command, &place, cancel)
    }

    /// Moves this world's tree to the place, and keeps it there for as long as the guard lives.
    fn activate(&self) -> Result<MutexGuard<'_, Option<PathBuf>>, Error> {
        let mut active = self.host.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.as_deref() != Some(self.folder.as_path()) {
            if let Some(other) = active.take() {
                move_tree(&self.root, &other.join("tree"))?;
            }
            move_tree(&self.folder.join("tree"), &self.root)?;
            *active = Some(self.folder.clone());
        }
        Ok(active)
    }

    /// Puts a file into the tree; missing directories are made. Nothing may run meanwhile.
    ///
    /// # Errors
    /// [`Error::NotBeneath`] for a path that leaves the tree or passes through a link.
    pub fn write(&self, relative: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
        let _active = self.activate()?;
        let path = self.plain(relative, Missing::Made)?;
        let io = |error| Error::io(format!("write {} in the cell", relative.display()), error);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                return Err(Error::WrongType { path: relative.to_owned(), expected: "regular file" });
            }
            // Whatever is there makes way; a new file is nobody's hard link.
            Ok(_) => trees::remove_path(&path)?,
            Err(_) => {}
        }
        let mut file = fs::File::create_new(&path).map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        system::set_mode(&file, mode).map_err(io)
    }

    /// The bytes of a regular file of the tree as it is now; at most `max` of them.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::WrongType`], [`Error::TooLarge`], [`Error::NotBeneath`]: the content of a cell is
    /// strangers', so each of these may be their doing.
    pub fn read(&self, relative: &Path, max: u64) -> Result<Vec<u8>, Error> {
        let _active = self.activate()?;
        let path = self.plain(relative, Missing::Told)?;
        let wrong = || Error::WrongType { path: relative.to_owned(), expected: "regular file" };
        match path.symlink_metadata() {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(wrong()),
            Err(_) => return Err(Error::NotFound(relative.to_owned())),
        }
        let io = |error| Error::io(format!("read {} in the cell", relative.display()), error);
        let file = system::open_unlinked(&path).map_err(io)?;
        let found = file.metadata().map_err(io)?;
        if !found.is_file() {
            return Err(wrong());
        }
        let too_large = || Error::TooLarge { path: relative.to_owned(), max };
        if found.len() > max {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > max { Err(too_large()) } else { Ok(bytes) }
    }

    /// What is in a directory of the tree as it is now, sorted by name.
    ///
    /// # Errors
    /// As [`World::read`].
    pub fn list(&self, relative: &Path) -> Result<Vec<Entry>, Error> {
        let _active = self.activate()?;
        let path = self.plain(relative, Missing::Told)?;
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(Error::WrongType { path: relative.to_owned(), expected: "directory" }),
            Err(_) => return Err(Error::NotFound(relative.to_owned())),
        }
        let io = |error| Error::io(format!("list {} in the cell", relative.display()), error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            let metadata = entry.metadata().map_err(io)?;
            if entries.len() >= LISTED {
                return Err(Error::TooLarge { path: relative.to_owned(), max: LISTED as u64 });
            }
            let file_type = trees::file_type(&metadata);
            let size = if file_type == FileType::Directory { 0 } else { metadata.len() };
            entries.push(Entry { name: entry.file_name(), file_type, size });
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The files that were written since the last seal, sorted by path.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn changes(&self) -> Result<Changes, Error> {
        let _active = self.activate()?;
        self.copied.changes(&self.root)
    }

    /// Ends a phase: what the next commands write is told apart. Temporary folders are fresh.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn seal(&mut self) -> Result<(), Error> {
        drop(self.activate()?);
        trees::remove_path(&self.temporary)?;
        fs::create_dir(&self.temporary)
            .map_err(|error| Error::io(format!("create {}", self.temporary.display()), error))?;
        self.copied.seal(&self.root)
    }

    /// Another world on the same layers with what was sealed; what was written since is not part of it.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn fork(&self) -> Result<World, Error> {
        self.fork_with(&[])
    }

    /// Like [`World::fork`], with further layers between the base layers and what this world wrote.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn fork_with(&self, layers: &[PathBuf]) -> Result<World, Error> {
        let layers = self.layers.iter().chain(layers).cloned().collect();
        World::new(Arc::clone(&self.host), layers, self.limits, Some(self))
    }

    /// Copies what was written since the last seal out as a new layer at `to` (which appears at once, complete, or not at
    /// all; an existing one stays as it is). Regular files, directories and, where they can be made, links only.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when it is more than `max`.
    pub fn export(&self, to: &Path, max: ScratchLimits) -> Result<Exported, Error> {
        let _active = self.activate()?;
        let gathered = self.folder.join("gathered");
        let refused = self.copied.gather(&self.root, &gathered)?;
        let exported = trees::count(&gathered, max)?;
        match fs::rename(&gathered, to) {
            Ok(()) => {}
            // Somebody else was quicker; its layer is as good.
            Err(_) if to.is_dir() => trees::remove_path(&gathered)?,
            Err(error) => return Err(Error::io(format!("write {}", to.display()), error)),
        }
        Ok(Exported { refused, ..exported })
    }

    /// The path in the place of a relative one that leads through directories only.
    fn plain(&self, relative: &Path, missing: Missing) -> Result<PathBuf, Error> {
        let not_beneath = || Error::NotBeneath(relative.to_owned());
        let names: Vec<_> = relative
            .components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| match part {
                // A colon would open another stream of a file, or name a drive.
                Component::Normal(name) if !(cfg!(windows) && name.to_string_lossy().contains(':')) => {
                    Ok(name)
                }
                _ => Err(not_beneath()),
            })
            .collect::<Result<_, _>>()?;
        let mut path = self.root.clone();
        let Some((last, parents)) = names.split_last() else { return Ok(path) };
        for parent in parents {
            path.push(parent);
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(not_beneath()),
                Err(_) if missing == Missing::Told => return Err(Error::NotFound(relative.to_owned())),
                Err(_) => fs::create_dir(&path)
                    .map_err(|error| Error::io(format!("create {}", path.display()), error))?,
            }
        }
        Ok(path.join(last))
    }
}

/// What is done about a parent that is not there.
#[derive(Clone, Copy, PartialEq)]
enum Missing {
    Made,
    Told,
}

fn move_tree(from: &Path, to: &Path) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        match fs::rename(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && tries < MOVES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other.map_err(|error| Error::io(format!("move {}", from.display()), error)),
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let mut active = self.host.active.lock().unwrap_or_else(PoisonError::into_inner);
        if active.as_deref() == Some(self.folder.as_path()) {
            // What cannot be removed now is in the way of the next world, which will say so.
            let _ = trees::remove_path(&self.root);
            *active = None;
        }
        drop(active);
        let _ = trees::remove_path(&self.folder);
    }
}
