//! A local file that is served as if it had been published.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use url::Url;
use wheeltapper_core::Sha256;

use crate::{CoreMetadata, DistributionName, Error, File, Result, unpack::file_name, wheel};

/// A local sdist or wheel.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name as it is served.
    pub filename: String,
    /// The name taken apart.
    pub distribution: DistributionName,
    /// What it holds.
    pub sha256: Sha256,
    /// Bytes.
    pub size: u64,
    /// Time of its last change, which stands for its upload.
    pub modified: Timestamp,
    /// Requires-Python, where it is known.
    pub requires_python: Option<String>,
}

impl LocalFile {
    /// Reads a local wheel or sdist: its hash, and a wheel's Requires-Python.
    ///
    /// # Errors
    /// `Filename` where it is not named as one, `Archive` for a wheel without metadata, `Io`.
    pub fn read(path: &Path) -> Result<Self> {
        let filename = file_name(path);
        let distribution = DistributionName::guess(&filename)?;
        let mut file = fs::File::open(path).map_err(Error::io("open", path))?;
        let found = file.metadata().map_err(Error::io("read", path))?;
        let mut hasher = <sha2::Sha256 as sha2::Digest>::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            match file.read(&mut buffer).map_err(Error::io("read", path))? {
                0 => break,
                length => sha2::Digest::update(&mut hasher, &buffer[..length]),
            }
        }
        let mut requires_python = None;
        if distribution.wheel().is_some() {
            let bytes = wheel::metadata_of(&mut file, &filename, &distribution)?;
            let headers = wheel::headers(&String::from_utf8_lossy(&bytes));
            requires_python =
                headers.into_iter().find(|(name, _)| name == "requires-python").map(|(_, value)| value);
        }
        Ok(LocalFile {
            path: path.to_owned(),
            filename,
            distribution,
            sha256: Sha256(sha2::Digest::finalize(hasher).into()),
            size: found.len(),
            modified: found
                .modified()
                .ok()
                .and_then(|time| Timestamp::try_from(time).ok())
                .unwrap_or_default(),
            requires_python,
        })
    }

    /// As a page lists it. With a date limit it is dated before, since it is meant to be seen.
    pub(super) fn as_file(&self, limit: Option<Timestamp>) -> File {
        let latest = limit.and_then(|limit| limit.checked_sub(SignedDuration::from_secs(1)).ok());
        // The address only says that it is local; where it is stays on this side.
        let url = Url::parse("file:///").expect("a fixed address is one");
        File {
            filename: self.filename.clone(),
            distribution: self.distribution.clone(),
            url,
            hashes: BTreeMap::from([("sha256".to_owned(), self.sha256.hex())]),
            size: Some(self.size),
            upload_time: Some(latest.map_or(self.modified, |latest| latest.min(self.modified))),
            requires_python: self.requires_python.clone(),
            yanked: None,
            core_metadata: CoreMetadata::Present,
        }
    }
}
