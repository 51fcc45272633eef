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
};

/// Where a cell lives: its own host name.
pub(super) const HOST_NAME: &str = "wheeltapper";

/// The host's folders that hold programs and libraries; a symbolic link on the host is one inside.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What of the host's `/etc` is shown. Everything else is made anew or absent.
const CONFIGURATION: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "lsb-release",
    "mime.types",
    "os-release",
    "pki",
    "protocols",
    "redhat-release",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/cert.pem",
    "ssl/openssl.cnf",
    "terminfo",
    "xml",
];

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

const SHOWN: u64 = READ_ONLY | NO_SUID | NO_DEV;

/// Makes the configuration that all cells of a supervisor share, in a folder of its own mount namespace.
pub(super) fn prepare_configuration(folder: &Path) -> io::Result<()> {
    fs::create_dir(folder)?;
    fs::write(
        folder.join("hosts"),
        format!("127.0.0.1\tlocalhost {HOST_NAME}\n::1\tlocalhost ip6-localhost ip6-loopback {HOST_NAME}\n"),
    )?;
    fs::write(folder.join("hostname"), format!("{HOST_NAME}\n"))?;
    fs::write(folder.join("host.conf"), "multi on\n")?;
    // Nothing answers there, and a refused look-up is an instant one.
    fs::write(folder.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")?;
    let databases =
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nprotocols: files\nservices: files\n";
    fs::write(folder.join("nsswitch.conf"), databases)?;
    fs::write(folder.join("timezone"), "Etc/UTC\n")?;
    std::os::unix::fs::symlink("/usr/share/zoneinfo/Etc/UTC", folder.join("localtime"))?;
    std::os::unix::fs::symlink("/proc/self/mounts", folder.join("mtab"))?;
    // Each slot's own are put on top.
    fs::write(folder.join("passwd"), "")?;
    fs::write(folder.join("group"), "")?;
    let mut shown: Vec<String> = CONFIGURATION.iter().map(|name| (*name).to_owned()).collect();
    for entry in fs::read_dir("/etc")?.flatten() {
        // Debian's own `site.py` reads these.
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with("python")) {
            shown.push(name.to_owned());
        }
    }
    for name in shown {
        show_configuration(&name, folder)?;
    }
    Ok(())
}

fn show_configuration(name: &str, folder: &Path) -> io::Result<()> {
    let source = Path::new("/etc").join(name);
    let target = folder.join(name);
    let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(()) };
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    if metadata.is_symlink() {
        // Into /usr, as a rule; where it leads out of what is shown it dangles.
        return std::os::unix::fs::symlink(fs::read_link(&source)?, &target);
    }
    if metadata.is_dir() {
        fs::create_dir(&target)?;
    } else if metadata.is_file() {
        fs::write(&target, "")?;
    } else {
        return Ok(());
    }
    let tree = mounts::copy_tree(&source)?;
    mounts::attach(&tree, CWD, &target)
}

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
         wheeltapper:x:{uid}:{gid}:wheeltapper:/cell/home:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    );
    (passwd, format!("root:x:0:\nwheeltapper:x:{gid}:\nnogroup:x:65534:\n"))
}

/// Builds the world in this (fresh) mount namespace and makes it the root.
pub(super) fn build(spec: &Spec, owner: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    mounts::make_private(false).map_err(Failure::at("make mounts private"))?;
    let root_path = spec.stage.join("root");
    mounts::tmpfs(&root_path, 4 << 20, 4096, 0o755).map_err(Failure::at("mount the root"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(&root_path, flags, Mode::empty()).map_err(Failure::at("open the root"))?;

    for name in SYSTEM {
        show_system(&root, name).map_err(Failure::at(name))?;
    }
    for name in ["etc", "dev", "proc", "sys", "tmp", "run", "home", "var", "cell"] {
        mkdirat(&root, name, Mode::from_raw_mode(0o755)).map_err(Failure::at("make directories"))?;
    }
    symlinkat("/tmp", &root, "var/tmp").map_err(Failure::at("link /var/tmp"))?;
    mounts::show(&spec.stage.join("etc"), &root, Path::new("etc"), SHOWN | NO_EXEC)
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

fn show_system(root: &OwnedFd, name: &str) -> io::Result<()> {
    let source = Path::new("/").join(name);
    let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(()) };
    if metadata.is_symlink() {
        symlinkat(&fs::read_link(&source)?, root, name)?;
        return Ok(());
    }
    mkdirat(root, name, Mode::from_raw_mode(0o755))?;
    mounts::show(&source, root, Path::new(name), SHOWN)
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
        upper: Path::new("s/upper"),
        work: Path::new("s/work"),
        user_attributes: matches!(spec.identity, super::spec::Identity::Mapped { .. }),
    };
    match mounts::overlay(&parts) {
        Ok(tree) => {
            mounts::attach(&tree, root.as_fd(), Path::new("cell")).map_err(Failure::at("mount the overlay"))
        }
        // Before Linux 6.7 layers cannot be told one by one.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            mounts::overlay_by_options(&parts, &spec.stage.join("root/cell"))
                .map_err(Failure::at("mount the overlay"))
        }
        Err(error) => Err(Failure::at("mount the overlay")(error)),
    }
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
