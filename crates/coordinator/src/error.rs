//! What stops a run as a whole. What happens in one cell is a result.

/// Why a run could not be planned or carried on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The index.
    #[error(transparent)]
    Index(#[from] wheeltapper_index::Error),
    /// The store of results.
    #[error(transparent)]
    Store(#[from] wheeltapper_store::Error),
    /// A page cannot be made: a bug.
    #[error(transparent)]
    Render(#[from] wheeltapper_render::Error),
    /// The site or the outbox cannot be written.
    #[error("{}: {source}", path.display())]
    Site {
        /// The file or folder.
        path: std::path::PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The user asked for something that does not exist or cannot be read.
    #[error("{message}")]
    User {
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
}
