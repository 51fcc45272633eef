//! Judging stored results again: every result in the order of arrival, and a verdict put in another's place. The evidence and
//! the logs stay as they are.

use sqlx::Row as _;
use wheeltapper_core::{Outcome, Record};

use crate::{Error, Store, results::pack_record};

/// How many records a page of [`ResultPages`] holds at most.
const PAGE: i64 = 256;

/// Every result of the store, or of one run, page by page. See [`Store::every_result`].
#[derive(Debug)]
pub struct ResultPages<'a> {
    store: &'a Store,
    run: Option<String>,
    after: i64,
}

impl Store {
    /// Every result, or those of one run, in the order of their arrival, page by page.
    pub fn every_result(&self, run: Option<&str>) -> ResultPages<'_> {
        ResultPages { store: self, run: run.map(str::to_owned), after: 0 }
    }

    /// Puts this record's verdict in the place of the stored one, all or nothing. An unknown result is left unknown.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Busy`], or what SQLite says; nothing is changed then.
    pub async fn rejudge(&self, record: &Record) -> Result<(), Error> {
        let packed = pack_record(record)?;
        self.replace_verdict(record, packed).await.map_err(|source| self.fault(source))
    }

    async fn replace_verdict(&self, record: &Record, packed: Vec<u8>) -> Result<(), sqlx::Error> {
        let verdict = &record.verdict;
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("UPDATE result SET outcome = ?, cause = ?, signature = ?, record = ? WHERE id = ?")
            .bind(verdict.outcome.as_str())
            .bind(verdict.cause.as_ref().map(|cause| cause.id.as_str()))
            .bind(&verdict.signature)
            .bind(packed)
            .bind(&record.id)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE latest SET outcome = ?, verdict = ?
             WHERE result = (SELECT number FROM result WHERE id = ?)",
        )
        .bind(verdict.outcome.as_str())
        .bind(i64::from(verdict.outcome != Outcome::FarmError))
        .bind(&record.id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }
}

impl ResultPages<'_> {
    /// The next records; empty at the end.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or what SQLite says.
    pub async fn next_page(&mut self) -> Result<Vec<Record>, Error> {
        let rows = sqlx::query(
            "SELECT id, record, number FROM result WHERE number > ? AND (?2 IS NULL OR run = ?2)
             ORDER BY number LIMIT ?3",
        )
        .bind(self.after)
        .bind(&self.run)
        .bind(PAGE)
        .fetch_all(&self.store.readers)
        .await
        .map_err(|source| self.store.fault(source))?;
        if let Some(last) = rows.last() {
            self.after = last.try_get(2).map_err(|source| self.store.fault(source))?;
        }
        let records = self.store.readable(&rows)?;
        // A page of nothing but results of another version is not the end.
        if records.is_empty() && !rows.is_empty() {
            return Box::pin(self.next_page()).await;
        }
        Ok(records)
    }
}
