//! What is written is read back; what is newest stays newest; what is known is not written twice.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::collections::BTreeMap;

use support::{build_log, record};
use wheeltapper_core::{Outcome, Phase, ProjectName};
use wheeltapper_store::{Error, Filter, Recorded, Store};

fn name(project: &str) -> ProjectName {
    project.parse().unwrap()
}

async fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_result_is_read_back_whole_with_its_logs() {
    let (_folder, store) = open().await;
    let written = record("r1", "cffi", "debian12-cp313", Outcome::BuildFailed, 5);
    let recorded = store.record(&written, &build_log("\u{1b}[31mfatal error\u{1b}[0m\n")).await.unwrap();
    assert_eq!(recorded, Recorded::New);
    assert_eq!(store.result("r1").await.unwrap().as_ref(), Some(&written));
    assert_eq!(store.latest(&name("cffi")).await.unwrap(), std::slice::from_ref(&written));
    assert_eq!(
        store.history(&name("cffi"), "debian12-cp313", 10).await.unwrap(),
        std::slice::from_ref(&written)
    );
    assert_eq!(store.run_results("run-1").await.unwrap(), std::slice::from_ref(&written));
    assert_eq!(store.find_request(&written.request).await.unwrap(), Some(written));
    assert_eq!(store.log("r1", Phase::Build).await.unwrap().unwrap(), b"\x1b[31mfatal error\x1b[0m\n");
    assert_eq!(store.log("r1", Phase::Test).await.unwrap(), None);
    assert_eq!(store.result("r2").await.unwrap(), None);
}

#[tokio::test]
async fn a_result_is_written_once() {
    let (_folder, store) = open().await;
    let first = record("r1", "six", "cp313", Outcome::Passed, 5);
    let again = record("r1", "six", "cp313", Outcome::TestFailed, 9);
    assert_eq!(store.record(&first, &build_log("first")).await.unwrap(), Recorded::New);
    assert_eq!(store.record(&again, &build_log("again")).await.unwrap(), Recorded::Known);
    assert_eq!(store.latest(&name("six")).await.unwrap(), [first]);
    assert_eq!(store.log("r1", Phase::Build).await.unwrap().unwrap(), b"first");
}

#[tokio::test]
async fn latest_moves_forward_only_and_a_farm_error_replaces_no_verdict() {
    let (_folder, store) = open().await;
    let none = BTreeMap::new();
    let latest = async || store.latest(&name("six")).await.unwrap().remove(0).id;
    for (id, outcome, second, expected) in [
        ("early-farm", Outcome::FarmError, 1, "early-farm"),
        ("verdict", Outcome::Passed, 0, "verdict"),
        ("late-farm", Outcome::FarmError, 9, "verdict"),
        ("newer", Outcome::TestFailed, 8, "newer"),
        ("older", Outcome::Passed, 4, "newer"),
        ("same time", Outcome::Passed, 8, "same time"),
    ] {
        store.record(&record(id, "six", "cp313", outcome, second), &none).await.unwrap();
        assert_eq!(latest().await, expected, "after {id}");
    }
    let history = store.history(&name("six"), "cp313", 3).await.unwrap();
    let ids: Vec<&str> = history.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(ids, ["late-farm", "same time", "newer"]);
}

#[tokio::test]
async fn the_newest_result_that_is_no_farm_error_is_found_by_its_request() {
    let (_folder, store) = open().await;
    for (id, outcome, second) in
        [("old", Outcome::Passed, 1), ("new", Outcome::TestFailed, 2), ("farm", Outcome::FarmError, 3)]
    {
        store.record(&record(id, "six", "cp313", outcome, second), &BTreeMap::new()).await.unwrap();
    }
    let request = record("x", "six", "cp313", Outcome::Passed, 0).request;
    assert_eq!(store.find_request(&request).await.unwrap().unwrap().id, "new");
    let other = record("x", "six", "cp312", Outcome::Passed, 0).request;
    assert_eq!(store.find_request(&other).await.unwrap(), None);
}

#[tokio::test]
async fn a_reused_result_answers_with_the_logs_that_it_repeats() {
    let (_folder, store) = open().await;
    store.record(&record("a", "six", "cp313", Outcome::Passed, 1), &build_log("built")).await.unwrap();
    for (id, from) in [("b", "a"), ("c", "b")] {
        let mut reused = record(id, "six", "cp313", Outcome::Passed, 2);
        reused.reused_from = Some(from.to_owned());
        store.record(&reused, &BTreeMap::new()).await.unwrap();
        assert_eq!(store.log(id, Phase::Build).await.unwrap().unwrap(), b"built");
    }
    assert_eq!(store.logs("c").await.unwrap(), build_log("built"));
}

#[tokio::test]
async fn large_logs_are_files_named_by_their_content() {
    let (folder, store) = open().await;
    let text = "a line that repeats\n".repeat(100_000);
    for id in ["a", "b"] {
        store.record(&record(id, "six", "cp313", Outcome::Passed, 1), &build_log(&text)).await.unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(folder.path().join("blobs"))
        .unwrap()
        .flat_map(|entry| std::fs::read_dir(entry.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    let [file] = files.as_slice() else { panic!("one file for one content, not {files:?}") };
    assert!(std::fs::metadata(file).unwrap().len() < 10_000);
    assert_eq!(store.log("b", Phase::Build).await.unwrap().unwrap(), text.as_bytes());

    std::fs::write(file, zstd::bulk::compress(b"altered", 3).unwrap()).unwrap();
    let error = store.log("b", Phase::Build).await.unwrap_err();
    assert!(matches!(error, Error::Blob { .. }), "{error}");
    std::fs::remove_file(file).unwrap();
    let error = store.log("b", Phase::Build).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--fresh"), "{error}");
}

#[tokio::test]
async fn listings_are_filtered_and_paged() {
    let (_folder, store) = open().await;
    for number in 0..600 {
        let outcome = if number % 3 == 0 { Outcome::TestFailed } else { Outcome::Passed };
        let environment = if number % 2 == 0 { "cp312" } else { "cp313" };
        let project = format!("project-{:03}", number / 2);
        let result = record(&format!("r{number}"), &project, environment, outcome, number);
        store.record(&result, &BTreeMap::new()).await.unwrap();
    }
    let mut pages = store.latest_all(Filter::default());
    let mut seen = Vec::new();
    loop {
        let page = pages.next_page().await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(
            page.into_iter().map(|record| (record.evidence.project, record.evidence.environment.name)),
        );
    }
    assert_eq!(seen.len(), 600);
    assert!(seen.is_sorted_by(|left, right| left < right), "ordered, none twice");

    let filter = Filter {
        outcomes: vec![Outcome::TestFailed, Outcome::BuildFailed],
        environments: vec!["cp313".to_owned()],
        ..Filter::default()
    };
    let rows = store.latest_summaries(&filter).await.unwrap();
    assert_eq!(rows.len(), 100);
    assert!(rows.iter().all(|row| row.outcome == Outcome::TestFailed && row.environment == "cp313"));
    let one = Filter { projects: vec![name("project-007")], ..Filter::default() };
    assert_eq!(store.latest_summaries(&one).await.unwrap().len(), 2);
}

#[tokio::test]
async fn runs_are_told_newest_first() {
    let (_folder, store) = open().await;
    let command = ["wheeltapper".to_owned(), "run".to_owned(), "six".to_owned()];
    store.begin_run("one", "2026-11-22T10:00:00Z", &command).await.unwrap();
    store.begin_run("two", "2026-11-22T10:00:00.5Z", &command).await.unwrap();
    let counts = BTreeMap::from([(Outcome::Passed, 3), (Outcome::TestFailed, 1)]);
    store.end_run("one", "2026-11-22T10:05:00Z", &counts).await.unwrap();
    let runs = store.runs().await.unwrap();
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["two", "one"]);
    assert_eq!((runs[0].ended.as_ref(), &runs[1].counts), (None, &counts));
    assert_eq!(runs[1].command, command);
}

#[tokio::test]
async fn a_verdict_is_put_in_anothers_place_and_nothing_else_changes() {
    let (_folder, store) = open().await;
    let written = record("r1", "six", "cp313", Outcome::TestFailed, 5);
    store.record(&written, &build_log("log")).await.unwrap();
    let mut rejudged = written.clone();
    rejudged.verdict.outcome = Outcome::Passed;
    rejudged.verdict.cause = None;
    store.rejudge(&rejudged).await.unwrap();
    assert_eq!(store.latest(&name("six")).await.unwrap(), std::slice::from_ref(&rejudged));
    let passed = Filter { outcomes: vec![Outcome::Passed], ..Filter::default() };
    assert_eq!(store.latest_summaries(&passed).await.unwrap().len(), 1);
    assert_eq!(store.log("r1", Phase::Build).await.unwrap().unwrap(), b"log");
    let mut pages = store.every_result(Some("run-1"));
    assert_eq!(pages.next_page().await.unwrap(), [rejudged]);
    assert!(pages.next_page().await.unwrap().is_empty());
    assert!(store.every_result(Some("no-run")).next_page().await.unwrap().is_empty());
}

#[tokio::test]
async fn results_on_the_same_inputs_are_found_but_for_those_that_repeat_one() {
    let (_folder, store) = open().await;
    let first = record("r1", "six", "cp313", Outcome::TestFailed, 1);
    let mut second = record("r2", "six", "cp313", Outcome::Passed, 2);
    let mut repeated = record("r3", "six", "cp313", Outcome::Passed, 3);
    let mut other = record("r4", "six", "cp313", Outcome::Passed, 4);
    (second.inputs, repeated.inputs) = (first.inputs, first.inputs);
    repeated.reused_from = Some("r2".to_owned());
    other.inputs = wheeltapper_core::Sha256::of(b"other inputs");
    for written in [&first, &second, &repeated, &other] {
        store.record(written, &BTreeMap::new()).await.unwrap();
    }
    let found = store.of_inputs(&first.evidence, &first.inputs, 10).await.unwrap();
    assert_eq!(found, [second, first]);
}
