//! What can go wrong with the store, and the way out of it. Never decides; never deletes anything.

use std::path::{Path, PathBuf};

use wheeltapper_core::UnknownWord;

/// A fault of the store. Messages name the file; [`Error::hint`] says the way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data folder lies on a file system whose locks SQLite cannot rely on.
    #[error("data folder `{}` is on a network file system ({kind})", folder.display())]
    NetworkFileSystem {
        /// The folder that was given.
        folder: PathBuf,
        /// What it is, e.g. `NFS`.
        kind: String,
    },
    /// The database file is damaged, or no database at all.
    #[error("results database `{}` is damaged: {reason}", file.display())]
    Corrupt {
        /// The database file.
        file: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error("results database `{}` has schema {found}; this program knows {known}", file.display())]
    NewerSchema {
        /// The database file.
        file: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema of this program.
        known: i64,
    },
    /// A SQLite database that another program made.
    #[error("`{}` is a database of another program", file.display())]
    Foreign {
        /// The database file.
        file: PathBuf,
    },
    /// Another process held the database for longer than the waiting time.
    #[error("results database `{}` is held by another process", file.display())]
    Busy {
        /// The database file.
        file: PathBuf,
    },
    /// No space is left.
    #[error("no space left to write `{}`", file.display())]
    Full {
        /// The file that was written.
        file: PathBuf,
    },
    /// The data folder cannot be made, read or written.
    #[error("data folder `{}`: {source}", path.display())]
    Folder {
        /// The path that was touched.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A stored log is gone or does not have the content that its name promises.
    #[error("stored log `{}`: {reason}", path.display())]
    Blob {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A stored record cannot be read by this program.
    #[error("stored result `{id}` is unreadable: {reason}")]
    Unreadable {
        /// The result's id.
        id: String,
        /// Why.
        reason: String,
    },
    /// Anything else that the database says.
    #[error("results database `{}`: {source}", file.display())]
    Database {
        /// The database file.
        file: PathBuf,
        /// SQLite's words.
        source: sqlx::Error,
    },
}

impl Error {
    /// The way out, as a sentence for the user; none when there is nothing to do but report it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::NetworkFileSystem { .. } => {
                "locks and shared memory of a database do not work reliably there; \
                 choose a data folder on a local disk (the files of a run may stay where they are)"
                    .to_owned()
            }
            Error::Corrupt { file, .. } => format!(
                "nothing was changed; recover what is readable with `sqlite3 {0} .recover | sqlite3 recovered.sqlite`, \
                 or move `{0}` with its `-wal` and `-shm` files aside to start an empty one",
                file.display()
            ),
            Error::NewerSchema { .. } => "use the newer program, or another data folder".to_owned(),
            Error::Foreign { .. } => "choose another data folder".to_owned(),
            Error::Busy { .. } => {
                "wait for the other process to end, then go on with the same command".to_owned()
            }
            Error::Full { .. } => "make room on that disk; what has settled before is kept".to_owned(),
            Error::Folder { .. } => {
                "the folder has to exist or be creatable, and be writable by this user".to_owned()
            }
            Error::Blob { .. } => "run that cell again with `--fresh` to have its log anew".to_owned(),
            Error::Unreadable { .. } => {
                "another version of the program wrote it; run that cell again with `--fresh`".to_owned()
            }
            Error::Database { .. } => return None,
        })
    }

    /// Sorts a fault of SQLite by its primary result code (sqlite.org/rescode.html).
    pub(crate) fn database(file: &Path, source: sqlx::Error) -> Error {
        let code = match &source {
            sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
            _ => None,
        };
        let file = file.to_owned();
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Error::Busy { file },
            Some(11 | 26) => Error::Corrupt { file, reason: source.to_string() },
            Some(13) => Error::Full { file },
            _ => Error::Database { file, source },
        }
    }

    pub(crate) fn folder(path: &Path, source: std::io::Error) -> Error {
        let path = path.to_owned();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::Full { file: path },
            _ => Error::Folder { path, source },
        }
    }

    pub(crate) fn unreadable(id: &str, reason: impl std::fmt::Display) -> Error {
        Error::Unreadable { id: id.to_owned(), reason: reason.to_string() }
    }
}

/// A word in a column that this program does not know.
pub(crate) fn unknown_word(id: &str) -> impl FnOnce(UnknownWord) -> Error + '_ {
    move |error| Error::unreadable(id, error)
}
