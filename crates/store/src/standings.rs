//! What is asked of cycles afterwards: where cells stand, what changed, what a project's past is, and who is concerned.

use std::collections::BTreeMap;

use sqlx::{Row, sqlite::SqliteRow};
use wheeltapper_core::{
    ProjectName,
    cycle::{CellName, Past, People, Standing, StandingResult, Transition},
};

use crate::{Error, Store, cycles::parsed, decisions::json_list, error::unknown_word};

impl Store {
    /// Where cells stand, ordered by project, environment and artifact: those of these projects, or all.
    pub async fn standings(&self, projects: Option<&[ProjectName]>) -> Result<Vec<Standing>, Error> {
        let rows = sqlx::query(
            "SELECT standing.project, standing.environment, standing.artifact, standing.cycle, standing.due,
                    standing.state, result.id, result.version, result.outcome, result.cause, result.signature,
                    result.started, standing.since, standing.since_version
             FROM standing LEFT JOIN result ON result.number = standing.result
             WHERE ?1 IS NULL OR standing.project IN (SELECT value FROM json_each(?1))
             ORDER BY standing.project, standing.environment, standing.artifact",
        )
        .bind(projects.map(json_list))
        .fetch_all(&self.readers)
        .await
        .map_err(|source| self.fault(source))?;
        rows.iter().map(|row| self.standing_of(row)).collect()
    }

    fn standing_of(&self, row: &SqliteRow) -> Result<Standing, Error> {
        let fault = |source| self.fault(source);
        let text = |column: usize| row.try_get::<String, _>(column).map_err(fault);
        let maybe = |column: usize| row.try_get::<Option<String>, _>(column).map_err(fault);
        let result = match maybe(6)? {
            None => None,
            Some(id) => Some(StandingResult {
                version: text(7)?,
                outcome: text(8)?.parse().map_err(unknown_word(&id))?,
                cause: maybe(9)?,
                signature: maybe(10)?,
                started: text(11)?,
                id,
            }),
        };
        Ok(Standing {
            cell: self.cell_of(row, 0)?,
            cycle: row.try_get(3).map_err(fault)?,
            due: maybe(4)?.map(|due| parsed(&due)).transpose()?,
            state: parsed(&text(5)?)?,
            result,
            since: maybe(12)?.zip(maybe(13)?),
        })
    }

    fn cell_of(&self, row: &SqliteRow, first: usize) -> Result<CellName, Error> {
        let text = |column: usize| row.try_get::<String, _>(column).map_err(|source| self.fault(source));
        Ok(CellName {
            project: text(first)?.parse().map_err(|error| Error::unreadable("standing", error))?,
            environment: text(first + 1)?,
            artifact: text(first + 2)?.parse().map_err(unknown_word("standing"))?,
        })
    }

    /// The changes of a cycle, or of a project in all cycles; the newest cycle first.
    pub async fn transitions(
        &self,
        cycle: Option<i64>,
        project: Option<&ProjectName>,
    ) -> Result<Vec<Transition>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query(
            "SELECT transition.project, transition.environment, transition.artifact, transition.cycle,
                    transition.state, result.id, result.version, result.outcome, result.started,
                    earlier.id, earlier.version
             FROM transition JOIN result ON result.number = transition.result
             LEFT JOIN result AS earlier ON earlier.number = transition.before
             WHERE (?1 IS NULL OR transition.cycle = ?1) AND (?2 IS NULL OR transition.project = ?2)
             ORDER BY transition.cycle DESC, transition.project, transition.environment, transition.artifact",
        )
        .bind(cycle)
        .bind(project.map(ProjectName::as_str))
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        let read = |row: &SqliteRow| {
            let text = |column: usize| row.try_get::<String, _>(column).map_err(fault);
            let maybe = |column: usize| row.try_get::<Option<String>, _>(column).map_err(fault);
            Ok(Transition {
                cell: self.cell_of(row, 0)?,
                cycle: row.try_get(3).map_err(fault)?,
                state: parsed(&text(4)?)?,
                result: text(5)?,
                version: text(6)?,
                outcome: text(7)?.parse().map_err(unknown_word("transition"))?,
                started: text(8)?,
                before: maybe(9)?.zip(maybe(10)?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// The newest results of a project in all environments, newest first, at most `limit`; repeated ones left out.
    pub async fn past(&self, project: &ProjectName, limit: u32) -> Result<Vec<Past>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query(
            "SELECT id, environment, artifact, version, outcome, cause, started FROM result
             WHERE project = ? AND log_owner IS NULL ORDER BY started DESC, number DESC LIMIT ?",
        )
        .bind(project.as_str())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        let read = |row: &SqliteRow| {
            let text = |column: usize| row.try_get::<String, _>(column).map_err(fault);
            let id = text(0)?;
            Ok(Past {
                environment: text(1)?,
                artifact: text(2)?.parse().map_err(unknown_word(&id))?,
                version: text(3)?,
                outcome: text(4)?.parse().map_err(unknown_word(&id))?,
                cause: row.try_get(5).map_err(fault)?,
                started: text(6)?,
                id,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The records of a run as JSON, in the order in which they settled: those after this number, at most `limit`, each
    /// with its number.
    pub async fn run_page(&self, run: &str, after: i64, limit: i64) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query(
            "SELECT number, record FROM result WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
        )
        .bind(run)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(fault)?;
        let read = |row: &SqliteRow| {
            let number: i64 = row.try_get(0).map_err(fault)?;
            let packed: &[u8] = row.try_get(1).map_err(fault)?;
            let json = zstd::decode_all(packed);
            Ok((number, json.map_err(|error| Error::unreadable(&number.to_string(), error))?))
        };
        rows.iter().map(read).collect()
    }

    /// Changes what is remembered of who is concerned with a project; nothing is known of one that was not seen before.
    pub async fn change_people(
        &self,
        project: &ProjectName,
        change: impl FnOnce(&mut People),
    ) -> Result<(), Error> {
        let fault = |source| self.fault(source);
        let unreadable = |error| Error::unreadable("people", error);
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
        let row = sqlx::query("SELECT people FROM people WHERE project = ?")
            .bind(project.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(fault)?;
        let known: Option<String> = row.map(|row| row.try_get(0)).transpose().map_err(fault)?;
        let known: Option<People> =
            known.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?;
        let known = known.unwrap_or_default();
        let mut people = known.clone();
        change(&mut people);
        if known == people {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO people (project, people) VALUES (?, ?)
             ON CONFLICT (project) DO UPDATE SET people = excluded.people",
        )
        .bind(project.as_str())
        .bind(serde_json::to_string(&people).map_err(unreadable)?)
        .execute(&mut *transaction)
        .await
        .map_err(fault)?;
        transaction.commit().await.map_err(fault)
    }

    /// Who is concerned with each project.
    pub async fn people(&self) -> Result<BTreeMap<ProjectName, People>, Error> {
        let fault = |source| self.fault(source);
        let rows = sqlx::query("SELECT project, people FROM people")
            .fetch_all(&self.readers)
            .await
            .map_err(fault)?;
        let read = |row: &SqliteRow| {
            let (project, people): (String, String) =
                (row.try_get(0).map_err(fault)?, row.try_get(1).map_err(fault)?);
            let people = serde_json::from_str(&people).map_err(|error| Error::unreadable(&project, error))?;
            Ok((project.parse().map_err(|error| Error::unreadable(&project, error))?, people))
        };
        rows.iter().map(read).collect()
    }
}
