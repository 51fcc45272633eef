//! Archives of ill will.

use std::io::Cursor;

use ::tar::{Builder, EntryType, Header};
use proptest::prelude::*;

use super::*;
use crate::{Kind, testing::zip_of};

/// A tar archive under construction; paths are written as they are, however hostile.
struct Tar(Builder<Vec<u8>>);

impl Tar {
    fn new() -> Self {
        Tar(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &[u8], target: &[u8], bytes: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
        header.as_mut_bytes()[157..157 + target.len()].copy_from_slice(target);
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn file(self, path: &str, bytes: &[u8]) -> Self {
        self.entry(EntryType::Regular, path.as_bytes(), b"", bytes)
    }

    fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path.as_bytes(), target.as_bytes(), b"")
    }

    fn plain(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    fn packed(self) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&self.plain()).unwrap();
        encoder.finish().unwrap()
    }
}

struct Case {
    folder: tempfile::TempDir,
    result: Result<Unpacked>,
}

fn try_with(bytes: &[u8], limits: &Limits) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("x-1.0.tar.gz");
    fs::write(&archive, bytes).unwrap();
    let result = sdist(&archive, &folder.path().join("out"), limits);
    Case { result, folder }
}

fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Unpacked) {
    let case = try_with(bytes, &Limits::default());
    (case.folder, case.result.unwrap())
}

fn refused(bytes: &[u8]) -> String {
    let limits = Limits { free: 1 << 20, ratio: 10, entries: 50, ..Limits::default() };
    let case = try_with(bytes, &limits);
    let error = case.result.unwrap_err();
    assert_eq!(error.kind(), Kind::Package, "{error}");
    // Nothing appeared beside the folder.
    assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 2);
    error.to_string()
}

#[test]
fn ordinary_sdists() {
    for bytes in [
        Tar::new().file("x-1.0/PKG-INFO", b"Name: x\n").file("./x-1.0/src/x.py", b"1").packed(),
        Tar::new().file("x-1.0/PKG-INFO", b"Name: x\n").file("x-1.0//src/./x.py", b"1").plain(),
        zip_of(&[("x-1.0/PKG-INFO", 0, b"Name: x\n"), ("x-1.0/src/x.py", 0o755, b"1")]),
    ] {
        let (folder, found) = unpacked(&bytes);
        assert_eq!(found.root, folder.path().join("out/x-1.0"));
        let paths: Vec<_> = found.files.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["x-1.0/PKG-INFO", "x-1.0/src/x.py"]);
        assert_eq!(fs::read(folder.path().join("out/x-1.0/src/x.py")).unwrap(), b"1");
        assert!(found.files[1].executable);
        assert!(found.notes.is_empty());
    }
}

#[test]
fn no_single_folder_is_noted() {
    let (folder, found) = unpacked(&Tar::new().file("setup.py", b"").file("x/y.py", b"").packed());
    assert_eq!(found.root, folder.path().join("out"));
    assert_eq!(found.notes, ["it has no single top-level folder"]);
}

#[test]
fn paths_that_lead_out() {
    for path in ["../x", "x/../../y", "/etc/x", "x/..", ".."] {
        assert!(!refused(&Tar::new().file(path, b"").packed()).is_empty(), "{path}");
        assert!(!refused(&zip_of(&[(path, 0, b"")])).is_empty(), "{path}");
    }
}

#[test]
fn links_that_lead_out() {
    for target in ["/etc/passwd", "../..", "..", "a/../../..", "a/..", ""] {
        refused(&Tar::new().file("x/a/b", b"").link("l", target).packed());
    }
    refused(&zip_of(&[("x/l", 0o120777, b"../../etc/passwd")]));
    // Through a link, over a link, and a link in the place of a file.
    refused(&Tar::new().link("x/l", ".").file("x/l/y", b"").packed());
    refused(&Tar::new().link("x/l", "y").file("x/l", b"").packed());
    refused(&Tar::new().file("x/l", b"").link("x/l", "y").packed());
    refused(&Tar::new().entry(EntryType::Link, b"x/l", b"/etc/passwd", b"").packed());
    refused(&Tar::new().entry(EntryType::Link, b"x/l", b"x/nothing", b"").packed());
    refused(&Tar::new().file("x/a", b"1").entry(EntryType::Link, b"x/a", b"x/a", b"").packed());
}

#[cfg(unix)]
#[test]
fn links_that_stay_inside() {
    let bytes = Tar::new()
        .file("x/a/b", b"1")
        .link("x/l", "a/b")
        .link("x/a/up", "../a")
        .link("x/dangling", "nothing")
        .entry(EntryType::Link, b"x/hard", b"x/a/b", b"")
        .packed();
    let (folder, found) = unpacked(&bytes);
    let out = folder.path().join("out/x");
    assert_eq!(fs::read(out.join("l")).unwrap(), b"1");
    assert_eq!(fs::read(out.join("a/up/b")).unwrap(), b"1");
    assert_eq!(fs::read(out.join("hard")).unwrap(), b"1");
    assert_eq!(found.files.iter().filter(|file| file.link).count(), 3);
}

#[test]
fn things_that_are_no_files() {
    for kind in
        [EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse, EntryType::new(b'?')]
    {
        refused(&Tar::new().entry(kind, b"x/d", b"", b"").packed());
    }
    refused(&Tar::new().file("x", b"").file("x/y", b"").packed());
    refused(&Tar::new().file("x/y", b"").file("x", b"").packed());
}

#[test]
fn bombs() {
    let zeros = vec![0; 2 << 20];
    assert!(refused(&Tar::new().file("x/z", &zeros).packed()).contains("bomb"));
    assert!(refused(&zip_of(&[("x/z", 0, &zeros)])).contains("bomb"));
    assert!(
        refused(&zip_of(&[("x/y", 0, &zeros[1 << 20..]), ("x/z", 0, &zeros[1 << 20..])])).contains("bomb")
    );
    // A long name is no place for one either.
    let long =
        Tar::new().entry(EntryType::GNULongName, b"././@LongLink", b"", &zeros).file("x/a", b"").packed();
    refused(&long);
    let mut many = Tar::new();
    for number in 0..60 {
        many = many.file(&format!("x/{number}"), b"");
    }
    assert!(refused(&many.packed()).contains("more than 50 entries"));
}

#[test]
fn what_is_no_archive() {
    let whole = Tar::new().file("x/a", &[7; 5000]).packed();
    for bytes in
        [&b""[..], b"<html>", b"BZh9", b"PK\x03\x04", b"\x1f\x8b", &whole[..whole.len() / 2], b"\0\0\0"]
    {
        refused(bytes);
    }
    refused(&Tar::new().packed());
}

#[test]
fn long_and_odd_names() {
    let long = format!("x/{}", "d/".repeat(20) + &"n".repeat(200));
    let bytes = Tar::new()
        .entry(EntryType::GNULongName, b"././@LongLink", b"", format!("{long}\0").as_bytes())
        .file("cut", b"1")
        .packed();
    let (_folder, found) = unpacked(&bytes);
    assert_eq!(found.files[0].path.to_str().unwrap(), long);
    let pax = format!("{} path={long}\n", long.len() + 10);
    let bytes = Tar::new().entry(EntryType::XHeader, b"pax", b"", pax.as_bytes()).file("cut", b"1").packed();
    let (_folder, found) = unpacked(&bytes);
    assert_eq!(found.files[0].path.to_str().unwrap(), long);
    for name in [format!("x/{}", "n".repeat(300)), "d/".repeat(70) + "x", "d/".repeat(2000) + "x"] {
        let name = format!("{name}\0");
        refused(
            &Tar::new().entry(EntryType::GNULongName, b"l", b"", name.as_bytes()).file("cut", b"1").packed(),
        );
    }
    refused(&Tar::new().entry(EntryType::XHeader, b"p", b"", b"99 nonsense\n").file("x/a", b"").packed());
    refused(&Tar::new().entry(EntryType::XHeader, b"p", b"", b"10 size=9\n").file("x/a", b"").packed());
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_stay_as_they_are() {
    use std::os::unix::ffi::OsStrExt as _;
    let (folder, found) = unpacked(&Tar::new().entry(EntryType::Regular, b"x/\xff\xfe", b"", b"1").packed());
    assert_eq!(found.files[0].path.as_os_str().as_bytes(), b"x/\xff\xfe");
    assert!(folder.path().join("out").join(&found.files[0].path).exists());
}

#[test]
fn the_last_of_a_name_wins() {
    let (folder, found) = unpacked(&Tar::new().file("x/a", b"one").file("x/a", b"two").packed());
    assert_eq!(fs::read(folder.path().join("out/x/a")).unwrap(), b"two");
    assert_eq!(found.files.len(), 1);
    assert_eq!(found.notes.len(), 1);
}

#[test]
fn times_are_kept_from_1980_on() {
    let extended =
        |record: &[u8]| Tar::new().entry(EntryType::XHeader, b"p", b"", record).file("x/a", b"").packed();
    for (bytes, seconds) in [
        (Tar::new().file("x/a", b"").packed(), 1_000_000_000),
        // What Python's writer makes of a time with a fraction.
        (extended(b"22 mtime=1449679711.5\n"), 1_449_679_711),
        (extended(b"11 mtime=0\n"), EARLIEST_MODIFIED),
        (extended(b"14 mtime=-5.5\n"), 1_000_000_000),
    ] {
        let (folder, _) = unpacked(&bytes);
        let modified = fs::metadata(folder.path().join("out/x/a")).unwrap().modified().unwrap();
        assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
}

#[test]
fn a_full_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("x-1.0.tar.gz");
    fs::write(&archive, Tar::new().file("x/a", b"").packed()).unwrap();
    assert_eq!(sdist(&archive, folder.path(), &Limits::default()).unwrap_err().kind(), Kind::Local);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever an archive holds, what appears is inside the folder, and what is told is what is there.
    #[test]
    fn nothing_escapes(entries in proptest::collection::vec(("[a.x/]{1,8}", 0u8..4, "[a.x/]{0,8}"), 1..8)) {
        let mut tar = Tar::new();
        for (path, kind, target) in &entries {
            let kind = [EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Link][*kind as usize];
            tar = tar.entry(kind, path.as_bytes(), target.as_bytes(), b"");
        }
        let case = try_with(&tar.packed(), &Limits::default());
        prop_assert_eq!(fs::read_dir(case.folder.path()).unwrap().count(), 2);
        let out = fs::canonicalize(case.folder.path().join("out")).unwrap();
        if let Ok(found) = case.result {
            for file in found.files {
                let place = out.join(&file.path);
                prop_assert!(place.symlink_metadata().is_ok());
                if let Ok(real) = fs::canonicalize(&place) {
                    prop_assert!(real.starts_with(&out), "{:?} leads to {:?}", file.path, real);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(start in prop_oneof![Just(&b"PK\x03\x04"[..]), Just(&b"\x1f\x8b\x08"[..]), Just(&b""[..])],
                      rest in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = start.to_vec();
        bytes.extend(rest);
        let _ = try_with(&bytes, &Limits::default());
        let _ = open_zip(Cursor::new(bytes), "x");
    }
}

#[test]
fn wheels_are_unpacked_as_they_are_packed() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("six-1.0-py3-none-any.whl");
    fs::write(
        &archive,
        crate::testing::wheel_of("six", "1.0", &[("six-1.0.data/scripts/six", b"#!python\n")]),
    )
    .unwrap();
    let found = wheel(&archive, &folder.path().join("out"), &Limits::default()).unwrap();
    assert_eq!(found.root, folder.path().join("out"));
    assert!(found.root.join("six-1.0.data/scripts/six").is_file());
    assert_eq!(found.files.len(), 4);
    assert!(found.notes.is_empty());
}
