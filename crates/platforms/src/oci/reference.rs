//! References to images, as their users write them: `alpine:3.22`, `registry.example:5000/team/python@sha256:…`, or the path
//! of a file or folder on this machine. Reading only.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::LazyLock};

use serde::Deserialize;
use wheeltapper_core::Sha256;

/// What references leave unsaid.
static CONVENTIONS: LazyLock<Conventions> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../data/registries.toml")).expect("a test reads it")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conventions {
    default: String,
    folder: String,
    aliases: BTreeMap<String, Alias>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Alias {
    host: String,
    login: String,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// In a registry.
    Remote(Reference),
    /// In a file or folder of this machine, by absolute path: an OCI layout, or what `docker save` wrote. Where several are
    /// in it, `:NAME` follows.
    Local(PathBuf),
}

impl Image {
    /// Reads what a definition says.
    ///
    /// # Errors
    /// A sentence on what is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Image, String> {
        if text.starts_with('/') {
            return Ok(Image::Local(PathBuf::from(text)));
        }
        Reference::read(text).map(Image::Remote)
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Image::Remote(reference) => reference.fmt(f),
            Image::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An image of a registry. A digest says exactly which; a tag says which one it is today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Name or address, with its port if it has one.
    pub registry: String,
    /// The image's name there: `library/alpine`.
    pub repository: String,
    /// `latest`, where nothing is said at all.
    pub tag: Option<String>,
    /// Digest of its manifest, or of the list of its manifests.
    pub digest: Option<Sha256>,
}

impl Reference {
    /// Reads `[registry/]name[:tag][@digest]`.
    fn read(text: &str) -> Result<Reference, String> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let hex = digest.strip_prefix("sha256:");
                let digest = hex.and_then(|hex| hex.parse().ok());
                (rest, Some(digest.ok_or("its digest is not `sha256:` and 64 hexadecimal digits")?))
            }
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            // What follows a colon with a slash behind it is a port.
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            Some(_) | None => (rest, None),
        };
        if let Some(wrong) = tag.filter(|tag| !is_tag(tag)) {
            return Err(format!("`{wrong}` is no tag"));
        }
        let conventions = &*CONVENTIONS;
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => {
                (first, rest.to_owned())
            }
            Some(_) => (conventions.default.as_str(), name.to_owned()),
            None => (conventions.default.as_str(), format!("{}/{name}", conventions.folder)),
        };
        if !is_host(registry) {
            return Err(format!("`{registry}` is no registry's name"));
        }
        if repository.len() > 255 || !repository.split('/').all(is_part) {
            return Err(format!("`{repository}` is no image's name: lowercase letters, digits, separators"));
        }
        let tag = match (tag, digest) {
            (Some(tag), _) => Some(tag.to_owned()),
            (None, Some(_)) => None,
            (None, None) => Some("latest".to_owned()),
        };
        Ok(Reference { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Where the registry answers.
    pub(crate) fn host(&self) -> &str {
        CONVENTIONS.aliases.get(&self.registry).map_or(&self.registry, |alias| &alias.host)
    }

    /// The names under which credentials for it may be kept, the likeliest first.
    pub(crate) fn logins(&self) -> Vec<&str> {
        let alias = CONVENTIONS.aliases.get(&self.registry);
        let other = alias.map(|alias| [alias.login.as_str(), &alias.host]);
        std::iter::once(self.registry.as_str()).chain(other.into_iter().flatten()).collect()
    }

    /// True when the registry is this machine's own, which may do without encryption.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.registry.rsplit_once(':').map_or(self.registry.as_str(), |(host, _)| host);
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// As the distribution specification has it: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
pub(crate) fn is_tag(text: &str) -> bool {
    text.len() <= 128
        && text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
        && text.chars().all(|one| one.is_ascii_alphanumeric() || "._-".contains(one))
}

fn is_part(text: &str) -> bool {
    let is_inner = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit();
    text.starts_with(is_inner)
        && text.ends_with(is_inner)
        && text.chars().all(|one| is_inner(one) || "._-".contains(one))
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let name = |part: &str| {
        !part.is_empty() && part.chars().all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_')
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok())
        && match in_brackets {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host.split('.').all(name),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_their_users_mean_them() {
        let hex = "ab".repeat(32);
        for (text, read) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("alpine:3.22", "docker.io/library/alpine:3.22".to_owned()),
            ("team/python", "docker.io/team/python:latest".to_owned()),
            ("quay.example/pypa/many_linux:1-a", "quay.example/pypa/many_linux:1-a".to_owned()),
            ("localhost/x", "localhost/x:latest".to_owned()),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest".to_owned()),
            ("[::1]:5000/a:b", "[::1]:5000/a:b".to_owned()),
            (&format!("a.b/c@sha256:{hex}"), format!("a.b/c@sha256:{hex}")),
            (&format!("a.b/c:1@sha256:{hex}"), format!("a.b/c:1@sha256:{hex}")),
        ] {
            assert_eq!(Reference::read(text).unwrap().to_string(), read);
        }
        for text in [
            "",
            "Alpine",
            "a b",
            "-x",
            "a/../b",
            "a.b/",
            "x:",
            "x:-a",
            "x@sha256:12",
            "x@sha512:ab",
            "h:x/y",
            "a.b:99999/c",
            "https://a.b/c",
            "a//b",
            "[x]:1/y",
            "user:pass@a.b/c",
        ] {
            assert!(Reference::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_s_own_registries_do_without_encryption() {
        for (text, is_loopback) in [
            ("localhost:5000/a", true),
            ("127.0.0.1:5000/a", true),
            ("127.1.2.3/a", true),
            ("[::1]:5000/a", true),
            ("localhost.example/a", false),
            ("10.0.0.1:5000/a", false),
            ("alpine", false),
        ] {
            assert_eq!(Reference::read(text).unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
