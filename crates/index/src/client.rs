//! The client of the Simple API: pages of projects, frozen for the life of the client once read, kept on disk
//! for conditional requests, and the metadata of wheels. Files are fetched through `files`.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::header::{self, HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use url::Url;
use wheeltapper_core::{ProjectName, Sha256};

use crate::{
    Configuration, CoreMetadata, Error, File, Index, Patience, ProjectPage, Result,
    credentials::shown,
    http::{self, Unread},
    page::Raw,
    remote,
    transport::{Failure, Transport, Want, failure},
};

/// What the client may do, and for how long it believes.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Where answers are kept between runs; `None` keeps nothing.
    pub cache: Option<PathBuf>,
    /// How long a kept page is believed without asking, where the index does not say it (`max-age`).
    pub fresh_for: Duration,
    /// Timeouts and retries.
    pub patience: Patience,
    /// Requests at the same time.
    pub connections: usize,
    /// Answers only from what is kept, however old.
    pub offline: bool,
    /// Largest page in bytes.
    pub largest_page: u64,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            cache: None,
            fresh_for: Duration::from_secs(600),
            patience: Patience::default(),
            connections: 24,
            offline: false,
            largest_page: 256 << 20,
        }
    }
}

const ACCEPT_PAGE: &str =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// A page, or that no index has the project: both are answers and are frozen.
type Frozen = Arc<OnceCell<Option<Arc<ProjectPage>>>>;

/// The client. Cheap to clone; clones share what was read.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    options: ClientOptions,
    frozen: Mutex<HashMap<ProjectName, Frozen>>,
}

/// What is kept beside a page's body, as the first line of its file.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    schema: u32,
    base: Url,
    content_type: String,
    etag: Option<String>,
    last_modified: Option<String>,
    /// Unix seconds: when its file was written or touched last.
    #[serde(skip)]
    fetched: i64,
    /// Seconds; as the index said.
    max_age: Option<u64>,
}

impl Client {
    /// A client of these indexes.
    ///
    /// # Errors
    /// `Configuration` where the system's certificates or proxy settings cannot be used.
    pub fn new(configuration: Configuration, options: ClientOptions) -> Result<Self> {
        let transport = Transport::new(configuration, options.patience.clone(), options.connections)?;
        Ok(Client { inner: Arc::new(Inner { transport, options, frozen: Mutex::default() }) })
    }

    /// Which indexes are asked, in order.
    pub fn configuration(&self) -> &Configuration {
        &self.inner.transport.configuration
    }

    /// The page of a project, of the first index that has it. The same answer for the client's whole life.
    ///
    /// # Errors
    /// `ProjectNotFound`; `Refused`, `Lost` or `Garbage` where an index does not give an answer.
    pub async fn project(&self, name: &ProjectName) -> Result<Arc<ProjectPage>> {
        let cell = {
            let mut frozen = self.inner.frozen.lock().unwrap_or_else(PoisonError::into_inner);
            frozen.entry(name.clone()).or_default().clone()
        };
        let page = cell.get_or_try_init(|| self.read_project(name)).await?;
        page.clone().ok_or_else(|| Error::ProjectNotFound(name.clone()))
    }

    async fn read_project(&self, name: &ProjectName) -> Result<Option<Arc<ProjectPage>>> {
        for index in &self.configuration().indexes {
            if let Some(page) = self.page_of(index, name).await? {
                return Ok(Some(Arc::new(page)));
            }
        }
        Ok(None)
    }

    async fn page_of(&self, index: &Index, name: &ProjectName) -> Result<Option<ProjectPage>> {
        let address = shown(&index.url);
        let url = index.url.join(&format!("{name}/")).expect("a normalised name is a path segment");
        let place = self.inner.options.cache.as_ref().map(|cache| {
            let folder = Sha256::of(index.url.as_str().as_bytes()).short();
            cache.join("pages").join(folder).join(name.as_str())
        });
        let kept = place.as_deref().and_then(read_kept);
        let parse = |kept: &Kept, body: &[u8]| {
            Raw { name, index: &address, base: &kept.base, content_type: &kept.content_type, body }.parse()
        };
        if let Some((kept, body)) = &kept
            && (self.inner.options.offline || self.is_fresh(kept))
            // A kept page that cannot be read (an older program's, a torn disk) is as good as none.
            && let Ok(page) = parse(kept, body)
        {
            return Ok(Some(page));
        }
        if self.inner.options.offline {
            let reason = format!("`{name}` is not kept here, and no network is wanted");
            return Err(Error::Lost { index: address, reason, retry_after: None });
        }
        let mut headers = HeaderMap::new();
        if let Some((kept, _)) = &kept {
            let pairs =
                [(header::IF_NONE_MATCH, &kept.etag), (header::IF_MODIFIED_SINCE, &kept.last_modified)];
            for (name, value) in pairs {
                if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
                    headers.insert(name, value);
                }
            }
        }
        let want = Want::Page { accept: ACCEPT_PAGE, headers };
        let mut retries = self.inner.transport.retries(&index.url);
        loop {
            match self.page_once(&url, &want).await {
                Ok((fetched, Some(body))) => {
                    let page = parse(&fetched, &body)?;
                    if let Some(place) = &place {
                        keep(place, &fetched, &body);
                    }
                    return Ok(Some(page));
                }
                // 304: the kept page is right.
                Ok((fetched, None)) => {
                    let Some((mut kept, body)) = kept else {
                        let reason = "`not modified` to a question without a condition".to_owned();
                        return Err(Error::Garbage { index: address, reason });
                    };
                    let page = parse(&kept, &body)?;
                    let as_before = kept.max_age == fetched.max_age;
                    (kept.fetched, kept.max_age) = (fetched.fetched, fetched.max_age);
                    if let Some(place) = &place
                        && !(as_before && touch(place))
                    {
                        keep(place, &kept, &body);
                    }
                    return Ok(Some(page));
                }
                Err(Failure::Missing(_)) => return Ok(None),
                Err(failure) => retries.again(failure, |_| Error::ProjectNotFound(name.clone())).await?,
            }
        }
    }

    fn is_fresh(&self, kept: &Kept) -> bool {
        let ours = self.inner.options.fresh_for.as_secs();
        // The index may ask for less patience than we have, and a caller who wants fresh answers gets them.
        let seconds = kept.max_age.map_or(ours, |theirs| theirs.min(ours.saturating_mul(6)));
        let age = Timestamp::now().as_second() - kept.fetched;
        ours > 0 && age >= 0 && (age as u64) < seconds
    }

    pub(crate) async fn page_once(
        &self,
        url: &Url,
        want: &Want<'_>,
    ) -> Result<(Kept, Option<Bytes>), Failure> {
        let _slot = self.inner.transport.slot().await;
        let response = self.inner.transport.send(url, want).await?;
        let text =
            |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut base = response.url().clone();
        let _ = crate::Credentials::take_from(&mut base);
        let kept = Kept {
            schema: 1,
            base,
            content_type: text(header::CONTENT_TYPE).unwrap_or_default(),
            etag: text(header::ETAG),
            last_modified: text(header::LAST_MODIFIED),
            fetched: Timestamp::now().as_second(),
            max_age: text(header::CACHE_CONTROL).and_then(|value| max_age(&value)),
        };
        if response.status() == reqwest::StatusCode::NOT_MODIFIED {
            return Ok((kept, None));
        }
        let body = read_body(response, url, self.inner.options.largest_page).await?;
        Ok((kept, Some(body)))
    }

    /// The names of all projects, as the first index spells them (PEP 503, 691). Tens of megabytes on PyPI.
    ///
    /// # Errors
    /// `Refused`, `Lost` or `Garbage`.
    pub async fn names(&self) -> Result<Vec<ProjectName>> {
        let index = self.configuration().indexes.first().ok_or(Error::NoIndex)?;
        let want = Want::Page { accept: ACCEPT_PAGE, headers: HeaderMap::new() };
        let mut retries = self.inner.transport.retries(&index.url);
        let garbage = |reason: &str| Error::Garbage { index: shown(&index.url), reason: reason.to_owned() };
        loop {
            match self.page_once(&index.url, &want).await {
                Ok((_, None)) => return Err(garbage("`not modified` to a question without a condition")),
                Ok((kept, Some(body))) => {
                    return crate::page::names(&kept.content_type, &body)
                        .ok_or_else(|| garbage("a list of names that is none"));
                }
                Err(failure) => retries.again(failure, |_| garbage("no list of names")).await?,
            }
        }
    }

    /// METADATA of a listed wheel: what the index serves beside it (PEP 658), else read out of the remote
    /// wheel by ranges.
    ///
    /// # Errors
    /// `Filename` for an sdist, `FileGone`, `Archive` where the wheel has none; `Refused`, `Lost`, `Garbage`.
    pub async fn metadata(&self, file: &File) -> Result<Bytes> {
        if file.distribution.wheel().is_none() {
            return Err(Error::Filename(file.filename.clone()));
        }
        let place = self.inner.options.cache.as_ref().zip(file.sha256()).map(|(cache, digest)| {
            let digest = digest.hex();
            cache.join("metadata").join(&digest[..2]).join(&digest[2..])
        });
        if let Some(bytes) = place.as_ref().and_then(|place| std::fs::read(place).ok()) {
            return Ok(bytes.into());
        }
        let bytes = self.remote_metadata(file).await?;
        if let Some(place) = &place {
            write_whole(place, &[&bytes]);
        }
        Ok(bytes)
    }

    async fn remote_metadata(&self, file: &File) -> Result<Bytes> {
        if file.core_metadata != CoreMetadata::Absent {
            let url = file.metadata_url();
            let mut retries = self.inner.transport.retries(&url);
            loop {
                match self.bytes_once(&url, None, remote::LARGEST_METADATA).await {
                    Ok((bytes, _)) => match file.core_metadata {
                        CoreMetadata::Hashed(promised) if Sha256::of(&bytes) != promised => {
                            let again =
                                Failure::Again { reason: "metadata of another hash".to_owned(), after: None };
                            retries.again(again, |_| Error::FileNotListed(file.filename.clone())).await?;
                        }
                        _ => return Ok(bytes),
                    },
                    // Promised and not there: the wheel itself tells.
                    Err(Failure::Missing(_)) => break,
                    Err(failure) => {
                        retries.again(failure, |_| Error::FileNotListed(file.filename.clone())).await?
                    }
                }
            }
        }
        remote::metadata(self, file).await
    }

    /// Bytes of a file: all, or a range as in the header. With the response's total size by Content-Range
    /// where the server gave the range.
    pub(crate) async fn bytes(
        &self,
        file: &File,
        range: Option<String>,
        limit: u64,
    ) -> Result<(Bytes, Option<u64>)> {
        let mut retries = self.inner.transport.retries(&file.url);
        loop {
            match self.bytes_once(&file.url, range.clone(), limit).await {
                Ok(found) => return Ok(found),
                Err(failure) => {
                    let gone = |status| Error::FileGone { filename: file.filename.clone(), status };
                    retries.again(failure, gone).await?;
                }
            }
        }
    }

    async fn bytes_once(
        &self,
        url: &Url,
        range: Option<String>,
        limit: u64,
    ) -> Result<(Bytes, Option<u64>), Failure> {
        let _slot = self.inner.transport.slot().await;
        let response = self.inner.transport.send(url, &Want::File { range }).await?;
        let total = (response.status() == reqwest::StatusCode::PARTIAL_CONTENT)
            .then(|| {
                response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?.rsplit('/').next()?.parse().ok()
            })
            .flatten();
        Ok((read_body(response, url, limit).await?, total))
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn is_offline(&self) -> bool {
        self.inner.options.offline
    }
}

/// The whole body, up to a limit; a body that ends early is worth another try.
async fn read_body(response: reqwest::Response, url: &Url, limit: u64) -> Result<Bytes, Failure> {
    http::body(response, limit).await.map_err(|unread| match unread {
        Unread::Lost(error) => failure(url, error),
        Unread::TooLarge => Failure::from(Error::Garbage {
            index: shown(url),
            reason: format!("an answer of more than {limit} bytes"),
        }),
    })
}

fn max_age(cache_control: &str) -> Option<u64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives
        .clone()
        .any(|word| word.eq_ignore_ascii_case("no-cache") || word.eq_ignore_ascii_case("no-store"))
    {
        return Some(0);
    }
    directives.find_map(|word| word.strip_prefix("max-age=")?.parse().ok())
}

fn read_kept(place: &Path) -> Option<(Kept, Bytes)> {
    let mut file = std::fs::File::open(place).ok()?;
    let written = Timestamp::try_from(file.metadata().ok()?.modified().ok()?).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let bytes = Bytes::from(bytes);
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let mut kept: Kept = serde_json::from_slice(&bytes[..end]).ok()?;
    kept.fetched = written.as_second();
    (kept.schema == 1).then(|| (kept, bytes.slice(end + 1..)))
}

/// Says of a kept page that it was right just now, without writing it anew; false where that cannot be said.
fn touch(place: &Path) -> bool {
    let now = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    std::fs::File::options().append(true).open(place).and_then(|file| file.set_times(now)).is_ok()
}

fn keep(place: &Path, kept: &Kept, body: &[u8]) {
    let head = serde_json::to_vec(kept).expect("numbers and texts are JSON");
    write_whole(place, &[&head, b"\n", body]);
}

/// Writes a file that appears whole or not at all. What is kept is a convenience: a failure is told to the
/// log, and the answer stands.
fn write_whole(place: &Path, parts: &[&[u8]]) {
    let folder = place.parent().expect("a kept file is in a folder");
    let written = std::fs::create_dir_all(folder).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.persist(place).map_err(|error| error.error)?;
        Ok(())
    });
    if let Err(error) = written {
        tracing::warn!(%error, "an answer of the index cannot be kept");
    }
}

#[cfg(test)]
mod tests;
