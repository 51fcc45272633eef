//! Tests that a release does not ship, out of its project's repository: real git, and bare repositories behind a mirror.

use std::{fs, path::PathBuf};

use serde_json::Value;
use wheeltapper_testkit::{Fixture, GitRepository, TreeEntry};

use crate::support::{Lab, Run, has_program, lab};

const PROJECT: &str = "tap-tests-in-repository";
const ADDRESS: &str = "https://github.com/tap/tests-in-repository";
const PACKAGE: &str = "src/tap_tests_in_repository";

const TESTS: &str = "import os, unittest\nimport tap_tests_in_repository\n\n\
class Answers(unittest.TestCase):\n    def test_answer(self):\n        \
self.assertEqual(tap_tests_in_repository.answer(), 42)\n\n    def test_data(self):\n        \
with open(os.path.join(os.path.dirname(__file__), 'data.txt')) as file:\n            \
self.assertEqual(file.read(), 'data')\n";

/// A laboratory, and the mirror of one repository.
struct Mirrored {
    lab: Lab,
    repository: GitRepository,
    config: PathBuf,
}

impl Mirrored {
    fn new(lab: Lab) -> Mirrored {
        let mirrors = lab.data.path().join("mirrors");
        let repository = GitRepository::new(&mirrors.join("tap/tests-in-repository.git")).expect("git works");
        let config = lab.data.path().join("wheeltapper.toml");
        let text = format!("[repositories.mirrors]\n'https://github.com/' = '{}'\n", mirrors.display());
        fs::write(&config, text).expect("a file can be written");
        Mirrored { lab, repository, config }
    }

    /// What the sdist was made of, and more.
    fn sources(more: &[(&str, &str)]) -> Vec<TreeEntry> {
        let folder = Fixture::named("tests-in-repository").expect("there is such a fixture").folder;
        let mut entries = TreeEntry::below(&folder).expect("it can be read");
        for (path, content) in more {
            entries.retain(|entry| entry.path != *path);
            entries.push(TreeEntry::file(*path, *content));
        }
        entries
    }

    fn with_tests() -> Vec<TreeEntry> {
        Mirrored::sources(&[
            ("tests/__init__.py", ""),
            ("tests/test_it.py", TESTS),
            ("tests/data.txt", "data"),
        ])
    }

    fn tag(&self, name: &str, entries: &[TreeEntry]) -> String {
        let commit = self.repository.commit(entries).expect("a commit can be made");
        self.repository.tag(name, &commit).expect("it can be tagged");
        commit
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let config = self.config.to_str().expect("a plain path");
        let mut all = vec!["--config", config, "--from", "sdist"];
        all.extend(arguments);
        self.lab.run(&all)
    }

    fn says(&self, arguments: &[&str]) -> String {
        let mut command = self.lab.command(arguments);
        let output = command.arg("--config").arg(&self.config).output().expect("the program starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

macro_rules! mirrored {
    () => {{
        if !has_program("git") {
            wheeltapper_testkit::skip!("there is no git here");
        }
        Mirrored::new(lab!())
    }};
}

/// Outcome, reason, and why nothing was taken.
fn told(record: &Value) -> (&str, &str, &str) {
    (
        record["outcome"].as_str().unwrap_or_default(),
        record["reason"].as_str().unwrap_or_default(),
        record["repository"]["refused"].as_str().unwrap_or_default(),
    )
}

#[test]
fn tests_of_the_repository_are_run_shown_and_reused_until_the_tag_moves() {
    let mirrored = mirrored!();
    let commit = mirrored.tag("v1.0", &Mirrored::with_tests());
    let plain = mirrored.run(&[PROJECT]);
    let record = plain.ends_with(0).record(PROJECT);
    assert_eq!(told(record), ("untested", "no-tests-shipped", ""));
    assert!(record["repository"].is_null(), "nobody asked for it");

    let first = mirrored.run(&["--source", "auto", PROJECT]);
    let record = first.ends_with(0).record(PROJECT);
    assert_eq!(told(record), ("passed", "", ""), "{}", record["phases"]["test"]);
    assert_eq!(record["tests"]["passed"], 2);
    assert_eq!(record["test_plan"]["source"], "repository");
    let repository = &record["repository"];
    assert_eq!(
        (repository["address"].as_str(), repository["named_by"].as_str()),
        (Some(ADDRESS), Some("Source Code"))
    );
    assert_eq!(
        (repository["tag"].as_str(), repository["commit"].as_str()),
        (Some("v1.0"), Some(commit.as_str()))
    );
    assert_eq!(repository["mirror"], true);
    assert_eq!(
        repository["files"],
        serde_json::json!(["tests/__init__.py", "tests/data.txt", "tests/test_it.py"])
    );

    let environment = mirrored.lab.environment.clone();
    let recipe = mirrored.says(&["recipe", PROJECT, "--env", &environment, "--source", "auto"]);
    assert!(recipe.contains("3 files from https://github.com/tap/tests-in-repository"), "{recipe}");
    for command in [vec!["show", PROJECT], vec!["explain", PROJECT, &environment]] {
        let shown = mirrored.says(&command);
        assert!(shown.contains(&commit[..12]), "{command:?}: {shown}");
    }
    let explained = mirrored.says(&["explain", PROJECT, &environment]);
    assert!(explained.contains("here, the sdist there"), "{explained}");
    let repeated = mirrored.says(&["repro", PROJECT, &environment]);
    assert!(repeated.contains("the same"), "{repeated}");

    let again = mirrored.run(&["--source", "auto", PROJECT]);
    let reused = again.record(PROJECT);
    assert_eq!(reused["reused_from"], record["id"], "{reused}\n{}", again.stderr);
    let mut broken = Mirrored::with_tests();
    broken.push(TreeEntry::file(
        "tests/test_more.py",
        "import unittest\nclass A(unittest.TestCase):\n    def test_a(self): self.fail()\n",
    ));
    mirrored.tag("v1.0", &broken);
    let moved = mirrored.run(&["--source", "auto", PROJECT]);
    let record = moved.record(PROJECT);
    assert!(record["reused_from"].is_null());
    assert_eq!(
        (record["outcome"].as_str(), record["tests"]["failed"].as_u64()),
        (Some("test-failed"), Some(1))
    );
}

#[test]
fn what_is_not_the_releases_is_not_believed_and_the_reason_is_told() {
    let mirrored = mirrored!();
    let answers = format!("{PACKAGE}/answers.py");
    let run = || mirrored.run(&["--source", "auto", PROJECT]);
    let refused = |run: &Run, why: &str| {
        let record = run.ends_with(0).record(PROJECT);
        let (outcome, reason, refused) = told(record);
        assert_eq!((outcome, reason), ("untested", "no-tests-shipped"));
        assert!(refused.contains(why), "{why}: {refused}");
        let findings = record["phases"]["test"]["findings"].to_string();
        assert!(findings.contains("no-tests-from-repository"), "{findings}");
    };
    refused(&run(), "it has no tags");
    mirrored.tag("v0.9", &Mirrored::with_tests());
    // That there still is none for it would be reused, words and all.
    let fresh = mirrored.run(&["--fresh", "--source", "auto", PROJECT]);
    refused(&fresh, "its tag is not that of 1.0");
    mirrored.tag(
        "v1.0",
        &Mirrored::sources(&[(&answers, "def answer():\n    return 43\n"), ("tests/test_it.py", TESTS)]),
    );
    refused(&run(), "it is not what was released: 2 of 3 modules");
    // A module that was renamed since is another state as well.
    let mut renamed = Mirrored::with_tests();
    renamed
        .iter_mut()
        .filter(|entry| entry.path == answers)
        .for_each(|entry| entry.path = format!("{PACKAGE}/other.py"));
    mirrored.tag("v1.0", &renamed);
    refused(&run(), "it is not what was released");
    mirrored.tag("v1.0", &Mirrored::sources(&[]));
    refused(&run(), "it holds no tests");
    fs::remove_dir_all(mirrored.repository.folder()).expect("it can be removed");
    refused(&run(), "the mirror has no such repository");
}

#[test]
fn a_release_that_lies_elsewhere_in_its_repository_is_found_there() {
    let mirrored = mirrored!();
    let mut entries = Mirrored::with_tests();
    entries.iter_mut().for_each(|entry| entry.path = format!("packages/one/{}", entry.path));
    entries.push(TreeEntry::file("tests/test_all.py", "raise SystemExit\n"));
    mirrored.tag("tap-tests-in-repository/v1.0.0", &entries);
    let run = mirrored.run(&["--source", "repository", PROJECT]);
    let record = run.ends_with(0).record(PROJECT);
    assert_eq!(told(record), ("passed", "", ""), "{}", record["repository"]);
    assert_eq!(record["repository"]["folder"], "packages/one");
}

#[test]
fn a_hostile_repository_gives_its_plain_files_or_nothing() {
    let mirrored = mirrored!();
    let mut entries = Mirrored::with_tests();
    entries.push(TreeEntry::link("tests/secret.txt", "../../../../../../etc/passwd"));
    entries.push(TreeEntry::submodule("tests/sub"));
    entries.push(TreeEntry::file("tests/huge.bin", vec![0; 9 << 20]));
    entries.push(TreeEntry::file(".gitattributes", "* filter=evil export-ignore\n"));
    mirrored.tag("1.0", &entries);
    mirrored.repository.tag_raw("--upload-pack=x-1.0", &"1".repeat(40)).expect("it can be written");
    let run = mirrored.run(&["--source", "auto", PROJECT]);
    let record = run.ends_with(0).record(PROJECT);
    assert_eq!(told(record), ("passed", "", ""), "{}", record["repository"]);
    assert_eq!(record["repository"]["taken"], 3);
    let notes = record["repository"]["notes"].to_string();
    assert!(
        ["secret.txt (a link)", "sub (a submodule)", "huge.bin"].iter().all(|one| notes.contains(one)),
        "{notes}"
    );

    let commit = mirrored.repository.commit_of_raw_name("../escaped", "x").expect("it can be made");
    mirrored.repository.tag("1.0", &commit).expect("it can be tagged");
    let run = mirrored.run(&["--source", "auto", PROJECT]);
    let (outcome, _, refused) = told(run.ends_with(0).record(PROJECT));
    assert_eq!(outcome, "untested");
    assert!(refused.contains("leads out"), "{refused}");
}

#[test]
fn a_release_without_a_repository_keeps_its_own_tests() {
    let mirrored = mirrored!();
    let run = mirrored.run(&["--source", "repository", "tap-passes"]);
    let record = run.ends_with(0).record("tap-passes");
    assert_eq!(told(record), ("passed", "", "its metadata names no repository that may be fetched"));
    assert_eq!(record["test_plan"]["source"], "sdist");
    let wrong = mirrored.lab.run(&["--source", "git", "tap-passes"]);
    wrong.ends_with(2).says("known: sdist, auto, repository");
}
