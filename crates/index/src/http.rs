//! What every HTTP conversation of this program has in common: timeouts, certificates, how often and how soon a failed
//! request is made again, and what a failure is called. Neither addresses nor secrets are part of its words.

use std::{
    error::Error as _,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use crate::{Error, Result};

/// How patient a client is.
#[derive(Debug, Clone)]
pub struct Patience {
    /// For a connection to be made.
    pub connect: Duration,
    /// Without a byte coming in.
    pub silence: Duration,
    /// For one whole answer, files included.
    pub total: Duration,
    /// How often a request is made at most; at least 1.
    pub attempts: u32,
    /// The first pause between two tries; it doubles each time, up to 20 s, and half of it is random.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            total: Duration::from_secs(1800),
            attempts: 4,
            pause: Duration::from_millis(400),
        }
    }
}

/// Longest pause, however long a server asks us to wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Counts tries, and says how long to pause between them.
#[derive(Debug)]
pub struct Backoff<'a> {
    patience: &'a Patience,
    made: u32,
}

impl<'a> Backoff<'a> {
    /// Before the first try.
    pub fn new(patience: &'a Patience) -> Self {
        Backoff { patience, made: 0 }
    }

    /// After one more failed try: the pause before the next, which is as long as the server asked for, in seconds, if it did;
    /// `None` when there is to be no other.
    pub fn failed(&mut self, asked: Option<u64>) -> Option<Duration> {
        self.made += 1;
        if self.made >= self.patience.attempts {
            return None;
        }
        Some(match asked {
            Some(seconds) => Duration::from_secs(seconds).min(LONGEST_PAUSE),
            None => {
                jittered(self.patience.pause.saturating_mul(1 << (self.made - 1).min(6)).min(LONGEST_PAUSE))
            }
        })
    }

    /// The last failure's words, with how often it was tried.
    pub fn told(&self, reason: String) -> String {
        match self.made {
            0 | 1 => reason,
            made => format!("{reason}, {made} times"),
        }
    }
}

/// Between half of the pause and all of it, so that many workers do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    pause / 2 + (pause / 2).mul_f64((random % 1024) as f64 / 1024.0)
}

/// The beginning of a client: with the system's certificates and proxies, the program's name, these timeouts, and at most
/// eight redirections, on which no secret travels to another host.
pub fn client(patience: &Patience) -> reqwest::ClientBuilder {
    // Another part of the program may have chosen a provider already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("wheeltapper/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .read_timeout(patience.silence)
        .timeout(patience.total)
        .pool_idle_timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::limited(8))
}

/// The finished client.
///
/// # Errors
/// `Configuration` where the system's certificates or proxy settings cannot be used.
pub fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client> {
    builder.build().map_err(|error| Error::Configuration {
        from: "the system's certificates or proxy variables".to_owned(),
        reason: describe(error),
    })
}

/// Why there is no body.
#[derive(Debug)]
pub enum Unread {
    /// It is longer than what is taken.
    TooLarge,
    /// It ended early.
    Lost(reqwest::Error),
}

/// The whole body of an answer, of at most so many bytes.
///
/// # Errors
/// When it is longer, or is cut off.
pub async fn body(mut response: reqwest::Response, limit: u64) -> Result<Bytes, Unread> {
    let promised = response.content_length();
    if promised.is_some_and(|length| length > limit) {
        return Err(Unread::TooLarge);
    }
    let mut body = BytesMut::with_capacity(promised.unwrap_or(0).min(8 << 20) as usize);
    while let Some(chunk) = response.chunk().await.map_err(Unread::Lost)? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The chain of causes, without addresses.
pub fn describe(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_end_and_never_exceed_what_is_bearable() {
        let patience = Patience { attempts: 9, ..Patience::default() };
        let mut backoff = Backoff::new(&patience);
        let pauses: Vec<Duration> = std::iter::from_fn(|| backoff.failed(None)).collect();
        assert_eq!(pauses.len(), 8);
        assert!(pauses[0] >= patience.pause / 2 && pauses[3] > pauses[0]);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert_eq!(backoff.told("lost".to_owned()), "lost, 9 times");
        assert_eq!(Backoff::new(&patience).failed(Some(3600)), Some(LONGEST_PAUSE));
    }
}
