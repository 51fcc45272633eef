//! Why a platform cannot be defined or had. Each error has a way out, kept apart from its message.

use std::path::{Path, PathBuf};

/// What is wrong with a platform.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A definition that is not understood.
    #[error("{file}:{line}: {message}")]
    Definition {
        /// The file, as the user knows it.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        message: String,
        /// What was probably meant.
        hint: Option<String>,
    },
    /// No platform has this name.
    #[error("no platform is called `{name}`")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names there are that come nearest.
        near: Vec<String>,
    },
    /// An archive that holds no root file system, or what none has.
    #[error("{0}")]
    Archive(String),
    /// What a platform is made of, or what makes it, does not do.
    #[error("{message}")]
    Tool {
        /// What is wrong.
        message: String,
        /// The way out.
        hint: Option<String>,
    },
    /// Another process builds it.
    #[error("{name} is being built by another process")]
    Busy {
        /// The platform.
        name: String,
    },
    /// A registry does not answer.
    #[error("the registry {registry} is lost: {reason}")]
    Lost {
        /// Its name.
        registry: String,
        /// The last failure.
        reason: String,
    },
    /// The store of files.
    #[error(transparent)]
    Files(#[from] wheeltapper_index::Error),
    /// The sandbox refuses.
    #[error("sandbox: {0}")]
    Sandbox(#[from] wheeltapper_sandbox::Error),
    /// The machine's own files.
    #[error("{path}: {source}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Error {
    /// The way out, where there is one to tell.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Definition { hint, .. } => hint.clone(),
            Error::Unknown { near, .. } if near.is_empty() => {
                Some("`wheeltapper env list --all` lists them".to_owned())
            }
            Error::Unknown { near, .. } => Some(format!("did you mean {}?", near.join(" or "))),
            Error::Tool { hint, .. } => hint.clone(),
            Error::Archive(_) => {
                Some("nothing of it was kept; a root file system's archive is wanted".to_owned())
            }
            Error::Busy { .. } => Some("wait for it, and run the same command again".to_owned()),
            Error::Lost { .. } => {
                Some("the same command again goes on with what it has, once the registry is back".to_owned())
            }
            Error::Files(error) => error.hint().map(str::to_owned),
            Error::Sandbox(error) => error.hint().map(str::to_owned),
            Error::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Some(
                "the disk is full: make room where the data folder is; what was begun is removed".to_owned(),
            ),
            Error::File { .. } => None,
        }
    }

    /// The error of a folder for what is not finished.
    pub(crate) fn work(error: wheeltapper_agent::Error) -> Error {
        Error::Tool { message: error.to_string(), hint: None }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { path, source }
    }
}
