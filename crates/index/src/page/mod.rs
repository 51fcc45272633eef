//! What an index says about one project (PEP 503, 592, 658, 691, 700, 708, 714, 792): the types, and the
//! choice of a parser by content type. Reading bytes only; who fetches them is `client`.

mod html;
mod json;

use std::collections::BTreeMap;

use jiff::Timestamp;
use url::Url;
use wheeltapper_core::{ProjectName, Sha256};

use crate::{DistributionName, Result, credentials::Credentials};

/// An index's answer about one project.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectPage {
    /// The normalised name.
    pub name: ProjectName,
    /// The index that answered, without credentials.
    pub index: String,
    /// Every wheel and sdist, in the order of the index. Other kinds (eggs, installers) and files whose name
    /// belongs to another project are left out and counted in `ignored`.
    pub files: Vec<File>,
    /// How many listed files were left out.
    pub ignored: usize,
    /// Project status (PEP 792).
    pub status: ProjectStatus,
    /// The versions as listed (PEP 700), as spelled there; empty where the index says none.
    pub versions: Vec<String>,
    /// PEP 708: other addresses of the same project. Noted, not followed.
    pub alternate_locations: Vec<String>,
    /// PEP 708: the addresses that this project tracks. Noted, not followed.
    pub tracks: Vec<String>,
    /// Digest of the answer's meaning: of the sorted (file name, hash, yank, requires-python), and the status.
    pub digest: Sha256,
}

/// Project status (PEP 792).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectStatus {
    /// `active`, `archived`, `quarantined`, `deprecated`, or a marker of the future, as spelled by the index.
    pub status: String,
    /// Why, where the index says.
    pub reason: Option<String>,
}

impl Default for ProjectStatus {
    fn default() -> Self {
        ProjectStatus { status: "active".to_owned(), reason: None }
    }
}

/// A file that an index lists.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// Its name: one safe path component.
    pub filename: String,
    /// The name taken apart.
    pub distribution: DistributionName,
    /// Where it is, without credentials and fragment; `http`, `https` or, for local files, `file`.
    pub url: Url,
    /// Hashes by algorithm, both lower case, as the index promises.
    pub hashes: BTreeMap<String, String>,
    /// Bytes (PEP 700).
    pub size: Option<u64>,
    /// When it was uploaded (PEP 700).
    pub upload_time: Option<Timestamp>,
    /// The specifiers as spelled by the index; parse leniently.
    pub requires_python: Option<String>,
    /// The reason of the yank (PEP 592), which may be empty; `None`: not yanked.
    pub yanked: Option<String>,
    /// Whether the index serves the wheel's METADATA beside it (PEP 658, 714).
    pub core_metadata: CoreMetadata,
}

/// Whether METADATA is served beside a wheel (PEP 658, 714).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CoreMetadata {
    /// No.
    #[default]
    Absent,
    /// Yes, without a hash.
    Present,
    /// Yes, with this hash.
    Hashed(Sha256),
}

impl File {
    /// The promised SHA-256, where there is a well-formed one.
    pub fn sha256(&self) -> Option<Sha256> {
        self.hashes.get("sha256").and_then(|digest| digest.parse().ok())
    }

    /// Where the index has METADATA (PEP 658), whether or not it says that it has.
    pub(crate) fn metadata_url(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}.metadata", url.path()));
        url
    }
}

impl ProjectPage {
    /// The file of this name.
    pub fn file(&self, filename: &str) -> Option<&File> {
        self.files.iter().find(|file| file.filename == filename)
    }

    /// A page of these files; the digest is computed.
    pub(crate) fn of(name: ProjectName, index: String, files: Vec<File>, status: ProjectStatus) -> Self {
        let digest = digest(&files, &status);
        ProjectPage {
            name,
            index,
            files,
            ignored: 0,
            status,
            versions: Vec::new(),
            alternate_locations: Vec::new(),
            tracks: Vec::new(),
            digest,
        }
    }
}

/// Digest over what decides: sorted, so that an index's order does not matter.
pub(crate) fn digest(files: &[File], status: &ProjectStatus) -> Sha256 {
    let mut rows: Vec<[&str; 4]> = files
        .iter()
        .map(|file| {
            let hash = file.hashes.get("sha256").or_else(|| file.hashes.values().next());
            [
                file.filename.as_str(),
                hash.map_or("", String::as_str),
                if file.yanked.is_some() { "yanked" } else { "" },
                file.requires_python.as_deref().unwrap_or(""),
            ]
        })
        .collect();
    rows.sort_unstable();
    Sha256::of_parts(std::iter::once(status.status.as_str()).chain(rows.into_iter().flatten()))
}

/// What a fetched page consists of.
pub(crate) struct Raw<'a> {
    /// The normalised name that was asked for.
    pub name: &'a ProjectName,
    /// The index's address, for messages.
    pub index: &'a str,
    /// The address the bytes came from, after redirects: the base of relative addresses.
    pub base: &'a Url,
    /// As the server said.
    pub content_type: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Raw<'_> {
    /// Parses the page, by its content type.
    ///
    /// # Errors
    /// `Garbage` where it is not what its type says, or of a future major version of the API.
    pub fn parse(&self) -> Result<ProjectPage> {
        let kind = self.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if kind.ends_with("+json") || kind == "application/json" {
            json::parse(self)
        } else if kind == "text/html" || kind.ends_with("+html") || kind == "application/xhtml+xml" {
            html::parse(self)
        } else {
            let shown: String = kind.chars().filter(char::is_ascii_graphic).take(60).collect();
            Err(self.garbage(format!("a project page of type `{shown}`")))
        }
    }

    fn garbage(&self, reason: impl Into<String>) -> crate::Error {
        crate::Error::Garbage {
            index: self.index.to_owned(),
            reason: format!("{} (page of `{}`)", reason.into(), self.name),
        }
    }

    fn check_version(&self, version: &str) -> Result<()> {
        match version.split('.').next().map(str::parse::<u32>) {
            Some(Ok(1)) => Ok(()),
            _ => {
                let shown: String = version.chars().take(20).collect();
                Err(self.garbage(format!("version `{shown}` of the Simple API, and only 1.x is known")))
            }
        }
    }

    /// Takes a listed file in, or says that it is none of ours.
    fn accept(&self, base: &Url, listed: Listed) -> Option<File> {
        let distribution = DistributionName::parse(&listed.filename, self.name).ok()?;
        let mut url = base.join(&listed.url).ok()?;
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let _ = Credentials::take_from(&mut url);
        let mut hashes = listed.hashes;
        if let Some((algorithm, digest)) = url.fragment().and_then(|fragment| fragment.split_once('=')) {
            hashes.entry(algorithm.to_ascii_lowercase()).or_insert_with(|| digest.to_owned());
        }
        hashes.retain(|_, digest| !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hashes.values_mut().for_each(|digest| digest.make_ascii_lowercase());
        url.set_fragment(None);
        let requires_python = listed.requires_python.filter(|text| !text.trim().is_empty());
        Some(File {
            filename: listed.filename,
            distribution,
            url,
            hashes,
            size: listed.size,
            upload_time: listed.upload_time,
            requires_python,
            yanked: listed.yanked,
            core_metadata: listed.core_metadata,
        })
    }
}

/// The names on an index's root page, in either form; `None` where it is neither. What is no name is left out.
pub(crate) fn names(content_type: &str, body: &[u8]) -> Option<Vec<ProjectName>> {
    if content_type.contains("json") { json::names(body) } else { Some(html::names(body)) }
}

/// A file as a page spells it, whatever the format.
#[derive(Default)]
struct Listed {
    filename: String,
    url: String,
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
    upload_time: Option<Timestamp>,
    requires_python: Option<String>,
    yanked: Option<String>,
    core_metadata: CoreMetadata,
}

#[cfg(test)]
mod tests;
