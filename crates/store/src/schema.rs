//! The schema's versions and how a database is brought to the newest. The version is SQLite's own `user_version`,
//! changed in the same transaction as the tables, so that a half-applied migration cannot be seen.
//! An old program refuses a newer database; a new program brings an old one forward on opening.

use std::path::Path;

use sqlx::{Connection, Row, SqliteConnection};

use crate::Error;

/// `WTAP`: tells our databases from others (`PRAGMA application_id`).
const APPLICATION: i64 = 0x5754_4150;

/// Each migration once, in order; the schema's version is how many have been applied. Published ones never change.
const MIGRATIONS: &[&str] =
    &[include_str!("../migrations/0001_results.sql"), include_str!("../migrations/0010_cycles.sql")];

/// Brings the database to the newest schema.
///
/// # Errors
/// [`Error::Foreign`], [`Error::NewerSchema`], [`Error::Corrupt`], or what SQLite says.
pub(crate) async fn migrate(connection: &mut SqliteConnection, file: &Path) -> Result<(), Error> {
    let fault = |source| Error::database(file, source);
    // The write lock comes first: of two programs that open an empty folder at once, one makes the tables.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let found = pragma(&mut transaction, "PRAGMA user_version").await.map_err(fault)?;
    let owner = pragma(&mut transaction, "PRAGMA application_id").await.map_err(fault)?;
    let tables = pragma(&mut transaction, "SELECT count(*) FROM sqlite_schema").await.map_err(fault)?;
    let known = MIGRATIONS.len() as i64;
    if tables > 0 && owner != APPLICATION {
        return Err(Error::Foreign { file: file.to_owned() });
    }
    if found > known {
        return Err(Error::NewerSchema { file: file.to_owned(), found, known });
    }
    if found < known {
        for (version, sql) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
            sqlx::raw_sql(*sql).execute(&mut *transaction).await.map_err(fault)?;
            // A pragma takes no parameters; the numbers are constants of this program.
            let stamp = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {version}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(stamp)).execute(&mut *transaction).await.map_err(fault)?;
        }
    }
    transaction.commit().await.map_err(fault)
}

async fn pragma(connection: &mut SqliteConnection, sql: &'static str) -> Result<i64, sqlx::Error> {
    sqlx::query(sql).fetch_one(connection).await?.try_get(0)
}
