//! Every fixture can be read, says something that can be true, and builds the same bytes each time.

use std::io::Read;

use serde_json::json;
use wheeltapper_core::{Artifact, Outcome, Phase};
use wheeltapper_testkit::Fixture;

#[test]
fn expectations_agree_with_themselves() {
    let fixtures = Fixture::all().unwrap();
    assert!(fixtures.len() >= 60, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let (name, expected) = (&fixture.behaviour, &fixture.expected);
        assert!(expected.does.ends_with('.'), "{name}: say what it does in a sentence");
        assert_eq!(expected.outcome.is_failure(), expected.cause.is_some(), "{name}: a failure has a cause");
        if let Some(cause) = &expected.cause {
            assert_eq!(
                expected.outcome,
                Outcome::failed_in(cause.phase),
                "{name}: the cause is of that phase"
            );
        }
        for (phase, of) in &expected.phases {
            assert!(of.limit.is_none() || expected.limits.is_some(), "{name}: {phase} hits a limit: which?");
        }
        let holds = if expected.publish.sdist { Artifact::Sdist } else { Artifact::Wheel };
        assert_eq!(expected.artifact, holds, "{name}: the cell starts from what the index holds");
    }
}

#[test]
fn archives_come_out_the_same_each_time() {
    for fixture in Fixture::all().unwrap() {
        let once = fixture.artifacts().unwrap();
        let again = fixture.artifacts().unwrap();
        assert!(!once.is_empty(), "{}: nothing is published", fixture.behaviour);
        for (one, other) in once.iter().zip(&again) {
            assert_eq!(one.bytes, other.bytes, "{}", one.filename);
            assert!(one.bytes.len() < 64 * 1024, "{}: fixtures are tiny", one.filename);
        }
    }
}

#[test]
fn an_sdist_holds_its_metadata_and_its_backend_but_not_what_we_expect() {
    let sdist = &Fixture::named("passes").unwrap().artifacts().unwrap()[0];
    assert_eq!(sdist.filename, "tap_passes-1.0.tar.gz");
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(sdist.bytes.as_slice()));
    let mut paths = Vec::new();
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if path.ends_with("PKG-INFO") {
            assert_eq!(text, "Metadata-Version: 2.2\nName: tap-passes\nVersion: 1.0\n");
        }
        paths.push(path);
    }
    assert_eq!(
        paths,
        [
            "tap_passes-1.0/PKG-INFO",
            "tap_passes-1.0/_backend/fixture_backend.py",
            "tap_passes-1.0/pyproject.toml",
            "tap_passes-1.0/src/tap_passes/__init__.py",
            "tap_passes-1.0/tests/__init__.py",
            "tap_passes-1.0/tests/test_passes.py",
        ]
    );
}

#[test]
fn another_version_is_another_release_of_the_same() {
    let folder = Fixture::named("passes").unwrap().folder;
    let sdist = wheeltapper_testkit::build_sdist_of_version(&folder, "2.0rc1").unwrap();
    assert_eq!(sdist.filename, "tap_passes-2.0rc1.tar.gz");
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(sdist.bytes.as_slice()));
    let texts: Vec<String> = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().unwrap().ends_with("pyproject.toml"))
        .map(|mut entry| {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            text
        })
        .collect();
    assert!(texts[0].contains("version = \"2.0rc1\"\n"), "{texts:?}");
}

#[test]
fn a_record_is_compared_with_what_is_said_only() {
    let expected = Fixture::named("test-fails").unwrap().expected;
    let mut record = json!({
        "outcome": "test-failed", "reason": null,
        "cause": {"id": "test-failures", "phase": "test", "blame": "package"},
        "phases": {"import": {"status": "passed"}, "test": {"status": "failed"}, "uninstall": {"status": "passed"}},
        "tests": {"passed": 1, "failed": 1, "errors": 0, "failing": [{"id": "tests.test_fails.Answers.test_wrong"}]},
        "leftovers": ["not asked about"],
    });
    assert_eq!(expected.differences(&record), Vec::<String>::new());
    record["tests"]["passed"] = json!(2);
    record["phases"][Phase::Test.as_str()]["status"] = json!("passed");
    assert_eq!(
        expected.differences(&record),
        ["phases.test.status: expected \"failed\", is \"passed\"", "tests.passed: expected 1, is 2"]
    );
}
