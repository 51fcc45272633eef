//! Reading a cell's tree from outside while it is not mounted: the layers as the kernel's overlay would merge them.
//!
//! The highest layers were written by strangers. Every step is taken with one name beneath one open directory; no symbolic
//! link is ever followed, nothing but regular files is opened for reading, and depth is never a depth of recursion.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, Mode, OFlags, RawMode, ResolveFlags, Stat, fgetxattr, fstat, openat, openat2,
        statat,
    },
    io::Errno,
};

use crate::{Error, FileType};

/// What marks a directory that hides those beneath it.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// The names in a plain relative path: no root, no `..`.
pub(super) fn names(path: &Path) -> Result<Vec<&OsStr>, Error> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) if !name.as_bytes().contains(&0) => names.push(name),
            Component::CurDir => {}
            _ => return Err(Error::NotBeneath(path.to_owned())),
        }
    }
    Ok(names)
}

/// Opens a directory for looking at, by a path of our own.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Error> {
    openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io(format!("open {}", path.display()), error))
}

/// Opens a directory by its one name beneath another.
pub(super) fn open_directory(at: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(
        at,
        name,
        flags,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )
}

pub(super) fn look(at: impl AsFd, name: &OsStr) -> Result<Option<Stat>, Errno> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The overlay's mark of a deletion: a character device 0/0.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::CharacterDevice
        && stat.st_rdev == 0
}

/// True for a directory that hides what layers below have at the same place.
pub(super) fn is_opaque(directory: impl AsFd) -> bool {
    OPAQUE.iter().any(|name| {
        let mut value = [0u8; 4];
        matches!(fgetxattr(&directory, *name, &mut value[..]), Ok(1) if value[0] == b'y')
    })
}

pub(super) fn file_type(mode: RawMode) -> FileType {
    match rustix::fs::FileType::from_raw_mode(mode) {
        rustix::fs::FileType::RegularFile => FileType::File,
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        _ => FileType::Special,
    }
}

/// The names in a directory, without `.` and `..`.
pub(super) fn read_names(directory: impl AsFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// A directory of the merged tree: the same directory in each layer that has it, the highest first.
pub(super) struct Merged {
    parts: Vec<OwnedFd>,
}

/// What stands at a name of the merged tree.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory(Merged),
    /// Something else; the directory that holds it, and what it is.
    Leaf { parent: usize, stat: Box<Stat> },
}

impl Merged {
    /// The merged tree's root, from its layers, the highest first.
    pub(super) fn root<'a>(layers: impl IntoIterator<Item = &'a Path>) -> Result<Self, Error> {
        let parts = layers.into_iter().map(open_root).collect::<Result<_, _>>()?;
        Ok(Merged { parts })
    }

    /// Permission bits of the directory as the cell sees it.
    pub(super) fn mode(&self) -> Result<u32, Errno> {
        self.parts.first().map_or(Ok(0), |part| Ok(fstat(part)?.st_mode & 0o7777))
    }

    /// What stands at one name.
    pub(super) fn find(&self, name: &OsStr) -> Result<Found, Errno> {
        let mut parts = Vec::new();
        for (index, layer) in self.parts.iter().enumerate() {
            let Some(stat) = look(layer, name)? else { continue };
            if is_whiteout(&stat) {
                break;
            }
            if file_type(stat.st_mode) != FileType::Directory {
                if parts.is_empty() {
                    return Ok(Found::Leaf { parent: index, stat: Box::new(stat) });
                }
                // Hidden by the directories above.
                break;
            }
            let directory = open_directory(layer, name)?;
            let hides = is_opaque(&directory);
            parts.push(directory);
            if hides {
                break;
            }
        }
        Ok(if parts.is_empty() { Found::Nothing } else { Found::Directory(Merged { parts }) })
    }

    /// The directory at a path; a symbolic link on the way is an error.
    pub(super) fn descend(self, names: &[&OsStr], path: &Path) -> Result<Merged, Error> {
        let mut at = self;
        for name in names {
            at = match at
                .find(name)
                .map_err(|error| Error::io(format!("look at {}", path.display()), error))?
            {
                Found::Nothing => return Err(Error::NotFound(path.to_owned())),
                Found::Directory(directory) => directory,
                Found::Leaf { .. } => return Err(Error::NotBeneath(path.to_owned())),
            };
        }
        Ok(at)
    }

    /// Opens a regular file of this directory for reading, and tells its size.
    pub(super) fn open_file(&self, name: &OsStr, path: &Path) -> Result<(OwnedFd, u64), Error> {
        let wrong = || Error::WrongType { path: path.to_owned(), expected: "regular file" };
        let io = |error: Errno| Error::io(format!("open {} in the cell", path.display()), error);
        match self.find(name).map_err(io)? {
            Found::Nothing => Err(Error::NotFound(path.to_owned())),
            Found::Directory(_) => Err(wrong()),
            Found::Leaf { parent, stat } => {
                if file_type(stat.st_mode) != FileType::File {
                    return Err(wrong());
                }
                let (file, stat) = open_regular(&self.parts[parent], name).map_err(io)?.ok_or_else(wrong)?;
                Ok((file, stat.st_size as u64))
            }
        }
    }

    /// Every name with what it is, sorted; at most `max` of them.
    pub(super) fn entries(&self, max: usize, path: &Path) -> Result<Vec<(OsString, FileType, u64)>, Error> {
        let io = |error: Errno| Error::io(format!("list {} in the cell", path.display()), error);
        let mut names = std::collections::BTreeSet::new();
        for part in &self.parts {
            names.extend(read_names(part).map_err(io)?);
            if names.len() > max {
                return Err(Error::TooLarge { path: path.to_owned(), max: max as u64 });
            }
        }
        let mut entries = Vec::new();
        for name in names {
            match self.find(&name).map_err(io)? {
                Found::Nothing => {}
                Found::Directory(_) => entries.push((name, FileType::Directory, 0)),
                Found::Leaf { stat, .. } => {
                    entries.push((name, file_type(stat.st_mode), stat.st_size as u64))
                }
            }
        }
        Ok(entries)
    }
}

/// Opens `name` for reading if it is a regular file, without ever blocking on or waking something else.
pub(super) fn open_regular(at: impl AsFd, name: &OsStr) -> Result<Option<(OwnedFd, Stat)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = openat2(at, name, flags, Mode::empty(), resolve)?;
    let stat = fstat(&file)?;
    Ok((file_type(stat.st_mode) == FileType::File).then_some((file, stat)))
}

/// A walk over a tree of strangers', directory by directory, without recursion; at most `DEPTH` levels are entered.
pub(super) struct Walk {
    stack: Vec<Level>,
}

struct Level {
    directory: OwnedFd,
    names: std::vec::IntoIter<OsString>,
    path: PathBuf,
}

/// How deep a walk goes: no release needs more, and each level holds a descriptor.
const DEPTH: usize = 64;

/// One thing met on a walk. `parent` is open until the next step.
pub(super) struct Step<'a> {
    pub(super) parent: &'a OwnedFd,
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    pub(super) stat: Stat,
}

impl Walk {
    /// Starts at a directory that is already open.
    pub(super) fn new(root: OwnedFd) -> Result<Self, Errno> {
        let names = sorted(read_names(&root)?);
        Ok(Walk { stack: vec![Level { directory: root, names, path: PathBuf::new() }] })
    }

    /// The next thing, in the order of paths; parents come before what they hold.
    pub(super) fn step(&mut self) -> Result<Option<Step<'_>>, Errno> {
        loop {
            let Some(level) = self.stack.last_mut() else { return Ok(None) };
            let Some(name) = level.names.next() else {
                self.stack.pop();
                continue;
            };
            let Some(stat) = look(&level.directory, &name)? else { continue };
            let path = level.path.join(&name);
            let parent = &self.stack.last().expect("a level was just looked at").directory;
            return Ok(Some(Step { parent, name, path, stat }));
        }
    }

    /// Goes into a directory that the last step met. False when that would be too deep, or it cannot be read.
    pub(super) fn enter(&mut self, name: &OsStr) -> bool {
        let Some(level) = self.stack.last() else { return false };
        if self.stack.len() >= DEPTH {
            return false;
        }
        let path = level.path.join(name);
        let Ok(directory) = open_directory(&level.directory, name) else { return false };
        let Ok(names) = read_names(&directory) else { return false };
        self.stack.push(Level { directory, names: sorted(names), path });
        true
    }
}

fn sorted(mut names: Vec<OsString>) -> std::vec::IntoIter<OsString> {
    names.sort();
    names.into_iter()
}
