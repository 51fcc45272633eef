//! Everything that can go wrong on the index side, and whose fault it is. Messages are fragments; the way out
//! is a hint, kept apart. No message ever holds credentials: addresses are shown without their user part.

use std::{io, path::PathBuf};

use wheeltapper_core::{ProjectName, Sha256};

/// The index side's only result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is; the binary turns it into an exit code, the agent into an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The user's configuration, or what they asked for, cannot work.
    User,
    /// The index answered, and the answer is that there is no such thing.
    Absent,
    /// The index is lost, slow or talks garbage: a farm error, to be retried later.
    Farm,
    /// The file itself is hostile or invalid: the package's fault.
    Package,
    /// The local disk or process table refused: a farm error that the operator can mend.
    Local,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Neither uv, nor pip, nor any Python here knows an index.
    #[error("no package index is configured, and neither uv nor pip is here to say which one is the default")]
    NoIndex,
    /// A setting that cannot be used; `from` is the file or variable.
    #[error("unusable package index setting in {from}: {reason}")]
    Configuration {
        /// The file or variable that holds the setting.
        from: String,
        /// What is wrong with it, without its secrets.
        reason: String,
    },
    /// The index wants other credentials (401, 403, 407).
    #[error("the index {index} refuses us ({status})")]
    Refused {
        /// Address without credentials.
        index: String,
        /// HTTP status.
        status: u16,
    },
    /// No configured index has this project.
    #[error("no index has a project `{0}`")]
    ProjectNotFound(ProjectName),
    /// A closed set of files holds none of this project.
    #[error("the files that were given hold none of `{0}`")]
    NotGiven(ProjectName),
    /// The index lists a file and does not have it (404 or 410 on the file).
    #[error("`{filename}` is gone from the index ({status})")]
    FileGone {
        /// The file's name.
        filename: String,
        /// HTTP status.
        status: u16,
    },
    /// The page of the project has no such file.
    #[error("the index lists no file `{0}`")]
    FileNotListed(String),
    /// The index did not answer, or answered 5xx or 429, after all retries.
    #[error("the index {index} is lost: {reason}")]
    Lost {
        /// Address without credentials.
        index: String,
        /// The last failure.
        reason: String,
        /// How long the index asks us to wait, in seconds, if it said.
        retry_after: Option<u64>,
    },
    /// The index answered something that is no answer of the Simple API.
    #[error("the index {index} answers garbage: {reason}")]
    Garbage {
        /// Address without credentials.
        index: String,
        /// What was expected and what came.
        reason: String,
    },
    /// The bytes are not those that the index promised, after a second try.
    #[error("`{filename}` has the hash {found}, the index promises {expected}")]
    HashMismatch {
        /// The file's name.
        filename: String,
        /// As listed.
        expected: String,
        /// As received.
        found: String,
    },
    /// A file is larger than the limit; sizes in bytes.
    #[error("`{filename}` is larger than {limit} bytes")]
    TooLarge {
        /// The file's name.
        filename: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// A stored file was evicted or damaged and is needed without an index at hand.
    #[error("the stored file {0} is not here any more")]
    NotStored(Sha256),
    /// An archive that is none, is broken, or attacks the unpacker.
    #[error("`{archive}` is not a sound archive: {reason}")]
    Archive {
        /// The archive's file name.
        archive: String,
        /// Which rule it breaks and where.
        reason: String,
    },
    /// A name of a file that says neither a wheel nor an sdist of the project.
    #[error("`{0}` is not the name of a wheel or an sdist")]
    Filename(String),
    /// No uv of the wanted version could be had; the reasons, one a way that was tried.
    #[error("no usable uv: {0}")]
    Installer(String),
    /// The disk or the system refused.
    #[error("cannot {doing} `{}`: {source}", path.display())]
    Io {
        /// A verb: `read`, `write`, `lock` …
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// Whose fault it is.
    pub fn kind(&self) -> Kind {
        match self {
            Error::NoIndex | Error::Configuration { .. } | Error::Refused { .. } | Error::Filename(_) => {
                Kind::User
            }
            Error::ProjectNotFound(_) | Error::FileGone { .. } | Error::FileNotListed(_) => Kind::Absent,
            Error::Lost { .. }
            | Error::Garbage { .. }
            | Error::HashMismatch { .. }
            | Error::NotStored(_)
            | Error::NotGiven(_) => Kind::Farm,
            Error::Archive { .. } | Error::TooLarge { .. } => Kind::Package,
            Error::Installer(_) | Error::Io { .. } => Kind::Local,
        }
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::NoIndex => Some("set UV_DEFAULT_INDEX to the address of a Simple API, for example PyPI's"),
            Error::Refused { .. } => Some(
                "put the credentials into the index address, ~/.netrc or UV_INDEX_<NAME>_USERNAME and _PASSWORD",
            ),
            Error::Lost { .. } => Some("the same command again goes on from here, once the index is back"),
            Error::Installer(_) => Some("install uv, or give its path"),
            Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "the disk is full: make room in the data folder, or set a smaller limit for stored files",
            ),
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("the data folder must be writable for this user")
            }
            _ => None,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io { doing, path, source }
    }

    pub(crate) fn archive(archive: impl Into<String>, reason: impl Into<String>) -> Error {
        Error::Archive { archive: archive.into(), reason: reason.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_with_its_way_out() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::io("write", "data/files")(full);
        assert_eq!(error.kind(), Kind::Local);
        assert!(error.to_string().starts_with("cannot write `data/files`"));
        assert!(error.hint().unwrap().contains("make room"));
    }
}
