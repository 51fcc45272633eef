//! Several processes on one data folder, and kill -9 in the middle of writing. The children are this test binary
//! again, told by an environment variable to be writers.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use support::{build_log, record};
use wheeltapper_core::{Outcome, Phase};
use wheeltapper_store::{Filter, Store};

const FOLDER: &str = "WHEELTAPPER_TEST_STORE_FOLDER";
const WRITER: &str = "WHEELTAPPER_TEST_STORE_WRITER";
const COUNT: &str = "WHEELTAPPER_TEST_STORE_COUNT";

/// A log that becomes a file for every seventh result.
fn log_of(number: u32) -> String {
    if number.is_multiple_of(7) { format!("{number} line\n").repeat(50_000) } else { format!("log {number}") }
}

/// Not a test by itself: the body of a child process. Prints each id once it is recorded.
#[tokio::test]
async fn child_writes() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let writer = std::env::var(WRITER).unwrap();
    let count: u32 = std::env::var(COUNT).unwrap().parse().unwrap();
    let store = Store::open(Path::new(&folder)).await.unwrap();
    for number in 0..count {
        let id = format!("{writer}-{number}");
        let result =
            record(&id, &format!("{writer}-project-{number}"), "cp313", Outcome::Passed, number % 3600);
        store.record(&result, &build_log(&log_of(number))).await.unwrap();
        println!("\nrecorded {id}");
    }
}

fn spawn(folder: &Path, writer: &str, count: u32) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes", "--nocapture"])
        .envs([(FOLDER, folder.as_os_str()), (WRITER, writer.as_ref()), (COUNT, count.to_string().as_ref())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The ids that a child has said to be recorded, until it ends or `enough` have been seen; it is killed then.
fn ids_said(mut child: Child, enough: usize) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(id) = line.unwrap().strip_prefix("recorded ") {
            ids.insert(id.to_owned());
        }
        if ids.len() == enough {
            child.kill().unwrap(); // SIGKILL; what it still manages to print is read on.
        }
    }
    child.wait().unwrap();
    ids
}

async fn assert_whole(store: &Store, said: &BTreeSet<String>) {
    store.check().await.unwrap();
    let rows = store.latest_summaries(&Filter::default()).await.unwrap();
    let stored: BTreeSet<String> = rows.into_iter().map(|row| row.id).collect();
    assert!(said.is_subset(&stored), "lost: {:?}", said.difference(&stored).collect::<Vec<_>>());
    for id in &stored {
        let number = id.rsplit('-').next().unwrap().parse().unwrap();
        let log = store.log(id, Phase::Build).await.unwrap().expect("a result has its log");
        assert!(log == log_of(number).as_bytes(), "log of {id}");
        assert!(store.result(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_was_recorded_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut said = BTreeSet::new();
    for (round, enough) in [1, 8, 31].into_iter().enumerate() {
        said.extend(ids_said(spawn(folder.path(), &format!("round{round}"), u32::MAX), enough));
        let store = Store::open(folder.path()).await.unwrap();
        assert_whole(&store, &said).await;
        store.close().await;
    }
    assert!(said.len() >= 40, "{}", said.len());
}

#[tokio::test]
async fn two_processes_write_at_once_into_a_folder_that_neither_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new");
    let children = [spawn(&data, "left", 60), spawn(&data, "right", 60)];
    let threads = children.map(|child| std::thread::spawn(|| ids_said(child, usize::MAX)));
    let said: BTreeSet<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(said.len(), 120);
    let store = Store::open(&data).await.unwrap();
    assert_whole(&store, &said).await;
    assert_eq!(store.latest_summaries(&Filter::default()).await.unwrap().len(), 120);
}
