//! What keeps a farm going: cycles that follow each other, and `gc`, which frees what has been superseded and nothing else.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use wheeltapper_testkit::{Fixture, build_sdist_of_version};

use crate::{
    cycles::{command, cycle, list},
    support::{Lab, lab},
};

/// What the program says with these arguments; it must succeed.
fn said(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.command(arguments).output().expect("the program starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

#[test]
fn gc_frees_logs_of_superseded_results_and_keeps_all_else() {
    let lab = lab!();
    let list = list(&lab, &["tap-passes", "tap-build-fails"]);
    let (code, first) = cycle(&lab, &list, &[]);
    assert_eq!(code, 0, "{first}");
    let good = Fixture::named("passes").expect("there is such a fixture").folder;
    lab.index.publish(build_sdist_of_version(&good, "1.1").expect("it can be built")).expect("it has a name");
    let (code, second) = cycle(&lab, &list, &[]);
    assert_eq!(code, 0, "{second}");
    // Until the first cycle lies back the second that is the shortest time.
    while said(&lab, &["gc", "--keep", "1s", "--dry-run"]).contains("would free 0 logs") {}
    let freed = said(&lab, &["gc", "--keep", "1s"]);
    assert!(freed.contains("logs of superseded results") && !freed.contains("freed 0 logs"), "{freed}");
    let again = said(&lab, &["gc", "--keep", "1s"]);
    assert!(again.contains("freed 0 logs"), "{again}");
    let log = said(&lab, &["log", "tap-passes", &lab.environment, "build"]);
    assert!(!log.trim().is_empty());
    // News, and the newest failure, keep their logs; and nothing becomes due by it.
    assert!(!said(&lab, &["log", "tap-build-fails", &lab.environment, "build"]).trim().is_empty());
    let (_, third) = cycle(&lab, &list, &[]);
    assert!(third.contains("2 reused, 0 run, 0 left"), "{third}");
    let layers = said(&lab, &["gc", "--layers"]);
    assert!(layers.contains("of layers"), "{layers}");
    let (_, fourth) = cycle(&lab, &list, &[]);
    assert!(fourth.contains("2 reused, 0 run, 0 left"), "{fourth}");
}

#[test]
fn cycles_follow_each_other_until_they_are_stopped() {
    let lab = lab!();
    let list = list(&lab, &["tap-passes"]);
    let mut keeping = command(&lab, &list, &["--no-tests", "--every", "1s"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines =
        BufReader::new(keeping.stderr.take().expect("it is a pipe")).lines().map_while(Result::ok);
    assert!(lines.by_ref().any(|line| line.starts_with("cycle 1:")), "the first cycle begins");
    let (code, second) = cycle(&lab, &list, &["--every", "1h"]);
    assert_eq!(code, 3, "only one keeps going: {second}");
    let between = |line: &String| line.contains("fell behind") || line.contains("the next cycle begins in");
    assert!(lines.by_ref().any(|line| between(&line)), "it says when the next one comes");
    assert!(lines.by_ref().any(|line| line.starts_with("cycle 2:")), "the second cycle begins by itself");
    let stop = Command::new("kill").args(["-s", "TERM", &keeping.id().to_string()]).status();
    assert!(stop.expect("kill starts").success());
    lines.for_each(drop);
    assert_eq!(keeping.wait().expect("it ends").code(), Some(130));
    let told = said(&lab, &["status"]);
    assert!(
        told.contains("nobody begins cycles here any more") || told.contains("nothing is running"),
        "{told}"
    );
}
