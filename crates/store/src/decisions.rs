//! What a cycle decides about cells and what becomes of them. Written so that a kill at any moment leaves a state from which
//! the same cycle goes on; what became of a cell is derived by the caller.

use std::collections::BTreeMap;

use sqlx::{Row, sqlite::SqliteRow};
use wheeltapper_core::{
    Artifact, Outcome, ProjectName, Record, Sha256,
    cycle::{CellName, Due, State},
};

use crate::{Error, Store, cycles::parsed, error::unknown_word};

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
    /// What is stored of the cells of these projects.
    ///
    /// # Errors
    /// What SQLite says; likewise below.
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
}

pub(crate) fn json_list(projects: &[ProjectName]) -> String {
    serde_json::Value::Array(projects.iter().map(|project| project.as_str().into()).collect()).to_string()
}
