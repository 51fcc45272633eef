//! Copying strangers' files out, one by one: plain files, directories and symbolic links, nothing else, within limits.

use std::{ffi::OsStr, fs, io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{
        AtFlags, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, chownat, fchmod, futimens, mkdirat,
        openat, readlinkat, symlinkat, unlinkat,
    },
    io::Errno,
};

use super::{
    changes::open_beneath,
    layers::{self, Walk},
};
use crate::{Error, Exported, FileType, ScratchLimits};

/// A copy in progress.
pub(super) struct Copying {
    max: ScratchLimits,
    owner: Option<(u32, u32)>,
    inodes: u64,
    pub(super) done: Exported,
}

fn failed(error: Errno) -> Error {
    Error::io("copy what a cell wrote", error)
}

impl Copying {
    /// At most this much; what is made belongs to `owner`, or to this process.
    pub(super) fn new(max: ScratchLimits, owner: Option<(u32, u32)>) -> Self {
        Copying { max, owner, inodes: 0, done: Exported::default() }
    }

    /// Copies everything in one directory into another, over what is there.
    pub(super) fn copy_tree(&mut self, from: OwnedFd, to: &OwnedFd) -> Result<(), Error> {
        let mut walk = Walk::new(from).map_err(failed)?;
        while let Some(step) = walk.step().map_err(failed)? {
            let (name, path) = (step.name.clone(), step.path.clone());
            let parent = open_beneath(to, path.parent().unwrap_or(Path::new("")))?;
            self.copy(step.parent, &name, &step.stat, &parent, &path)?;
            let is_directory = layers::file_type(step.stat.st_mode) == FileType::Directory;
            if is_directory && !walk.enter(&name) {
                return Err(Error::TooLarge { path, max: self.max.inodes });
            }
        }
        Ok(())
    }

    /// Copies one thing by its name; of a directory only itself. `path` is for messages.
    pub(super) fn copy(
        &mut self,
        from: &OwnedFd,
        name: &OsStr,
        stat: &Stat,
        to: &OwnedFd,
        path: &Path,
    ) -> Result<(), Error> {
        self.inodes += 1;
        if self.inodes > self.max.inodes {
            return Err(Error::TooLarge { path: path.to_owned(), max: self.max.inodes });
        }
        match layers::file_type(stat.st_mode) {
            FileType::Directory => match mkdirat(to, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            },
            FileType::Symlink => {
                let target = readlinkat(from, name, Vec::new()).map_err(failed)?;
                make_way(to, name)?;
                symlinkat(target, to, name).map_err(failed)?;
                self.done.files += 1;
            }
            FileType::File => self.copy_file(from, name, to, path)?,
            FileType::Special => {
                self.done.refused += u64::from(!layers::is_whiteout(stat));
                return Ok(());
            }
        }
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        }
        Ok(())
    }

    fn copy_file(&mut self, from: &OwnedFd, name: &OsStr, to: &OwnedFd, path: &Path) -> Result<(), Error> {
        let Some((source, stat)) = layers::open_regular(from, name).map_err(failed)? else {
            self.done.refused += 1;
            return Ok(());
        };
        // The size that it claims counts: a sparse file would be written out in full.
        self.done.bytes = self.done.bytes.saturating_add(stat.st_size as u64);
        if self.done.bytes > self.max.bytes {
            return Err(Error::TooLarge { path: path.to_owned(), max: self.max.bytes });
        }
        make_way(to, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut target = fs::File::from(openat(to, name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?);
        let mut source = io::Read::take(fs::File::from(source), stat.st_size as u64);
        io::copy(&mut source, &mut target).map_err(|error| Error::io("copy what a cell wrote", error))?;
        fchmod(&target, Mode::from_raw_mode(stat.st_mode & 0o777 | 0o400)).map_err(failed)?;
        let time = Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ };
        futimens(&target, &Timestamps { last_access: time, last_modification: time }).map_err(failed)?;
        self.done.files += 1;
        Ok(())
    }
}

/// Removes a file of an earlier layer.
fn make_way(at: &OwnedFd, name: &OsStr) -> Result<(), Error> {
    match unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}
