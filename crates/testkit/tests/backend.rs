//! The in-tree backend builds what the fixtures need, with every interpreter on PATH that is new enough.
//! Only fixtures that behave are built here: nothing stands between them and this machine.

// Helpers of tests unwrap as tests do; the lint knows only functions that are marked as tests.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use wheeltapper_testkit::{Fixture, WheelSpec, build_wheel, skip};

/// Runs the backend's `build_wheel` in the unpacked sdist and returns the wheel's file name.
fn build(fixture: &Fixture, folder: &Path) -> String {
    let sdist = &fixture.artifacts().unwrap()[0];
    tar::Archive::new(flate2::read::GzDecoder::new(sdist.bytes.as_slice())).unpack(folder).unwrap();
    let output = Command::new("python3")
        .args(["-I", "-c"])
        .arg(
            "import sys; sys.path.insert(0, '_backend'); import fixture_backend as b; \
             b.prepare_metadata_for_build_wheel('..'); b.build_sdist('..'); print(b.build_wheel('..'))",
        )
        .current_dir(folder.join(format!("{}-1.0", fixture.project().escaped())))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn names(bytes: &[u8]) -> Vec<String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut names: Vec<String> =
        (0..zip.len()).map(|index| zip.by_index(index).unwrap().name().unwrap().into_owned()).collect();
    names.sort();
    names
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_backend_and_the_builder_make_the_same_wheel() {
    if !runs("python3") {
        skip!("no python3 on PATH");
    }
    for behaviour in ["passes", "entry-point", "namespace-package"] {
        let fixture = Fixture::named(behaviour).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let filename = build(&fixture, folder.path());
        let ours = build_wheel(&fixture.folder, &WheelSpec::default()).unwrap();
        assert_eq!(filename, ours.filename);
        let theirs = std::fs::read(folder.path().join(&filename)).unwrap();
        assert_eq!(names(&theirs), names(&ours.bytes));
    }
}

#[test]
fn the_backend_compiles() {
    if !runs("python3") || !runs("gcc") {
        skip!("no python3 or no gcc on PATH");
    }
    let folder = tempfile::tempdir().unwrap();
    let filename = build(&Fixture::named("native-extension").unwrap(), folder.path());
    assert!(!filename.contains("none-any"), "{filename}");
    let wheel = std::fs::read(folder.path().join(&filename)).unwrap();
    let names = names(&wheel);
    assert!(names.iter().any(|name| name.starts_with("tap_native_extension/_answer.")), "{names:?}");
    assert!(!names.iter().any(|name| name.ends_with(".c")), "{names:?}");
}
