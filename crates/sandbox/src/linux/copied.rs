//! A cell's tree without an overlay: layers are copied, and what was written is found by looking before and after.
//! For the reduced sandbox and for none; slower, and a promise rather than a wall.

use std::{
    collections::{BTreeMap, BTreeSet},
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
use crate::{Change, ChangeKind, Changes, Error, FileType, ScratchLimits};

/// What tells that a file was touched. Nobody can set the time of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fact {
    file_type: FileType,
    mode: u32,
    size: u64,
    inode: u64,
    /// When a directory was made: a new one may get the old one's inode.
    made: Option<(i64, u32)>,
    changed: (i64, i64),
}

impl Fact {
    /// True for a directory that is not the same one any more.
    fn is_another(&self, other: &Fact) -> bool {
        (self.inode, self.made) != (other.inode, other.made)
    }
}

/// A tree of copies and what it was when its phase began.
#[derive(Debug)]
pub(super) struct Copied {
    before: BTreeMap<PathBuf, Fact>,
    /// Files that earlier phases wrote, in a folder of their own, and what they removed.
    sealed: PathBuf,
    removed: BTreeSet<PathBuf>,
}

impl Copied {
    /// Fills `tree`, an empty directory, with the layers (the lowest first), then with what another tree's phases did.
    pub(super) fn new(
        tree: &Path,
        sealed: PathBuf,
        layers: &[PathBuf],
        like: Option<&Copied>,
        owner: Option<(u32, u32)>,
    ) -> Result<Self, Error> {
        let io = |error| Error::io(format!("create {}", sealed.display()), error);
        fs::create_dir_all(&sealed).map_err(io)?;
        for layer in layers {
            copy_all(layer, tree, owner)?;
        }
        let mut removed = BTreeSet::new();
        if let Some(like) = like {
            for path in &like.removed {
                remove_path(&tree.join(path))?;
            }
            copy_all(&like.sealed, tree, owner)?;
            copy_all(&like.sealed, &sealed, None)?;
            removed.clone_from(&like.removed);
        }
        Ok(Copied { before: look(tree)?.0, sealed, removed })
    }

    /// What was written since the phase began.
    pub(super) fn changes(&self, tree: &Path) -> Result<Changes, Error> {
        let (now, cut) = look(tree)?;
        let mut list = Vec::new();
        for (path, fact) in &now {
            let is_directory = fact.file_type == FileType::Directory;
            let kind = match self.before.get(path) {
                None => ChangeKind::Created,
                Some(before) if is_directory && before.file_type == FileType::Directory => {
                    if before.is_another(fact) {
                        ChangeKind::DirectoryReplaced
                    } else if before.mode != fact.mode {
                        ChangeKind::Replaced
                    } else {
                        continue;
                    }
                }
                Some(before) if before == fact => continue,
                Some(_) => ChangeKind::Replaced,
            };
            let size = if is_directory { 0 } else { fact.size };
            list.push(Change { path: path.clone(), kind, file_type: fact.file_type, size, mode: fact.mode });
        }
        for (path, before) in &self.before {
            // Of a directory that is gone only itself is told.
            let with_parent = path
                .parent()
                .is_some_and(|parent| !parent.as_os_str().is_empty() && !now.contains_key(parent));
            let replaced = path.ancestors().skip(1).any(|above| {
                matches!((self.before.get(above), now.get(above)), (Some(then), Some(now)) if then.is_another(now))
            });
            if !now.contains_key(path) && !with_parent && !replaced {
                let (file_type, size, mode) = (before.file_type, before.size, before.mode);
                list.push(Change { path: path.clone(), kind: ChangeKind::Deleted, file_type, size, mode });
            }
        }
        list.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Changes { list, cut })
    }

    /// Ends the phase.
    pub(super) fn seal(&mut self, tree: &Path) -> Result<(), Error> {
        let changes = self.changes(tree)?;
        for change in &changes.list {
            remove_path(&self.sealed.join(&change.path))?;
            if change.kind != ChangeKind::Created {
                self.removed.insert(change.path.clone());
            }
        }
        self.copy_changes(tree, &self.sealed, &changes)?;
        self.before = look(tree)?.0;
        Ok(())
    }

    /// Copies what was written since the phase began into an empty directory. Tells how much is nothing to copy.
    pub(super) fn gather(&self, tree: &Path, to: &Path) -> Result<u64, Error> {
        fs::create_dir_all(to).map_err(|error| Error::io(format!("create {}", to.display()), error))?;
        self.copy_changes(tree, to, &self.changes(tree)?)
    }

    fn copy_changes(&self, tree: &Path, to: &Path, changes: &Changes) -> Result<u64, Error> {
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
fn copy_all(from: &Path, to: &Path, owner: Option<(u32, u32)>) -> Result<(), Error> {
    let limits = ScratchLimits { bytes: u64::MAX, inodes: u64::MAX };
    Copying::new(limits, owner).copy_tree(layers::open_root(from)?, &layers::open_root(to)?)
}

/// Removes whatever stands at a path of our own tree.
fn remove_path(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove::tree(path),
        Ok(_) => {
            fs::remove_file(path).map_err(|error| Error::io(format!("remove {}", path.display()), error))
        }
        Err(_) => Ok(()),
    }
}

/// Every path of a tree, and whether there were too many or too deep ones.
fn look(tree: &Path) -> Result<(BTreeMap<PathBuf, Fact>, bool), Error> {
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
