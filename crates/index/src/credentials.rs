//! Secrets of private indexes: kept in types that never print them, sent only to the origin they belong to.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::Url;

/// A user name and a password. Neither Debug nor anything else prints them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    username: String,
    password: String,
}

impl Credentials {
    /// From a user name and a password; either may be empty (tokens are often given as one of the two).
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials { username: username.into(), password: password.into() }
    }

    /// The value of an `Authorization` header (RFC 7617). The one door through which the secret leaves.
    pub fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }

    /// Takes the user part out of an address: what is left is safe to show.
    pub(crate) fn take_from(url: &mut Url) -> Option<Credentials> {
        let username = percent_decode(url.username());
        let password = url.password().map(percent_decode).unwrap_or_default();
        // An address that cannot have a user part has none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        (!username.is_empty() || !password.is_empty()).then_some(Credentials { username, password })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(****)")
    }
}

/// `%41` becomes `A`; what is no valid escape or not UTF-8 stays as well as it can.
pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let value = escape
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match value {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Scheme, host and port are the same: only then may a secret travel from one address to the other.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// An address as it may be shown: no user part, no query, no fragment.
pub(crate) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = Credentials::take_from(&mut url);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_printed() {
        let mut url: Url = "https://user:p%40ss@index.example/simple/?token=1".parse().unwrap();
        assert_eq!(shown(&url), "https://index.example/simple/");
        let credentials = Credentials::take_from(&mut url).unwrap();
        assert_eq!(format!("{credentials:?}"), "Credentials(****)");
        assert_eq!(credentials, Credentials::new("user", "p@ss"));
        assert!(!url.to_string().contains("p%40ss"));
    }

    #[test]
    fn origins() {
        let url = |text: &str| text.parse::<Url>().unwrap();
        assert!(same_origin(&url("https://a.example/simple"), &url("https://a.example:443/files")));
        assert!(!same_origin(&url("https://a.example"), &url("http://a.example")));
        assert!(!same_origin(&url("https://a.example"), &url("https://b.example")));
    }

    #[test]
    fn percent_escapes() {
        assert_eq!(percent_decode("a%20b%zz%4"), "a b%zz%4");
        assert_eq!(percent_decode("%€41"), "%€41");
    }
}
