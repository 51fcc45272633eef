//! The JSON form of a project page (PEP 691, 700, 708, 792).

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;
use wheeltapper_core::ProjectName;

use super::{CoreMetadata, Listed, ProjectPage, ProjectStatus, Raw};
use crate::Result;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Page<'a> {
    #[serde(borrow)]
    meta: Option<Meta<'a>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    files: Vec<Item<'a>>,
    #[serde(default)]
    versions: Vec<String>,
    project_status: Option<Status>,
    #[serde(default)]
    alternate_locations: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Meta<'a> {
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    #[serde(default)]
    tracks: Option<Vec<String>>,
}

/// PEP 792 has had both forms in the wild: an object, and a bare word.
#[derive(Deserialize)]
#[serde(untagged)]
enum Status {
    Full { status: Option<String>, reason: Option<String> },
    Word(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Item<'a> {
    #[serde(borrow)]
    filename: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    requires_python: Option<String>,
    size: Option<u64>,
    #[serde(borrow)]
    upload_time: Option<Cow<'a, str>>,
    #[serde(default)]
    yanked: Option<Yanked>,
    core_metadata: Option<Metadata>,
    dist_info_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Yanked {
    Flag(bool),
    Reason(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata {
    Flag(bool),
    Hashes(BTreeMap<String, String>),
}

impl From<Metadata> for CoreMetadata {
    fn from(value: Metadata) -> Self {
        match value {
            Metadata::Flag(false) => CoreMetadata::Absent,
            Metadata::Flag(true) => CoreMetadata::Present,
            Metadata::Hashes(hashes) => match hashes.get("sha256").and_then(|digest| digest.parse().ok()) {
                Some(digest) => CoreMetadata::Hashed(digest),
                None => CoreMetadata::Present,
            },
        }
    }
}

/// The names of a root page.
pub(super) fn names(body: &[u8]) -> Option<Vec<ProjectName>> {
    #[derive(Deserialize)]
    struct Root<'a> {
        #[serde(borrow)]
        projects: Vec<Project<'a>>,
    }
    #[derive(Deserialize)]
    struct Project<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
    }
    let root: Root<'_> = serde_json::from_slice(body).ok()?;
    Some(root.projects.into_iter().filter_map(|project| project.name.parse().ok()).collect())
}

/// Parses a JSON page.
pub(super) fn parse(raw: &Raw<'_>) -> Result<ProjectPage> {
    let page: Page<'_> = serde_json::from_slice(raw.body)
        .map_err(|error| raw.garbage(format!("JSON that is no project page: {error}")))?;
    let meta = page.meta.as_ref();
    let version = meta.and_then(|meta| meta.api_version.as_deref()).unwrap_or("1.0");
    raw.check_version(version)?;
    if let Some(name) = &page.name {
        // Another project's page under this address would poison everything after it.
        if name.parse().ok().as_ref() != Some(raw.name) {
            let shown: String = name.chars().take(80).collect();
            return Err(raw.garbage(format!("the page of another project, `{shown}`")));
        }
    }
    let listed = page.files.len();
    let files: Vec<_> = page
        .files
        .into_iter()
        .filter_map(|item| {
            let core_metadata = item.core_metadata.or(item.dist_info_metadata);
            raw.accept(
                raw.base,
                Listed {
                    filename: item.filename.into_owned(),
                    url: item.url.into_owned(),
                    hashes: item
                        .hashes
                        .into_iter()
                        .map(|(name, digest)| (name.to_ascii_lowercase(), digest))
                        .collect(),
                    size: item.size,
                    // An unreadable date is no date: with a date limit the file is then hidden.
                    upload_time: item.upload_time.and_then(|time| time.parse().ok()),
                    requires_python: item.requires_python,
                    yanked: match item.yanked {
                        None | Some(Yanked::Flag(false)) => None,
                        Some(Yanked::Flag(true)) => Some(String::new()),
                        Some(Yanked::Reason(reason)) => Some(reason),
                    },
                    core_metadata: core_metadata.map(CoreMetadata::from).unwrap_or_default(),
                },
            )
        })
        .collect();
    let status = match page.project_status {
        None => ProjectStatus::default(),
        Some(Status::Word(status)) => ProjectStatus { status, reason: None },
        Some(Status::Full { status, reason }) => {
            ProjectStatus { status: status.unwrap_or_else(|| "active".to_owned()), reason }
        }
    };
    let ignored = listed - files.len();
    let mut parsed = ProjectPage::of(raw.name.clone(), raw.index.to_owned(), files, status);
    parsed.ignored = ignored;
    parsed.versions = page.versions;
    parsed.alternate_locations = page.alternate_locations.unwrap_or_default();
    parsed.tracks = page.meta.and_then(|meta| meta.tracks).unwrap_or_default();
    Ok(parsed)
}
