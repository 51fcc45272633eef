//! Work for a machine elsewhere: cells with every file that they need, packed into one archive; what that machine made of them,
//! packed into another; and how that comes home. Both archives are tar files of a JSON document and files beside it.

mod import;
mod pack;
#[cfg(test)]
mod tests;

use std::{io::Read as _, path::Path};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wheeltapper_agent::HostEnvironment;
use wheeltapper_core::{
    Artifact, Evidence, Options, Phase, ProjectName, Sha256, evidence::Selected, record::IndexAnswer,
};
use wheeltapper_index::{Limits, unpack};

pub use import::{Imported, import};
pub use pack::{Answered, JobsBuilder, write_results};

use crate::error::Error;

/// Version of both formats.
pub const SCHEMA: u32 = 1;
/// The document of an archive of jobs, and of one of results.
const JOBS: &str = "jobs.json";
const RESULTS: &str = "results.json";
/// The largest document that is read, in bytes.
const LARGEST_DOCUMENT: u64 = 256 << 20;

/// What is to be run elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was exported: RFC 3339, UTC.
    pub exported: String,
    /// Where it is to be run.
    pub environment: Wanted,
    /// How cells are run.
    pub options: Options,
    /// The cells.
    pub cells: Vec<ExportedCell>,
    /// All files that are packed with it.
    pub files: Vec<ExportedFile>,
    /// Projects that something asks for and the index does not have.
    pub absent: Vec<ProjectName>,
    /// What the index answered about the projects that the cells name.
    pub answers: Vec<IndexAnswer>,
}

/// An environment, as far as its name fixes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What results call it.
    pub name: String,
    /// As in records.
    pub os: String,
    /// As in records.
    pub arch: String,
    /// As in records.
    pub implementation: String,
    /// Major and minor version.
    pub python: String,
    /// The short name of implementation and version, e.g. `cp313t`.
    pub tag: String,
}

impl Wanted {
    /// What is fixed of this environment.
    pub fn of(environment: &HostEnvironment) -> Wanted {
        let shown = &environment.shown;
        let (major, minor) = environment.interpreter.minor();
        Wanted {
            name: shown.name.clone(),
            os: shown.os.clone(),
            arch: shown.arch.clone(),
            implementation: shown.implementation.clone(),
            python: format!("{major}.{minor}"),
            tag: environment.interpreter.tag(),
        }
    }

    /// True when that environment can stand for this one, whatever it is called there.
    pub fn is(&self, environment: &HostEnvironment) -> bool {
        Wanted { name: self.name.clone(), ..Wanted::of(environment) } == *self
    }
}

/// One cell to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedCell {
    /// The project.
    pub project: ProjectName,
    /// The release's version.
    pub version: String,
    /// What it starts from.
    pub artifact: Artifact,
    /// How the release was chosen.
    pub selected: Selected,
    /// Its `Requires-Python`.
    pub requires_python: Option<String>,
    /// Whether it is yanked.
    pub yanked: bool,
    /// The project's status.
    pub project_status: Option<String>,
    /// The file name of its sdist.
    pub sdist: Option<String>,
    /// The file name of its wheel.
    pub wheel: Option<String>,
    /// It is run only where the build of the cell before it fails.
    pub after_failed_build: bool,
}

/// One packed file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedFile {
    /// Its name, a sound name of a wheel or an sdist.
    pub filename: String,
    /// What it holds.
    pub sha256: Sha256,
}

/// What was made of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The digest of the document that says which jobs.
    pub jobs: Sha256,
    /// The cells that settled.
    pub results: Vec<ExportedResult>,
}

/// One settled cell. What it means is judged where it is imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportedResult {
    /// The cell's place among the jobs.
    pub cell: usize,
    /// RFC 3339, UTC.
    pub started: String,
    /// Seconds.
    pub wall_s: f64,
    /// What happened.
    pub evidence: Box<Evidence>,
    /// The phases of which a log is packed.
    pub logs: Vec<Phase>,
}

/// Where the log of a phase of a result lies in the archive.
fn log_path(cell: usize, phase: Phase) -> String {
    format!("logs/{cell}-{phase}")
}

/// Unpacks an archive of jobs into a fresh folder; the digest identifies the jobs. Every file is what its hash says, and none
/// is there that the document does not name.
///
/// # Errors
/// When it is no such archive.
pub fn read_jobs(archive: &Path, into: &Path) -> Result<(Jobs, Sha256), Error> {
    let (jobs, digest): (Jobs, Sha256) = read(archive, into, JOBS)?;
    let wrong = |text: String| Err(refused(archive, &text));
    if jobs.schema != SCHEMA {
        return wrong(format!("it is of version {}, and this program reads {SCHEMA}", jobs.schema));
    }
    for file in &jobs.files {
        let path =
            packed(into, &file.filename).ok_or_else(|| refused(archive, "it names a file that is none"))?;
        let found = wheeltapper_index::LocalFile::read(&path)
            .map_err(|error| refused(archive, &format!("{}: {error}", file.filename)))?;
        if found.sha256 != file.sha256 {
            return wrong(format!("`{}` is not what its hash says", file.filename));
        }
    }
    let known = |name: &Option<String>| {
        name.as_ref().is_none_or(|name| jobs.files.iter().any(|file| file.filename == *name))
    };
    if let Some(cell) = jobs.cells.iter().find(|cell| !known(&cell.sdist) || !known(&cell.wheel)) {
        return wrong(format!("a file of {} is missing", cell.project));
    }
    Ok((jobs, digest))
}

/// Where a packed file lies in the folder that jobs were unpacked into; `None` for a name that is none of a distribution.
pub fn packed(folder: &Path, filename: &str) -> Option<std::path::PathBuf> {
    wheeltapper_index::DistributionName::guess(filename).ok()?;
    let is_plain = !filename.contains(['/', '\\']) && !filename.starts_with('.');
    is_plain.then(|| folder.join("files").join(filename))
}

/// Unpacks an archive and reads its document.
fn read<T: DeserializeOwned>(archive: &Path, into: &Path, document: &str) -> Result<(T, Sha256), Error> {
    unpack::sdist(archive, into, &Limits::default()).map_err(|error| refused(archive, &error.to_string()))?;
    let bytes = plain(&into.join(document), LARGEST_DOCUMENT)
        .ok_or_else(|| refused(archive, &format!("it holds no {document}")))?;
    let read = serde_json::from_slice(&bytes)
        .map_err(|error| refused(archive, &format!("{document} is not understood: {error}")))?;
    Ok((read, Sha256::of(&bytes)))
}

/// The content of a regular file of at most so many bytes. Links that an archive holds are not followed.
fn plain(path: &Path, most: u64) -> Option<Vec<u8>> {
    let is_plain = |path: &Path, folder: bool| {
        path.symlink_metadata().is_ok_and(|found| if folder { found.is_dir() } else { found.is_file() })
    };
    if !is_plain(path, false) || !is_plain(path.parent()?, true) {
        return None;
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).ok()?.take(most + 1).read_to_end(&mut bytes).ok()?;
    (read as u64 <= most).then_some(bytes)
}

fn refused(archive: &Path, why: &str) -> Error {
    Error::User { message: format!("{}: {why}", archive.display()), hint: None }
}
