//! Cycles: when each ran, how far it came and what it came to. What it decided about cells is in `decisions`.

use sqlx::{Row, sqlite::SqliteRow};
use wheeltapper_core::{
    ProjectName,
    cycle::{Cycle, CycleSummary, State},
};

use crate::{Error, Store, error::unknown_word, results::sortable};

impl Store {
    /// Begins a cycle; its number.
    ///
    /// # Errors
    /// What SQLite says; likewise below.
    pub async fn begin_cycle(&self, run: &str, scope: &str, started: &str) -> Result<Cycle, Error> {
        let row = sqlx::query("INSERT INTO cycle (run, scope, started) VALUES (?, ?, ?) RETURNING number")
            .bind(run)
            .bind(scope)
            .bind(sortable(started))
            .fetch_one(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(Cycle {
            number: row.try_get(0).map_err(|source| self.fault(source))?,
            run: run.to_owned(),
            scope: scope.to_owned(),
            started: sortable(started),
            ended: None,
            cursor: String::new(),
            listed: 0,
            summary: None,
        })
    }

    /// All cycles, newest first, at most `limit`.
    pub async fn cycles(&self, limit: u32) -> Result<Vec<Cycle>, Error> {
        let rows = sqlx::query(
            "SELECT number, run, scope, started, ended, cursor, listed, summary FROM cycle
             ORDER BY number DESC LIMIT ?",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        rows.iter().map(|row| self.cycle_of(row)).collect()
    }

    fn cycle_of(&self, row: &SqliteRow) -> Result<Cycle, Error> {
        let fault = |source| self.fault(source);
        let number: i64 = row.try_get(0).map_err(fault)?;
        let summary: Option<String> = row.try_get(7).map_err(fault)?;
        let summary = summary.as_deref().map(serde_json::from_str).transpose();
        Ok(Cycle {
            number,
            run: row.try_get(1).map_err(fault)?,
            scope: row.try_get(2).map_err(fault)?,
            started: row.try_get(3).map_err(fault)?,
            ended: row.try_get(4).map_err(fault)?,
            cursor: row.try_get(5).map_err(fault)?,
            listed: row.try_get::<i64, _>(6).map_err(fault)?.unsigned_abs(),
            summary: summary.map_err(|error| Error::unreadable(&format!("cycle {number}"), error))?,
        })
    }

    /// Notes how far a cycle has come, and how many projects it walks.
    pub async fn advance_cycle(&self, number: i64, cursor: &str, listed: u64) -> Result<(), Error> {
        sqlx::query("UPDATE cycle SET cursor = ?, listed = ? WHERE number = ?")
            .bind(cursor)
            .bind(i64::try_from(listed).unwrap_or(i64::MAX))
            .bind(number)
            .execute(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(())
    }

    /// Ends a cycle: its summary is counted from where its cells stand, and kept.
    pub async fn end_cycle(&self, number: i64, ended: &str) -> Result<CycleSummary, Error> {
        let summary = self.count_cycle(number).await?;
        let text = serde_json::to_string(&summary).map_err(|error| Error::unreadable("summary", error))?;
        sqlx::query("UPDATE cycle SET ended = ?, summary = ? WHERE number = ?")
            .bind(sortable(ended))
            .bind(text)
            .bind(number)
            .execute(&self.writer)
            .await
            .map_err(|source| self.fault(source))?;
        Ok(summary)
    }

    /// What a cycle comes to so far, counted from where its cells stand.
    pub async fn count_cycle(&self, number: i64) -> Result<CycleSummary, Error> {
        let fault = |source| self.fault(source);
        let mut summary = CycleSummary::default();
        let rows = sqlx::query(
            "SELECT state, due, count(*), sum(core_s) FROM standing WHERE cycle = ? GROUP BY state, due",
        )
        .bind(number)
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        for row in &rows {
            let word = |column: usize| row.try_get::<Option<String>, _>(column).map_err(fault);
            let state: State = parsed(word(0)?.as_deref().unwrap_or_default())?;
            let count = row.try_get::<i64, _>(2).map_err(fault)?.unsigned_abs();
            summary.core_seconds += row.try_get::<f64, _>(3).map_err(fault)?;
            match (word(1)?, state) {
                (None, state) => *summary.reused.entry(state).or_default() += count,
                (Some(due), State::Left) => {
                    *summary.due.entry(parsed(&due)?).or_default() += count;
                    summary.left += count;
                }
                (Some(due), state) => {
                    *summary.due.entry(parsed(&due)?).or_default() += count;
                    *summary.run.entry(state).or_default() += count;
                }
            }
        }
        let row = sqlx::query(
            "SELECT (SELECT count(DISTINCT project) FROM standing WHERE cycle = ?1),
                    (SELECT count(*) FROM absent WHERE cycle = ?1)",
        )
        .bind(number)
        .fetch_one(&self.readers)
        .await
        .map_err(fault)?;
        summary.absent = row.try_get::<i64, _>(1).map_err(fault)?.unsigned_abs();
        summary.projects = row.try_get::<i64, _>(0).map_err(fault)?.unsigned_abs() + summary.absent;
        Ok(summary)
    }

    /// Notes projects that could not be planned, and why.
    pub async fn note_absent(&self, cycle: i64, projects: &[(ProjectName, String)]) -> Result<(), Error> {
        for (project, why) in projects {
            sqlx::query("INSERT INTO absent (cycle, project, why) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(cycle)
                .bind(project.as_str())
                .bind(why)
                .execute(&self.writer)
                .await
                .map_err(|source| self.fault(source))?;
        }
        Ok(())
    }

    /// Projects of a cycle that could not be planned, and why.
    pub async fn absent(&self, cycle: i64) -> Result<Vec<(ProjectName, String)>, Error> {
        let fault = |source| self.fault(source);
        let query =
            sqlx::query("SELECT project, why FROM absent WHERE cycle = ? ORDER BY project").bind(cycle);
        let rows = query.fetch_all(&self.readers).await.map_err(fault)?;
        let read = |row: &SqliteRow| {
            let project: String = row.try_get(0).map_err(fault)?;
            let project = project.parse().map_err(|error| Error::unreadable("absent", error))?;
            Ok((project, row.try_get(1).map_err(fault)?))
        };
        rows.iter().map(read).collect()
    }

    /// The newest time that the store knows: RFC 3339, UTC. A clock that shows less has gone backwards.
    pub async fn newest_time(&self) -> Result<Option<String>, Error> {
        let row = sqlx::query(
            "SELECT max(time) FROM (SELECT max(started) AS time FROM cycle UNION ALL SELECT max(ended) FROM cycle
             UNION ALL SELECT started FROM result WHERE number = (SELECT max(number) FROM result))",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        row.try_get(0).map_err(|source| self.fault(source))
    }
}

/// A stored word.
pub(crate) fn parsed<T: std::str::FromStr<Err = wheeltapper_core::UnknownWord>>(
    word: &str,
) -> Result<T, Error> {
    word.parse().map_err(unknown_word("a cycle"))
}
