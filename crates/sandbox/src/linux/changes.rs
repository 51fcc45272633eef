//! What a cell wrote: the upper of its overlay, read as a list of changes, or copied out as a layer.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, fchmod, openat, readlinkat, renameat_with, symlinkat};

use super::{
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
        let before = below(lowers, &path)?;
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
        if is_directory && !walk.enter(&name) {
            changes.cut = true;
        }
    }
}

/// What stood at a path before: its type and permissions.
fn below(lowers: &[&Path], path: &Path) -> Result<Option<(FileType, u32)>, Error> {
    let names = layers::names(path)?;
    let Some((name, parents)) = names.split_last() else { return Ok(None) };
    let failed = |error| Error::io("read the layers below", error);
    let mut at = Merged::root(lowers.iter().copied())?;
    for parent in parents {
        at = match at.find(parent).map_err(failed)? {
            Found::Directory(directory) => directory,
            Found::Nothing | Found::Leaf { .. } => return Ok(None),
        };
    }
    match at.find(name).map_err(failed)? {
        Found::Nothing => Ok(None),
        Found::Directory(directory) => Ok(Some((FileType::Directory, directory.mode().map_err(failed)?))),
        Found::Leaf { stat, .. } => Ok(Some((layers::file_type(stat.st_mode), stat.st_mode & 0o7777))),
    }
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
    let copied = copy(upper, &temporary, max).and_then(|exported| {
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

fn copy(upper: &Path, to: &Path, max: ScratchLimits) -> Result<Exported, Error> {
    let failed = |error: rustix::io::Errno| Error::io("copy what the cell wrote", error);
    let mut exported = Exported::default();
    let mut inodes = 0;
    let mut walk = Walk::new(layers::open_root(upper)?).map_err(failed)?;
    // Directories get their permissions when all is in them.
    let root = layers::open_root(to)?;
    loop {
        let Some(step) = walk.step().map_err(failed)? else { return Ok(exported) };
        let (name, path) = (step.name.clone(), step.path.clone());
        inodes += 1;
        let too_large = |max| Error::TooLarge { path: path.clone(), max };
        if inodes > max.inodes {
            return Err(too_large(max.inodes));
        }
        let parent = open_beneath(&root, path.parent().unwrap_or(Path::new("")))?;
        match layers::file_type(step.stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755)).map_err(failed)?;
                if !walk.enter(&name) {
                    return Err(too_large(max.inodes));
                }
            }
            FileType::Symlink => {
                let target = readlinkat(step.parent, &name, Vec::new()).map_err(failed)?;
                symlinkat(target, &parent, &name).map_err(failed)?;
                exported.files += 1;
            }
            FileType::File => {
                let Some((source, stat)) = layers::open_regular(step.parent, &name).map_err(failed)? else {
                    exported.refused += 1;
                    continue;
                };
                // The size that it claims counts: a sparse file would be written out in full.
                exported.bytes = exported.bytes.saturating_add(stat.st_size as u64);
                if exported.bytes > max.bytes {
                    return Err(too_large(max.bytes));
                }
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let target = openat(&parent, &name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
                let mut target = fs::File::from(target);
                let mut source = io::Read::take(fs::File::from(source), stat.st_size as u64);
                io::copy(&mut source, &mut target)
                    .map_err(|error| Error::io("copy what the cell wrote", error))?;
                let mode = Mode::from_raw_mode(stat.st_mode & 0o777 | 0o400);
                fchmod(&target, mode).map_err(failed)?;
                let times = rustix::fs::Timestamps {
                    last_access: rustix::fs::Timespec {
                        tv_sec: stat.st_mtime as _,
                        tv_nsec: stat.st_mtime_nsec as _,
                    },
                    last_modification: rustix::fs::Timespec {
                        tv_sec: stat.st_mtime as _,
                        tv_nsec: stat.st_mtime_nsec as _,
                    },
                };
                rustix::fs::futimens(&target, &times).map_err(failed)?;
                exported.files += 1;
            }
            FileType::Special if layers::is_whiteout(&step.stat) => {}
            FileType::Special => exported.refused += 1,
        }
    }
}

fn open_beneath(root: &std::os::fd::OwnedFd, path: &Path) -> Result<std::os::fd::OwnedFd, Error> {
    let path: PathBuf = if path.as_os_str().is_empty() { ".".into() } else { path.to_owned() };
    layers::open_directory(root, path.as_os_str()).map_err(|error| Error::io("open the new layer", error))
}
