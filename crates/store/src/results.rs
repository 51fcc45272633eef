//! Results: writing a settled cell in one transaction, and every question that is asked about them.

use std::{collections::BTreeMap, sync::PoisonError};

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};
use wheeltapper_core::{Artifact, CauseId, Evidence, Outcome, Phase, ProjectName, Record, Sha256};

use crate::{
    Error, Store,
    error::unknown_word,
    logs::{self, Place},
};

/// Whether a result was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was written.
    New,
    /// A result with this id is there already; it was left as it is.
    Known,
}

/// Which cells are meant. Empty lists mean all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only these outcomes.
    pub outcomes: Vec<Outcome>,
    /// Only environments of these names.
    pub environments: Vec<String>,
    /// Only these projects.
    pub projects: Vec<ProjectName>,
}

/// A result's columns, without the record: for listings of many.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The result.
    pub id: String,
    /// Its run.
    pub run: String,
    /// The project.
    pub project: ProjectName,
    /// The release; empty when none could be chosen.
    pub version: String,
    /// What the cell started from.
    pub artifact: Artifact,
    /// The environment's name.
    pub environment: String,
    /// The one word.
    pub outcome: Outcome,
    /// Why it failed.
    pub cause: Option<CauseId>,
    /// The cluster that the failure belongs to.
    pub signature: Option<String>,
    /// RFC 3339, UTC, nine digits of a second.
    pub started: String,
    /// Wall time of the whole cell.
    pub wall_s: f64,
}

/// How many records a page of [`LatestPages`] holds at most.
const PAGE: i64 = 256;

/// Cuts a selection of `latest` down to a filter; the three parameters are JSON arrays or null.
macro_rules! filtered {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM latest JOIN result ON result.number = latest.result
             WHERE (?1 IS NULL OR latest.outcome IN (SELECT value FROM json_each(?1)))
               AND (?2 IS NULL OR latest.environment IN (SELECT value FROM json_each(?2)))
               AND (?3 IS NULL OR latest.project IN (SELECT value FROM json_each(?3))) ",
            $rest
        )
    };
}

impl Store {
    /// Writes a settled cell: the result, its place as the newest of its cell, and its logs, all or nothing.
    /// Idempotent on the result's id. A farm error never takes the place of a verdict, nor an older result that of a
    /// newer one. Logs are the bytes that were printed; a reused result brings none.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Busy`], [`Error::Folder`], or what SQLite says; nothing is written then.
    pub async fn record(&self, record: &Record, logs: &BTreeMap<Phase, Vec<u8>>) -> Result<Recorded, Error> {
        if self.is_known(&record.id).await? {
            return Ok(Recorded::Known);
        }
        let packed_record = pack_record(record)?;
        let packed_logs = if logs.is_empty() {
            Vec::new()
        } else {
            let (blobs, logs) = (self.blobs.clone(), logs.clone());
            let packing = tokio::task::spawn_blocking(move || logs::pack(&blobs, logs));
            packing.await.map_err(|error| Error::unreadable(&record.id, error))??
        };
        let write = async {
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            let recorded = insert(&mut transaction, record, packed_record, &packed_logs).await?;
            transaction.commit().await.map(|()| recorded)
        };
        write.await.map_err(|source| self.fault(source))
    }

    /// Writes results that bring no logs, such as reused ones, in one transaction: all of them or none, otherwise as
    /// [`Store::record`] does. A transaction costs more than what it holds.
    ///
    /// # Errors
    /// As [`Store::record`].
    pub async fn record_all(&self, records: &[Record]) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let packed = records.iter().map(pack_record).collect::<Result<Vec<_>, _>>()?;
        let write = async {
            let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
            for (record, packed) in records.iter().zip(packed) {
                insert(&mut transaction, record, packed, &[]).await?;
            }
            transaction.commit().await
        };
        write.await.map_err(|source| self.fault(source))
    }

    async fn is_known(&self, id: &str) -> Result<bool, Error> {
        let found =
            sqlx::query("SELECT 1 FROM result WHERE id = ?").bind(id).fetch_optional(&self.readers).await;
        Ok(found.map_err(|source| self.fault(source))?.is_some())
    }

    /// The result with this id.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or what SQLite says; likewise for every question below.
    pub async fn result(&self, id: &str) -> Result<Option<Record>, Error> {
        let query = sqlx::query("SELECT id, record FROM result WHERE id = ?").bind(id);
        let row = query.fetch_optional(&self.readers).await.map_err(|source| self.fault(source))?;
        row.map(|row| self.record_of(&row)).transpose()
    }

    /// The newest result of each cell of a project, by environment and artifact. This and the other listings leave out what
    /// this program cannot read; see [`Store::passed_over`].
    pub async fn latest(&self, project: &ProjectName) -> Result<Vec<Record>, Error> {
        let rows = sqlx::query(
            "SELECT result.id, result.record FROM latest JOIN result ON result.number = latest.result
             WHERE latest.project = ? ORDER BY latest.environment, latest.artifact",
        )
        .bind(project.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        self.readable(&rows)
    }

    /// The newest result of each cell that the filter lets through, page by page, ordered by project, environment and
    /// artifact. What changes meanwhile may or may not be seen; no cell is given twice.
    pub fn latest_all(&self, filter: Filter) -> LatestPages<'_> {
        LatestPages {
            store: self,
            filter: FilterColumns::of(&filter),
            after: Default::default(),
            done: false,
        }
    }

    /// The same as [`Store::latest_all`], all at once and without the records.
    pub async fn latest_summaries(&self, filter: &Filter) -> Result<Vec<Summary>, Error> {
        let filter = FilterColumns::of(filter);
        let rows = sqlx::query(filtered!(
            "SELECT result.id, run, result.project, version, result.artifact, result.environment, result.outcome,
                    cause, signature, result.started, wall_s",
            "ORDER BY latest.project, latest.environment, latest.artifact"
        ))
        .bind(&filter.outcomes)
        .bind(&filter.environments)
        .bind(&filter.projects)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        rows.iter().filter_map(|row| self.unless_unreadable(self.summary_of(row))).collect()
    }

    /// The results of a project in an environment, newest first, both artifacts, at most `limit` of them.
    pub async fn history(
        &self,
        project: &ProjectName,
        environment: &str,
        limit: u32,
    ) -> Result<Vec<Record>, Error> {
        let rows = sqlx::query(
            "SELECT id, record FROM result WHERE project = ? AND environment = ?
             ORDER BY started DESC, number DESC LIMIT ?",
        )
        .bind(project.as_str())
        .bind(environment)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        self.readable(&rows)
    }

    /// The results of a cell that used these very inputs, reused ones left out, newest first, at most `limit` of them.
    pub async fn of_inputs(
        &self,
        evidence: &Evidence,
        inputs: &Sha256,
        limit: u32,
    ) -> Result<Vec<Record>, Error> {
        let rows = sqlx::query(
            "SELECT id, record FROM result WHERE project = ? AND environment = ? AND artifact = ? AND inputs = ?
             ORDER BY started DESC, number DESC LIMIT ?",
        )
        .bind(evidence.project.as_str())
        .bind(&evidence.environment.name)
        .bind(evidence.artifact.as_str())
        .bind(inputs.0.as_slice())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        let mut found = self.readable(&rows)?;
        found.retain(|record| record.reused_from.is_none());
        Ok(found)
    }

    /// The results of a run, in the order in which they settled.
    pub async fn run_results(&self, run: &str) -> Result<Vec<Record>, Error> {
        let query = sqlx::query("SELECT id, record FROM result WHERE run = ? ORDER BY number").bind(run);
        let rows = query.fetch_all(&self.readers).await.map_err(|source| self.fault(source))?;
        self.readable(&rows)
    }

    /// The newest result with this request that is no farm error: what a cell with the same request may reuse.
    /// It may be a reused result itself; its `reused_from` then leads to what was really run.
    pub async fn find_request(&self, request: &Sha256) -> Result<Option<Record>, Error> {
        let row = sqlx::query(
            "SELECT id, record FROM result WHERE request = ? AND outcome <> 'farm-error'
             ORDER BY started DESC, number DESC LIMIT 1",
        )
        .bind(request.0.as_slice())
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        row.map(|row| self.record_of(&row)).transpose()
    }

    /// The records of these rows that this program can read.
    pub(crate) fn readable(&self, rows: &[SqliteRow]) -> Result<Vec<Record>, Error> {
        rows.iter().filter_map(|row| self.unless_unreadable(self.record_of(row))).collect()
    }

    fn unless_unreadable<T>(&self, read: Result<T, Error>) -> Option<Result<T, Error>> {
        match read {
            Err(Error::Unreadable { id, .. }) => {
                self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
                None
            }
            other => Some(other),
        }
    }

    /// The record of a row whose first columns are `id` and `record`.
    pub(crate) fn record_of(&self, row: &SqliteRow) -> Result<Record, Error> {
        let id: String = row.try_get(0).map_err(|source| self.fault(source))?;
        let packed: &[u8] = row.try_get(1).map_err(|source| self.fault(source))?;
        let json = zstd::decode_all(packed).map_err(|error| Error::unreadable(&id, error))?;
        serde_json::from_slice(&json).map_err(|error| Error::unreadable(&id, error))
    }

    fn summary_of(&self, row: &SqliteRow) -> Result<Summary, Error> {
        let text = |column: usize| row.try_get::<String, _>(column).map_err(|source| self.fault(source));
        let id = text(0)?;
        let cause: Option<String> = row.try_get(7).map_err(|source| self.fault(source))?;
        Ok(Summary {
            run: text(1)?,
            project: text(2)?.parse().map_err(|error| Error::unreadable(&id, error))?,
            version: text(3)?,
            artifact: text(4)?.parse().map_err(unknown_word(&id))?,
            environment: text(5)?,
            outcome: text(6)?.parse().map_err(unknown_word(&id))?,
            cause: cause.map(|cause| cause.parse()).transpose().map_err(unknown_word(&id))?,
            signature: row.try_get(8).map_err(|source| self.fault(source))?,
            started: text(9)?,
            wall_s: row.try_get(10).map_err(|source| self.fault(source))?,
            id,
        })
    }
}

/// Writes a result, its place in `latest` and its logs, in the transaction that is open.
async fn insert(
    transaction: &mut SqliteConnection,
    record: &Record,
    packed_record: Vec<u8>,
    logs: &[logs::Packed],
) -> Result<Recorded, sqlx::Error> {
    let (evidence, verdict) = (&record.evidence, &record.verdict);
    let started = sortable(&record.started);
    let inserted = sqlx::query(
        "INSERT INTO result (id, run, project, version, artifact, environment, outcome, cause, signature,
                             request, inputs, started, wall_s, log_owner, record)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                 (SELECT coalesce(log_owner, number) FROM result WHERE id = ?), ?)
         ON CONFLICT (id) DO NOTHING
         RETURNING number",
    )
    .bind(&record.id)
    .bind(&record.run)
    .bind(evidence.project.as_str())
    .bind(&evidence.version)
    .bind(evidence.artifact.as_str())
    .bind(&evidence.environment.name)
    .bind(verdict.outcome.as_str())
    .bind(verdict.cause.as_ref().map(|cause| cause.id.as_str()))
    .bind(&verdict.signature)
    .bind(record.request.0.as_slice())
    .bind(record.inputs.0.as_slice())
    .bind(&started)
    .bind(record.wall_s)
    .bind(&record.reused_from)
    .bind(packed_record)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(inserted) = inserted else { return Ok(Recorded::Known) };
    let number: i64 = inserted.try_get(0)?;
    sqlx::query(
        "INSERT INTO latest (project, environment, artifact, result, outcome, verdict, started)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (project, environment, artifact) DO UPDATE
         SET result = excluded.result, outcome = excluded.outcome,
             verdict = excluded.verdict, started = excluded.started
         WHERE (excluded.verdict, excluded.started) >= (latest.verdict, latest.started)",
    )
    .bind(evidence.project.as_str())
    .bind(&evidence.environment.name)
    .bind(evidence.artifact.as_str())
    .bind(number)
    .bind(verdict.outcome.as_str())
    .bind(i64::from(verdict.outcome != Outcome::FarmError))
    .bind(&started)
    .execute(&mut *transaction)
    .await?;
    for log in logs {
        let (data, blob) = match &log.place {
            Place::Inline(data) => (Some(data.as_slice()), None),
            Place::Blob(digest) => (None, Some(digest.hex())),
        };
        sqlx::query("INSERT INTO log (result, phase, bytes, data, blob) VALUES (?, ?, ?, ?, ?)")
            .bind(number)
            .bind(log.phase.as_str())
            .bind(log.bytes)
            .bind(data)
            .bind(blob)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(Recorded::New)
}

/// The newest results, page by page. See [`Store::latest_all`].
#[derive(Debug)]
pub struct LatestPages<'a> {
    store: &'a Store,
    filter: FilterColumns,
    /// Project, environment and artifact of the last record given.
    after: (String, String, String),
    done: bool,
}

impl LatestPages<'_> {
    /// The next records; empty at the end.
    ///
    /// # Errors
    /// [`Error::Unreadable`], or what SQLite says.
    pub async fn next_page(&mut self) -> Result<Vec<Record>, Error> {
        if self.done {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(filtered!(
            "SELECT result.id, result.record, latest.project, latest.environment, latest.artifact",
            "AND (latest.project, latest.environment, latest.artifact) > (?4, ?5, ?6)
             ORDER BY latest.project, latest.environment, latest.artifact LIMIT ?7"
        ))
        .bind(&self.filter.outcomes)
        .bind(&self.filter.environments)
        .bind(&self.filter.projects)
        .bind(&self.after.0)
        .bind(&self.after.1)
        .bind(&self.after.2)
        .bind(PAGE)
        .fetch_all(&self.store.readers)
        .await
        .map_err(|source| self.store.fault(source))?;
        self.done = (rows.len() as i64) < PAGE;
        if let Some(last) = rows.last() {
            let column = |at: usize| last.try_get(at).map_err(|source| self.store.fault(source));
            self.after = (column(2)?, column(3)?, column(4)?);
        }
        let records = self.store.readable(&rows)?;
        // A page of which nothing can be read is not the end.
        if records.is_empty() && !self.done {
            return Box::pin(self.next_page()).await;
        }
        Ok(records)
    }
}

/// A filter as SQL takes it: JSON arrays, or null for all.
#[derive(Debug)]
struct FilterColumns {
    outcomes: Option<String>,
    environments: Option<String>,
    projects: Option<String>,
}

impl FilterColumns {
    fn of(filter: &Filter) -> Self {
        fn list<T: AsRef<str>>(items: impl ExactSizeIterator<Item = T>) -> Option<String> {
            let quoted = |item: T| serde_json::Value::from(item.as_ref());
            (items.len() > 0).then(|| serde_json::Value::Array(items.map(quoted).collect()).to_string())
        }
        FilterColumns {
            outcomes: list(filter.outcomes.iter().map(|outcome| outcome.as_str())),
            environments: list(filter.environments.iter()),
            projects: list(filter.projects.iter()),
        }
    }
}

pub(crate) fn pack_record(record: &Record) -> Result<Vec<u8>, Error> {
    let json = serde_json::to_vec(record).map_err(|error| Error::unreadable(&record.id, error))?;
    zstd::bulk::compress(&json, logs::LEVEL).map_err(|error| Error::unreadable(&record.id, error))
}

/// An RFC 3339 time in UTC with nine digits of a second, so that text order is time order (`…11Z` sorts after
/// `…11.5Z` otherwise). Other texts stay as they are.
pub(crate) fn sortable(time: &str) -> String {
    let Some(bare) = time.strip_suffix('Z') else { return time.to_owned() };
    let (seconds, fraction) = bare.split_once('.').unwrap_or((bare, ""));
    format!("{seconds}.{fraction:0<9.9}Z")
}

#[cfg(test)]
mod tests {
    use super::sortable;

    #[test]
    fn times_sort_as_text() {
        assert_eq!(sortable("2026-11-22T10:03:11Z"), "2026-11-22T10:03:11.000000000Z");
        assert_eq!(sortable("2026-11-22T10:03:11.5Z"), "2026-11-22T10:03:11.500000000Z");
        assert!(sortable("2026-11-22T10:03:11Z") < sortable("2026-11-22T10:03:11.5Z"));
        assert_eq!(sortable("no time"), "no time");
    }
}
