//! Cycles: when each ran and what it came to, where every cell stands, and what changed. Written so that a kill at any
//! moment leaves a state from which the same cycle goes on; what became of a cell is derived by the caller.

use std::collections::BTreeMap;

use sqlx::{Row, sqlite::SqliteRow};
use wheeltapper_core::{
    Artifact, Outcome, ProjectName, Record, Sha256,
    cycle::{CellName, Cycle, CycleSummary, Due, State},
};

use crate::{Error, Store, error::unknown_word, results::sortable};

/// What is stored of a cell, for the decision about it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCell {
    /// Its environment's name.
    pub environment: String,
    /// What it starts from.
    pub artifact: Artifact,
    /// The request that its newest verdict answers.
    pub request: Sha256,
    /// That result's id.
    pub result: String,
    /// Its release.
    pub version: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// When it began: RFC 3339, UTC.
    pub started: String,
    /// The run that brought it.
    pub run: String,
    /// How many runs of this request failed; counted for failures only.
    pub failures: u64,
    /// Where the last cycle left it, and which that was.
    pub standing: Option<(i64, State)>,
}

/// What a cycle decided about a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is to be run.
    Due(Due),
    /// Its result stands, and it is in this state.
    Stands(State),
}

/// What became of a cell that was run.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The state.
    pub state: State,
    /// The id of the result it stands at.
    pub result: String,
    /// The id of the newest verdict from before the cycle.
    pub before: Option<String>,
    /// CPU seconds of its runs in this cycle.
    pub core_s: f64,
}

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

    /// What is stored of the cells of these projects.
    pub async fn stored_cells(
        &self,
        projects: &[ProjectName],
    ) -> Result<BTreeMap<ProjectName, Vec<StoredCell>>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query(
            "SELECT latest.project, latest.environment, latest.artifact, result.request, result.id, result.version,
                    latest.outcome, latest.started, result.run, standing.cycle, standing.state,
                    CASE WHEN latest.outcome LIKE '%-failed' THEN
                        (SELECT count(*) FROM result AS other WHERE other.request = result.request
                         AND other.log_owner IS NULL AND other.outcome LIKE '%-failed') ELSE 0 END
             FROM latest JOIN result ON result.number = latest.result
             LEFT JOIN standing ON standing.project = latest.project
                  AND standing.environment = latest.environment AND standing.artifact = latest.artifact
             WHERE latest.project IN (SELECT value FROM json_each(?))",
        )
        .bind(json_list(projects))
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        let mut found: BTreeMap<ProjectName, Vec<StoredCell>> = BTreeMap::new();
        for row in &rows {
            let text = |column: usize| row.try_get::<String, _>(column).map_err(fault);
            let id = text(4)?;
            let request: &[u8] = row.try_get(3).map_err(fault)?;
            let request =
                request.try_into().map_err(|_| Error::unreadable(&id, "a request that is no digest"))?;
            let standing: Option<i64> = row.try_get(9).map_err(fault)?;
            let state: Option<String> = row.try_get(10).map_err(fault)?;
            let project = text(0)?.parse().map_err(|error| Error::unreadable(&id, error))?;
            found.entry(project).or_default().push(StoredCell {
                environment: text(1)?,
                artifact: text(2)?.parse().map_err(unknown_word(&id))?,
                request: Sha256(request),
                version: text(5)?,
                outcome: text(6)?.parse().map_err(unknown_word(&id))?,
                started: text(7)?,
                run: text(8)?,
                failures: row.try_get::<i64, _>(11).map_err(fault)?.unsigned_abs(),
                standing: standing.zip(state.map(|state| parsed(&state)).transpose()?),
                result: id,
            });
        }
        Ok(found)
    }

    /// Notes what a cycle decided about these cells, all or none. A cell about which it has decided before keeps what
    /// became of it.
    pub async fn decide(&self, cycle: i64, cells: &[(CellName, Decision)]) -> Result<(), Error> {
        let rows: Vec<serde_json::Value> = cells
            .iter()
            .map(|(cell, decision)| {
                let (due, state) = match decision {
                    Decision::Due(due) => (Some(due.as_str()), State::Left),
                    Decision::Stands(state) => (None, *state),
                };
                serde_json::json!([
                    cell.project.as_str(),
                    cell.environment,
                    cell.artifact.as_str(),
                    due,
                    state.as_str()
                ])
            })
            .collect();
        sqlx::query(
            "INSERT INTO standing (project, environment, artifact, cycle, due, state, result, since, since_version)
             SELECT cell.project, cell.environment, cell.artifact, ?1, cell.due, cell.state, latest.result,
                    CASE WHEN latest.outcome LIKE '%-failed' THEN result.started END,
                    CASE WHEN latest.outcome LIKE '%-failed' THEN result.version END
             FROM (SELECT value ->> 0 AS project, value ->> 1 AS environment, value ->> 2 AS artifact,
                          value ->> 3 AS due, value ->> 4 AS state FROM json_each(?2)) AS cell
             LEFT JOIN latest ON latest.project = cell.project AND latest.environment = cell.environment
                  AND latest.artifact = cell.artifact
             LEFT JOIN result ON result.number = latest.result
             WHERE true
             ON CONFLICT (project, environment, artifact) DO UPDATE
             SET due = CASE WHEN standing.cycle = excluded.cycle AND excluded.due IS NOT NULL
                            THEN coalesce(standing.due, excluded.due) ELSE excluded.due END,
                 cycle = excluded.cycle, state = excluded.state, core_s = 0,
                 result = coalesce(excluded.result, standing.result),
                 since = coalesce(standing.since, excluded.since),
                 since_version = coalesce(standing.since_version, excluded.since_version)
             WHERE standing.cycle <> excluded.cycle OR standing.state IN ('left', 'unconfirmed')",
        )
        .bind(cycle)
        .bind(serde_json::Value::Array(rows).to_string())
        .execute(&self.writer)
        .await
        .map_err(|source| self.fault(source))?;
        Ok(())
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

    /// A cell's results of this run, in the order in which they settled.
    pub async fn cell_results(&self, cell: &CellName, run: &str) -> Result<Vec<Record>, Error> {
        let rows = sqlx::query(
            "SELECT id, record FROM result WHERE project = ? AND environment = ? AND artifact = ? AND run = ?
             ORDER BY number",
        )
        .bind(cell.project.as_str())
        .bind(&cell.environment)
        .bind(cell.artifact.as_str())
        .bind(run)
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        rows.iter().map(|row| self.record_of(row)).collect()
    }

    /// Ids and outcomes of a cell's newest verdicts that were run, and not in this run; the newest first.
    pub async fn verdicts_before(&self, cell: &CellName, run: &str) -> Result<Vec<(String, Outcome)>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query(
            "SELECT id, outcome FROM result WHERE project = ? AND environment = ? AND artifact = ? AND run <> ?
             AND outcome <> 'farm-error' AND log_owner IS NULL ORDER BY started DESC, number DESC LIMIT 3",
        )
        .bind(cell.project.as_str())
        .bind(&cell.environment)
        .bind(cell.artifact.as_str())
        .bind(run)
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        let read = |row: &SqliteRow| {
            let outcome: String = row.try_get(1).map_err(fault)?;
            Ok((row.try_get(0).map_err(fault)?, parsed(&outcome)?))
        };
        rows.iter().map(read).collect()
    }

    /// How many real runs of this request failed.
    pub async fn failures_of(&self, request: &Sha256) -> Result<u64, Error> {
        let row = sqlx::query(
            "SELECT count(*) FROM result WHERE request = ? AND log_owner IS NULL AND outcome LIKE '%-failed'",
        )
        .bind(request.0.as_slice())
        .fetch_one(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        Ok(row.try_get::<i64, _>(0).map_err(|source| self.fault(source))?.unsigned_abs())
    }

    /// Notes what became of a cell that was run, and its change if that is news; both or none, once.
    pub async fn settle(&self, cycle: i64, cell: &CellName, settled: &Settled) -> Result<(), Error> {
        self.write_settled(cycle, cell, settled).await.map_err(|source| self.fault(source))
    }

    async fn write_settled(&self, cycle: i64, cell: &CellName, settled: &Settled) -> Result<(), sqlx::Error> {
        let name = (cell.project.as_str(), cell.environment.as_str(), cell.artifact.as_str());
        // What fails on keeps its beginning; what begins to fail has it in this result; what does not fail has none.
        let (keeps, begins) = match settled.state {
            State::StillFailing | State::Flaky | State::FarmError | State::Left => (true, false),
            State::NewlyFailing | State::FailingAtFirst | State::Unconfirmed => (false, true),
            State::Fixed | State::Passed | State::Untested | State::Unsupported => (false, false),
        };
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query(
            "UPDATE standing SET state = ?, core_s = ?, result = result.number,
                since = CASE WHEN ?3 THEN standing.since WHEN ?4 THEN result.started END,
                since_version = CASE WHEN ?3 THEN standing.since_version WHEN ?4 THEN result.version END
             FROM result WHERE result.id = ?5
                AND standing.project = ?6 AND standing.environment = ?7 AND standing.artifact = ?8",
        )
        .bind(settled.state.as_str())
        .bind(settled.core_s)
        .bind(keeps)
        .bind(begins)
        .bind(&settled.result)
        .bind(name.0)
        .bind(name.1)
        .bind(name.2)
        .execute(&mut *transaction)
        .await?;
        if settled.state.is_news() {
            sqlx::query(
                "INSERT INTO transition (cycle, project, environment, artifact, state, result, before)
                 SELECT ?, ?, ?, ?, ?, number, (SELECT number FROM result WHERE id = ?) FROM result WHERE id = ?
                 ON CONFLICT DO NOTHING",
            )
            .bind(cycle)
            .bind(name.0)
            .bind(name.1)
            .bind(name.2)
            .bind(settled.state.as_str())
            .bind(&settled.before)
            .bind(&settled.result)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
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

pub(crate) fn json_list(projects: &[ProjectName]) -> String {
    serde_json::Value::Array(projects.iter().map(|project| project.as_str().into()).collect()).to_string()
}
