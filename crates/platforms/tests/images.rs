//! Root file systems out of archives, sound and hostile, and what becomes of images as they are built, used, replaced and
//! removed. Nothing in them is run: that is for the program's own tests.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{Entry, gzip, program, tar};
use tar::EntryType;
use wheeltapper_core::Sha256;
use wheeltapper_index::Surroundings;
use wheeltapper_platforms::{Built, Catalogue, Error, Images, Unpacked, unpack};

/// A folder in which archives are built.
struct Bench {
    folder: tempfile::TempDir,
    images: Images,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        Bench { folder, images }
    }

    /// Unpacks an archive; on success the place where it was.
    fn unpack(&self, archive: &[u8]) -> Result<(Unpacked, PathBuf), Error> {
        let path = self.folder.path().join("root.tar");
        fs::write(&path, archive).unwrap();
        let file = self.folder.path().join("w.toml");
        fs::write(&file, format!("[platform.mine]\ntarball = '{}'\n", path.display())).unwrap();
        let catalogue = Catalogue::read(&file).unwrap();
        let building = self.images.begin("mine")?;
        let unpacked = unpack(catalogue.find("mine").unwrap(), &building, &Surroundings::default())?;
        Ok((unpacked, building.root()))
    }

    /// What is left of anything that was begun.
    fn unfinished(&self) -> usize {
        let folders = fs::read_dir(self.folder.path().join("platforms/.unfinished")).unwrap().flatten();
        folders.filter(|entry| entry.path().is_dir()).count()
    }
}

#[test]
fn what_leads_out_of_a_root_file_system_is_refused_and_nothing_of_it_stays() {
    let sh = program();
    let shell: Entry<'_> = (EntryType::Regular, "bin/sh", &sh);
    let cases: [(Entry<'_>, &str); 8] = [
        ((EntryType::Regular, "/etc/passwd", b"x"), "is an absolute path"),
        ((EntryType::Regular, "a/../../x", b"x"), "leads out of the root file system"),
        ((EntryType::Symlink, "../x", b"y"), "leads out of the root file system"),
        ((EntryType::Link, "x", b"/etc/passwd"), "is an absolute path"),
        ((EntryType::Link, "x", b"../../etc/passwd"), "leads out of the root file system"),
        ((EntryType::Link, "x", b"etc/absent"), "a file that the archive does not hold"),
        ((EntryType::Block, "usr/disk", b""), "is a device outside of /dev"),
        ((EntryType::Fifo, "usr/pipe", b""), "is a FIFO"),
    ];
    let bench = Bench::new();
    for (entry, told) in cases {
        let error = bench.unpack(&tar(&[shell, entry])).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(bench.unfinished(), 0, "{error}");
    }
}

#[test]
fn what_goes_through_links_stays_inside() {
    let outside = tempfile::tempdir().unwrap();
    let away = outside.path().to_str().unwrap().as_bytes();
    let sh = program();
    let entries: [Entry<'_>; 6] = [
        (EntryType::Symlink, "bin", b"usr/bin"),
        (EntryType::Regular, "bin/sh", &sh),
        (EntryType::Symlink, "away", away),
        (EntryType::Regular, "away/written", b"x"),
        (EntryType::Symlink, "up", b"../../../.."),
        (EntryType::Regular, "up/above", b"x"),
    ];
    let bench = Bench::new();
    let path = bench.folder.path().join("root.tar");
    fs::write(&path, gzip(&tar(&entries))).unwrap();
    let file = bench.folder.path().join("w.toml");
    fs::write(&file, format!("[platform.mine]\ntarball = '{}'\n", path.display())).unwrap();
    let catalogue = Catalogue::read(&file).unwrap();
    let building = bench.images.begin("mine").unwrap();
    unpack(catalogue.find("mine").unwrap(), &building, &Surroundings::default()).unwrap();
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert!(building.root().join("usr/bin/sh").is_file());
    assert!(building.root().join("above").is_file());
}

#[test]
fn what_is_no_root_file_system_that_runs_here_says_why() {
    let bench = Bench::new();
    let sh = program();
    let mut other = sh.clone();
    other[18..20].copy_from_slice(&22_u16.to_le_bytes());
    let whole = gzip(&tar(&[(EntryType::Regular, "bin/sh", &sh), (EntryType::Regular, "usr/x", &[7; 9000])]));
    let cases: [(&[u8], &str); 7] = [
        (b"", "is empty"),
        (b"<html>not found</html>", "is no tar archive"),
        (&whole[..whole.len() / 2], "cannot be read"),
        (&tar(&[(EntryType::Regular, "etc/passwd", b"x")]), "it has no /bin/sh"),
        (&tar(&[(EntryType::Regular, "bin/sh", b"#!/bin/bash")]), "is no program"),
        (&tar(&[(EntryType::Regular, "bin/sh", &other)]), "it is for s390x, and this machine is"),
        (b"\x28\xb5\x2f\xfdnonsense", "cannot be read"),
    ];
    for (archive, told) in cases {
        let error = bench.unpack(archive).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert_eq!(bench.unfinished(), 0, "{error}");
    }
    fs::remove_file(bench.folder.path().join("root.tar")).unwrap();
    let catalogue = Catalogue::read(&bench.folder.path().join("w.toml")).unwrap();
    let building = bench.images.begin("mine").unwrap();
    let error = unpack(catalogue.find("mine").unwrap(), &building, &Surroundings::default()).unwrap_err();
    assert!(error.to_string().contains("root.tar"), "{error}");
}

#[test]
fn an_archive_by_xz_is_unpacked_and_a_damaged_one_leaves_nothing() {
    let bench = Bench::new();
    let path = bench.folder.path().join("plain");
    fs::write(
        &path,
        tar(&[(EntryType::Regular, "bin/sh", &program()), (EntryType::Regular, "usr/x", &[7; 90_000])]),
    )
    .unwrap();
    let output = match Command::new("xz").arg("--stdout").arg(&path).output() {
        Ok(output) => output.stdout,
        Err(error) => wheeltapper_testkit::skip!("xz cannot be started: {error}"),
    };
    bench.unpack(&output).unwrap();
    let mut damaged = output.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    for archive in [&output[..middle], &damaged] {
        let error = bench.unpack(archive).unwrap_err();
        assert!(matches!(error, Error::Archive(_)), "{error}");
        assert_eq!(bench.unfinished(), 0, "{error}");
    }
}

/// Puts an image with one file into its place.
fn put(images: &Images, name: &str, content: &str) -> Built {
    let building = images.begin(name).unwrap();
    fs::create_dir_all(building.root()).unwrap();
    fs::write(building.root().join("file"), content).unwrap();
    let built = Built {
        name: name.to_owned(),
        definition: Sha256::of(b"definition"),
        pinned: None,
        contents: Sha256::of(content.as_bytes()),
        at: "2026-01-01T00:00:00Z".to_owned(),
        seconds: 1,
        bytes: 1,
        os_release: String::new(),
        narrow: false,
        on_host: false,
        interpreters: Vec::new(),
        remarks: Vec::new(),
    };
    images.finish(building, &built, "manifest\n").unwrap();
    built
}

fn content(root: &Path) -> Option<String> {
    fs::read_to_string(root.join("file")).ok()
}

#[test]
fn one_process_at_a_time_builds_a_platform() {
    let bench = Bench::new();
    let first = bench.images.begin("mine").unwrap();
    let error = Images::open(bench.folder.path()).unwrap().begin("mine").unwrap_err();
    assert!(matches!(&error, Error::Busy { name } if name == "mine") && error.hint().is_some());
    let other = bench.images.begin("other").unwrap();
    drop((first, other));
    bench.images.begin("mine").unwrap();
}

#[test]
fn an_image_in_use_outlives_its_replacement_and_its_removal() {
    let bench = Bench::new();
    let images = &bench.images;
    let old = put(images, "mine", "old");
    let lease = images.lease(&old).unwrap();
    let new = put(images, "mine", "new");
    assert_eq!(images.built("mine").unwrap().as_ref(), Some(&new));
    assert_eq!(content(&lease.root.path).as_deref(), Some("old"));
    assert!(images.remove("mine").unwrap() && !images.remove("mine").unwrap());
    assert_eq!(content(&lease.root.path).as_deref(), Some("old"));
    assert!(images.lease(&new).is_err());
    let path = lease.root.path.clone();
    drop(lease);
    // It goes with the next change.
    put(images, "other", "other");
    assert_eq!(content(&path), None);
}

#[test]
fn platforms_that_hold_the_same_share_an_image() {
    let bench = Bench::new();
    let (one, two) = (put(&bench.images, "one", "same"), put(&bench.images, "two", "same"));
    let place = |built| bench.images.lease(built).unwrap().root.path;
    assert_eq!(place(&one), place(&two));
    bench.images.remove("one").unwrap();
    assert_eq!(content(&place(&two)).as_deref(), Some("same"));
}

#[test]
fn a_build_that_ends_early_leaves_what_was_there() {
    let bench = Bench::new();
    let old = put(&bench.images, "mine", "old");
    let building = bench.images.begin("mine").unwrap();
    fs::create_dir_all(building.root()).unwrap();
    fs::write(building.root().join("file"), "half").unwrap();
    drop(building);
    assert_eq!(bench.images.built("mine").unwrap().as_ref(), Some(&old));
    assert_eq!(bench.unfinished(), 0);
}
