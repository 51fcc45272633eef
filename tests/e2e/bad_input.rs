//! What bad input gets: a clear message and its exit code, or an outcome; and the other cells unharmed.

use std::fs;

use wheeltapper_core::ProjectName;
use wheeltapper_testkit::{FakeIndex, Fault, hostile};

use crate::support::{Lab, lab, newest_environment};

#[test]
fn what_does_not_exist_or_cannot_be_read_is_said() {
    let lab = lab!();
    lab.run(&["tap-passes", "reqeusts"]).ends_with(3).says("`reqeusts`").says("did you mean requests");
    lab.run(&["tap-passes==9"]).ends_with(3).says("has no release `==9`").says("the newest are 1.0");
    lab.run(&["--env", "debian0-cp313", "tap-passes"])
        .ends_with(3)
        .says("no environment is called `debian0-cp313`")
        .says(newest_environment());
    lab.run(&["--python", "4.2", "tap-passes"]).ends_with(3).says("no Python 4.2").says(newest_environment());
    lab.run(&["--interpreter", "/nonexistent/python", "tap-passes"]).ends_with(3).says("does not exist");
    lab.run(&["./nothing-1.0.tar.gz"]).ends_with(3).says("nothing-1.0.tar.gz");
    lab.run(&["--exclude-newer", "the day before", "tap-passes"])
        .ends_with(2)
        .says("`the day before` is no date");
    lab.run(&["tap passes"]).ends_with(2).says("`tap passes` is no target");
    lab.run(&["--no-such-option"]).ends_with(2);
    lab.run(&[]).ends_with(2).says("nothing to tap");
    lab.run(&["--exclude-newer", "2001-01-01", "tap-passes"]).ends_with(3).says("from before the given date");
}

#[test]
fn a_list_of_requirements_is_read_to_the_letter() {
    let lab = lab!();
    let path = lab.data.path().join("list.txt");
    let named = path.to_str().expect("it is UTF-8");
    for (text, line, why) in [
        (&b"tap-passes\n\n# fine\n-e .\n"[..], ":4", "options and includes"),
        (b"tap-passes ==1.0\ntap-no-tests >= \n", ":2", "tap-no-tests"),
        (b"tap-passes[extra]\n", ":1", "extras are not tapped"),
    ] {
        fs::write(&path, text).expect("it can be written");
        lab.run(&["--file", named]).ends_with(3).says(&format!("list.txt{line}")).says(why);
    }
    fs::write(&path, b"tap-passes\n\xff\xfe\n").expect("it can be written");
    lab.run(&["--file", named]).ends_with(3).says("list.txt");
    // A project that a list names and no index has is left out; the others are tapped.
    fs::write(&path, b"tap-passes\ntap-does-not-exist\n").expect("it can be written");
    let run = lab.run(&["--file", named]);
    run.ends_with(0).says("tap-does-not-exist");
    assert_eq!(run.record("tap-passes")["outcome"], "passed");
}

#[test]
fn an_index_that_fails_is_never_the_packages_fault() {
    let lab = lab!();
    // Silence is waited out for two minutes; the rest of this test goes on meanwhile.
    let mute = lab!();
    mute.index.set_fault("*", Fault::Hang);
    let waiting = mute.start(&["tap-passes"]);
    let project: ProjectName = "tap-passes".parse().expect("it is a name");
    let page = FakeIndex::page_path(&project);
    lab.index.set_fault(&page, Fault::Status(404));
    lab.run(&["tap-passes"]).ends_with(3).says("tap-passes");
    for fault in [Fault::Status(500), Fault::Garbage, Fault::Half, Fault::Close] {
        lab.index.set_fault(&page, fault.clone());
        let run = lab.run(&["tap-passes"]);
        assert_eq!(run.code, 5, "{fault:?}: {}", run.stderr);
        assert!(run.records.is_empty() && !run.stderr.is_empty(), "{fault:?}");
    }
    // An index that comes back within the retries was never gone.
    lab.index.set_fault(&page, Fault::StatusTimes(503, 1));
    lab.run(&["tap-passes"]).ends_with(0);
    lab.index.clear_fault(&page);

    let file = FakeIndex::file_path("tap_no_tests-1.0.tar.gz");
    for (fault, outcome, code) in [
        (Fault::Status(404), "fetch-failed", 0),
        // What arrives is not what was promised: whose fault that is, nobody here can tell.
        (Fault::WrongHash, "farm-error", 5),
        (Fault::Garbage, "farm-error", 5),
        (Fault::Status(500), "farm-error", 5),
        (Fault::Half, "farm-error", 5),
        (Fault::Close, "farm-error", 5),
    ] {
        lab.index.set_fault(&file, fault.clone());
        let run = lab.run(&["--fresh", "tap-no-tests", "tap-passes"]);
        assert_eq!(run.record("tap-no-tests")["outcome"], outcome, "{fault:?}: {}", run.stderr);
        assert_eq!(run.record("tap-passes")["outcome"], "passed", "{fault:?} harms the other cell");
        assert_eq!(run.code, code, "{fault:?}");
    }
    // What failed for our own reasons is run again without being asked for.
    lab.index.clear_fault(&file);
    let run = lab.run(&["tap-no-tests"]);
    assert_eq!(run.ends_with(0).record("tap-no-tests")["outcome"], "untested");
    assert!(run.record("tap-no-tests")["reused_from"].is_null());

    let silence = waiting.finish();
    assert!(silence.ends_with(5).records.is_empty() && !silence.stderr.is_empty());
}

#[test]
fn a_damaged_store_is_said_and_left_alone() {
    let lab = lab!();
    let path = lab.data.path().join("results.sqlite");
    let damaged = vec![0x5a; 100_000];
    fs::write(&path, &damaged).expect("it can be written");
    lab.run(&["tap-passes"]).ends_with(5).says("is damaged").says("results.sqlite");
    assert_eq!(fs::read(&path).expect("it is there"), damaged);
}

#[test]
fn hostile_archives_reach_nothing_and_harm_no_other_cell() {
    let outside = tempfile::tempdir().expect("a temporary folder can be made");
    let target = outside.path().join("escaped");
    let index = FakeIndex::with_fixtures().expect("the fixtures can be built");
    let mut names = vec!["tap-passes".to_owned()];
    for artifact in hostile::all(&target).expect("they can be made") {
        // Some lie about their own name; they are asked for by the one under which they are published.
        let file = artifact.filename.replace('_', "-");
        let name = file.split("-1.0").next().expect("there is a first part").to_owned();
        index.publish_as(&name.parse::<ProjectName>().expect("it is a name"), artifact);
        names.push(name);
    }
    let lab = match Lab::with_index(index) {
        Ok(lab) => lab,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    let mut words = vec!["--limit-disk", "256", "--limit-build", "60"];
    words.extend(names.iter().map(String::as_str));
    let run = lab.run(&words);
    run.ends_with(0);
    assert_eq!(run.record("tap-passes")["outcome"], "passed");
    let mut wrong = Vec::new();
    for name in &names {
        let record = run.record(name);
        let outcome = record["outcome"].as_str().unwrap_or_default();
        let refused = ["fetch-failed", "build-failed", "install-failed"].contains(&outcome);
        if outcome == "farm-error" || refused != must_be_refused(name) {
            wrong.push(format!("{name} is {outcome}: {}", record["cause"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(fs::symlink_metadata(&target).is_err(), "{} was written", target.display());
    let left: Vec<_> = fs::read_dir(outside.path()).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What is only odd is tapped; what reaches out, lies, or is none, is refused.
fn must_be_refused(name: &str) -> bool {
    let odd = [
        "tap-passes",
        "tap-sdist-control-name",
        "tap-sdist-many-files",
        "tap-sdist-non-utf8-name",
        "tap-sdist-set-user-id",
        "tap-sdist-other-top",
        "tap-wheel-deep-path",
        "tap-wheel-many-files",
        "tap-wheel-pth-file",
    ];
    !odd.contains(&name)
}
