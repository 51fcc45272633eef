//! What is remembered: results for good, the newest verdict of each cell, logs, runs. One SQLite file and a folder of
//! large logs below the data folder. Knows rows and blobs; decides nothing about results, never asks the clock.
//!
//! # What is safe
//! A result, its place in `latest` and its logs are one transaction: they are all there or none. WAL mode with
//! `synchronous = NORMAL`: once [`Store::record`] has returned, the result survives a kill -9 of the program, because
//! the kernel holds the written pages. A power cut or a kernel crash may lose the last results (those since the last
//! checkpoint, about 4 MB of them), never the database's consistency; the same run again does those cells anew. Full
//! synchronisation would cost a disk flush a cell and save seconds of work on an event that is rare.
//!
//! No transaction is open while anything else runs. Several processes may use one data folder at once.

mod cycles;
mod decisions;
mod error;
mod filesystem;
mod letters;
mod logs;
mod rejudge;
mod results;
mod retention;
mod runs;
mod schema;
mod standings;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use decisions::{Decision, Settled, StoredCell};
pub use error::Error;
pub use letters::{StoredLetter, Told};
pub use rejudge::ResultPages;
pub use results::{Filter, LatestPages, Recorded, Summary};
pub use retention::Freed;
pub use runs::Run;

/// The database's file name below the data folder.
pub const DATABASE: &str = "results.sqlite";

/// How long a writer waits for another process before [`Error::Busy`].
const PATIENCE: Duration = Duration::from_secs(60);

/// The results of one data folder. Cheap to clone; clones share their connections.
#[derive(Debug, Clone)]
pub struct Store {
    /// The one writer of this process: waiting for it is a queue, not a poll on the file's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    file: PathBuf,
    blobs: PathBuf,
    /// Results that listings left out, because this program cannot read their records.
    passed_over: Arc<Mutex<BTreeSet<String>>>,
}

impl Store {
    /// Opens the store in this folder and brings it to the newest schema; makes the folder and the file where missing.
    ///
    /// # Errors
    /// [`Error::NetworkFileSystem`], [`Error::Corrupt`], [`Error::NewerSchema`], [`Error::Foreign`], [`Error::Folder`],
    /// [`Error::Busy`]. Nothing that was there is changed then.
    pub async fn open(data_folder: &Path) -> Result<Store, Error> {
        Store::open_on(data_folder, &filesystem::of).await
    }

    async fn open_on(
        data_folder: &Path,
        file_system_of: &(dyn Fn(&Path) -> io::Result<filesystem::FileSystem> + Sync),
    ) -> Result<Store, Error> {
        let blobs = data_folder.join(logs::BLOBS);
        std::fs::create_dir_all(data_folder).map_err(|source| Error::folder(data_folder, source))?;
        filesystem::refuse_network(data_folder, file_system_of)?;
        std::fs::create_dir_all(&blobs).map_err(|source| Error::folder(&blobs, source))?;
        let file = data_folder.join(DATABASE);
        let options = SqliteConnectOptions::new()
            .filename(&file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
            .disable_statement_logging();
        {
            let _only_one = lock_for_opening(data_folder).await?;
            let mut connection = SqliteConnection::connect_with(&options)
                .await
                .map_err(|source| cannot_open(&file, source))?;
            schema::migrate(&mut connection, &file).await?;
            connection.close().await.map_err(|source| Error::database(&file, source))?;
        }
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE * 10)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options.clone())
        };
        logs::remove_abandoned(&blobs);
        Ok(Store { writer: pool(1), readers: pool(4), file, blobs, passed_over: Arc::default() })
    }

    /// How many results listings have left out since the store was opened, because another version of the program wrote them
    /// in a form that this one does not read. Whoever shows a listing says so.
    pub fn passed_over(&self) -> usize {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the whole database and says what is wrong with it; for `doctor`. Takes about a second a gigabyte.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with SQLite's first finding.
    pub async fn check(&self) -> Result<(), Error> {
        let rows = sqlx::query("PRAGMA quick_check(1)").fetch_all(&self.readers).await;
        let rows = rows.map_err(|source| self.fault(source))?;
        let found: String = match rows.first() {
            Some(row) => row.try_get(0).map_err(|source| self.fault(source))?,
            None => "ok".to_owned(),
        };
        if found == "ok" { Ok(()) } else { Err(Error::Corrupt { file: self.file.clone(), reason: found }) }
    }

    /// Waits for what is being written, then closes the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn fault(&self, source: sqlx::Error) -> Error {
        Error::database(&self.file, source)
    }
}

fn cannot_open(file: &Path, source: sqlx::Error) -> Error {
    match Error::database(file, source) {
        Error::Database { file, source } => {
            let reason = io::Error::other(source.to_string());
            match std::fs::metadata(&file) {
                Ok(found) if found.is_file() => Error::Database { file, source },
                _ => Error::Folder { path: file, source: reason },
            }
        }
        other => other,
    }
}

/// Holds a lock while a database is made: the switch to WAL mode does not wait for others by itself.
/// The kernel frees it when the process ends, however that happens.
async fn lock_for_opening(data_folder: &Path) -> Result<std::fs::File, Error> {
    let path = data_folder.join("opening.lock");
    let fault = |source| Error::folder(&path, source);
    let file = std::fs::File::options().create(true).read(true).append(true).open(&path).map_err(fault)?;
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(io::Error::other).and_then(|file| file).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_network_file_system_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let nfs = |_: &Path| Ok(filesystem::FileSystem { magic: 0x6969, name: None });
        let error = Store::open_on(folder.path(), &nfs).await.unwrap_err();
        assert!(matches!(error, Error::NetworkFileSystem { .. }), "{error}");
        assert!(error.to_string().contains("network file system (NFS)"), "{error}");
        assert!(error.hint().unwrap().contains("local disk"));
        assert!(!folder.path().join(DATABASE).exists(), "nothing is written there");
    }
}
