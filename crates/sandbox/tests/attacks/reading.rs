//! Attacks on whoever reads back what a cell wrote: links, FIFOs, devices, sizes that lie, depth, names.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
};

use wheeltapper_sandbox::{ChangeKind, Error, FileType, ScratchLimits};

use crate::lab::{Attack, Lab};

pub const ALL: &[Attack] = &[
    ("links_are_not_followed", links),
    ("fifos_and_sockets_are_not_opened", fifos),
    ("sparse_files_are_as_large_as_they_claim", sparse),
    ("depth_is_bounded", depth),
    ("paths_stay_beneath", beneath),
    ("names_of_any_bytes", names),
    ("exports_hold_only_plain_files", exports),
    ("writes_pass_no_link", writes),
    ("unreadable_trees_can_be_read", unreadable),
];

pub fn links(lab: &Lab) {
    let world = lab.world();
    let secret = lab.host_folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    lab.shell(
        &world,
        &format!(
            "ln -s {0} file; ln -s /etc folder; ln -s ../../../../../../../../etc up; ln -s /proc/self/fd/0 magic; ln -s file twice",
            secret.display()
        ),
    )
    .passed();
    for path in ["file", "magic", "twice"] {
        assert!(matches!(world.read(path.as_ref(), 100), Err(Error::WrongType { .. })), "{path}");
    }
    for path in ["folder/passwd", "up/passwd"] {
        assert!(matches!(world.read(path.as_ref(), 10_000), Err(Error::NotBeneath(_))), "{path}");
    }
    assert!(matches!(world.list("folder".as_ref()), Err(Error::NotBeneath(_))));
    assert!(world.changes().unwrap().list.iter().all(|change| change.file_type == FileType::Symlink));
}

pub fn fifos(lab: &Lab) {
    let world = lab.world();
    lab.shell(&world, "mkfifo fifo; mkdir dir").passed();
    if lab.python {
        lab.python(&world, "import socket; socket.socket(socket.AF_UNIX).bind('socket')").passed();
    }
    assert!(matches!(world.read("fifo".as_ref(), 100), Err(Error::WrongType { .. })));
    assert!(matches!(world.read("dir".as_ref(), 100), Err(Error::WrongType { .. })));
    assert!(world.read("socket".as_ref(), 100).is_err());
    let special =
        world.changes().unwrap().list.iter().filter(|change| change.file_type == FileType::Special).count();
    assert_eq!(special, if lab.python { 2 } else { 1 });
    let to = lab.host_folder().join("layer");
    let exported = world.export(&to, ScratchLimits::default()).unwrap();
    assert_eq!((exported.files, exported.refused), (0, special as u64));
    assert_eq!(fs::read_dir(to).unwrap().count(), 1);
}

fn sparse(lab: &Lab) {
    let world = lab.world();
    lab.shell(&world, "truncate -s 1T huge; echo small > small").passed();
    assert!(matches!(world.read("huge".as_ref(), 1 << 20), Err(Error::TooLarge { .. })));
    let changes = world.changes().unwrap();
    assert_eq!(changes.list[0].size, 1 << 40);
    let folder = lab.host_folder();
    let result = world.export(&folder.join("layer"), ScratchLimits { bytes: 1 << 20, inodes: 100 });
    assert!(matches!(result, Err(Error::TooLarge { .. })), "{result:?}");
    // Neither the layer nor a part of it.
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

fn depth(lab: &Lab) {
    if !lab.python {
        return lab.skip("depth: needs python3");
    }
    let world = lab.world();
    lab.python(
        &world,
        "import os\nfor _ in range(3000):\n    os.mkdir('deeper-and-deeper')\n    os.chdir('deeper-and-deeper')\nopen('bottom', 'w')",
    )
    .passed();
    let changes = world.changes().unwrap();
    assert!(changes.cut && changes.list.len() < 200);
    let result = world.export(&lab.host_folder().join("layer"), ScratchLimits::default());
    assert!(matches!(result, Err(Error::TooLarge { .. })));
    let mut world = world;
    lab.python(
        &world,
        "import os\nos.chdir('/tmp')\nfor _ in range(1000):\n    os.mkdir('d')\n    os.chmod('d', 0o700)\n    os.chdir('d')\n",
    )
    .passed();
    // Sealing removes the temporary folder, however deep.
    world.seal().unwrap();
    lab.shell(&world, "ls -A /tmp").passed();
}

pub fn beneath(lab: &Lab) {
    let world = lab.world();
    lab.shell(&world, "mkdir dir; echo x > dir/file").passed();
    for path in ["../file", "/etc/passwd", "dir/../../x", "dir/../dir/file"] {
        assert!(matches!(world.read(path.as_ref(), 10), Err(Error::NotBeneath(_))), "{path}");
        assert!(matches!(world.write(path.as_ref(), b"", 0o644), Err(Error::NotBeneath(_))), "{path}");
        assert!(matches!(world.list(path.as_ref()), Err(Error::NotBeneath(_))), "{path}");
    }
    assert_eq!(world.read("./dir/./file".as_ref(), 10).unwrap(), b"x\n");
    assert!(matches!(world.read("dir/file".as_ref(), 1), Err(Error::TooLarge { .. })));
    assert!(matches!(world.read("dir/none".as_ref(), 1), Err(Error::NotFound(_))));
    assert!(world.read("".as_ref(), 1).is_err());
}

fn names(lab: &Lab) {
    if !lab.python {
        return lab.skip("names: needs python3");
    }
    let world = lab.world();
    lab.python(
        &world,
        r"import os
for name in (b'caf\xe9', b'new\nline', b'\x1b[31m', b'.wh.x', b'-rf', b'a' * 255, b'trusted.overlay'): open(b'/cell/' + name, 'w')",
    )
    .passed();
    let changes = world.changes().unwrap();
    assert_eq!(changes.list.len(), 7);
    assert!(changes.list.iter().any(|change| change.path.as_os_str().as_bytes() == b"caf\xe9"));
    assert_eq!(world.list("".as_ref()).unwrap().len(), 8);
    assert_eq!(world.read(Path::new(OsStr::from_bytes(b"caf\xe9")), 10).unwrap(), b"");
    let to = lab.host_folder().join("layer");
    assert_eq!(world.export(&to, ScratchLimits::default()).unwrap().files, 7);
}

fn exports(lab: &Lab) {
    let world = lab.world();
    lab.shell(
        &world,
        "mkdir -p bin; cp /bin/true bin/tool; chmod 6755 bin/tool; ln bin/tool hard; ln -s /etc/shadow link; mkfifo fifo; mkdir closed; chmod 000 closed; echo x > unreadable; chmod 000 unreadable",
    )
    .passed();
    let to = lab.host_folder().join("layer");
    let exported = world.export(&to, ScratchLimits::default()).unwrap();
    assert_eq!((exported.files, exported.refused), (4, 1));
    let tool = fs::metadata(to.join("bin/tool")).unwrap();
    assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
    assert_eq!(tool.nlink(), 1);
    // SAFETY: a getter.
    assert_eq!(tool.uid(), unsafe { libc::geteuid() });
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/etc/shadow"));
    // The layer carries another world, whose user may change it, without changing the layer.
    let next = lab.world_on(std::slice::from_ref(&to), ScratchLimits { bytes: 1 << 20, inodes: 100 });
    lab.shell(&next, "bin/tool && echo more >> bin/tool && rm link && chmod 700 closed && touch closed/new")
        .passed();
    assert_eq!(fs::metadata(to.join("bin/tool")).unwrap().len(), tool.len());
    let kinds: Vec<_> = next
        .changes()
        .unwrap()
        .list
        .into_iter()
        .map(|change| (change.path.display().to_string(), change.kind))
        .collect();
    assert!(kinds.contains(&("bin/tool".to_owned(), ChangeKind::Replaced)), "{kinds:?}");
    assert!(kinds.contains(&("link".to_owned(), ChangeKind::Deleted)), "{kinds:?}");
    assert!(kinds.contains(&("closed/new".to_owned(), ChangeKind::Created)), "{kinds:?}");
    // An existing layer stays as it is.
    next.export(&to, ScratchLimits::default()).unwrap();
    assert_eq!(fs::metadata(to.join("bin/tool")).unwrap().len(), tool.len());
}

pub fn writes(lab: &Lab) {
    let layer = lab.host_folder();
    fs::create_dir(layer.join("dir")).unwrap();
    std::os::unix::fs::symlink("/etc", layer.join("below")).unwrap();
    let mut world = lab.world_on(&[layer], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    let outside = lab.host_folder();
    lab.shell(
        &world,
        &format!(
            "ln -s {0} away; ln -s {0}/file file; mkfifo fifo; mkdir sub; ln -s ../.. sub/up; rm -rf dir",
            outside.display()
        ),
    )
    .passed();
    for path in ["away/x", "below/x", "sub/up/x"] {
        assert!(matches!(world.write(path.as_ref(), b"x", 0o644), Err(Error::NotBeneath(_))), "{path}");
    }
    assert!(world.write("sub".as_ref(), b"x", 0o644).is_err());
    for path in ["file", "fifo", "dir/inner/file"] {
        world.write(path.as_ref(), b"ours", 0o4755).unwrap();
        assert_eq!(world.read(path.as_ref(), 10).unwrap(), b"ours");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    lab.shell(&world, "cat dir/inner/file file; ls -l file; test -w file && test -w dir/inner")
        .passed()
        .says("-rwxr-xr-x");
    world.seal().unwrap();
    world.write("dir/inner/file".as_ref(), b"more", 0o644).unwrap();
    assert_eq!(world.changes().unwrap().list.len(), 1);
}

fn unreadable(lab: &Lab) {
    let world = lab.world();
    lab.shell(&world, "mkdir -p a/b; echo x > a/b/c; chmod 000 a/b/c a/b a").passed();
    let changes = world.changes().unwrap();
    assert!(!changes.cut, "{changes:?}");
    assert_eq!(changes.list.len(), 3);
    assert_eq!(world.read("a/b/c".as_ref(), 10).unwrap(), b"x\n");
}
