//! Trees of copies by paths. Nothing of a cell runs while they are read, so a path that was looked at is still what it was; links
//! are looked at, never followed.

use std::{
    collections::BTreeMap,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::system;
use crate::{ChangeKind, Changes, Error, Exported, FileType, ScratchLimits, copies::Fact};

/// How deep a tree may be.
const DEEPEST: usize = 200;
/// The most paths of a tree that are looked at.
const MOST: usize = 1_000_000;

/// What kind of thing this is.
pub(super) fn file_type(metadata: &Metadata) -> FileType {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        FileType::Symlink
    } else if kind.is_dir() {
        FileType::Directory
    } else if kind.is_file() {
        FileType::File
    } else {
        FileType::Special
    }
}

/// Calls `visit` with each path below a folder, parents first; false when there were too many or too deep ones.
fn walk(folder: &Path, visit: &mut dyn FnMut(&Path, &Metadata) -> Result<(), Error>) -> Result<bool, Error> {
    let mut folders = vec![(PathBuf::new(), 0)];
    let (mut count, mut complete) = (0, true);
    while let Some((relative, depth)) = folders.pop() {
        let path = folder.join(&relative);
        let io = |error| Error::io(format!("look at {}", path.display()), error);
        for entry in fs::read_dir(&path).map_err(io)? {
            let entry = entry.map_err(io)?;
            count += 1;
            if count > MOST {
                return Ok(false);
            }
            let below = relative.join(entry.file_name());
            let metadata = entry.metadata().map_err(io)?;
            visit(&below, &metadata)?;
            match file_type(&metadata) {
                FileType::Directory if depth < DEEPEST => folders.push((below, depth + 1)),
                FileType::Directory => complete = false,
                FileType::File | FileType::Symlink | FileType::Special => {}
            }
        }
    }
    Ok(complete)
}

/// Every path of a tree, and whether there were too many or too deep ones.
pub(crate) fn look(tree: &Path) -> Result<(BTreeMap<PathBuf, Fact>, bool), Error> {
    let mut facts = BTreeMap::new();
    let complete = walk(tree, &mut |path, metadata| {
        let (file_type, mark) = (file_type(metadata), system::mark(metadata));
        let fact = Fact {
            file_type,
            mode: mark.mode,
            size: metadata.len(),
            inode: mark.inode,
            made: mark.made.filter(|_| file_type == FileType::Directory),
            changed: mark.changed,
        };
        facts.insert(path.to_path_buf(), fact);
        Ok(())
    })?;
    Ok((facts, !complete))
}

/// Copies a whole tree over another. `owner` is of systems whose cells are another user's.
pub(crate) fn copy_all(from: &Path, to: &Path, _owner: Option<(u32, u32)>) -> Result<(), Error> {
    let complete =
        walk(from, &mut |path, metadata| copy_one(&from.join(path), metadata, &to.join(path)).map(drop))?;
    if complete { Ok(()) } else { Err(Error::TooLarge { path: from.to_owned(), max: MOST as u64 }) }
}

/// Copies what these changes say was written into another tree. Tells how much is nothing to copy.
pub(crate) fn copy_listed(tree: &Path, to: &Path, changes: &Changes) -> Result<u64, Error> {
    let mut refused = 0;
    for change in changes.list.iter().filter(|change| change.kind != ChangeKind::Deleted) {
        let (from, target) = (tree.join(&change.path), to.join(&change.path));
        let Ok(metadata) = from.symlink_metadata() else { continue };
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)
                .map_err(|error| Error::io(format!("create {}", parent.display()), error))?;
        }
        refused += u64::from(!copy_one(&from, &metadata, &target)?);
    }
    Ok(refused)
}

/// Copies one thing over what stands there, of a directory only itself. False for what cannot be copied.
fn copy_one(from: &Path, metadata: &Metadata, to: &Path) -> Result<bool, Error> {
    let io = |error| Error::io(format!("copy {}", from.display()), error);
    match file_type(metadata) {
        FileType::Directory => match fs::create_dir(to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
            other => other.map(|()| true).map_err(io),
        },
        FileType::File => {
            remove_path(to)?;
            let mut source = system::open_unlinked(from).map_err(io)?;
            let mut target = fs::File::create_new(to).map_err(io)?;
            io::copy(&mut source, &mut target).map_err(io)?;
            // Compiled files are told by their sources' times whether they are still true.
            target.set_modified(metadata.modified().map_err(io)?).map_err(io)?;
            system::set_mode(&target, system::mark(metadata).mode).map_err(io)?;
            Ok(true)
        }
        FileType::Symlink => {
            remove_path(to)?;
            system::copy_link(from, to).map_err(io)
        }
        FileType::Special => Ok(false),
    }
}

/// How much is in a tree.
///
/// # Errors
/// [`Error::TooLarge`] for more than `max`.
pub(super) fn count(tree: &Path, max: ScratchLimits) -> Result<Exported, Error> {
    let (mut inodes, mut counted) = (0, Exported::default());
    let too_large = |max| Error::TooLarge { path: tree.to_owned(), max };
    let complete = walk(tree, &mut |_, metadata| {
        inodes += 1;
        if file_type(metadata) != FileType::Directory {
            counted.files += 1;
            counted.bytes += metadata.len();
        }
        Ok(())
    })?;
    if counted.bytes > max.bytes {
        return Err(too_large(max.bytes));
    }
    if inodes > max.inodes || !complete {
        return Err(too_large(max.inodes));
    }
    Ok(counted)
}

/// Removes whatever stands at a path of our own; no link is followed.
pub(crate) fn remove_path(path: &Path) -> Result<(), Error> {
    let io = |error| Error::io(format!("remove {}", path.display()), error);
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    if file_type(&metadata) != FileType::Directory {
        return system::remove_file(path).map_err(io);
    }
    if fs::remove_dir_all(path).is_ok() {
        return Ok(());
    }
    // Strangers may have taken our right to remove what they wrote.
    system::allow_removal(path, &metadata);
    walk(path, &mut |below, metadata| {
        system::allow_removal(&path.join(below), metadata);
        Ok(())
    })?;
    fs::remove_dir_all(path).map_err(io)
}
