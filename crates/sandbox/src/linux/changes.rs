//! What a cell wrote: the upper of its overlay, read as a list of changes, or copied out as a layer.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::fs::DirBuilderExt},
    path::Path,
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{
    copying::Copying,
    layers::{self, Found, Merged, Walk},
    remove,
};
use crate::{Change, ChangeKind, Changes, Error, Exported, FileType, ScratchLimits};

/// The most changes that are listed.
const LISTED: usize = 200_000;

/// Compares the upper with the layers below (the highest first).
pub(super) fn changes(upper: &Path, lowers: &[&Path]) -> Result<Changes, Error> {
    let failed = |error| Error::io("read what the cell wrote", error);
    let mut walk = Walk::new(layers::open_root(upper)?).map_err(failed)?;
    // The same directory in the layers below, for each level of the walk.
    let mut below = vec![Some(Merged::root(lowers.iter().copied())?)];
    let mut changes = Changes::default();
    loop {
        let Some(step) = walk.step().map_err(failed)? else { return Ok(changes) };
        if changes.list.len() >= LISTED {
            changes.cut = true;
            return Ok(changes);
        }
        let (name, path, stat) = (step.name.clone(), step.path.clone(), step.stat);
        let file_type = layers::file_type(stat.st_mode);
        let is_directory = file_type == FileType::Directory;
        below.truncate(path.components().count());
        let (before, inner) = before(below.last().and_then(Option::as_ref), &name).map_err(failed)?;
        let hides = is_directory && layers::open_directory(step.parent, &name).is_ok_and(layers::is_opaque);
        let change = |kind, file_type| Change {
            path: path.clone(),
            kind,
            file_type,
            size: if is_directory { 0 } else { stat.st_size as u64 },
            mode: stat.st_mode & 0o7777,
        };
        let found = if layers::is_whiteout(&stat) {
            // A file that was made and removed in the same phase leaves no mark: this one hides something.
            Some(change(ChangeKind::Deleted, before.map_or(FileType::Special, |before| before.0)))
        } else {
            match before {
                None => Some(change(ChangeKind::Created, file_type)),
                Some((FileType::Directory, _)) if is_directory && hides => {
                    Some(change(ChangeKind::DirectoryReplaced, file_type))
                }
                // The parents of what was written are copied up too; that is no change of theirs, unless it is one.
                Some((FileType::Directory, mode)) if is_directory => {
                    (mode != stat.st_mode & 0o7777).then(|| change(ChangeKind::Replaced, file_type))
                }
                Some(_) => Some(change(ChangeKind::Replaced, file_type)),
            }
        };
        changes.list.extend(found);
        if is_directory {
            if walk.enter(&name) {
                below.push(inner);
            } else {
                changes.cut = true;
            }
        }
    }
}

/// What stood at a name before: its type and permissions; and its directory below, if it was one.
#[allow(clippy::type_complexity, reason = "used once, just above")]
fn before(
    below: Option<&Merged>,
    name: &OsStr,
) -> Result<(Option<(FileType, u32)>, Option<Merged>), rustix::io::Errno> {
    let Some(below) = below else { return Ok((None, None)) };
    Ok(match below.find(name)? {
        Found::Nothing => (None, None),
        Found::Directory(directory) => (Some((FileType::Directory, directory.mode()?)), Some(directory)),
        Found::Leaf { stat, .. } => (Some((layers::file_type(stat.st_mode), stat.st_mode & 0o7777)), None),
    })
}

/// Copies the upper to a new directory beside `to` and renames it.
pub(super) fn export(upper: &Path, to: &Path, max: ScratchLimits) -> Result<Exported, Error> {
    static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let io = |path: &Path, error: io::Error| Error::io(format!("write {}", path.display()), error);
    let Some(name) = to.file_name() else { return Err(Error::NotBeneath(to.to_owned())) };
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut temporary = std::ffi::OsString::from(format!(".{}-{number}-", std::process::id()));
    temporary.push(name);
    let temporary = to.with_file_name(temporary);
    fs::DirBuilder::new().mode(0o755).create(&temporary).map_err(|error| io(&temporary, error))?;
    let copy = || {
        let mut copying = Copying::new(max, None);
        copying.copy_tree(layers::open_root(upper)?, &layers::open_root(&temporary)?)?;
        Ok(copying.done)
    };
    let copied = copy().and_then(|exported| {
        match renameat_with(CWD, &temporary, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok((exported, true)),
            // Somebody else was quicker; its layer is as good.
            Err(rustix::io::Errno::EXIST) => Ok((exported, false)),
            Err(error) => Err(io(to, error.into())),
        }
    });
    if !matches!(copied, Ok((_, true))) {
        // Best effort: the error that led here is the one to tell.
        let _ = remove::tree(&temporary);
    }
    copied.map(|(exported, _)| exported)
}

/// Opens a directory by a path that passes through no symbolic link.
pub(super) fn open_beneath(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    layers::open_directory(root, path.as_os_str())
        .map_err(|error| Error::io(format!("open {} in the copy", path.display()), error))
}
