//! What can go wrong on our side. A command that fails is no error: it is an [`Execution`](crate::Execution).

use std::{io, path::PathBuf};

/// The sandbox's own failure; never the fault of the package inside.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refuses something that the chosen mode needs.
    #[error("{what} is refused: {reason}")]
    Refused {
        /// What was tried.
        what: String,
        /// What the host answered.
        reason: String,
        /// One line that can be copied to allow it, where one is known.
        remedy: Option<String>,
    },
    /// A system call on the supervisor's side failed.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was being done, as the rest of a sentence, with the path it was done to.
        action: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Setting up the inside of a sandbox failed.
    #[error("sandbox set-up failed at {step}: {reason}")]
    SetUp {
        /// The step, e.g. `mount proc`.
        step: String,
        /// The operating system's answer.
        reason: String,
    },
    /// The launcher ended without a result.
    #[error("the sandbox launcher ended without a result{0}")]
    Launcher(String),
    /// A path that is absolute, has `..` in it, or passes through a symbolic link.
    #[error("`{0}` is not a plain path inside the cell")]
    NotBeneath(PathBuf),
    /// Nothing of that name.
    #[error("no `{0}` in the cell")]
    NotFound(PathBuf),
    /// Something else than a regular file, or than a directory, stands there.
    #[error("`{path}` in the cell is no {expected}")]
    WrongType {
        /// Where.
        path: PathBuf,
        /// `regular file` or `directory`.
        expected: &'static str,
    },
    /// More bytes or entries than the caller is ready to take.
    #[error("`{path}` in the cell is larger than {max}")]
    TooLarge {
        /// Where.
        path: PathBuf,
        /// The most that would have been taken.
        max: u64,
    },
    /// The slot is in use by another world.
    #[error("slot {0} is already in use")]
    SlotInUse(usize),
    /// The caller cancelled the run.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An [`Error::Io`] with what was being done.
    pub(crate) fn io(action: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Error::Io { action: action.into(), source: source.into() }
    }

    /// A line that can be copied to remedy the situation, where one is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::Refused { remedy, .. } => remedy.as_deref(),
            _ => None,
        }
    }
}
