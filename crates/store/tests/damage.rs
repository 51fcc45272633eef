//! Damaged, foreign and newer databases are told as what they are, and left as they were.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::path::Path;

use sqlx::Connection as _;
use support::{build_log, record};
use wheeltapper_core::Outcome;
use wheeltapper_store::{DATABASE, Error, Filter, Store};

async fn filled(folder: &Path, results: u32) {
    let store = Store::open(folder).await.unwrap();
    for number in 0..results {
        let result = record(&format!("r{number}"), &format!("p{number}"), "cp313", Outcome::Passed, number);
        store.record(&result, &build_log("text")).await.unwrap();
    }
    store.close().await;
}

async fn execute(folder: &Path, sql: &'static str) {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join(DATABASE)).create_if_missing(true);
    let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Opening or listing; the first error.
async fn first_error(folder: &Path) -> Error {
    match Store::open(folder).await {
        Ok(store) => {
            let listed = store.latest_summaries(&Filter::default()).await;
            let checked = store.check().await;
            listed.err().or(checked.err()).expect("the damage is noticed")
        }
        Err(error) => error,
    }
}

#[tokio::test]
async fn garbage_in_place_of_the_database_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(DATABASE);
    std::fs::write(&file, "this is no database, but somebody's letter ".repeat(100)).unwrap();
    let before = std::fs::read(&file).unwrap();
    let error = first_error(folder.path()).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert!(error.to_string().contains(DATABASE), "{error}");
    assert!(error.hint().unwrap().contains(".recover"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn overwritten_pages_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 40).await;
    let file = folder.path().join(DATABASE);
    let mut bytes = std::fs::read(&file).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0xA5);
    std::fs::write(&file, &bytes).unwrap();
    let error = first_error(folder.path()).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap().len(), length, "nothing is thrown away");
}

#[tokio::test]
async fn half_a_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 40).await;
    let file = folder.path().join(DATABASE);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let error = first_error(folder.path()).await;
    assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 1).await;
    execute(folder.path(), "PRAGMA user_version = 99").await;
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 99, .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("newer program"));
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    execute(folder.path(), "CREATE TABLE recipe (cake TEXT)").await;
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("data")).await.unwrap_err();
    assert!(matches!(error, Error::Folder { .. }), "{error:?}");
    std::fs::create_dir(folder.path().join(DATABASE)).unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(error.to_string().contains(DATABASE), "{error}");
}

#[tokio::test]
async fn results_in_another_form_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 600).await;
    // What another program may have packed, and a word that this one does not know.
    execute(
        folder.path(),
        "UPDATE result SET record = x'00' WHERE project < 'p5';
         UPDATE result SET outcome = 'admired' WHERE project = 'p7'",
    )
    .await;
    let store = Store::open(folder.path()).await.unwrap();
    assert!(store.latest(&"p1".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(store.passed_over(), 1);
    assert_eq!(store.latest(&"p9".parse().unwrap()).await.unwrap().len(), 1);
    let unreadable = (0..600).filter(|number| format!("p{number}").as_str() < "p5").count();
    let (mut pages, mut seen) = (store.latest_all(Filter::default()), 0);
    loop {
        let page = pages.next_page().await.unwrap();
        if page.is_empty() {
            break;
        }
        seen += page.len();
    }
    assert_eq!((seen, store.passed_over()), (600 - unreadable, unreadable));
    assert_eq!(store.latest_summaries(&Filter::default()).await.unwrap().len(), 599);
    assert!(matches!(store.result("r1").await, Err(Error::Unreadable { .. })));
}
