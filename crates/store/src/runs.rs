//! Runs: which command brought which results, when it began and ended, and what it counted.

use std::collections::BTreeMap;

use sqlx::Row;
use wheeltapper_core::Outcome;

use crate::{Error, Store, results::sortable};

/// One run of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Identifies it; [`wheeltapper_core::Record::run`] refers to it.
    pub id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; none while it runs, and for good when it was killed.
    pub ended: Option<String>,
    /// The command line, program first. The caller keeps credentials out of it.
    pub command: Vec<String>,
    /// How many cells came to which outcome; empty until it ended.
    pub counts: BTreeMap<Outcome, u64>,
}

impl Store {
    /// Notes that a run has begun. Again with the same id: nothing happens.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn begin_run(&self, id: &str, started: &str, command: &[String]) -> Result<(), Error> {
        let command = serde_json::to_string(command).map_err(|error| Error::unreadable(id, error))?;
        sqlx::query("INSERT INTO run (id, started, command) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING")
            .bind(id)
            .bind(sortable(started))
            .bind(command)
            .execute(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(())
    }

    /// Notes that a run has ended, and what it counted.
    ///
    /// # Errors
    /// What SQLite says. An unknown run is no error.
    pub async fn end_run(&self, id: &str, ended: &str, counts: &BTreeMap<Outcome, u64>) -> Result<(), Error> {
        let counts = serde_json::to_string(counts).map_err(|error| Error::unreadable(id, error))?;
        sqlx::query("UPDATE run SET ended = ?, counts = ? WHERE id = ?")
            .bind(sortable(ended))
            .bind(counts)
            .bind(id)
            .execute(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(())
    }

    /// All runs, newest first.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn runs(&self) -> Result<Vec<Run>, Error> {
        let rows =
            sqlx::query("SELECT id, started, ended, command, counts FROM run ORDER BY started DESC, id DESC")
                .fetch_all(&self.readers)
                .await
                .map_err(|source| self.fault(source))?;
        rows.iter().map(|row| self.run_of(row)).collect()
    }

    fn run_of(&self, row: &sqlx::sqlite::SqliteRow) -> Result<Run, Error> {
        let fault = |source| self.fault(source);
        let id: String = row.try_get(0).map_err(fault)?;
        let command: String = row.try_get(3).map_err(fault)?;
        let counts: Option<String> = row.try_get(4).map_err(fault)?;
        let command = serde_json::from_str(&command).map_err(|error| Error::unreadable(&id, error))?;
        let counts = counts.as_deref().map_or(Ok(BTreeMap::new()), serde_json::from_str);
        let counts = counts.map_err(|error| Error::unreadable(&id, error))?;
        let (started, ended) = (row.try_get(1).map_err(fault)?, row.try_get(2).map_err(fault)?);
        Ok(Run { id, started, ended, command, counts })
    }
}
