//! Removing a tree of strangers': of any depth, with permissions of any kind, without recursion.

use std::{
    ffi::OsString,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, fchmod, renameat, unlinkat},
    io::Errno,
};

use super::layers::{file_type, look, open_directory, read_names};
use crate::{Error, FileType};

/// Empties a directory by lifting every subdirectory up into it before removing its parent: the depth never matters.
fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let mut lifted = 0u64;
    loop {
        let names = read_names(top)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            let Some(stat) = look(top, &name)? else { continue };
            if file_type(stat.st_mode) != FileType::Directory {
                unlinkat(top, &name, AtFlags::empty())?;
                continue;
            }
            let directory = open_anyway(top, &name)?;
            for inner in read_names(&directory)? {
                if unlinkat(&directory, &inner, AtFlags::empty()).is_ok() {
                    continue;
                }
                // A directory needs its own write permission to move.
                drop(open_anyway(&directory, &inner)?);
                loop {
                    lifted += 1;
                    let place = OsString::from(format!(".lifted-{lifted}"));
                    match look(top, &place)? {
                        Some(_) => {}
                        None => break renameat(&directory, &inner, top, &place)?,
                    }
                }
            }
            unlinkat(top, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

fn open_anyway(at: impl AsFd, name: &std::ffi::OsStr) -> Result<OwnedFd, Errno> {
    // What we own but may not read is made readable first. No symbolic link is followed: the type was looked at, and
    // nobody else is at work here.
    let _ = rustix::fs::chmodat(&at, name, Mode::RWXU, AtFlags::empty());
    let directory = open_directory(&at, name)?;
    fchmod(&directory, Mode::RWXU)?;
    Ok(directory)
}

/// Removes a directory and everything in it. Nothing may run in it any more.
pub(super) fn tree(path: &Path) -> Result<(), Error> {
    let failed = |error: Errno| Error::io(format!("remove {}", path.display()), error);
    let top = match rustix::fs::openat(
        CWD,
        path,
        rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    empty(&top).map_err(failed)?;
    unlinkat(CWD, path, AtFlags::REMOVEDIR).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn depth_and_permissions_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut at = super::super::layers::open_root(&root).unwrap();
        for _ in 0..400 {
            rustix::fs::mkdirat(&at, "directory-with-a-name", Mode::RWXU).unwrap();
            rustix::fs::symlinkat("/", &at, "link").unwrap();
            at = open_directory(&at, "directory-with-a-name".as_ref()).unwrap();
        }
        fs::create_dir(root.join("locked")).unwrap();
        fs::write(root.join("locked/file"), "").unwrap();
        fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o0)).unwrap();
        tree(&root).unwrap();
        assert!(!root.exists());
        tree(&root).unwrap();
    }
}
