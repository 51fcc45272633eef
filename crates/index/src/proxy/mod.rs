//! The index as sandboxes see it: a recording, time-travelling, injecting proxy of the configured one. Its
//! clients are hostile: they learn no upstream address and no secret, and can ask for pages and files only.
//! `serve` speaks HTTP, `render` writes pages, `range` reads Range headers; what is shown is decided here.

mod local;
mod range;
mod render;
mod serve;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use jiff::Timestamp;
use wheeltapper_core::{ProjectName, Sha256};

pub use local::LocalFile;
pub use serve::Serving;

use crate::{
    Client, DistributionName, Error, File, Files, Lease, ProjectPage, ProjectStatus, Result, page::digest,
    wheel,
};

/// What the proxy shows.
#[derive(Debug, Clone, Default)]
pub struct ProxyOptions {
    /// Files uploaded at this time or later are hidden, and files without a date as well.
    pub exclude_newer: Option<Timestamp>,
    /// Files served as if they had been published; each hides a published file of the same name, and no other.
    pub local: Vec<LocalFile>,
    /// The local files are all there is. Of these projects it is known that there are none; that another one is not among the
    /// files says nothing of it.
    pub closed: Option<BTreeSet<ProjectName>>,
    /// What each listener's clients may ask for.
    pub rate: Rate,
}

/// What one listener's clients may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Connections at the same time; more wait.
    pub connections: usize,
    /// Requests a second, on average; more are slowed down, not refused.
    pub requests: u32,
    /// Different projects in all; more are refused (429), so that nobody makes us read a whole index.
    pub projects: usize,
}

impl Default for Rate {
    fn default() -> Self {
        Rate { connections: 128, requests: 2000, projects: 5000 }
    }
}

/// The proxy. Cheap to clone; serves any number of listeners.
#[derive(Clone)]
pub struct Proxy {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    files: Files,
    options: ProxyOptions,
    shown: Mutex<HashMap<ProjectName, Arc<Shown>>>,
    metadata: Mutex<HashMap<Sha256, Bytes>>,
    notes: Mutex<BTreeSet<String>>,
}

/// A project as it is shown, with its pages written once.
struct Shown {
    page: Arc<ProjectPage>,
    /// Position of a file on the page by its name.
    by_name: HashMap<String, usize>,
    json: Bytes,
    html: Bytes,
}

/// What was asked for through one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recording {
    /// Projects whose page was asked for, with the digest of what was shown; `None`: there is no such project.
    pub projects: BTreeMap<ProjectName, Option<Sha256>>,
    /// Files whose bytes were asked for, whole or in part, with what they hold.
    pub files: BTreeMap<String, Sha256>,
    /// Wheels whose metadata was asked for.
    pub metadata: BTreeSet<String>,
    /// Requests that were refused: method and path, escaped and cut.
    pub refused: BTreeSet<String>,
    /// The farm's own failures (a lost index, a full disk): what happened inside afterwards is not the
    /// package's fault.
    pub failures: Vec<String>,
}

impl Proxy {
    /// A proxy of what the client sees.
    pub fn new(client: Client, files: Files, options: ProxyOptions) -> Self {
        let (shown, metadata, notes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Proxy { inner: Arc::new(Inner { client, files, options, shown, metadata, notes }) }
    }

    /// A proxy of the same index that hides what was uploaded at this time or later; the earlier of two such times counts.
    #[must_use]
    pub fn as_of(&self, moment: Timestamp) -> Self {
        let Inner { client, files, options, .. } = &*self.inner;
        let moment = options.exclude_newer.map_or(moment, |limit| limit.min(moment));
        let options = ProxyOptions { exclude_newer: Some(moment), ..options.clone() };
        Proxy::new(client.clone(), files.clone(), options)
    }

    /// The page of a project as clients of the proxy see it: local files in, newer files out. Addresses of
    /// published files are still those of the index: this is for the trusted side.
    ///
    /// # Errors
    /// As `Client::project`; a project of which only local files exist is found.
    pub async fn page(&self, name: &ProjectName) -> Result<Arc<ProjectPage>> {
        Ok(self.shown(name).await?.page.clone())
    }

    /// What people should be told about what was hidden.
    pub fn notes(&self) -> Vec<String> {
        lock(&self.inner.notes).iter().cloned().collect()
    }

    async fn shown(&self, name: &ProjectName) -> Result<Arc<Shown>> {
        if let Some(shown) = lock(&self.inner.shown).get(name) {
            return Ok(shown.clone());
        }
        let shown = Arc::new(self.decide(name).await?);
        Ok(lock(&self.inner.shown).entry(name.clone()).or_insert(shown).clone())
    }

    async fn decide(&self, name: &ProjectName) -> Result<Shown> {
        let options = &self.inner.options;
        let local: Vec<&LocalFile> =
            options.local.iter().filter(|local| local.distribution.project() == name).collect();
        let published = match self.inner.client.project(name).await {
            Ok(page) => page,
            Err(Error::ProjectNotFound(_)) if !local.is_empty() => {
                let index = "local files".to_owned();
                Arc::new(ProjectPage::of(name.clone(), index, Vec::new(), ProjectStatus::default()))
            }
            Err(Error::ProjectNotFound(_))
                if options.closed.as_ref().is_some_and(|absent| !absent.contains(name)) =>
            {
                return Err(Error::NotGiven(name.clone()));
            }
            Err(error) => return Err(error),
        };
        let mut page = ProjectPage::clone(&published);
        if let Some(limit) = options.exclude_newer {
            let before = page.files.len();
            let undated = page.files.iter().filter(|file| file.upload_time.is_none()).count();
            page.files.retain(|file| file.upload_time.is_some_and(|time| time < limit));
            let newer = before - undated - page.files.len();
            if undated > 0 {
                let note = format!("{undated} files of `{name}` are hidden: the index gives them no date");
                lock(&self.inner.notes).insert(note);
            }
            if newer > 0 {
                lock(&self.inner.notes)
                    .insert(format!("{newer} files of `{name}` are hidden: newer than {limit}"));
            }
        }
        page.files.retain(|file| local.iter().all(|local| local.filename != file.filename));
        page.files.extend(local.into_iter().map(|local| local.as_file(options.exclude_newer)));
        page.digest = digest(&page.files, &page.status);
        let by_name = page.files.iter().enumerate().map(|(at, file)| (file.filename.clone(), at)).collect();
        let page = Arc::new(page);
        Ok(Shown { json: render::json(&page), html: render::html(&page), page, by_name })
    }

    /// The file behind `/files/<key>/<filename>`, from the page alone: the proxy keeps no state that a restart
    /// would lose.
    /// `lookups` counts the projects that are looked up for files alone, up to the allowed number.
    async fn find(&self, key: &str, filename: &str, lookups: &AtomicUsize) -> Result<File> {
        let unlisted = || Error::FileNotListed(filename.chars().take(200).collect());
        // An old sdist's name may be cut in several places; the page must list it under the right one.
        let guess = DistributionName::guess(filename).map_err(|_| unlisted())?;
        let mut names = vec![guess.project().clone()];
        for (at, _) in filename.match_indices('-') {
            names.extend(filename[..at].parse::<ProjectName>().ok().filter(|name| *name != names[0]));
        }
        names.truncate(8);
        // Clients have read the page before they ask for a file: those projects first.
        let is_shown = |name: &ProjectName| lock(&self.inner.shown).contains_key(name);
        names.sort_by_key(|name| !is_shown(name));
        for name in names {
            if !is_shown(&name) && lookups.fetch_add(1, Ordering::Relaxed) >= self.inner.options.rate.projects
            {
                break;
            }
            let shown = match self.shown(&name).await {
                Ok(shown) => shown,
                Err(Error::ProjectNotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            let file = shown.by_name.get(filename).map(|at| &shown.page.files[*at]);
            if let Some(file) = file.filter(|file| render::key(file) == key) {
                return Ok(file.clone());
            }
        }
        Err(unlisted())
    }

    /// The bytes of a shown file.
    ///
    /// # Errors
    /// As `Files::fetch`.
    pub async fn fetch(&self, file: &File) -> Result<Lease> {
        let local = self.local(file);
        match local {
            Some(local) => {
                self.inner.files.lease(local.sha256).map_or_else(|| self.inner.files.insert(&local.path), Ok)
            }
            None => self.inner.files.fetch(&self.inner.client, file).await,
        }
    }

    fn local(&self, file: &File) -> Option<&LocalFile> {
        self.inner
            .options
            .local
            .iter()
            .find(|local| local.filename == file.filename && file.url.scheme() == "file")
    }

    /// METADATA of a shown wheel: from the stored file, else from the index.
    ///
    /// # Errors
    /// `Filename` for an sdist; else as `Client::metadata`.
    pub async fn metadata(&self, file: &File) -> Result<Bytes> {
        let digest = self.inner.files.known(file).or_else(|| file.sha256());
        if let Some(found) = digest.and_then(|digest| lock(&self.inner.metadata).get(&digest).cloned()) {
            return Ok(found);
        }
        let stored = match self.local(file) {
            Some(_) => Some(self.fetch(file).await?),
            None => digest.and_then(|digest| self.inner.files.lease(digest)),
        };
        let bytes = match stored {
            Some(lease) => {
                let (filename, distribution) = (file.filename.clone(), file.distribution.clone());
                let read = tokio::task::spawn_blocking(move || {
                    let opened =
                        std::fs::File::open(lease.path()).map_err(Error::io("open", lease.path()))?;
                    wheel::metadata_of(std::io::BufReader::new(opened), &filename, &distribution)
                });
                Bytes::from(read.await.expect("reading metadata does not panic")?)
            }
            None => self.inner.client.metadata(file).await?,
        };
        if let Some(digest) = digest {
            let mut kept = lock(&self.inner.metadata);
            // Thousands of wheels fit; then it starts anew rather than growing for ever.
            if kept.len() >= 4096 {
                kept.clear();
            }
            kept.insert(digest, bytes.clone());
        }
        Ok(bytes)
    }
}

/// What a poisoned lock guards is still whole: each change is one insertion.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
