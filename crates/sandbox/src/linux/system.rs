//! The system that a cell stands on: the programs, libraries and configuration of the host, or of a root file system.
//! The cell's own tree is not in here, nor what the kernel makes.

use std::{
    ffi::OsString,
    fs, io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{CWD, Mode, mkdirat, symlinkat};

use super::{
    channel::Failure,
    inside::SHOWN,
    mounts::{self, Overlay},
    spec::Spec,
};
use crate::Root;

/// Where a cell lives: its own host name.
pub(super) const HOST_NAME: &str = "wheeltapper";

/// The host's folders that hold programs and libraries; a symbolic link on the host is one inside.
const SYSTEM: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What every cell has anew, whatever it stands on.
pub(super) const MADE: &[&str] = &["etc", "dev", "proc", "sys", "tmp", "run", "home", "var", "cell"];

/// What of a root file system no cell is shown, beside what is made anew.
const WITHHELD: &[&str] = &["root", "boot", "lost+found", "media", "mnt"];

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

/// Makes the configuration that all cells on the host's own system share, in a folder of the supervisor's mount namespace.
pub(super) fn prepare_configuration(folder: &Path) -> io::Result<()> {
    make_configuration(folder)?;
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

/// The same for cells on a root file system: all of its `/etc`, under what is made anew. The folder beside, `made`, must
/// stay as long as this does.
pub(super) fn prepare_configuration_of(
    root: &Root,
    folder: &Path,
    made: &Path,
    user_attributes: bool,
) -> io::Result<()> {
    make_configuration(made)?;
    fs::create_dir(folder)?;
    let theirs = root.path.join("etc");
    // A link could lead anywhere on the host.
    let there = fs::symlink_metadata(&theirs).is_ok_and(|metadata| metadata.is_dir());
    if there {
        let parts = Overlay { lowers: &[made, &theirs], upper: None, user_attributes };
        return mounts::show_overlay(&parts, CWD, folder, folder);
    }
    mounts::attach(&mounts::copy_tree(made)?, CWD, folder)
}

/// What a cell's `/etc` has that is nobody's else.
fn make_configuration(folder: &Path) -> io::Result<()> {
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
    fs::write(folder.join("group"), "")
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

/// Shows the system's folders at the cell's root.
pub(super) fn show(spec: &Spec, root: &OwnedFd) -> Result<(), Failure> {
    let Some(system) = &spec.system.root else {
        return SYSTEM.iter().try_for_each(|name| {
            show_folder(root, Path::new("/"), Path::new(name)).map_err(Failure::at(name))
        });
    };
    let step = format!("read the root file system {}", system.path.display());
    let entries = fs::read_dir(&system.path).map_err(Failure::at(&step))?;
    for name in entries.flatten().map(|entry| entry.file_name()) {
        if !is_withheld(&name, spec) {
            show_folder(root, &system.path, Path::new(&name)).map_err(Failure::at(&step))?;
        }
    }
    Ok(())
}

/// True for what is made anew, or what the command is shown something else at.
fn is_withheld(name: &OsString, spec: &Spec) -> bool {
    let mut binds = spec.command.binds.iter();
    MADE.iter().chain(WITHHELD).any(|made| name == made)
        || binds.any(|bind| bind.target.components().nth(1) == Some(Component::Normal(name)))
}

/// Shows one folder of a system; a link to one of them is made anew, so that it leads where it does inside.
fn show_folder(root: &OwnedFd, system: &Path, name: &Path) -> io::Result<()> {
    let source: PathBuf = system.join(name);
    let Ok(metadata) = fs::symlink_metadata(&source) else { return Ok(()) };
    if metadata.is_symlink() {
        symlinkat(&fs::read_link(&source)?, root, name)?;
    } else if metadata.is_dir() {
        mkdirat(root, name, Mode::from_raw_mode(0o755))?;
        mounts::show(&source, root, name, SHOWN)?;
    }
    Ok(())
}
