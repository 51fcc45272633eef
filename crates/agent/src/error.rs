//! The farm's own failures while a cell runs. What a package does wrong is evidence, never an error.

use std::path::{Path, PathBuf};

/// Why the farm could not bring home a report. The cell is retried; the package is not to blame.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sandbox could not be made or driven.
    #[error("sandbox: {0}")]
    Sandbox(#[from] wheeltapper_sandbox::Error),
    /// The index is lost, or answers garbage.
    #[error("index: {0}")]
    Index(#[from] wheeltapper_index::Error),
    /// A repository cannot be reached, or git is missing.
    #[error("repository: {0}")]
    Repository(#[from] wheeltapper_repository::Error),
    /// The farm's own files.
    #[error("{path}: {source}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The installer does not do what it should although no package had a hand in it.
    #[error("installer: {0}")]
    Installer(String),
    /// A bug of this program.
    #[error("a bug of wheeltapper: {0}")]
    Bug(String),
    /// The user asked to stop.
    #[error("stopped")]
    Stopped,
}

impl Error {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { path, source }
    }
}
