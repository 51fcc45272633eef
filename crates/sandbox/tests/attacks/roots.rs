//! A root file system instead of the host's: what is in it is seen, nothing of the host is, and no link in it is followed
//! from outside.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use wheeltapper_sandbox::{Error, Mode, Root, ScratchLimits, World};

use crate::lab::{Attack, Lab};

pub const ALL: &[Attack] = &[
    ("a root file system's own programs and configuration are seen", its_own),
    ("nothing of the host is seen on a root file system", not_the_hosts),
    ("a root file system cannot be changed", unchangeable),
    ("links of a root file system lead nowhere on the host", links),
    ("a root file system does not hide what is made for a cell", hides_nothing),
    ("programs of 32 bits are told of such a machine", narrow),
];

const SCRATCH: ScratchLimits = ScratchLimits { bytes: 16 << 20, inodes: 5_000 };

/// The smallest root file system there is: the host's shell, a few programs, and the libraries they want.
fn smallest(lab: &Lab) -> PathBuf {
    let root = lab.host_folder();
    for name in ["usr/bin", "etc", "opt/tools", "var/lib"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    symlink("usr/bin", root.join("bin")).unwrap();
    for program in ["sh", "cat", "ls", "touch", "uname", "readlink"] {
        let path = fs::canonicalize(Path::new("/bin").join(program)).unwrap();
        fs::copy(&path, root.join("usr/bin").join(program)).unwrap();
        let wanted = std::process::Command::new("ldd").arg(&path).output().unwrap();
        for library in String::from_utf8_lossy(&wanted.stdout).split_whitespace() {
            if let Some(relative) = library.strip_prefix('/') {
                let target = root.join(relative);
                fs::create_dir_all(target.parent().unwrap()).unwrap();
                fs::copy(library, target).unwrap();
            }
        }
    }
    fs::write(root.join("etc/os-release"), "ID=smallest\n").unwrap();
    fs::write(root.join("etc/hosts"), "theirs\n").unwrap();
    root
}

fn world(lab: &Lab, path: &Path, narrow: bool) -> Option<World> {
    let root = Root { path: path.to_owned(), narrow };
    match lab.host.world_on(Some(&root), lab.slot(), &[], SCRATCH) {
        Ok(world) => Some(world),
        Err(Error::Refused { what, .. }) if lab.mode != Mode::Full => {
            assert!(what.contains("root file system"), "{what}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn its_own(lab: &Lab) {
    let Some(world) = world(lab, &smallest(lab), false) else { return };
    lab.shell(&world, "cat /etc/os-release; ls /opt; cat /etc/hosts")
        .passed()
        .says("ID=smallest")
        .says("tools")
        .says("127.0.0.1\tlocalhost");
}

fn not_the_hosts(lab: &Lab) {
    let Some(world) = world(lab, &smallest(lab), false) else { return };
    let seen = lab.shell(&world, "ls /usr /etc /var /usr/lib 2>&1; ls /root /mnt; cat /etc/hosts").output;
    for host in ["share", "shadow", "python3", "theirs"] {
        assert!(!seen.split_whitespace().any(|word| word == host), "{host} in:\n{seen}");
    }
}

fn unchangeable(lab: &Lab) {
    let root = smallest(lab);
    let Some(world) = world(lab, &root, false) else { return };
    lab.shell(&world, "for at in /usr /usr/bin /opt/tools /etc; do touch $at/new && exit 1; done; exit 0")
        .passed();
    assert!(!root.join("usr/new").exists() && !root.join("etc/new").exists());
}

fn links(lab: &Lab) {
    let root = smallest(lab);
    let secret = lab.host_folder();
    fs::write(secret.join("secret"), "THE SECRET").unwrap();
    symlink(&secret, root.join("stolen")).unwrap();
    fs::remove_dir_all(root.join("etc")).unwrap();
    symlink(&secret, root.join("etc")).unwrap();
    symlink("../../../../../../../..", root.join("up")).unwrap();
    let Some(world) = world(lab, &root, false) else { return };
    let script =
        format!("cat /etc/secret /stolen/secret /up{0}/secret {0}/secret; ls /up /etc", secret.display());
    let seen = lab.shell(&world, &script).output;
    assert!(!seen.contains("THE SECRET"), "{seen}");
    assert!(seen.contains("os-release") || seen.contains("hosts"), "{seen}");
}

fn hides_nothing(lab: &Lab) {
    let root = smallest(lab);
    for name in ["cell", "tmp", "dev", "proc"] {
        fs::write(root.join(name), "in the way").unwrap();
    }
    fs::create_dir(root.join("installer")).unwrap();
    let Some(world) = world(lab, &root, false) else { return };
    let mut command =
        lab.command(&world, "/bin/sh", &["-c", "touch /cell/a /tmp/b && cat /installer/note /dev/null"]);
    let note = lab.host_folder().join("note");
    fs::write(&note, "shown").unwrap();
    command.binds.push(wheeltapper_sandbox::Bind { source: note, target: "/installer/note".into() });
    lab.run(&world, &command).passed().says("shown");
}

fn narrow(lab: &Lab) {
    let Some(world) = world(lab, &smallest(lab), true) else { return };
    let machine = lab.shell(&world, "uname -m").passed().output;
    if cfg!(target_arch = "x86_64") {
        assert_eq!(machine, "i686\n");
    }
}
