//! Results are reused while their inputs are unchanged, and only then.

use serde_json::{Value, json};
use wheeltapper_testkit::{Fixture, build_sdist_of_version};

use crate::support::{Run, lab};

#[test]
fn the_same_command_again_reuses_every_result() {
    let lab = lab!();
    let targets = ["tap-passes", "tap-test-fails", "tap-depends-on-sdist-only"];
    let first = lab.run(&targets);
    assert_eq!(first.ends_with(0).records.len(), targets.len());
    assert!(first.records.iter().all(|record| record["reused_from"].is_null()));

    let second = lab.run(&targets);
    second.ends_with(0);
    for project in targets {
        let (before, after) = (first.record(project), second.record(project));
        assert_eq!(after["reused_from"], before["id"], "{project}");
        for what in ["outcome", "cause", "signature", "tests", "phases", "inputs", "request", "installed"] {
            assert_eq!(after[what], before[what], "{what} of {project}");
        }
    }

    // A result that was reused names the one that was really run, however often it is reused.
    let third = lab.run(&targets);
    assert_eq!(third.record("tap-passes")["reused_from"], first.record("tap-passes")["id"]);

    let fresh = lab.run(&["--fresh", "tap-passes"]);
    assert!(fresh.ends_with(0).record("tap-passes")["reused_from"].is_null());

    let other_limits = lab.run(&["--limit-test", "77", "tap-passes"]);
    assert!(other_limits.record("tap-passes")["reused_from"].is_null());
    let without_tests = lab.run(&["--no-tests", "tap-passes"]);
    let record = without_tests.record("tap-passes");
    assert!(record["reused_from"].is_null());
    assert_eq!(
        (record["outcome"].as_str(), record["reason"].as_str()),
        (Some("untested"), Some("tests-disabled"))
    );
}

#[test]
fn a_new_release_makes_its_project_run_again_and_no_other() {
    let lab = lab!();
    let targets = ["tap-passes", "tap-no-tests"];
    lab.run(&targets).ends_with(0);
    let folder = Fixture::named("passes").expect("there is such a fixture").folder;
    let newer = build_sdist_of_version(&folder, "1.1").expect("it can be built");
    lab.index.publish(newer).expect("it names its project");

    let run = lab.run(&targets);
    let record = run.ends_with(0).record("tap-passes");
    assert_eq!(record["version"], "1.1");
    assert_eq!(record["outcome"], "passed");
    assert!(record["reused_from"].is_null());
    assert!(!run.record("tap-no-tests")["reused_from"].is_null());
}

#[test]
fn a_dependency_that_changes_makes_its_dependents_run_again() {
    let lab = lab!();
    let targets = ["tap-namespace-sibling", "tap-passes"];
    lab.run(&targets).ends_with(0);
    let folder = Fixture::named("namespace-package").expect("there is such a fixture").folder;
    let newer = build_sdist_of_version(&folder, "1.1").expect("it can be built");
    lab.index.publish(newer).expect("it names its project");

    let run = lab.run(&targets);
    let record = run.ends_with(0).record("tap-namespace-sibling");
    assert!(record["reused_from"].is_null(), "it was reused although its requirement has a new release");
    let installed = record["installed"].as_array().expect("a list");
    let found =
        installed.iter().find(|one| one["project"] == "tap-namespace-package").expect("its requirement");
    assert_eq!(found["version"], "1.1");
    assert!(!run.record("tap-passes")["reused_from"].is_null());
}

#[test]
fn after_a_failed_build_the_published_wheel_is_tapped_once() {
    let lab = lab!();
    let target = "tap-published-wheel-after-failed-build";
    let of = |run: &Run, artifact: &str| {
        run.records.iter().find(|record| record["artifact"] == artifact).expect("a record").clone()
    };

    let both = lab.run(&[target]);
    assert_eq!(both.ends_with(0).records.len(), 2);
    let (sdist, wheel) = (of(&both, "sdist"), of(&both, "wheel"));
    assert_eq!((&sdist["outcome"], &sdist["tested"]), (&json!("build-failed"), &Value::Null));
    assert_eq!(sdist["phases"]["test"]["reason"], "earlier-phase-failed");
    assert_eq!((&wheel["outcome"], &wheel["tests"]["passed"]), (&json!("passed"), &json!(1)));
    assert_eq!(wheel["tested"], wheel["distribution"]["filename"]);

    // Alone, the sdist's cell says the same, and nothing follows it.
    let alone = lab.run(&["--from", "sdist", target]);
    assert_eq!(alone.ends_with(0).records.len(), 1);
    assert!(!alone.record(target)["reused_from"].is_null());

    let again = lab.run(&[target]);
    assert!(again.ends_with(0).records.iter().all(|record| !record["reused_from"].is_null()));
}

#[test]
fn a_requirement_whose_newest_release_has_only_an_sdist_is_built_as_an_installer_would() {
    let lab = lab!();
    let target = "tap-extra-of-itself";
    let of = |run: &Run| {
        let installed = run.ends_with(0).record(target)["installed"].as_array().expect("a list").clone();
        installed.into_iter().find(|one| one["project"] == "tap-wheel-only").expect("its requirement")
    };
    let before = of(&lab.run(&[target]));
    assert_eq!(before["version"], "1.0");
    assert!(before["sha256"].is_string());

    let folder = Fixture::named("wheel-only").expect("there is such a fixture").folder;
    let newer = build_sdist_of_version(&folder, "2.0").expect("it can be built");
    lab.index.publish(newer).expect("it names its project");
    let after = of(&lab.run(&[target]));
    assert_eq!(after["version"], "2.0", "the older wheel was taken in place of the newer sdist");
    assert!(after["sha256"].is_null());
}
