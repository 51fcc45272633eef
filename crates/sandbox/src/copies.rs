//! A world's tree without an overlay: layers are copied, and what was written is found by looking before and after. Slower,
//! and a promise rather than a wall. How a tree is read and copied without following a link is the system's own (`trees`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Change, ChangeKind, Changes, Error, FileType,
    platform::trees::{copy_all, copy_listed, look, remove_path},
};

/// What tells that a file was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) file_type: FileType,
    /// Permission bits, or what the system has instead.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) inode: u64,
    /// When a directory was made, where that tells: a new one may get the old one's inode.
    pub(crate) made: Option<(i64, u32)>,
    /// When it was changed; of the times that the system has, those that are hardest to set.
    pub(crate) changed: (i64, i64),
}

impl Fact {
    /// True for a directory that is not the same one any more.
    fn is_another(&self, other: &Fact) -> bool {
        (self.inode, self.made) != (other.inode, other.made)
    }
}

/// A tree of copies and what it was when its phase began.
#[derive(Debug)]
pub(crate) struct Copied {
    before: BTreeMap<PathBuf, Fact>,
    /// Files that earlier phases wrote, in a folder of their own, and what they removed.
    sealed: PathBuf,
    removed: BTreeSet<PathBuf>,
}

impl Copied {
    /// Fills `tree`, an empty directory, with the layers (the lowest first), then with what another tree's phases did.
    pub(crate) fn new(
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
    pub(crate) fn changes(&self, tree: &Path) -> Result<Changes, Error> {
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
    pub(crate) fn seal(&mut self, tree: &Path) -> Result<(), Error> {
        let changes = self.changes(tree)?;
        for change in &changes.list {
            remove_path(&self.sealed.join(&change.path))?;
            if change.kind != ChangeKind::Created {
                self.removed.insert(change.path.clone());
            }
        }
        copy_listed(tree, &self.sealed, &changes)?;
        self.before = look(tree)?.0;
        Ok(())
    }

    /// Copies what was written since the phase began into an empty directory. Tells how much is nothing to copy.
    pub(crate) fn gather(&self, tree: &Path, to: &Path) -> Result<u64, Error> {
        fs::create_dir_all(to).map_err(|error| Error::io(format!("create {}", to.display()), error))?;
        copy_listed(tree, to, &self.changes(tree)?)
    }
}
