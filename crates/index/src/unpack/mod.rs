//! Unpacking archives of strangers on the trusted side: into a fresh folder, within limits, and never outside
//! it. `tar` and `zip` read the formats; the rules about paths are here, once for both.

mod tar;
mod zip;

use std::{
    collections::HashMap,
    fs,
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{Error, Result};

pub use self::tar::{Record, RecordKind, records};
pub(crate) use self::zip::open_zip;

/// Seconds since 1970 of the earliest time that a file keeps, a day into 1980: zip archives, and so wheels, hold none
/// before it, in whatever time zone.
const EARLIEST_MODIFIED: u64 = 315_619_200;

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Unpacked bytes in all.
    pub total: u64,
    /// Unpacked bytes per packed byte, once more than `free` bytes are unpacked.
    pub ratio: u64,
    /// Unpacked bytes up to which the ratio does not matter.
    pub free: u64,
    /// Files, folders and links.
    pub entries: u64,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of a path; a component has at most 255.
    pub path: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { total: 4 << 30, ratio: 200, free: 256 << 20, entries: 200_000, depth: 64, path: 2048 }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The one top-level folder of an sdist; the target folder itself where there is none or more.
    pub root: PathBuf,
    /// Regular files and links, relative to the target folder, sorted. Names are the archive's bytes.
    pub files: Vec<UnpackedFile>,
    /// What is odd and not refused, for people: names given twice, no single top-level folder.
    pub notes: Vec<String>,
}

/// One unpacked file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackedFile {
    /// Relative to the target folder.
    pub path: PathBuf,
    /// Bytes; of a link 0.
    pub size: u64,
    /// Whether the archive marks it as executable.
    pub executable: bool,
    /// A symbolic link that stays inside.
    pub link: bool,
}

/// Unpacks an sdist (`.tar.gz`, `.zip`, or a plain tar by whatever name) into a folder that does not exist
/// yet or is empty. On an error the folder may hold a part of the archive.
///
/// # Errors
/// `Archive` for everything that is the archive's fault, `Io` for what is not. Synchronous: a worker's work.
pub fn sdist(archive: &Path, into: &Path, limits: &Limits) -> Result<Unpacked> {
    let name = file_name(archive);
    let mut file = fs::File::open(archive).map_err(Error::io("open", archive))?;
    let packed = file.metadata().map_err(Error::io("read", archive))?.len();
    let mut magic = [0; 262];
    let length = read_full(&mut file, &mut magic).map_err(Error::io("read", archive))?;
    let magic = &magic[..length];
    io::Seek::rewind(&mut file).map_err(Error::io("read", archive))?;
    let mut tree = Tree::new(into, &name, *limits)?;
    let file = io::BufReader::with_capacity(1 << 16, file);
    if magic.starts_with(b"\x1f\x8b") {
        tar::unpack(Bounded::new(flate2::bufread::MultiGzDecoder::new(file), packed, limits), &mut tree)?;
    } else if magic.starts_with(b"PK") {
        zip::unpack(file, packed, &mut tree)?;
    } else if magic.get(257..262) == Some(b"ustar") {
        tar::unpack(Bounded::new(file, packed, limits), &mut tree)?;
    } else {
        let known =
            [(&b"BZh"[..], "bzip2"), (b"\xfd7zXZ", "xz"), (b"\x1f\x9d", "compress"), (b"<", "a web page")];
        let kind = known.iter().find(|(start, _)| magic.starts_with(start)).map(|(_, kind)| *kind);
        let reason = match (kind, packed) {
            (_, 0) => "it is empty".to_owned(),
            (Some(kind), _) => format!("it is {kind}, and sdists are .tar.gz or .zip (PEP 517, PEP 527)"),
            (None, _) => "it is neither gzip, zip nor tar".to_owned(),
        };
        return Err(Error::archive(name, reason));
    }
    tree.finish(true)
}

/// Unpacks a wheel as it is packed (`*.data` is not spread) into a folder that does not exist yet or is empty.
///
/// # Errors
/// As `sdist`.
pub fn wheel(archive: &Path, into: &Path, limits: &Limits) -> Result<Unpacked> {
    let file = fs::File::open(archive).map_err(Error::io("open", archive))?;
    let packed = file.metadata().map_err(Error::io("read", archive))?.len();
    let mut tree = Tree::new(into, &file_name(archive), *limits)?;
    zip::unpack(io::BufReader::with_capacity(1 << 16, file), packed, &mut tree)?;
    tree.finish(false)
}

/// A name out of an archive, as it may be shown.
fn shown(raw: &[u8]) -> String {
    String::from_utf8_lossy(raw).escape_debug().take(200).collect()
}

pub(crate) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}

/// Counts what comes out of a decompressor, headers and all, and stops a bomb.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R> Bounded<R> {
    /// `packed` is the size of what is read from, in bytes.
    pub(crate) fn new(inner: R, packed: u64, limits: &Limits) -> Self {
        let by_ratio = limits.free.max(packed.saturating_mul(limits.ratio));
        Bounded { inner, left: limits.total.min(by_ratio) }
    }

    /// Counts bytes that came from elsewhere; false where they are too many.
    pub(crate) fn spend(&mut self, bytes: u64) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if self.spend(length as u64) {
            return Ok(length);
        }
        Err(io::Error::other("it unpacks to more than the limit (an archive bomb)"))
    }
}

/// What stands at a path that was already unpacked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Folder,
    /// Index into `files`.
    File(usize),
    Link(usize),
}

/// The folder being filled. Only this code writes there, so the map of what stands is the truth, and no path
/// is ever followed through a link: links are made last.
pub struct Tree {
    into: PathBuf,
    archive: String,
    limits: Limits,
    standing: HashMap<Vec<u8>, Standing>,
    files: Vec<UnpackedFile>,
    links: Vec<(usize, PathBuf)>,
    entries: u64,
    notes: Vec<String>,
}

impl Tree {
    /// A folder that does not exist yet or is empty; `archive` names in errors what it is filled from.
    ///
    /// # Errors
    /// When it cannot be made, or holds something.
    pub fn new(into: &Path, archive: &str, limits: Limits) -> Result<Self> {
        fs::create_dir_all(into).map_err(Error::io("create", into))?;
        if fs::read_dir(into).map_err(Error::io("read", into))?.next().is_some() {
            return Err(Error::io("unpack into", into)(io::Error::other("the folder is not empty")));
        }
        let (standing, files, links, notes) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Tree {
            into: into.to_owned(),
            archive: archive.to_owned(),
            limits,
            standing,
            files,
            links,
            entries: 0,
            notes,
        })
    }

    /// An error that is the archive's fault.
    pub(crate) fn fault(&self, reason: impl Into<String>) -> Error {
        Error::archive(&self.archive, reason)
    }

    fn fault_at(&self, raw: &[u8], reason: &str) -> Error {
        self.fault(format!("`{}` {reason}", shown(raw)))
    }

    /// Checks a path and cleans it of `.` and doubled slashes. Empty: the target folder itself.
    fn clean(&mut self, raw: &[u8]) -> Result<Vec<u8>> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(self.fault(format!("it has more than {} entries", self.limits.entries)));
        }
        if raw.len() > self.limits.path {
            return Err(self.fault_at(raw, "is too long a path"));
        }
        if raw.starts_with(b"/") || raw.contains(&0) {
            return Err(self.fault_at(raw, "is an absolute path or holds a null byte"));
        }
        let mut path = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for component in raw.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(self.fault_at(raw, "leads out of its folder")),
                _ if component.len() > 255 => return Err(self.fault_at(raw, "has too long a component")),
                _ if cfg!(windows) && component.iter().any(|byte| matches!(byte, b'\\' | b':')) => {
                    return Err(self.fault_at(raw, "is no portable path"));
                }
                _ => {}
            }
            depth += 1;
            if depth > self.limits.depth {
                return Err(self.fault_at(raw, "is too deep a path"));
            }
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        Ok(path)
    }

    /// Makes the folders above `path`, which must not lead through files or links.
    fn parents(&mut self, path: &[u8]) -> Result<()> {
        let cuts: Vec<usize> =
            path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at).collect();
        for cut in cuts {
            self.make_folder(&path[..cut])?;
        }
        Ok(())
    }

    fn make_folder(&mut self, path: &[u8]) -> Result<()> {
        match self.standing.get(path) {
            Some(Standing::Folder) => return Ok(()),
            Some(Standing::File(_) | Standing::Link(_)) => {
                return Err(self.fault_at(path, "is a folder and something else at once"));
            }
            None => {}
        }
        let place = self.into.join(self.native(path)?);
        fs::create_dir(&place).map_err(Error::io("create", place))?;
        self.standing.insert(path.to_vec(), Standing::Folder);
        Ok(())
    }

    /// A folder.
    pub(crate) fn folder(&mut self, raw: &[u8]) -> Result<()> {
        let path = self.clean(raw)?;
        if path.is_empty() {
            return Ok(());
        }
        self.parents(&path)?;
        self.make_folder(&path)
    }

    /// Frees a path for a new file; the last one of a name wins, as it does for tar.
    fn place(&mut self, raw: &[u8]) -> Result<(Vec<u8>, PathBuf)> {
        let path = self.clean(raw)?;
        if path.is_empty() {
            return Err(self.fault_at(raw, "is no name of a file"));
        }
        self.parents(&path)?;
        let place = self.into.join(self.native(&path)?);
        match self.standing.get(&path).copied() {
            None => {}
            Some(Standing::Folder) => {
                return Err(self.fault_at(raw, "is a folder and something else at once"));
            }
            Some(Standing::Link(_)) => return Err(self.fault_at(raw, "is a link and something else at once")),
            Some(Standing::File(index)) => {
                if self.notes.len() < 20 {
                    self.notes.push(format!("`{}` is packed twice", self.files[index].path.display()));
                }
                fs::remove_file(&place).map_err(Error::io("remove", &place))?;
                // Its row is emptied and swept out at the end.
                self.files[index].path = PathBuf::new();
            }
        }
        Ok((path, place))
    }

    /// A regular file; of its content, which the caller limits, all is read.
    ///
    /// # Errors
    /// `Archive` for a path that leads out, is malformed or beyond the limits, and for content that cannot be read.
    pub fn file(
        &mut self,
        raw: &[u8],
        executable: bool,
        modified: Option<u64>,
        from: &mut impl Read,
    ) -> Result<()> {
        let (path, place) = self.place(raw)?;
        let mut file = create(&place, executable).map_err(Error::io("create", &place))?;
        let mut buffer = vec![0; 1 << 16];
        let mut size = 0;
        loop {
            // A failure to read is the archive's fault, a failure to write is the disk's.
            let length = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.fault_at(raw, &format!("cannot be unpacked: {error}"))),
            };
            file.write_all(&buffer[..length]).map_err(Error::io("write", &place))?;
            size += length as u64;
        }
        if let Some(time) = modified.and_then(|time| {
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.max(EARLIEST_MODIFIED)))
        }) {
            // A time that the file system cannot hold does not matter.
            let _ = file.set_modified(time);
        }
        self.row(path, size, executable, false)?;
        Ok(())
    }

    fn row(&mut self, path: Vec<u8>, size: u64, executable: bool, link: bool) -> Result<usize> {
        let index = self.files.len();
        self.files.push(UnpackedFile { path: self.native(&path)?, size, executable, link });
        self.standing.insert(path, if link { Standing::Link(index) } else { Standing::File(index) });
        Ok(index)
    }

    /// A symbolic link. Its target may go up first and down after that, and stays inside: then no chain of
    /// such links leads out either.
    pub(crate) fn link(&mut self, raw: &[u8], target: &[u8]) -> Result<()> {
        let path = self.clean(raw)?;
        if path.is_empty() || self.standing.contains_key(&path) {
            return Err(self.fault_at(raw, "is a link and something else at once"));
        }
        self.parents(&path)?;
        let above = path.iter().filter(|byte| **byte == b'/').count();
        let (mut up, mut down) = (0, false);
        if target.starts_with(b"/")
            || target.is_empty()
            || target.len() > self.limits.path
            || target.contains(&0)
        {
            return Err(self.fault_at(raw, "is a link out of its folder"));
        }
        for component in target.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." if down => return Err(self.fault_at(raw, "is a link that goes down and up again")),
                b".." => up += 1,
                _ => down = true,
            }
        }
        if up > above {
            return Err(self.fault_at(raw, "is a link out of its folder"));
        }
        let target = self.native(target)?;
        let index = self.row(path, 0, false, true)?;
        self.links.push((index, target));
        Ok(())
    }

    /// A hard link becomes a copy of a file that was unpacked before; `budget` is what may still be written.
    pub(crate) fn hard_link(&mut self, raw: &[u8], target: &[u8], budget: &mut u64) -> Result<()> {
        let target = self.clean(target)?;
        let Some(Standing::File(index)) = self.standing.get(&target).copied() else {
            return Err(self.fault_at(raw, "is a hard link to nothing that was unpacked"));
        };
        let (size, executable) = (self.files[index].size, self.files[index].executable);
        *budget = budget
            .checked_sub(size)
            .ok_or_else(|| self.fault("it unpacks to more than the limit (an archive bomb)"))?;
        let source = self.into.join(&self.files[index].path);
        let (path, place) = self.place(raw)?;
        if !source.exists() {
            return Err(self.fault_at(raw, "is a hard link to itself"));
        }
        fs::copy(&source, &place).map_err(Error::io("write", &place))?;
        self.row(path, size, executable, false)?;
        Ok(())
    }

    /// The bytes as a path of this system: exactly on Unix, by UTF-8 elsewhere.
    fn native(&self, path: &[u8]) -> Result<PathBuf> {
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt as _;
            Ok(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
        }
        #[cfg(not(unix))]
        {
            let text = std::str::from_utf8(path).map_err(|_| self.fault_at(path, "is not UTF-8"))?;
            Ok(PathBuf::from(text))
        }
    }

    /// Makes the links, and says what there is. `one_folder`: its root is the one top-level folder, where it has one.
    ///
    /// # Errors
    /// `Archive` where it holds nothing.
    pub fn finish(mut self, one_folder: bool) -> Result<Unpacked> {
        for (index, target) in &self.links {
            let place = self.into.join(&self.files[*index].path);
            #[cfg(unix)]
            std::os::unix::fs::symlink(target, &place).map_err(Error::io("link", &place))?;
            #[cfg(not(unix))]
            self.notes.push(format!("the link `{}` to `{}` is left out", place.display(), target.display()));
        }
        self.files.retain(|file| !file.path.as_os_str().is_empty());
        self.files.sort_by(|one, other| one.path.cmp(&other.path));
        let mut tops = self.standing.iter().filter(|(path, _)| !path.contains(&b'/'));
        let root = match (tops.next(), tops.next()) {
            (Some((top, Standing::Folder)), None) => self.into.join(self.native(top)?),
            (None, _) => return Err(self.fault("it holds nothing")),
            _ => {
                if one_folder {
                    self.notes.push("it has no single top-level folder".to_owned());
                }
                self.into.clone()
            }
        };
        let root = if one_folder { root } else { self.into };
        Ok(Unpacked { root, files: self.files, notes: self.notes })
    }
}

fn create(place: &Path, executable: bool) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(if executable { 0o755 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = executable;
    options.open(place)
}

#[cfg(test)]
mod tests;
