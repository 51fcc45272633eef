//! Files as macOS has them.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

/// What tells that a file was touched.
pub(crate) struct Mark {
    pub(crate) mode: u32,
    pub(crate) inode: u64,
    pub(crate) made: Option<(i64, u32)>,
    pub(crate) changed: (i64, i64),
}

/// Nobody can set the time of a change.
pub(crate) fn mark(metadata: &Metadata) -> Mark {
    let made = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Mark {
        mode: metadata.mode() & 0o7777,
        inode: metadata.ino(),
        made: made.map(|time| (time.as_secs().cast_signed(), time.subsec_nanos())),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Opens a file to which no link leads on any part of its path. A FIFO does not block.
pub(crate) fn open_unlinked(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW_ANY | libc::O_NONBLOCK).open(path)
}

/// Permission bits without set-id ones; its owner can read it.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & 0o777 | 0o400))
}

/// Makes the same link: true.
pub(crate) fn copy_link(from: &Path, to: &Path) -> io::Result<bool> {
    symlink(fs::read_link(from)?, to).map(|()| true)
}

/// Removes what is no directory.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

/// What lies in a directory can be removed by who may write to it.
pub(crate) fn allow_removal(path: &Path, metadata: &Metadata) {
    if metadata.is_dir() {
        let _ = fs::set_permissions(path, Permissions::from_mode(0o700));
    }
}

/// The path without links, as profiles want it.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// Free bytes of the disk that holds this folder.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |figures| figures.f_bavail * figures.f_frsize)
}
