//! Packing: jobs with the files that they need, and what was made of them. Nothing of the machine goes into an archive beside
//! its contents: no owner, no time, no path.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use wheeltapper_core::{Phase, Sha256};

use super::{ExportedFile, ExportedResult, JOBS, Jobs, RESULTS, Results, SCHEMA, log_path};

/// Files of jobs, by their names.
#[derive(Debug, Default)]
pub struct JobsBuilder {
    files: BTreeMap<String, (Sha256, PathBuf)>,
}

impl JobsBuilder {
    /// Adds a file that lies at this path. The first of a name stays.
    pub fn add(&mut self, filename: &str, sha256: Sha256, path: &Path) {
        self.files.entry(filename.to_owned()).or_insert_with(|| (sha256, path.to_path_buf()));
    }

    /// Writes jobs with all files that were added; returns the document.
    ///
    /// # Errors
    /// When a file cannot be read, or `out` written.
    pub fn write(&self, jobs: Jobs, out: impl Write) -> io::Result<Vec<u8>> {
        let listed = self.files.iter();
        let files = listed
            .map(|(filename, (sha256, _))| ExportedFile { filename: filename.clone(), sha256: *sha256 });
        let document = document(&Jobs { files: files.collect(), ..jobs })?;
        let mut tar = tar::Builder::new(out);
        append(&mut tar, JOBS, document.len() as u64, document.as_slice())?;
        for (filename, (_, path)) in &self.files {
            let file = File::open(path)?;
            append(&mut tar, &format!("files/{filename}"), file.metadata()?.len(), file)?;
        }
        tar.into_inner()?.flush()?;
        Ok(document)
    }
}

/// One settled cell with its logs.
#[derive(Debug)]
pub struct Answered {
    /// The cell.
    pub result: ExportedResult,
    /// Its logs.
    pub logs: BTreeMap<Phase, Vec<u8>>,
}

/// Writes what was made of the jobs of this digest.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_results(jobs: Sha256, answered: &[Answered], out: impl Write) -> io::Result<()> {
    let results = answered.iter().map(|one| one.result.clone()).collect();
    let document = document(&Results { schema: SCHEMA, jobs, results })?;
    let mut tar = tar::Builder::new(out);
    append(&mut tar, RESULTS, document.len() as u64, document.as_slice())?;
    for one in answered {
        for (phase, log) in &one.logs {
            append(&mut tar, &log_path(one.result.cell, *phase), log.len() as u64, log.as_slice())?;
        }
    }
    tar.into_inner()?.flush()
}

fn document(value: &impl Serialize) -> io::Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(io::Error::from)
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, size: u64, from: impl io::Read) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    tar.append_data(&mut header, path, from)
}
