//! What can go wrong with a repository, and whose fault it is.

use std::{io, path::PathBuf};

/// Why a repository's tree is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The answer is that there is none: no such repository, or not for everybody.
    #[error("{place}: {reason}")]
    Absent {
        /// The address, or the mirror's folder.
        place: String,
        /// What git says, in a line.
        reason: String,
    },
    /// What is there is hostile, damaged, or beyond the limits.
    #[error("{place}: {reason}")]
    Refused {
        /// The address, or the mirror's folder.
        place: String,
        /// Which rule it breaks.
        reason: String,
    },
    /// The network, or the machine behind the address, did not answer as it should: to be tried again later.
    #[error("{place} cannot be reached: {reason}")]
    Lost {
        /// The address.
        place: String,
        /// What git says, in a line.
        reason: String,
    },
    /// The `git` program is missing or cannot be started.
    #[error("the git program cannot be used: {0}")]
    NoGit(String),
    /// The user's settings cannot be meant.
    #[error("{}: {message}", file.display())]
    Settings {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The disk or the system refused.
    #[error("{path}: {source}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// True when nothing is said of the repository: the farm failed.
    pub fn is_farms(&self) -> bool {
        match self {
            Error::Absent { .. } | Error::Refused { .. } => false,
            Error::Lost { .. } | Error::NoGit(_) | Error::Settings { .. } | Error::File { .. } => true,
        }
    }

    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { path, source }
    }
}
