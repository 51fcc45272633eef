//! The few mounts a sandbox is made of, mostly by the new mount API (Linux 5.2; attributes of whole trees: 5.12).

use std::{
    ffi::{CStr, CString},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, mkdirat, openat2},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
        OpenTreeFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount,
        mount_change, move_mount, open_tree,
    },
};

/// Attributes of a mount, as `mount_setattr` takes them.
pub(super) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
pub(super) const NO_SUID: u64 = libc::MOUNT_ATTR_NOSUID;
pub(super) const NO_DEV: u64 = libc::MOUNT_ATTR_NODEV;
pub(super) const NO_EXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

/// Keeps what is mounted from now on to this mount namespace; what the host mounts later still arrives with `receive`.
pub(super) fn make_private(receive: bool) -> io::Result<()> {
    let flags = if receive { MountPropagationFlags::DOWNSTREAM } else { MountPropagationFlags::PRIVATE };
    Ok(mount_change("/", flags | MountPropagationFlags::REC)?)
}

/// A new tmpfs at `target`.
pub(super) fn tmpfs(target: &Path, bytes: u64, inodes: u64, mode: u32) -> io::Result<()> {
    let options = CString::new(format!("size={bytes},nr_inodes={inodes},mode={mode:o}"))?;
    Ok(mount(
        "wheeltapper",
        target,
        "tmpfs",
        MountFlags::NOSUID | MountFlags::NODEV,
        Some(options.as_c_str()),
    )?)
}

/// A file system of the kernel's (proc, devpts) at `target`.
pub(super) fn kernel_file_system(kind: &str, target: &Path, options: Option<&CStr>) -> io::Result<()> {
    Ok(mount(kind, target, kind, MountFlags::NOSUID | MountFlags::NOEXEC, options)?)
}

/// A detached copy of the mounts at `source`, with everything mounted beneath.
pub(super) fn copy_tree(source: &Path) -> io::Result<OwnedFd> {
    copy_tree_at(CWD, source, true)
}

/// A detached copy of the mount at `source`.
pub(super) fn copy_tree_at(at: BorrowedFd<'_>, source: &Path, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(open_tree(at, source, flags)?)
}

/// Puts a detached mount at `path`, relative to `at`; the last component may be no symbolic link.
pub(super) fn attach(tree: &OwnedFd, at: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    Ok(move_mount(tree, "", at, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Sets attributes on the mounts at `path`, and with `owner` maps who owns what as that user namespace does.
pub(super) fn set_attributes(
    at: BorrowedFd<'_>,
    path: &CStr,
    recursive: bool,
    attributes: u64,
    owner: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut flags = AtFlags::EMPTY_PATH.bits();
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    let wanted = libc::mount_attr {
        attr_set: attributes | if owner.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 },
        attr_clr: 0,
        propagation: 0,
        userns_fd: owner.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    // SAFETY: the path is a C string and `wanted` a `mount_attr` of the size that is told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const wanted,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Shows the host's `source`, with everything mounted beneath, at `target` below `root`.
pub(super) fn show(source: &Path, root: &OwnedFd, target: &Path, attributes: u64) -> io::Result<()> {
    let tree = copy_tree(source)?;
    set_attributes(tree.as_fd(), c"", true, attributes, None)?;
    attach(&tree, root.as_fd(), target)
}

/// One overlay's parts. The highest layer comes first.
pub(super) struct Overlay<'a> {
    pub(super) lowers: &'a [&'a Path],
    /// The upper and its work folder; without them the overlay is read-only.
    pub(super) upper: Option<(&'a Path, &'a Path)>,
    /// The mounter has no capability over the host's own user namespace.
    pub(super) user_attributes: bool,
}

/// Mounts an overlay at `name` below `at`, which is `path`.
pub(super) fn show_overlay(
    parts: &Overlay<'_>,
    at: BorrowedFd<'_>,
    name: &Path,
    path: &Path,
) -> io::Result<()> {
    match overlay(parts) {
        Ok(tree) => attach(&tree, at, name),
        // Before Linux 6.7 layers cannot be told one by one.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => overlay_by_options(parts, path),
        Err(error) => Err(error),
    }
}

/// A detached overlay. Lowers are told one by one (Linux 6.7), so that their number is not bound to a page of text.
fn overlay(parts: &Overlay<'_>) -> io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for lower in parts.lowers {
        fsconfig_set_string(&context, "lowerdir+", *lower)?;
    }
    if let Some((upper, work)) = parts.upper {
        fsconfig_set_string(&context, "upperdir", upper)?;
        fsconfig_set_string(&context, "workdir", work)?;
    }
    if parts.user_attributes {
        fsconfig_set_flag(&context, "userxattr")?;
    } else {
        // A user's overlay cannot have these. Without them the upper is the exact set of writes.
        fsconfig_set_string(&context, "redirect_dir", "nofollow")?;
        fsconfig_set_string(&context, "metacopy", "off")?;
        fsconfig_set_string(&context, "index", "off")?;
    }
    fsconfig_set_string(&context, "source", "cell")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// The same at `target` by the old call, whose options are at most a page.
fn overlay_by_options(parts: &Overlay<'_>, target: &Path) -> io::Result<()> {
    let mut options = b"lowerdir=".to_vec();
    for (index, lower) in parts.lowers.iter().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        for byte in lower.as_os_str().as_bytes() {
            if matches!(byte, b':' | b'\\' | b',') {
                options.push(b'\\');
            }
            options.push(*byte);
        }
    }
    let upper = parts.upper.map(|(upper, work)| [(",upperdir=", upper), (",workdir=", work)]);
    for (name, path) in upper.iter().flatten() {
        options.extend_from_slice(name.as_bytes());
        options.extend_from_slice(path.as_os_str().as_bytes());
    }
    options.extend_from_slice(if parts.user_attributes {
        b",userxattr".as_slice()
    } else {
        b",redirect_dir=nofollow,metacopy=off,index=off".as_slice()
    });
    let options = CString::new(options)?;
    Ok(mount("cell", target, "overlay", MountFlags::NOSUID | MountFlags::NODEV, Some(options.as_c_str()))?)
}

/// Makes `path` and its parents below `root`, passing through no symbolic link, and opens it. The path's own `/` is `root`.
pub(super) fn make_directories(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut at = root.try_clone()?;
    for component in path.components() {
        let std::path::Component::Normal(name) = component else { continue };
        match mkdirat(&at, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            // A read-only part of the tree may have it already.
            Err(rustix::io::Errno::ROFS) => {}
            Err(error) => return Err(error.into()),
        }
        at = openat2(
            &at,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        )?;
    }
    Ok(at)
}
