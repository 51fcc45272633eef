//! Trees of copies by descriptors: no link that strangers left in one is ever followed.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, StatxFlags, statx};

use super::{
    changes::open_beneath,
    copying::Copying,
    layers::{self, Walk},
    remove,
};
use crate::{ChangeKind, Changes, Error, FileType, ScratchLimits, copies::Fact};

/// Copies what these changes say was written into another tree. Tells how much is nothing to copy.
pub(crate) fn copy_listed(tree: &Path, to: &Path, changes: &Changes) -> Result<u64, Error> {
    let (from, root) = (layers::open_root(tree)?, layers::open_root(to)?);
    let mut copying = Copying::new(ScratchLimits { bytes: u64::MAX, inodes: u64::MAX }, None);
    for change in &changes.list {
        if change.kind == ChangeKind::Deleted {
            continue;
        }
        let Some(name) = change.path.file_name() else { continue };
        let parent = change.path.parent().unwrap_or(Path::new(""));
        make_parents(&root, parent)?;
        let source = open_beneath(&from, parent)?;
        let found =
            layers::look(&source, name).map_err(|error| Error::io("look at what was written", error))?;
        if let Some(stat) = found {
            copying.copy(&source, name, &stat, &open_beneath(&root, parent)?, &change.path)?;
        }
    }
    Ok(copying.done.refused)
}

fn make_parents(root: &OwnedFd, path: &Path) -> Result<(), Error> {
    for parent in
        path.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|path| !path.as_os_str().is_empty())
    {
        match rustix::fs::mkdirat(root, parent, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(Error::io(format!("create {}", parent.display()), error)),
        }
    }
    Ok(())
}

/// Copies a whole tree over another.
pub(crate) fn copy_all(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let limits = ScratchLimits { bytes: u64::MAX, inodes: u64::MAX };
    Copying::new(limits, owner).copy_tree(layers::open_root(from)?, &layers::open_root(to)?)
}

/// Removes whatever stands at a path of our own tree.
pub(crate) fn remove_path(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove::tree(path),
        Ok(_) => {
            fs::remove_file(path).map_err(|error| Error::io(format!("remove {}", path.display()), error))
        }
        Err(_) => Ok(()),
    }
}

/// Every path of a tree, and whether there were too many or too deep ones.
pub(crate) fn look(tree: &Path) -> Result<(BTreeMap<PathBuf, Fact>, bool), Error> {
    let failed = |error| Error::io(format!("look at {}", tree.display()), error);
    let mut walk = Walk::new(layers::open_root(tree)?).map_err(failed)?;
    let (mut facts, mut cut) = (BTreeMap::new(), false);
    while let Some(step) = walk.step().map_err(failed)? {
        let (name, path, stat) = (step.name.clone(), step.path.clone(), step.stat);
        let file_type = layers::file_type(stat.st_mode);
        let changed = (stat.st_ctime as _, stat.st_ctime_nsec as _);
        let made = (file_type == FileType::Directory)
            .then(|| statx(step.parent, &name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok())
            .flatten()
            .map(|found| (found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
        let mode = stat.st_mode & 0o7777;
        facts.insert(
            path,
            Fact { file_type, mode, size: stat.st_size as u64, inode: stat.st_ino, made, changed },
        );
        if file_type == FileType::Directory && !walk.enter(&name) {
            cut = true;
        }
    }
    Ok((facts, cut))
}
