//! A wheel of a fixture folder, made here rather than by its backend: for fixtures that publish one, honest or with
//! one thing wrong.

use std::path::Path;

use anyhow::{Result, ensure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    archive::{self, Artifact, Entry},
    metadata::CoreMetadata,
};

/// Which wheel to make of a fixture, and what to get wrong in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WheelSpec {
    /// Python, ABI and platform tag, as in the file name.
    pub tag: String,
    /// The tag that the `WHEEL` file says, where it is another one.
    pub inner_tag: Option<String>,
    /// The project name that the metadata claims, where it is not the fixture's.
    pub claims_name: Option<String>,
    /// The version that the metadata claims, where it is not the fixture's.
    pub claims_version: Option<String>,
    /// Files that `RECORD` does not list.
    pub omit_from_record: Vec<String>,
    /// Files of which `RECORD` has the hash of something else.
    pub wrong_hash_in_record: Vec<String>,
}

impl Default for WheelSpec {
    fn default() -> Self {
        WheelSpec {
            tag: "py3-none-any".to_owned(),
            inner_tag: None,
            claims_name: None,
            claims_version: None,
            omit_from_record: Vec::new(),
            wrong_hash_in_record: Vec::new(),
        }
    }
}

/// Builds a wheel of what lies in `src` of the fixture in this folder. The same input gives the same bytes.
///
/// # Errors
/// When the folder is no fixture, cannot be read, or lacks a file that the specification names.
pub fn build_wheel(folder: &Path, spec: &WheelSpec) -> Result<Artifact> {
    let mut metadata = CoreMetadata::read(folder)?;
    let stem = format!("{}-{}", metadata.project()?.escaped(), metadata.version);
    if let Some(name) = &spec.claims_name {
        metadata.name.clone_from(name);
    }
    if let Some(version) = &spec.claims_version {
        metadata.version.clone_from(version);
    }
    let mut entries = archive::tree(&folder.join("src"))?;
    let info = format!("{stem}.dist-info");
    entries.push(Entry::new(format!("{info}/METADATA"), metadata.text()));
    if let Some(text) = metadata.entry_points_text() {
        entries.push(Entry::new(format!("{info}/entry_points.txt"), text));
    }
    let tag = spec.inner_tag.as_ref().unwrap_or(&spec.tag);
    let pure = tag.ends_with("-none-any");
    let wheel =
        format!("Wheel-Version: 1.0\nGenerator: wheeltapper-testkit\nRoot-Is-Purelib: {pure}\nTag: {tag}\n");
    entries.push(Entry::new(format!("{info}/WHEEL"), wheel));
    for path in spec.omit_from_record.iter().chain(&spec.wrong_hash_in_record) {
        ensure!(entries.iter().any(|entry| entry.path == *path), "`{path}` is not in the wheel");
    }
    let record = record(&entries, spec, &info);
    entries.push(Entry::new(format!("{info}/RECORD"), record));
    let filename = format!("{stem}-{}.whl", spec.tag);
    Ok(Artifact { filename, bytes: archive::zip(&entries)?, metadata })
}

/// The rows of `RECORD`, with what the specification gets wrong.
fn record(entries: &[Entry], spec: &WheelSpec, info: &str) -> String {
    let mut rows = String::new();
    for entry in entries {
        if spec.omit_from_record.contains(&entry.path) {
            continue;
        }
        let wrong = spec.wrong_hash_in_record.contains(&entry.path);
        let hashed = if wrong { b"something else".as_slice() } else { &entry.bytes };
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(hashed));
        rows += &format!("{},sha256={hash},{}\n", entry.path, entry.bytes.len());
    }
    rows + &format!("{info}/RECORD,,\n")
}
