//! The conversation with a registry (OCI distribution specification 1.1): manifests by tag or digest, blobs into the store of
//! files, and whatever authentication it asks for. What it sends is taken only where its digest is the promised one.

use std::cell::RefCell;

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, RANGE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Deserialize;
use tokio::runtime::Runtime;
use url::Url;
use wheeltapper_core::Sha256;
use wheeltapper_index::{
    Credentials, Files, Lease, Patience,
    http::{self, Backoff, Unread, describe},
};

use super::{
    challenge::Challenge,
    documents::{self, Descriptor},
    reference::{Reference, is_tag},
};
use crate::{definition::nearest, error::Error};

/// Longest answer that is no document of an image: a token, a list of tags, an error.
const LARGEST_ANSWER: u64 = 1 << 20;

/// As much more of a blob, and a link that was cut counts as a good one again.
const PROGRESS: u64 = 1 << 20;

/// One image's registry.
pub(crate) struct Registry<'a> {
    runtime: Runtime,
    client: Client,
    patience: Patience,
    reference: &'a Reference,
    /// The address below which all of the image is.
    base: Url,
    /// It is spoken to without encryption.
    plain: bool,
    login: Option<Credentials>,
    /// What it is asked with, once it has said what it wants.
    authorization: RefCell<Option<HeaderValue>>,
    files: &'a Files,
}

/// Why one try did not give what was asked for.
enum Failure {
    /// There is no such thing; what the registry calls that.
    Missing(Option<String>),
    /// Worth another try.
    Again { reason: String, after: Option<u64> },
    /// Not worth one.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Final(error)
    }
}

impl From<wheeltapper_index::Error> for Failure {
    fn from(error: wheeltapper_index::Error) -> Self {
        Failure::Final(Error::Files(error))
    }
}

impl<'a> Registry<'a> {
    /// Nothing is asked yet. `plain` speaks without encryption.
    pub(crate) fn new(
        reference: &'a Reference,
        plain: bool,
        login: Option<Credentials>,
        patience: Patience,
        files: &'a Files,
    ) -> Result<Registry<'a>, Error> {
        let scheme = if plain { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/", reference.host(), reference.repository);
        let base =
            text.parse().map_err(|error| Error::Tool { message: format!("{text}: {error}"), hint: None })?;
        // What is hashed, nothing may unpack on the way; and what begins encrypted stays so, wherever it is redirected to.
        let client = http::build(http::client(&patience).no_gzip().https_only(!plain))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Error::Tool { message: error.to_string(), hint: None })?;
        let authorization = RefCell::new(None);
        Ok(Registry { runtime, client, patience, reference, base, plain, login, authorization, files })
    }

    /// The document that the reference leads to, and its digest: the one that it names, else the one of its tag today.
    pub(crate) fn top(&self) -> Result<(Vec<u8>, Sha256), Error> {
        let Reference { tag, digest, .. } = self.reference;
        let bytes = match digest {
            Some(digest) => self.document(digest)?,
            None => self.fetch(tag.as_deref().unwrap_or("latest"))?,
        };
        let digest = Sha256::of(&bytes);
        Ok((bytes, digest))
    }

    /// The manifest or list of this digest.
    pub(crate) fn document(&self, digest: &Sha256) -> Result<Vec<u8>, Error> {
        let bytes = self.fetch(&digest.to_string())?;
        match Sha256::of(&bytes) == *digest {
            true => Ok(bytes),
            false => Err(self.garbage(&format!("another document than {digest}"))),
        }
    }

    fn fetch(&self, which: &str) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(async {
            let url = self.address(&format!("manifests/{which}"))?;
            let mut backoff = Backoff::new(&self.patience);
            loop {
                let failure = match self.read(&url, documents::ACCEPT, documents::LARGEST).await {
                    Ok(bytes) => return Ok(bytes),
                    Err(Failure::Missing(code)) => return Err(self.missing(which, code).await),
                    Err(failure) => failure,
                };
                self.pause(failure, &mut backoff).await?;
            }
        })
    }

    /// A blob, in the store of files: what is there is looked at, and fetched only where it is damaged or absent. What was cut
    /// off is asked for from there on.
    pub(crate) fn blob(&self, wanted: &Descriptor) -> Result<Lease, Error> {
        if let Some(lease) = self.files.lease(wanted.digest)
            && self.files.verify(wanted.digest)?
        {
            return Ok(lease);
        }
        self.runtime.block_on(async {
            let url = self.address(&format!("blobs/{}", wanted.digest))?;
            let mut backoff = Backoff::new(&self.patience);
            let mut incoming = self.files.incoming()?;
            loop {
                let before = incoming.size();
                let failure = match self.receive(&url, wanted, &mut incoming).await {
                    Ok(()) if incoming.digest() == wanted.digest => return Ok(self.files.keep(incoming)?),
                    Ok(()) => {
                        incoming = self.files.incoming()?;
                        Failure::Again {
                            reason: "it sends other bytes than it promises".to_owned(),
                            after: None,
                        }
                    }
                    Err(Failure::Missing(_)) => {
                        return Err(self.garbage(&format!(
                            "it does not have {}, of which the image is made",
                            wanted.digest
                        )));
                    }
                    Err(failure) => failure,
                };
                if incoming.size() >= before + PROGRESS {
                    backoff = Backoff::new(&self.patience);
                }
                self.pause(failure, &mut backoff).await?;
            }
        })
    }

    /// Receives what is missing of a blob.
    async fn receive(
        &self,
        url: &Url,
        wanted: &Descriptor,
        incoming: &mut wheeltapper_index::Incoming,
    ) -> Result<(), Failure> {
        let at = incoming.size();
        if at == wanted.size {
            return Ok(());
        }
        let mut response = self.send(url, "*/*", at).await?;
        let continues = response.status() == StatusCode::PARTIAL_CONTENT && begins_at(&response, at);
        if at > 0 && !continues {
            *incoming = self.files.incoming()?;
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(error))? {
            if incoming.size() + chunk.len() as u64 > wanted.size {
                return Err(self
                    .garbage(&format!("{} has more bytes than its manifest says", wanted.digest))
                    .into());
            }
            incoming.write(&chunk)?;
        }
        match incoming.size() == wanted.size {
            true => Ok(()),
            false => Err(Failure::Again { reason: "an answer was cut off".to_owned(), after: None }),
        }
    }

    /// A whole answer of at most so many bytes.
    async fn read(&self, url: &Url, accept: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        let response = self.send(url, accept, 0).await?;
        match http::body(response, limit).await {
            Ok(bytes) => Ok(bytes.to_vec()),
            Err(Unread::Lost(error)) => Err(self.lost(error)),
            Err(Unread::TooLarge) => {
                Err(self.garbage(&format!("an answer of more than {limit} bytes")).into())
            }
        }
    }

    /// One request, from a byte on; made a second time with what the registry wants to know of us.
    async fn send(&self, url: &Url, accept: &str, from: u64) -> Result<Response, Failure> {
        let mut introduced = false;
        loop {
            let mut request = self.client.get(url.clone()).header(ACCEPT, accept);
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let authorization = self.authorization.borrow().clone();
            if let Some(value) = authorization {
                request = request.header(AUTHORIZATION, value);
            }
            let response = request.send().await.map_err(|error| self.lost(error))?;
            match response.status() {
                status if status.is_success() => return Ok(response),
                StatusCode::UNAUTHORIZED if !introduced => {
                    introduced = true;
                    let value = self.introduce(response.headers()).await?;
                    *self.authorization.borrow_mut() = Some(value);
                }
                status => return Err(self.refusal(status, response).await),
            }
        }
    }

    async fn refusal(&self, status: StatusCode, response: Response) -> Failure {
        match status.as_u16() {
            401 | 403 => self.refused().into(),
            404 | 410 => {
                let body = http::body(response, LARGEST_ANSWER).await.unwrap_or_default();
                let said: Option<Said> = serde_json::from_slice(&body).ok();
                Failure::Missing(said.and_then(|said| said.errors.into_iter().next()).map(|one| one.code))
            }
            408 | 425 | 429 | 500..=599 => {
                let after = response.headers().get(RETRY_AFTER);
                let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
                Failure::Again { reason: status.to_string(), after }
            }
            _ => self.garbage(&format!("status {status}")).into(),
        }
    }

    /// What to ask with, after what the registry wants: the login itself, or a token that another server gives for it.
    async fn introduce(&self, headers: &HeaderMap) -> Result<HeaderValue, Failure> {
        let challenges: Vec<Challenge> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| Challenge::read(value.to_str().ok()?))
            .collect();
        let value = if let Some(Challenge::Bearer { realm, service }) =
            challenges.iter().find(|one| matches!(one, Challenge::Bearer { .. }))
        {
            format!("Bearer {}", self.token(realm, service.as_deref()).await?)
        } else if challenges.iter().any(|one| matches!(one, Challenge::Basic)) {
            self.login.as_ref().ok_or_else(|| self.refused())?.authorization()
        } else {
            return Err(self.garbage("it wants a kind of authentication that is not known").into());
        };
        self.header(&value)
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, Failure> {
        let realm: Option<Url> = realm.parse().ok();
        // Credentials go nowhere in the clear where the registry itself is spoken to in code.
        let secure = |url: &Url| url.scheme() == "https" || (self.plain && url.scheme() == "http");
        let Some(mut url) = realm.filter(secure) else {
            return Err(self.garbage("it names no address to be given tokens at").into());
        };
        let scope = format!("repository:{}:pull", self.reference.repository);
        url.query_pairs_mut().extend_pairs(service.map(|service| ("service", service)));
        url.query_pairs_mut().append_pair("scope", &scope);
        let mut request = self.client.get(url);
        if let Some(login) = &self.login {
            request = request.header(AUTHORIZATION, self.header(&login.authorization())?);
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(match self.refusal(status, response).await {
                Failure::Missing(_) => self.refused().into(),
                other => other,
            });
        }
        let body = match http::body(response, LARGEST_ANSWER).await {
            Ok(body) => body,
            Err(Unread::Lost(error)) => return Err(self.lost(error)),
            Err(Unread::TooLarge) => return Err(self.garbage("a token without end").into()),
        };
        let given: Option<Given> = serde_json::from_slice(&body).ok();
        let token = given.and_then(|given| given.token.or(given.access_token));
        token.ok_or_else(|| self.garbage("an answer without a token").into())
    }

    fn header(&self, value: &str) -> Result<HeaderValue, Failure> {
        let mut value = HeaderValue::from_str(value).map_err(|_| self.garbage("a token that is none"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// Pauses before the next try, or says why there is none.
    async fn pause(&self, failure: Failure, backoff: &mut Backoff<'_>) -> Result<(), Error> {
        let (reason, after) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Missing(_) => return Err(self.garbage("it does not have what it speaks of")),
            Failure::Again { reason, after } => (reason, after),
        };
        let Some(pause) = backoff.failed(after) else {
            let (registry, reason) = (self.reference.registry.clone(), backoff.told(reason));
            return Err(Error::Lost { registry, reason });
        };
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn address(&self, below: &str) -> Result<Url, Error> {
        self.base.join(below).map_err(|error| self.garbage(&error.to_string()))
    }

    fn lost(&self, error: reqwest::Error) -> Failure {
        if error.is_redirect() || error.is_builder() {
            return self.garbage(&describe(error)).into();
        }
        Failure::Again { reason: describe(error), after: None }
    }

    fn garbage(&self, reason: &str) -> Error {
        let Reference { registry, repository, .. } = self.reference;
        Error::Tool {
            message: format!("the registry {registry}, asked for {repository}: {reason}"),
            hint: None,
        }
    }

    fn refused(&self) -> Error {
        let Reference { registry, repository, .. } = self.reference;
        let (who, hint) = match self.login {
            Some(_) => ("the credentials that are kept for it", "logs in anew"),
            None => ("whoever comes without credentials", "keeps some where they are looked for"),
        };
        Error::Tool {
            message: format!(
                "the registry {registry} does not show {repository} to {who}, or there is no such image"
            ),
            hint: Some(format!("`docker login {registry}` (or podman's) {hint}")),
        }
    }

    /// What is said of an image or tag that is not there; the tags that there are help.
    async fn missing(&self, which: &str, code: Option<String>) -> Error {
        let Reference { registry, repository, .. } = self.reference;
        let none = |message: String, hint: Option<String>| Error::Tool { message, hint };
        let tags = match (code.as_deref(), self.address("tags/list?n=1000")) {
            (Some("NAME_UNKNOWN"), _) | (_, Err(_)) => None,
            (_, Ok(url)) => self.read(&url, "application/json", LARGEST_ANSWER).await.ok(),
        };
        let tags =
            tags.and_then(|bytes| serde_json::from_slice::<Tags>(&bytes).ok()).and_then(|list| list.tags);
        let Some(tags) = tags else {
            let hint = "an image's whole name is wanted, with its registry where it is not the default one";
            return none(format!("the registry {registry} has no image {repository}"), Some(hint.to_owned()));
        };
        // A stranger wrote them.
        let tags: Vec<&str> = tags.iter().map(String::as_str).filter(|tag| is_tag(tag)).collect();
        let mut near = nearest(which, tags.iter().copied());
        if near.is_empty() {
            near = tags.iter().take(5).map(|tag| (*tag).to_owned()).collect();
        }
        let hint = (!near.is_empty()).then(|| format!("it has {}", near.join(", ")));
        none(format!("{registry}/{repository} has no `{which}`"), hint)
    }
}

/// The errors of an answer.
#[derive(Deserialize)]
struct Said {
    errors: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

/// A list of tags; an image all of whose tags were removed has none.
#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

/// A server's answer with a token.
#[derive(Deserialize)]
struct Given {
    token: Option<String>,
    access_token: Option<String>,
}

/// True when a partial answer begins where it was asked to.
fn begins_at(response: &Response, at: u64) -> bool {
    let range = response.headers().get(reqwest::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    start == Some(at)
}
