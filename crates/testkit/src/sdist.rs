//! An sdist of a fixture folder (PEP 625): its files, `PKG-INFO`, and the in-tree backend that builds it (PEP 517),
//! so that a fixture builds anywhere without asking for setuptools.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{
    archive::{self, Artifact, Entry},
    metadata::CoreMetadata,
};

/// The in-tree backend, and where a fixture's `pyproject.toml` points to it.
pub const BACKEND: (&str, &str) = ("_backend/fixture_backend.py", include_str!("fixture_backend.py"));

/// Builds the sdist of the fixture in this folder. The same folder gives the same bytes.
///
/// # Errors
/// When the folder is no fixture or cannot be read.
pub fn build_sdist(folder: &Path) -> Result<Artifact> {
    build(folder, CoreMetadata::read(folder)?)
}

/// The same as another version: what a test publishes that is about several releases of one project.
///
/// # Errors
/// When the folder is no fixture or cannot be read.
pub fn build_sdist_of_version(folder: &Path, version: &str) -> Result<Artifact> {
    build(folder, CoreMetadata { version: version.to_owned(), ..CoreMetadata::read(folder)? })
}

fn build(folder: &Path, metadata: CoreMetadata) -> Result<Artifact> {
    let own = CoreMetadata::read(folder)?.version;
    let top = format!("{}-{}", metadata.project()?.escaped(), metadata.version);
    let mut entries = archive::tree(folder)?;
    // What we expect of a package is ours, not part of it.
    entries.retain(|entry| entry.path != "expected.toml");
    if own != metadata.version {
        let pyproject =
            entries.iter_mut().find(|entry| entry.path == "pyproject.toml").context("no pyproject.toml")?;
        let (was, is) = (format!("version = \"{own}\""), format!("version = \"{}\"", metadata.version));
        pyproject.bytes = String::from_utf8(std::mem::take(&mut pyproject.bytes))?.replace(&was, &is).into();
    }
    entries.push(Entry::new("PKG-INFO", metadata.text()));
    entries.push(Entry::new(BACKEND.0, BACKEND.1));
    if let Some(text) = metadata.entry_points_text() {
        entries.push(Entry::new("_backend/entry_points.txt", text));
    }
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    for entry in &mut entries {
        entry.path = format!("{top}/{}", entry.path);
    }
    Ok(Artifact { filename: format!("{top}.tar.gz"), bytes: archive::tar_gz(&entries)?, metadata })
}
