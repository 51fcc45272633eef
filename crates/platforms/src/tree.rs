//! A root file system being unpacked. Nobody else writes into its folder, so what is remembered here is what stands there;
//! every path is resolved in this memory, as the root file system's own programs would resolve it, and never on the host.

mod layers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use sha2::Digest as _;
use wheeltapper_core::Sha256;
use wheeltapper_index::unpack::{Record, RecordKind, records};

use crate::error::Error;

/// Most bytes of files.
const MOST_BYTES: u64 = 32 << 30;

/// Most entries of an archive.
const MOST_ENTRIES: u64 = 2_000_000;

/// Most links that are followed to find one folder, as the kernel has it.
const MOST_LINKS: usize = 40;

/// Where devices and the like may stand in an archive: they are left out, since every cell has its own there.
const OWN_DEVICES: [&str; 2] = ["dev/", "run/"];

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A directory with these permission bits.
    Folder(u32),
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// Its content.
        sha256: Sha256,
        /// Its bytes.
        size: u64,
    },
    /// A symbolic link with its text.
    Link(String),
}

/// A root file system in its folder. Paths are relative to it, without `.` and `..`.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: PathBuf,
    entries: BTreeMap<String, Entry>,
    bytes: u64,
    /// Bytes that were ever written, what has been replaced since included.
    written: u64,
    /// What the layer that is being unpacked has written; none outside of layers.
    layer: Option<BTreeSet<String>>,
}

impl Tree {
    /// An empty one in a folder that does not exist yet.
    pub(crate) fn new(folder: &Path) -> Result<Tree, Error> {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let (folder, entries) = (folder.to_path_buf(), BTreeMap::new());
        Ok(Tree { folder, entries, bytes: 0, written: 0, layer: None })
    }

    /// All that stands in it, by path.
    pub(crate) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// Bytes of its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Unpacks a tar archive on top of what is there. `archive` names it in errors.
    ///
    /// # Errors
    /// [`Error::Archive`] for what no root file system has: paths that lead out of it, devices, a malformed archive.
    pub(crate) fn unpack(&mut self, reader: impl Read, archive: &str) -> Result<(), Error> {
        let mut failed = None;
        let read = records(reader, archive, MOST_ENTRIES, |record| {
            let shown = String::from_utf8_lossy(&record.path).escape_debug().take(200).collect::<String>();
            self.take(record).map_err(|wrong| {
                let reason = match wrong {
                    Wrong::Archive(reason) => format!("`{shown}` {reason}"),
                    Wrong::Host(error) => {
                        failed = Some(error);
                        String::new()
                    }
                };
                wheeltapper_index::Error::Archive { archive: archive.to_owned(), reason }
            })
        });
        match (read, failed) {
            (_, Some(error)) => Err(error),
            (Ok(()), None) => Ok(()),
            (Err(error), None) => Err(Error::Archive(error.to_string())),
        }
    }

    fn take(&mut self, record: Record<'_>) -> Result<(), Wrong> {
        let path = clean(&record.path)?;
        if path.is_empty() {
            return Ok(());
        }
        if let Some((folder, hidden)) = self.whiteout(&path) {
            return self.white_out(folder, hidden);
        }
        match record.kind {
            RecordKind::Device | RecordKind::Fifo
                if OWN_DEVICES.iter().any(|folder| path.starts_with(folder)) =>
            {
                return Ok(());
            }
            RecordKind::Device => return wrong("is a device outside of /dev"),
            RecordKind::Fifo => return wrong("is a FIFO"),
            RecordKind::Other => return wrong("is neither a file, a folder nor a link"),
            RecordKind::Folder | RecordKind::File | RecordKind::Symlink | RecordKind::HardLink => {}
        }
        let place = self.place(&path)?;
        // Every folder is its owner's to write, so that it can be removed again; every file its owner's to read.
        let mode = record.mode & 0o777;
        if record.kind == RecordKind::Folder {
            if !matches!(self.entries.get(&place), Some(Entry::Folder(_))) {
                self.clear(&place)?;
                self.host(&place, |path| fs::create_dir(path))?;
            }
            self.host(&place, |path| permit(path, mode | 0o700))?;
            self.put(place, Entry::Folder(mode | 0o700));
            return Ok(());
        }
        let entry = match record.kind {
            RecordKind::Symlink => {
                let Ok(target) = String::from_utf8(record.link) else {
                    return wrong("leads to no UTF-8 path");
                };
                self.clear(&place)?;
                self.host(&place, |path| link(&target, path))?;
                Entry::Link(target)
            }
            RecordKind::HardLink => self.again(&place, &record.link)?,
            RecordKind::File
            | RecordKind::Folder
            | RecordKind::Device
            | RecordKind::Fifo
            | RecordKind::Other => {
                self.clear(&place)?;
                self.file(&place, mode | 0o400, record)?
            }
        };
        self.put(place, entry);
        Ok(())
    }

    fn put(&mut self, place: String, entry: Entry) {
        if let Some(layer) = &mut self.layer {
            layer.insert(place.clone());
        }
        self.entries.insert(place, entry);
    }

    /// All that is in a folder, however deep, by path; of the whole tree for an empty name.
    fn below(&self, folder: &str) -> Vec<String> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let all = self.entries.range(start.clone()..).map(|(path, _)| path);
        all.take_while(|path| path.starts_with(&start)).cloned().collect()
    }

    fn file(&mut self, place: &str, mode: u32, record: Record<'_>) -> Result<Entry, Wrong> {
        self.written += record.size;
        if self.written > MOST_BYTES {
            return wrong("is where the archive becomes larger than any root file system");
        }
        let path = self.folder.join(place);
        let host = |error| Wrong::Host(Error::file(&path)(error));
        let mut file = fs::File::create_new(&path).map_err(host)?;
        let mut hasher = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut left = record.size;
        while left > 0 {
            let length = match record.content.read(&mut buffer) {
                Ok(0) => return wrong("is cut off"),
                Ok(length) => length,
                Err(error) => return Err(Wrong::Archive(format!("cannot be read: {error}"))),
            };
            hasher.update(&buffer[..length]);
            file.write_all(&buffer[..length]).map_err(host)?;
            left -= length as u64;
        }
        // Byte-compiled modules are good for sources of one time only.
        let modified =
            record.modified.and_then(|at| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at)));
        if let Some(modified) = modified {
            file.set_modified(modified).map_err(host)?;
        }
        drop(file);
        permit(&path, mode).map_err(host)?;
        self.bytes += record.size;
        Ok(Entry::File { mode, sha256: Sha256(hasher.finalize().into()), size: record.size })
    }

    /// A further name of a file that is there.
    fn again(&mut self, place: &str, target: &[u8]) -> Result<Entry, Wrong> {
        let target = clean(target)?;
        let target = self.place(&target)?;
        let Some(entry @ (Entry::File { .. } | Entry::Link(_))) = self.entries.get(&target).cloned() else {
            return wrong("is a hard link to a file that the archive does not hold");
        };
        if target != place {
            self.clear(place)?;
            let existing = self.folder.join(&target);
            self.host(place, |path| fs::hard_link(&existing, path))?;
        }
        Ok(entry)
    }

    /// Adds a file that no archive holds.
    pub(crate) fn add(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), Error> {
        let record = Record {
            path: path.as_bytes().to_vec(),
            kind: RecordKind::File,
            link: Vec::new(),
            size: content.len() as u64,
            mode,
            modified: None,
            content: &mut &*content,
        };
        self.take(record).map_err(|wrong| match wrong {
            Wrong::Archive(reason) => Error::Archive(format!("`{path}` {reason}")),
            Wrong::Host(error) => error,
        })
    }

    /// Removes whatever stands at a place.
    pub(crate) fn clear(&mut self, place: &str) -> Result<(), Wrong> {
        match self.entries.remove(place) {
            None => Ok(()),
            Some(Entry::Folder(_)) => {
                for path in self.below(place) {
                    if let Some(Entry::File { size, .. }) = self.entries.remove(&path) {
                        self.bytes = self.bytes.saturating_sub(size);
                    }
                }
                self.host(place, |path| fs::remove_dir_all(path))
            }
            Some(Entry::File { size, .. }) => {
                self.bytes = self.bytes.saturating_sub(size);
                self.host(place, |path| fs::remove_file(path))
            }
            Some(Entry::Link(_)) => self.host(place, |path| fs::remove_file(path)),
        }
    }

    fn host(&self, place: &str, act: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), Wrong> {
        let path = self.folder.join(place);
        act(&path).map_err(|error| Wrong::Host(Error::file(&path)(error)))
    }

    /// The place of a path whose folders may be links; they are made where there are none.
    pub(crate) fn place(&mut self, path: &str) -> Result<String, Wrong> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(parent) = self.resolve(parent) else { return wrong("lies beyond too many links") };
        let mut made = String::new();
        for part in parent.split('/').filter(|part| !part.is_empty()) {
            made = join(&made, part);
            match self.entries.get(&made) {
                Some(Entry::Folder(_)) => {}
                Some(Entry::File { .. } | Entry::Link(_)) => return wrong("lies below what is no folder"),
                None => {
                    self.host(&made, |path| fs::create_dir(path))?;
                    self.put(made.clone(), Entry::Folder(0o755));
                }
            }
        }
        Ok(join(&made, name))
    }

    /// A path with every link in it followed, as programs inside would. What does not exist stays as it is written.
    /// `None` beyond too many links.
    pub(crate) fn resolve(&self, path: &str) -> Option<String> {
        let mut left: Vec<String> = parts(path);
        let (mut place, mut links) = (String::new(), 0);
        while let Some(part) = left.pop() {
            if part == ".." {
                place.truncate(place.rfind('/').unwrap_or(0));
                continue;
            }
            let next = join(&place, &part);
            let Some(Entry::Link(target)) = self.entries.get(&next) else {
                place = next;
                continue;
            };
            links += 1;
            if links > MOST_LINKS || left.len() > 1000 {
                return None;
            }
            if target.starts_with('/') {
                place.clear();
            }
            left.extend(parts(target));
        }
        Some(place)
    }

    /// The file at a path, links followed; `None` for anything else.
    pub(crate) fn find_file(&self, path: &str) -> Option<String> {
        let place = self.resolve(path)?;
        matches!(self.entries.get(&place), Some(Entry::File { .. })).then_some(place)
    }

    /// Where a place is on this machine.
    pub(crate) fn path_of(&self, place: &str) -> PathBuf {
        self.folder.join(place)
    }

    /// The first bytes of a file at a place.
    pub(crate) fn beginning(&self, place: &str) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(place);
        let file = fs::File::open(&path).map_err(Error::file(&path))?;
        let mut bytes = Vec::new();
        file.take(4096).read_to_end(&mut bytes).map_err(Error::file(&path))?;
        Ok(bytes)
    }
}

/// What is wrong with an entry.
pub(crate) enum Wrong {
    /// With the archive: the rest of a sentence that begins with the entry's name.
    Archive(String),
    /// With this machine.
    Host(Error),
}

fn wrong<T>(reason: &str) -> Result<T, Wrong> {
    Err(Wrong::Archive(reason.to_owned()))
}

/// An entry's name without `.` and doubled slashes.
pub(crate) fn clean(raw: &[u8]) -> Result<String, Wrong> {
    let Ok(text) = std::str::from_utf8(raw) else { return wrong("is no UTF-8 path") };
    if text.starts_with('/') {
        return wrong("is an absolute path");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return wrong("leads out of the root file system");
    }
    if text.contains('\0') || parts.len() > 100 || text.len() > 4000 {
        return wrong("is no path");
    }
    Ok(parts.join("/"))
}

/// A path's parts, the last first.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

#[cfg(unix)]
fn permit(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(unix)]
fn link(target: &str, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn permit(_: &Path, _: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn link(_: &str, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
