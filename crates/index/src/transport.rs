//! One request to an index and its retries: connection failures, 5xx and 429 are tried again with growing,
//! jittered pauses (or as long as Retry-After says); everything else is an answer. Secrets go only where they
//! belong, and no message repeats an address with its user part.

use reqwest::{
    Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use url::Url;

use crate::{
    Configuration, Error, Result,
    credentials::shown,
    http::{self, Backoff, Patience, describe},
};

/// Why one try did not give what was asked for.
pub(crate) enum Failure {
    /// 404 or 410: the index has no such thing.
    Missing(u16),
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

/// The HTTP clients and their limits.
pub(crate) struct Transport {
    pages: reqwest::Client,
    files: reqwest::Client,
    pub(crate) configuration: Configuration,
    patience: Patience,
    slots: Semaphore,
}

/// What is asked for.
pub(crate) enum Want<'a> {
    /// A page, in one of these types; compressed on the way if the index likes.
    Page { accept: &'a str, headers: HeaderMap },
    /// A file's bytes as they are; a range of them if given, as in the header.
    File { range: Option<String> },
}

impl Transport {
    pub(crate) fn new(configuration: Configuration, patience: Patience, connections: usize) -> Result<Self> {
        Ok(Transport {
            pages: http::build(http::client(&patience))?,
            // What is stored is hashed: nothing may unpack it on the way.
            files: http::build(http::client(&patience).no_gzip())?,
            configuration,
            patience,
            slots: Semaphore::new(connections.max(1)),
        })
    }

    /// Waits for one of the connections that we allow ourselves; held while the answer is read.
    pub(crate) async fn slot(&self) -> SemaphorePermit<'_> {
        self.slots.acquire().await.expect("the semaphore is never closed")
    }

    /// One try. 2xx and 304 are answers; the caller checks which.
    pub(crate) async fn send(&self, url: &Url, want: &Want<'_>) -> Result<Response, Failure> {
        let mut request = match want {
            Want::Page { accept, headers } => {
                self.pages.get(url.clone()).header(ACCEPT, *accept).headers(headers.clone())
            }
            Want::File { range } => {
                let request = self.files.get(url.clone()).header(ACCEPT_ENCODING, "identity");
                match range {
                    Some(range) => request.header(reqwest::header::RANGE, range),
                    None => request,
                }
            }
        };
        if let Some(credentials) = self.configuration.credentials_for(url) {
            let mut value = HeaderValue::from_str(&credentials.authorization())
                .expect("base64 is made of characters that a header may hold");
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| failure(url, error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        Err(match status.as_u16() {
            code @ (404 | 410) => Failure::Missing(code),
            code @ (401 | 403 | 407) => Error::Refused { index: shown(url), status: code }.into(),
            408 | 425 | 429 | 500..=599 => Failure::Again {
                reason: status.to_string(),
                after: response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.parse().ok()),
            },
            _ => Error::Garbage { index: shown(url), reason: format!("status {status}") }.into(),
        })
    }

    /// The retries of one request.
    pub(crate) fn retries(&self, url: &Url) -> Retries<'_> {
        Retries { backoff: Backoff::new(&self.patience), index: shown(url) }
    }
}

/// Counts tries and pauses between them.
pub(crate) struct Retries<'a> {
    backoff: Backoff<'a>,
    index: String,
}

impl Retries<'_> {
    /// Pauses before the next try, or says why there is none. `missing` is the error of a 404.
    pub(crate) async fn again(&mut self, failure: Failure, missing: impl FnOnce(u16) -> Error) -> Result<()> {
        let (reason, after) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Missing(status) => return Err(missing(status)),
            Failure::Again { reason, after } => (reason, after),
        };
        let Some(pause) = self.backoff.failed(after) else {
            let (index, reason) = (self.index.clone(), self.backoff.told(reason));
            return Err(Error::Lost { index, reason, retry_after: after });
        };
        tracing::debug!(index = self.index, reason, "the index failed, another try follows");
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A failure on the wire: worth a retry, unless it is our request that is wrong.
pub(crate) fn failure(url: &Url, error: reqwest::Error) -> Failure {
    if error.is_redirect() || error.is_builder() {
        return Error::Garbage { index: shown(url), reason: describe(error) }.into();
    }
    Failure::Again { reason: describe(error), after: None }
}
