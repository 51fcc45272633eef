//! Letters, and what they told: one transaction each, so that nothing is told twice and nothing is lost.

use std::collections::BTreeMap;

use sqlx::{Row, sqlite::SqliteRow};
use wheeltapper_core::cycle::CellName;

use crate::{Error, Store, error::unknown_word, logs};

/// A letter, and what it tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its name, also its file's.
    pub id: String,
    /// The cycle after which it was written.
    pub cycle: i64,
    /// Whom it is to, as a digest.
    pub contact: String,
    /// The whole message.
    pub message: Vec<u8>,
    /// What it tells.
    pub told: Vec<Told>,
}

/// Something that somebody was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who, as a digest.
    pub contact: String,
    /// About which cell.
    pub cell: CellName,
    /// What: words that are never told twice.
    pub what: String,
}

impl Store {
    /// Keeps a letter and remembers what it tells, both or none. One that is there already is left as it is.
    ///
    /// # Errors
    /// What SQLite says; likewise below.
    pub async fn put_letter(&self, letter: &StoredLetter) -> Result<(), Error> {
        let message = zstd::bulk::compress(&letter.message, logs::LEVEL)
            .map_err(|error| Error::unreadable(&letter.id, error))?;
        self.write_letter(letter, message).await.map_err(|source| self.fault(source))
    }

    async fn write_letter(&self, letter: &StoredLetter, message: Vec<u8>) -> Result<(), sqlx::Error> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "INSERT INTO letter (id, cycle, contact, message) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(&letter.id)
        .bind(letter.cycle)
        .bind(&letter.contact)
        .bind(message)
        .execute(&mut *transaction)
        .await?;
        for told in &letter.told {
            sqlx::query(
                "INSERT INTO told (contact, project, environment, artifact, what, letter)
                 VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )
            .bind(&told.contact)
            .bind(told.cell.project.as_str())
            .bind(&told.cell.environment)
            .bind(told.cell.artifact.as_str())
            .bind(&told.what)
            .bind(&letter.id)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }

    /// Everything that anybody was told.
    pub async fn told(&self) -> Result<Vec<Told>, Error> {
        let fault = |source| self.fault(source);
        let query = sqlx::query("SELECT contact, project, environment, artifact, what FROM told");
        let rows = query.fetch_all(&self.readers).await.map_err(fault)?;
        let read = |row: &SqliteRow| {
            let text = |column: usize| row.try_get::<String, _>(column).map_err(fault);
            Ok(Told {
                contact: text(0)?,
                cell: CellName {
                    project: text(1)?.parse().map_err(|error| Error::unreadable("told", error))?,
                    environment: text(2)?,
                    artifact: text(3)?.parse().map_err(unknown_word("told"))?,
                },
                what: text(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Letters whose files have not been written: name and message, in the order of their names.
    pub async fn unwritten_letters(&self) -> Result<BTreeMap<String, Vec<u8>>, Error> {
        let fault = |source| self.fault(source);
        let query = sqlx::query("SELECT id, message FROM letter WHERE written = 0");
        let rows = query.fetch_all(&self.readers).await.map_err(fault)?;
        let read = |row: &SqliteRow| {
            let id: String = row.try_get(0).map_err(fault)?;
            let packed: &[u8] = row.try_get(1).map_err(fault)?;
            let message = zstd::decode_all(packed).map_err(|error| Error::unreadable(&id, error))?;
            Ok((id, message))
        };
        rows.iter().map(read).collect()
    }

    /// Notes that a letter's file is there.
    pub async fn letter_is_written(&self, id: &str) -> Result<(), Error> {
        sqlx::query("UPDATE letter SET written = 1 WHERE id = ?")
            .bind(id)
            .execute(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(())
    }

    /// How many letters there are.
    pub async fn count_letters(&self) -> Result<u64, Error> {
        let row = sqlx::query("SELECT count(*) FROM letter").fetch_one(&self.readers).await;
        let count: i64 = row.and_then(|row| row.try_get(0)).map_err(|source| self.fault(source))?;
        Ok(count.unsigned_abs())
    }
}
