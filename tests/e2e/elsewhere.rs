//! Work for a machine elsewhere: exported here, run in a network namespace of its own with a data folder of its own, and taken
//! home.

use std::{fs, path::Path, process::Command};

use crate::support::{Lab, has_program, is_root, lab, program, provide_installer};

fn said(command: &mut Command) -> (Option<i32>, Vec<u8>, String) {
    let output = command.output().expect("the program starts");
    (output.status.code(), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn export(lab: &Lab, targets: &[&str], into: &Path) -> String {
    let mut arguments = vec!["export", "--env", lab.environment.as_str()];
    arguments.extend(targets);
    let (code, archive, words) = said(&mut lab.command(&arguments));
    assert_eq!(code, Some(0), "{words}");
    fs::write(into, archive).expect("the archive can be written");
    words
}

/// The program on a machine that has no network at all, not even to this one.
fn cut_off(data: &Path, arguments: &[&str]) -> Command {
    let inside = program(data, arguments);
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"]);
    command.arg(inside.get_program()).args(inside.get_args());
    command
}

#[test]
fn what_is_exported_is_run_without_a_network_and_taken_home() {
    let lab = lab!();
    if !is_root() || !has_program("unshare") || !has_program("ip") {
        wheeltapper_testkit::skip!("a network namespace needs root, unshare and ip");
    }
    let elsewhere = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| elsewhere.path().join(name);
    fs::create_dir(path("data")).expect("a folder can be made");
    if let Err(why) = provide_installer(&path("data")) {
        wheeltapper_testkit::skip!("{why}");
    }
    let (jobs, results) = (path("jobs.tar"), path("results.tar"));
    let targets = ["tap-passes", "tap-test-fails", "tap-build-fails", "tap-depends-on-sdist-only"];
    let words = export(&lab, &targets, &jobs);
    // What it needs would have to be built to be known: such a cell is not sent to fail.
    assert!(words.contains("left out: tap-depends-on-sdist-only"), "{words}");

    let names = [&jobs, &results].map(|path| path.to_str().expect("a plain path"));
    let arguments = ["agent", "run", names[0], "--out", names[1]];
    let (code, _, words) = said(&mut cut_off(&path("data"), &arguments));
    assert_eq!(code, Some(0), "{words}");
    let shown = |data: &Path, project: &str| {
        let (_, text, _) = said(&mut program(data, &["show", project]));
        String::from_utf8_lossy(&text).into_owned()
    };
    for _ in 0..2 {
        let (code, _, words) = said(&mut lab.command(&["import", names[1]]));
        assert_eq!(code, Some(0), "{words}");
        for (project, outcome) in
            [("tap-passes", "passed"), ("tap-test-fails", "test-failed"), ("tap-build-fails", "build-failed")]
        {
            let text = shown(lab.data.path(), project);
            assert!(text.contains(outcome) && text.contains(&lab.environment), "{project}: {text}{words}");
        }
    }
    // Another data folder exported nothing, and takes nothing.
    let (code, _, words) = said(&mut program(&path("data"), &["import", names[1]]));
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("were not exported from this data folder"), "{words}");
}

#[test]
fn an_archive_that_is_cut_off_or_is_none_is_refused() {
    let lab = lab!();
    let archive = lab.data.path().join("jobs.tar");
    export(&lab, &["tap-passes"], &archive);
    let whole = fs::read(&archive).expect("the archive was written");
    let path = archive.to_str().expect("a plain path");
    for (bytes, why) in
        [(&whole[..whole.len() / 2], "cut off"), (b"no archive", "no archive"), (b"", "empty")]
    {
        fs::write(&archive, bytes).expect("the archive can be written");
        for arguments in [["agent", "run", path].as_slice(), &["import", path]] {
            let (code, _, words) = said(&mut lab.command(arguments));
            assert_eq!(code, Some(3), "{why}, {arguments:?}: {words}");
        }
    }
    assert!(!lab.data.path().join("results.tar").exists());
}
