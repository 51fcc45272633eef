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
            Error::File { .. } => None,
        }
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::File { path, source }
    }
}
