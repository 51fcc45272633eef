//! Files as Windows has them: attributes instead of permission bits, reparse points instead of links.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io,
    os::windows::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_READONLY, FILE_FLAG_OPEN_REPARSE_POINT, GetDiskFreeSpaceExW,
};

use super::wide;

/// What tells that a file was touched, as far as this system says.
pub(crate) struct Mark {
    pub(crate) mode: u32,
    pub(crate) inode: u64,
    pub(crate) made: Option<(i64, u32)>,
    pub(crate) changed: (i64, i64),
}

/// Times of creation and of the last write: whoever may write to a file may also set them. A name that is used again within
/// seconds gets the old one's time of creation, so that time says nothing of folders.
pub(crate) fn mark(metadata: &Metadata) -> Mark {
    let number = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
    Mark {
        mode: metadata.file_attributes() & FILE_ATTRIBUTE_READONLY,
        inode: 0,
        made: None,
        changed: (number(metadata.creation_time()), number(metadata.last_write_time())),
    }
}

/// Opens a file; of a link the link itself.
pub(crate) fn open_unlinked(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)
}

/// There are no permission bits; that a file is read-only is nothing to keep in a copy.
pub(crate) fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Making links is a privilege here, and none of ours: false.
pub(crate) fn copy_link(_from: &Path, _to: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Removes what is no directory; of a link, whatever it leads to, the link.
pub(crate) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|_| fs::remove_dir(path))
}

/// What is read-only cannot be removed.
pub(crate) fn allow_removal(path: &Path, metadata: &Metadata) {
    let mut permissions = metadata.permissions();
    if permissions.readonly() && !metadata.file_type().is_symlink() {
        #[allow(clippy::permissions_set_readonly_false, reason = "on Windows it is the one attribute")]
        permissions.set_readonly(false);
        let _ = fs::set_permissions(path, permissions);
    }
}

/// The path without relative parts. Not its canonical form, which many programs do not take.
pub(crate) fn real_path(path: &Path) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// Free bytes of the disk that holds this folder.
pub(crate) fn free_bytes(folder: &Path) -> u64 {
    let (path, mut free) = (wide(folder.as_os_str()), 0);
    // SAFETY: the path ends with NUL; the call writes one number, and null stands for those that are not wanted.
    unsafe { GetDiskFreeSpaceExW(path.as_ptr(), &raw mut free, std::ptr::null_mut(), std::ptr::null_mut()) };
    free
}
