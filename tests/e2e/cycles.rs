//! Cycles: what is due is run, what stands is not, and what changed is told.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use wheeltapper_testkit::{Artifact, Fixture, build_sdist_of_version};

use crate::support::{Lab, lab};

/// The file of projects that a cycle of these tests walks.
pub fn list(lab: &Lab, projects: &[&str]) -> String {
    let path = lab.data.path().join("projects.txt");
    fs::write(&path, projects.join("\n")).expect("the list can be written");
    path.to_string_lossy().into_owned()
}

/// `wheeltapper cycle` over this list, on the newest interpreter.
pub fn command(lab: &Lab, list: &str, more: &[&str]) -> Command {
    let mut arguments = vec!["cycle", "--file", list, "--env", lab.environment.as_str()];
    arguments.extend(more);
    let mut command = lab.command(&arguments);
    command.stdin(Stdio::null());
    command
}

/// Runs a cycle to its end; its exit code, and all that it said.
pub fn cycle(lab: &Lab, list: &str, more: &[&str]) -> (i32, String) {
    let output = command(lab, list, more).output().expect("the program starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap_or(-1), said)
}

/// A release of the `passes` fixture whose module cannot be imported.
pub fn broken_release(version: &str) -> Artifact {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let from = Fixture::named("passes").expect("there is such a fixture").folder;
    copy(&from, folder.path());
    fs::write(folder.path().join("src/tap_passes/__init__.py"), "raise RuntimeError('out of order')\n")
        .expect("the module can be written");
    build_sdist_of_version(folder.path(), version).expect("it can be built")
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the fixture can be read").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&target).expect("a folder can be made");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

#[track_caller]
fn says(said: &str, wanted: &[&str]) {
    for text in wanted {
        assert!(said.contains(text), "`{text}` is not in what it said:\n{said}");
    }
}

#[test]
fn what_is_due_is_run_and_what_changed_is_told() {
    let lab = lab!();
    let list = list(&lab, &["tap-passes", "tap-build-fails", "tap-no-tests", "tap-is-gone"]);
    let (code, said) = cycle(&lab, &list, &[]);
    assert_eq!(code, 0, "{said}");
    says(
        &said,
        &["3 cells of 4 projects: 0 reused, 3 run, 0 left", "1 passed (1 run)", "1 untested (1 run)"],
    );
    says(&said, &["1 failing when first seen (1 run)", "1 projects could not be planned"]);
    assert_eq!(said.matches("build-failed").count(), 2, "a failure is run a second time:\n{said}");

    let (code, said) = cycle(&lab, &list, &[]);
    assert_eq!(code, 0, "{said}");
    says(&said, &["cycle 2: 3 cells of 4 projects: 3 reused, 0 run, 0 left", "1 still failing\n"]);

    lab.index.publish(broken_release("1.1")).expect("it names its project");
    let (_, said) = cycle(&lab, &list, &[]);
    says(&said, &["2 reused, 1 run", "1 newly failing (1 run)", "due: 1 newer-release"]);

    let good = Fixture::named("passes").expect("there is such a fixture").folder;
    lab.index.publish(build_sdist_of_version(&good, "1.2").expect("it can be built")).expect("it has a name");
    let (_, said) = cycle(&lab, &list, &[]);
    says(&said, &["2 reused, 1 run", "1 fixed (1 run)"]);
}

#[test]
fn only_one_cycle_at_a_time_and_a_pause_holds_it() {
    use std::io::{BufRead as _, BufReader};
    let lab = lab!();
    let list = list(&lab, &["tap-passes"]);
    assert!(lab.command(&["cycle", "pause"]).output().expect("the program starts").status.success());
    let mut paused = command(&lab, &list, &[]).stderr(Stdio::piped()).spawn().expect("the program starts");
    let mut said = BufReader::new(paused.stderr.take().expect("it is a pipe")).lines();
    let begun = said.by_ref().map_while(Result::ok).find(|line| line.starts_with("cycle 1:"));
    assert!(begun.is_some(), "the first cycle begins, and waits");

    let (code, second) = cycle(&lab, &list, &[]);
    assert_eq!(code, 3, "{second}");
    says(&second, &["another cycle is being walked in this data folder: process"]);

    assert!(lab.command(&["cycle", "resume"]).output().expect("the program starts").status.success());
    let settled = said.map_while(Result::ok).any(|line| line.contains("passed · tap-passes"));
    assert!(paused.wait().expect("it ends").success());
    assert!(settled);
}

#[test]
fn an_index_that_dies_in_the_middle_ends_the_sitting_and_loses_nothing() {
    use wheeltapper_testkit::{FakeIndex, Fault};
    let lab = lab!();
    let list = list(&lab, &["tap-passes", "tap-no-tests"]);
    lab.index.set_fault("*", Fault::Close);
    let (code, said) = cycle(&lab, &list, &[]);
    assert_eq!(code, 5, "{said}");
    lab.index.clear_fault("*");
    // One page that cannot be had costs its project alone.
    let page = FakeIndex::page_path(&"tap-no-tests".parse().expect("it is a name"));
    lab.index.set_fault(&page, Fault::Garbage);
    let (code, said) = cycle(&lab, &list, &[]);
    assert_eq!(code, 0, "{said}");
    says(&said, &["going on with cycle 1", "1 cells of 2 projects", "1 projects could not be planned"]);
}
