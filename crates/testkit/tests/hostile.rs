//! Hostile archives are what they claim: small, and with their trick where a careless reader meets it.

// Helpers of tests unwrap as tests do; the lint knows only functions that are marked as tests.
#![allow(clippy::unwrap_used)]

use std::{
    io::{self, Cursor, Read},
    path::Path,
};

use wheeltapper_testkit::hostile::{self, BOMB, SdistTrick, WheelTrick};

fn outside() -> &'static Path {
    Path::new("/tmp/wheeltapper-escaped")
}

/// Kind, path and link target of each entry, as raw bytes made printable.
fn entries(trick: SdistTrick) -> Vec<(tar::EntryType, String, String)> {
    let bytes = trick.build(outside()).unwrap().bytes;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let listed = tar.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let link = entry.link_name_bytes().unwrap_or_default().escape_ascii().to_string();
        (entry.header().entry_type(), entry.path_bytes().escape_ascii().to_string(), link)
    });
    listed.collect()
}

#[test]
fn all_are_small_and_under_projects_of_their_own() {
    let artifacts = hostile::all(outside()).unwrap();
    let mut names = std::collections::BTreeSet::new();
    for artifact in &artifacts {
        assert!(artifact.bytes.len() < 4 << 20, "{}: {} bytes", artifact.filename, artifact.bytes.len());
        assert!(names.insert(artifact.metadata.project().unwrap().to_string()), "{}", artifact.filename);
    }
    assert_eq!(artifacts.len(), SdistTrick::ALL.len() + WheelTrick::ALL.len());
}

#[test]
fn sdists_hold_their_tricks() {
    use tar::EntryType;
    let last = |trick| entries(trick).pop().unwrap();
    assert_eq!(last(SdistTrick::AbsolutePath).1, "/tmp/wheeltapper-escaped");
    assert!(last(SdistTrick::ParentPath).1.contains("/../../"));
    assert!(last(SdistTrick::ParentPath).1.ends_with("/../tmp/wheeltapper-escaped"));
    let links = entries(SdistTrick::SymlinkOut);
    assert!(links.iter().any(|entry| entry.0 == EntryType::Symlink && entry.2 == "/tmp"));
    assert!(links.last().unwrap().1.ends_with("/out/wheeltapper-escaped"));
    let links = entries(SdistTrick::HardLinkOut);
    assert!(links.iter().any(|entry| entry.0 == EntryType::Link && entry.2 == "/etc/passwd"));
    assert!(last(SdistTrick::SymlinkChain).1.ends_with("/up28/up29/tmp/wheeltapper-escaped"));
    assert_eq!(last(SdistTrick::Device).0, EntryType::Block);
    assert_eq!(last(SdistTrick::Fifo).0, EntryType::Fifo);
    assert!(last(SdistTrick::NonUtf8Name).1.ends_with("caf\\xe9\\xff.txt"));
    assert!(entries(SdistTrick::ManyFiles).len() > 100_000);
    assert!(last(SdistTrick::DeepPath).1.len() > 4000);
    assert_eq!(last(SdistTrick::SparseSize).0, EntryType::GNUSparse);
}

#[test]
fn the_gzip_bomb_is_one_sound_stream() {
    let bytes = SdistTrick::GzipBomb.build(outside()).unwrap().bytes;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let sizes: Vec<u64> = tar.entries().unwrap().map(|entry| entry.unwrap().size()).collect();
    assert_eq!(sizes.last(), Some(&BOMB));
    let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
    assert!(io::copy(&mut gzip, &mut io::sink()).unwrap() > BOMB);
}

#[test]
fn wheels_hold_their_tricks() {
    let names = |trick: WheelTrick| -> Vec<String> {
        let bytes = trick.build(outside()).unwrap().bytes;
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let names = (0..zip.len())
            .map(|index| zip.by_index_raw(index).unwrap().name_raw().escape_ascii().to_string());
        names.collect()
    };
    assert!(names(WheelTrick::AbsolutePath).iter().any(|name| name == "/tmp/wheeltapper-escaped"));
    assert!(names(WheelTrick::ParentPath).iter().any(|name| name.contains("/../../")));
    assert!(names(WheelTrick::NonUtf8Name).iter().any(|name| name.ends_with("caf\\xe9\\xff.txt")));
    assert!(names(WheelTrick::SymlinkOut).iter().any(|name| name.ends_with("/out")));
    assert!(!names(WheelTrick::NoMetadata).iter().any(|name| name.contains("dist-info")));

    let bytes = WheelTrick::OtherName.build(outside()).unwrap().bytes;
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    let path = "tap_wheel_other_name-1.0.dist-info/METADATA";
    zip.by_name(path).unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("Name: tap-passes\n"));
}

#[test]
fn the_lying_wheel_says_ten_bytes_and_holds_a_gibibyte() {
    let artifact = WheelTrick::LyingSize.build(outside()).unwrap();
    let mut zip = zip::ZipArchive::new(Cursor::new(artifact.bytes)).unwrap();
    let mut zeros = zip.by_name("tap_wheel_lying_size/zeros").unwrap();
    assert_eq!(zeros.size(), 10);
    assert!(zeros.compressed_size() > 100_000);
    let read = io::copy(&mut zeros, &mut io::sink());
    assert!(read.is_err() || read.unwrap() != 10);
}
