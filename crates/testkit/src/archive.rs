//! Archives that come out the same each time: fixed times, owners, modes and order. What goes into them is decided
//! by the builders; what must never go into one is made in `hostile`.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::CoreMetadata;

/// 2020-09-13T12:26:40Z: the time of every file in every archive.
pub(crate) const MTIME: u64 = 1_600_000_000;

/// A distribution file ready to be published.
#[derive(Debug, Clone)]
pub struct Artifact {
    /// Its file name.
    pub filename: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its core metadata.
    pub metadata: CoreMetadata,
}

impl Artifact {
    /// The SHA-256 of the content, in hexadecimal.
    pub fn sha256(&self) -> String {
        sha256(&self.bytes)
    }

    /// Writes the file into this folder.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_to(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(&self.filename);
        fs::write(&path, &self.bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// The SHA-256 of some bytes, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// One regular file of an archive: its path with `/`, its content, and whether it may be executed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub path: String,
    pub bytes: Vec<u8>,
    pub executable: bool,
}

impl Entry {
    pub(crate) fn new(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Entry { path: path.into(), bytes: bytes.into(), executable: false }
    }
}

/// Every regular file below a folder, sorted by path; byte code left by a run is not part of it.
pub(crate) fn tree(root: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let path = item?.path();
            if path.file_name().is_some_and(|name| name == "__pycache__") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root).expect("it was found below the root");
            let name = relative.to_str().context("a fixture's file name is not UTF-8")?.replace('\\', "/");
            entries.push(Entry::new(name, bytes));
        }
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(entries)
}

/// A `.tar.gz` of these files.
pub(crate) fn tar_gz(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = header(entry.bytes.len() as u64);
        header.set_mode(if entry.executable { 0o755 } else { 0o644 });
        tar.append_data(&mut header, &entry.path, entry.bytes.as_slice())?;
    }
    Ok(gzip(&tar.into_inner()?)?)
}

/// A header of a regular file of this size, owned by nobody in particular.
pub(crate) fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(MTIME);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// These bytes, compressed, without a time or name in the header.
pub(crate) fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut gzip = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::new(6));
    gzip.write_all(bytes)?;
    gzip.finish()
}

/// A zip archive of these files.
pub(crate) fn zip(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for entry in entries {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(if entry.executable { 0o755 } else { 0o644 });
        zip.start_file(&entry.path, options)?;
        zip.write_all(&entry.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}
