//! The file system of a cell: what of the host is shown, what is made anew, and the cell's own tree.

use std::{
    ffi::OsStr,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, mkdirat, open, openat, symlinkat},
    mount::{UnmountFlags, unmount},
    process::{chdir, pivot_root},
};

use super::{
    channel::Failure,
    mounts::{self, NO_DEV, NO_EXEC, NO_SUID, Overlay, READ_ONLY},
    spec::Spec,
    system,
};
use crate::command::USER_NAME;

/// What of the kernel's `/proc` tells about, or acts on, the host.
const MASKED: &[&str] = &[
    "kcore",
    "keys",
    "key-users",
    "kallsyms",
    "latency_stats",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
];

/// How what a cell may not change is shown.
pub(super) const SHOWN: u64 = READ_ONLY | NO_SUID | NO_DEV;

/// Makes the devices that all cells of a supervisor share: the host's own nodes, which a plain user cannot make.
pub(super) fn prepare_devices(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    for name in ["null", "zero", "full", "random", "urandom"] {
        let target = folder.join(name);
        fs::write(&target, "")?;
        let tree = mounts::copy_tree(&Path::new("/dev").join(name))?;
        mounts::attach(&tree, CWD, &target)?;
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        std::os::unix::fs::symlink(target, folder.join(name))?;
    }
    fs::create_dir(folder.join("pts"))?;
    fs::create_dir(folder.join("shm"))
}

/// One ordinary user, root and nobody. Returns the two files' texts.
pub(super) fn accounts(uid: u32, gid: u32) -> (String, String) {
    let passwd = format!(
        "root:x:0:0:root:/root:/usr/sbin/nologin\n\
         {USER_NAME}:x:{uid}:{gid}:{USER_NAME}:/cell/home:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    (passwd, format!("root:x:0:\n{USER_NAME}:x:{gid}:\nnogroup:x:65534:\n"))
}

/// Builds the world in this (fresh) mount namespace and makes it the root.
pub(super) fn build(spec: &Spec, owner: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    mounts::make_private(false).map_err(Failure::at("make mounts private"))?;
    let root_path = spec.stage.join("root");
    mounts::tmpfs(&root_path, 4 << 20, 4096, 0o755).map_err(Failure::at("mount the root"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(&root_path, flags, Mode::empty()).map_err(Failure::at("open the root"))?;

    system::show(spec, &root)?;
    for name in system::MADE {
        mkdirat(&root, *name, Mode::from_raw_mode(0o755)).map_err(Failure::at("make directories"))?;
    }
    symlinkat("/tmp", &root, "var/tmp").map_err(Failure::at("link /var/tmp"))?;
    mounts::show(&spec.system.configuration, &root, Path::new("etc"), SHOWN | NO_EXEC)
        .map_err(Failure::at("show /etc"))?;
    for name in ["passwd", "group"] {
        mounts::show(&spec.accounts.join(name), &root, &Path::new("etc").join(name), SHOWN | NO_EXEC)
            .map_err(Failure::at("show accounts"))?;
    }
    let devices = mounts::copy_tree(&spec.stage.join("dev")).map_err(Failure::at("show /dev"))?;
    mounts::set_attributes(devices.as_fd(), c"", true, READ_ONLY | NO_SUID | NO_EXEC, None)
        .map_err(Failure::at("protect /dev"))?;
    mounts::attach(&devices, root.as_fd(), Path::new("dev")).map_err(Failure::at("show /dev"))?;
    mounts::kernel_file_system(
        "devpts",
        &root_path.join("dev/pts"),
        Some(c"newinstance,ptmxmode=0666,mode=0620"),
    )
    .map_err(Failure::at("mount devpts"))?;
    mounts::kernel_file_system("proc", &root_path.join("proc"), None).map_err(Failure::at("mount proc"))?;
    mask(&root, &root_path).map_err(Failure::at("mask /proc"))?;

    cell(spec, &root, owner)?;
    for (name, target, attributes) in [("tmp", "tmp", NO_SUID | NO_DEV), ("shm", "dev/shm", NO_SUID | NO_DEV)]
    {
        let tree =
            mounts::copy_tree_at(CWD, &spec.scratch.join(name), false).map_err(Failure::at("mount /tmp"))?;
        mounts::set_attributes(tree.as_fd(), c"", false, attributes, None)
            .map_err(Failure::at("protect /tmp"))?;
        mounts::attach(&tree, root.as_fd(), Path::new(target)).map_err(Failure::at("mount /tmp"))?;
    }
    for bind in &spec.command.binds {
        let step = format!("show {} at {}", bind.source.display(), bind.target.display());
        show_bind(&root, &bind.source, &bind.target).map_err(Failure::at(&step))?;
    }
    enter(&root_path)
}

/// Makes `root` the root, forgets the host's, and protects what is left of the new one.
fn enter(root: &Path) -> Result<(), Failure> {
    chdir(root).map_err(Failure::at("enter the root"))?;
    pivot_root(".", ".").map_err(Failure::at("pivot_root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(Failure::at("leave the host's root"))?;
    chdir("/").map_err(Failure::at("enter the root"))?;
    mounts::set_attributes(CWD, c"/", false, SHOWN, None).map_err(Failure::at("protect the root"))
}

fn mask(root: &OwnedFd, root_path: &Path) -> io::Result<()> {
    let proc = Path::new("proc");
    for name in MASKED {
        if root_path.join(proc).join(name).exists() {
            let null = mounts::copy_tree(Path::new("/dev/null"))?;
            mounts::attach(&null, root.as_fd(), &proc.join(name))?;
        }
    }
    for name in ["sys", "irq", "bus", "fs"] {
        let path = root_path.join(proc).join(name);
        if path.is_dir() {
            mounts::show(&path, root, &proc.join(name), READ_ONLY | NO_SUID | NO_DEV | NO_EXEC)?;
        }
    }
    Ok(())
}

/// The cell's own tree: layers below, a fresh upper on top.
fn cell(spec: &Spec, root: &OwnedFd, owner: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    // Short names for the layers, outside the new root: they go with the old one.
    let names = spec.stage.join("layers");
    mounts::tmpfs(&names, 1 << 20, 2048, 0o700).map_err(Failure::at("mount the layers' folder"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(&names, flags, Mode::empty()).map_err(Failure::at("open the layers' folder"))?;
    let mut lowers: Vec<PathBuf> = Vec::with_capacity(spec.layers.len());
    for (index, layer) in spec.layers.iter().enumerate() {
        let name = PathBuf::from(index.to_string());
        let step = format!("layer {}", layer.path.display());
        let place = || -> io::Result<()> {
            mkdirat(&folder, &name, Mode::from_raw_mode(0o700))?;
            let tree = mounts::copy_tree_at(CWD, &layer.path, false)?;
            mounts::set_attributes(tree.as_fd(), c"", false, READ_ONLY, owner.filter(|_| layer.foreign))?;
            mounts::attach(&tree, folder.as_fd(), &name)
        };
        place().map_err(Failure::at(&step))?;
        lowers.push(name);
    }
    let scratch = Path::new("s");
    let place = || -> io::Result<()> {
        mkdirat(&folder, scratch, Mode::from_raw_mode(0o700))?;
        let tree = mounts::copy_tree_at(CWD, &spec.scratch, false)?;
        mounts::attach(&tree, folder.as_fd(), scratch)
    };
    place().map_err(Failure::at("mount the scratch"))?;
    chdir(&names).map_err(Failure::at("enter the layers' folder"))?;

    let lowers: Vec<&Path> = lowers.iter().map(PathBuf::as_path).collect();
    let parts = Overlay {
        lowers: &lowers,
        upper: Some((Path::new("s/upper"), Path::new("s/work"))),
        user_attributes: matches!(spec.identity, super::spec::Identity::Mapped { .. }),
    };
    mounts::show_overlay(&parts, root.as_fd(), Path::new("cell"), &spec.stage.join("root/cell"))
        .map_err(Failure::at("mount the overlay"))
}

/// Shows a file or directory of the host at `target`, whose parents are made as needed; no symbolic link of the cell's is followed.
fn show_bind(root: &OwnedFd, source: &Path, target: &Path) -> io::Result<()> {
    let is_directory = fs::metadata(source)?.is_dir();
    let name = target.file_name().unwrap_or(OsStr::new("."));
    let parent = mounts::make_directories(root, target.parent().unwrap_or(Path::new("/")))?;
    if is_directory {
        mounts::make_directories(&parent, Path::new(name))?;
    } else {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&parent, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) | Err(rustix::io::Errno::EXIST | rustix::io::Errno::ROFS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    mounts::show(source, &parent, Path::new(name), SHOWN)
}
