//! What registries ask of those who come: the login itself, or a token that another server gives for it.

/// What a registry wants to know of whoever asks (RFC 9110, 11.6.1).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// The user's name and password.
    Basic,
    /// A token, which another server gives.
    Bearer { realm: String, service: Option<String> },
}

impl Challenge {
    /// Reads one `WWW-Authenticate` header; `None` for kinds that are not known.
    pub(super) fn read(header: &str) -> Option<Challenge> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let parameter = |name: &str| {
            parameters(rest)
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") })
    }
}

/// The `name="value"` pairs of a challenge. Values hold commas, and no escapes.
fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let (value, left) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        rest = left;
        Some((name.trim_matches([',', ' ']), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let text = "Bearer realm=\"https://a.b/token\",service=\"r.b\",scope=\"repository:x:pull,push\"";
        let (realm, service) = ("https://a.b/token".to_owned(), Some("r.b".to_owned()));
        assert_eq!(Challenge::read(text), Some(Challenge::Bearer { realm, service }));
        assert_eq!(Challenge::read("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(Challenge::read("basic"), Some(Challenge::Basic));
        let plain = Challenge::Bearer { realm: "https://a.b/t".to_owned(), service: None };
        assert_eq!(Challenge::read("bearer scope=x, realm=https://a.b/t"), Some(plain));
        for text in ["", "Negotiate", "Bearer", "Bearer realm=\"x", "Bearer service=\"x\""] {
            assert_eq!(Challenge::read(text), None, "{text}");
        }
    }
}
