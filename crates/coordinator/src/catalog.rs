//! Which release of a project an environment gets, and which of its files.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use wheeltapper_agent::{HostEnvironment, Origin, Release, is_sdist};
use wheeltapper_core::{
    ProjectName, Reason, Version, VersionSpecifiers,
    evidence::{Artifact, Selected},
    selection::{Candidate, Choice, choose},
};
use wheeltapper_index::{Client, DistributionName, File, Files, ProjectPage, SdistFormat};

use crate::{checkout, error::Error};

/// What the index knows, as far as this run may see it.
#[derive(Clone)]
pub struct Catalog {
    /// The client.
    pub client: Client,
    /// Files uploaded later are not seen; files without a date neither, then.
    pub exclude_newer: Option<Timestamp>,
}

/// A release for one environment, or why there is none.
#[derive(Debug, Clone)]
pub struct Found {
    /// The release.
    pub release: Release,
    /// Set when it is not for this environment.
    pub unsupported: Option<Reason>,
}

/// How many index pages are asked for at a time.
const PAGES_AT_A_TIME: usize = 16;

impl Catalog {
    /// Reads the pages of these projects, several at a time, so that choosing among them does not wait for one after the other.
    /// `stopped` ends it early. Projects that do not exist are told by whoever asks for them.
    ///
    /// # Errors
    /// When the index is lost.
    pub async fn read_ahead(
        &self,
        projects: impl IntoIterator<Item = &ProjectName>,
        stopped: impl Fn() -> bool,
    ) -> Result<(), Error> {
        let mut reading = tokio::task::JoinSet::new();
        let settled =
            |read: Option<Result<Result<(), wheeltapper_index::Error>, tokio::task::JoinError>>| match read {
                Some(Ok(Err(error))) if error.kind() != wheeltapper_index::Kind::Absent => Err(error),
                _ => Ok(()),
            };
        for project in projects {
            if stopped() {
                return Ok(());
            }
            if reading.len() >= PAGES_AT_A_TIME {
                settled(reading.join_next().await)?;
            }
            let (client, project) = (self.client.clone(), project.clone());
            reading.spawn(async move { client.project(&project).await.map(drop) });
        }
        while !reading.is_empty() {
            settled(reading.join_next().await)?;
        }
        Ok(())
    }

    /// Reads the pages of these projects, several at a time; returns those that could not be had.
    pub async fn read_all(&self, projects: &[ProjectName]) -> Vec<(ProjectName, wheeltapper_index::Error)> {
        let mut reading = tokio::task::JoinSet::new();
        let mut failed = Vec::new();
        for project in projects {
            if reading.len() >= PAGES_AT_A_TIME {
                failed.extend(reading.join_next().await.and_then(Result::ok).flatten());
            }
            let (client, project) = (self.client.clone(), project.clone());
            reading.spawn(async move { client.project(&project).await.err().map(|error| (project, error)) });
        }
        while let Some(read) = reading.join_next().await {
            failed.extend(read.ok().flatten());
        }
        failed
    }

    /// Chooses the release that this environment gets.
    ///
    /// # Errors
    /// When the index is lost, does not know the project, or has no version that satisfies the specifiers.
    pub async fn choose(
        &self,
        project: &ProjectName,
        wanted: &VersionSpecifiers,
        environment: &HostEnvironment,
    ) -> Result<Found, Error> {
        let page = self.client.project(project).await?;
        let visible: Vec<&File> = page.files.iter().filter(|file| self.is_visible(file)).collect();
        let mut versions: BTreeMap<Version, Vec<&File>> = BTreeMap::new();
        for file in visible {
            versions.entry(file.distribution.version().clone()).or_default().push(file);
        }
        let listed: Vec<(Version, Vec<&File>)> = versions.into_iter().collect();
        let candidates: Vec<Candidate> =
            listed.iter().map(|(version, files)| candidate(version, files, environment)).collect();
        let newest = newest(&candidates);
        let (index, why, unsupported) = match choose(&candidates, wanted) {
            Choice::Release(index, why) => (index, why, None),
            Choice::Unsupported(index, reason) => (index, "newest", Some(reason)),
            Choice::Nothing => return Err(nothing(project, wanted, &candidates, page.files.len())),
        };
        let (version, files) = &listed[index];
        let selected = Selected { newest, why: why.to_owned() };
        // Of a release that is not for this Python, the files are named all the same: the record says what there is.
        let considered: Vec<&File> =
            files.iter().copied().filter(|file| unsupported.is_some() || environment.admits(file)).collect();
        let release = Release {
            requires_python: files.iter().find_map(|file| file.requires_python.clone()),
            yanked: files.iter().all(|file| file.yanked.is_some()),
            ..release(&page, version, &considered, environment, selected)
        };
        Ok(Found { release, unsupported })
    }

    fn is_visible(&self, file: &File) -> bool {
        self.exclude_newer.is_none_or(|date| file.upload_time.is_some_and(|uploaded| uploaded <= date))
    }
}

fn newest(candidates: &[Candidate]) -> Option<String> {
    let standing = candidates.iter().filter(|candidate| !candidate.yanked);
    let version = standing
        .clone()
        .filter(|candidate| !candidate.version.any_prerelease())
        .max_by_key(|one| &one.version);
    version.or_else(|| standing.max_by_key(|one| &one.version)).map(|one| one.version.to_string())
}

fn nothing(
    project: &ProjectName,
    wanted: &VersionSpecifiers,
    candidates: &[Candidate],
    files: usize,
) -> Error {
    let mut known: Vec<&Version> = candidates.iter().map(|candidate| &candidate.version).collect();
    known.sort();
    let last: Vec<String> = known.iter().rev().take(5).map(ToString::to_string).collect();
    let message = match (candidates.is_empty(), files) {
        (true, 0) => format!("the project `{project}` has no files on the index"),
        (true, _) => format!("the project `{project}` has no release from before the given date"),
        (false, _) => format!("the project `{project}` has no release `{wanted}`"),
    };
    let hint = (!last.is_empty()).then(|| format!("the newest are {}", last.join(", ")));
    Error::User { message, hint }
}

fn candidate(version: &Version, files: &[&File], environment: &HostEnvironment) -> Candidate {
    let admitted: Vec<&&File> = files.iter().filter(|file| environment.admits(file)).collect();
    Candidate {
        version: version.clone(),
        yanked: files.iter().all(|file| file.yanked.is_some()),
        python_admits: !admitted.is_empty(),
        has_usable_file: admitted.iter().any(|file| is_sdist(file) || environment.rank(file).is_some()),
    }
}

fn release(
    page: &ProjectPage,
    version: &Version,
    files: &[&File],
    environment: &HostEnvironment,
    selected: Selected,
) -> Release {
    let sdist = files.iter().filter(|file| is_sdist(file)).min_by_key(|file| {
        !matches!(file.distribution, DistributionName::Sdist { format: SdistFormat::TarGz, .. })
    });
    let wheel =
        files.iter().filter_map(|file| Some((environment.rank(file)?, file))).min_by_key(|(rank, _)| *rank);
    Release {
        project: page.name.clone(),
        version: version.clone(),
        tentative: false,
        selected,
        requires_python: None,
        yanked: false,
        project_status: Some(page.status.status.clone()),
        sdist: sdist.map(|file| Origin::Index(Box::new((*file).clone()))),
        wheel: wheel.map(|(_, file)| Origin::Index(Box::new((*file).clone()))),
    }
}

/// The release that a local sdist, wheel or checkout is; a checkout is packed below `work`.
///
/// # Errors
/// When the path is none of them.
pub fn local(path: &Path, work: &Path, files: &Files) -> Result<(Release, Artifact), Error> {
    let user = |message: String, hint: &str| Error::User { message, hint: Some(hint.to_owned()) };
    let path = std::fs::canonicalize(path).map_err(|error| {
        user(format!("{}: {error}", path.display()), "give the path of an sdist or wheel")
    })?;
    let (path, tentative) = if path.is_dir() {
        let (archive, identity) = checkout::pack(&path, work)?;
        (archive, identity.version.is_none())
    } else {
        (path, false)
    };
    let filename = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = DistributionName::guess(&filename).map_err(|error| {
        user(
            error.to_string(),
            "an sdist is called NAME-VERSION.tar.gz, a wheel NAME-VERSION-PYTHON-ABI-PLATFORM.whl",
        )
    })?;
    // Kept by what it holds: a file that is built anew meanwhile is another file.
    let kept = files.insert(&path)?;
    let origin = Origin::Local { filename, path: kept.path().to_path_buf(), sha256: kept.sha256() };
    let (artifact, sdist, wheel) = match &name {
        DistributionName::Sdist { .. } => (Artifact::Sdist, Some(origin), None),
        DistributionName::Wheel(_) => (Artifact::Wheel, None, Some(origin)),
    };
    let release = Release {
        project: name.project().clone(),
        version: name.version().clone(),
        tentative,
        selected: Selected { newest: None, why: "local-file".to_owned() },
        requires_python: None,
        yanked: false,
        project_status: None,
        sdist,
        wheel,
    };
    Ok((release, artifact))
}
