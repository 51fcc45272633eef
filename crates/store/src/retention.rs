//! What policy no longer keeps: logs of results that others have superseded. Results themselves are kept for good.

use std::{collections::HashSet, fs};

use sqlx::Row;

use crate::{Error, Store, results::sortable};

/// What was freed, or could be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Logs.
    pub logs: u64,
    /// Files of large logs.
    pub blobs: u64,
    /// Bytes on the disk, as far as they are counted.
    pub bytes: u64,
}

impl Store {
    /// Counts the logs of results that began before this time (RFC 3339) and that neither a cell's newest result, nor news,
    /// nor a standing needs; with `really` it removes them. Blobs that no log refers to go with them.
    ///
    /// # Errors
    /// What SQLite or the file system says.
    pub async fn forget_logs(&self, before: &str, really: bool) -> Result<Freed, Error> {
        const OLD: &str = "result IN (SELECT result.number FROM result WHERE result.started < ?1
             AND NOT EXISTS (SELECT 1 FROM result AS newer JOIN latest ON latest.result = newer.number
                             WHERE coalesce(newer.log_owner, newer.number) = result.number)
             AND NOT EXISTS (SELECT 1 FROM transition WHERE transition.result = result.number)
             AND NOT EXISTS (SELECT 1 FROM standing WHERE standing.result = result.number))";
        let fault = |source| self.fault(source);
        let counting = format!("SELECT count(*), coalesce(sum(length(data)), 0) FROM log WHERE {OLD}");
        let row =
            sqlx::query(sqlx::AssertSqlSafe(counting)).bind(sortable(before)).fetch_one(&self.readers).await;
        let row = row.map_err(fault)?;
        let count = |column: usize| row.try_get::<i64, _>(column).map(i64::unsigned_abs).map_err(fault);
        let mut freed = Freed { logs: count(0)?, bytes: count(1)?, blobs: 0 };
        if really && freed.logs > 0 {
            let removing = format!("DELETE FROM log WHERE {OLD}");
            let query = sqlx::query(sqlx::AssertSqlSafe(removing)).bind(sortable(before));
            query.execute(&self.writer).await.map_err(fault)?;
            sqlx::query("VACUUM").execute(&self.writer).await.map_err(fault)?;
        }
        if really {
            self.remove_blobs(&mut freed).await?;
        }
        Ok(freed)
    }

    /// Removes blobs that no log refers to. Those of the last day stay: their log may be about to be written.
    async fn remove_blobs(&self, freed: &mut Freed) -> Result<(), Error> {
        const A_DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
        let fault = |source| self.fault(source);
        let rows = sqlx::query("SELECT DISTINCT blob FROM log WHERE blob IS NOT NULL")
            .fetch_all(&self.readers)
            .await;
        let rows = rows.map_err(fault)?;
        let needed: HashSet<String> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(fault)?;
        let Ok(folders) = fs::read_dir(&self.blobs) else { return Ok(()) };
        for folder in folders.flatten().filter(|entry| entry.path().is_dir()) {
            for blob in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                let start = folder.file_name().to_string_lossy().into_owned();
                let rest = blob.file_name().to_string_lossy().trim_end_matches(".zst").to_owned();
                let Ok(found) = blob.metadata() else { continue };
                let young =
                    found.modified().ok().and_then(|time| time.elapsed().ok()).is_none_or(|age| age < A_DAY);
                if young || needed.contains(&format!("{start}{rest}")) {
                    continue;
                }
                fs::remove_file(blob.path()).map_err(|error| Error::folder(&blob.path(), error))?;
                freed.blobs += 1;
                freed.bytes += found.len();
            }
        }
        Ok(())
    }
}
