//! Which repository a release's metadata names. Addresses are strangers' text: what is not plainly a public repository over
//! https is refused here, with the reason, and never reaches a program. Decides from texts alone; asks nobody.

use std::fmt;

use url::{Host, Url};

/// The longest address that is looked at, in bytes.
const LONGEST: usize = 1000;

/// The most links of one release that are looked at.
const MOST_LINKS: usize = 100;

/// Hosts where a repository is the first two parts of a path.
const OWNER_AND_NAME: &[&str] =
    &["github.com", "bitbucket.org", "codeberg.org", "git.sr.ht", "gitea.com", "notabug.org", "opendev.org"];

/// Hosts that are there whenever there is a network.
pub(crate) const KNOWN_HOSTS: &[&str] = &["github.com", "gitlab.com", "codeberg.org"];

/// Hosts where a repository lies in groups of any depth, and pages about it behind `/-/`.
const IN_GROUPS: &[&str] = &["gitlab.com", "salsa.debian.org", "invent.kde.org", "framagit.org"];

/// What stands in an owner's place and is none.
const NO_OWNERS: &[&str] = &[
    "about",
    "apps",
    "collections",
    "dashboard",
    "enterprise",
    "explore",
    "features",
    "login",
    "marketplace",
    "notifications",
    "orgs",
    "search",
    "settings",
    "site",
    "snippets",
    "sponsors",
    "topics",
    "users",
];

/// Pages of a repository that lie below it on hosts of groups that spell no `/-/`.
const PAGES: &[&str] =
    &["blob", "commits", "issues", "merge_requests", "raw", "releases", "tags", "tree", "wikis"];

/// Ends of names that no public host has.
const PRIVATE_ENDS: &[&str] = &[
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "onion",
    "invalid",
    "test",
    "example",
];

/// The address of a repository, over https, without anything but its host and path: `https://github.com/owner/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: String,
    host: usize,
}

impl Address {
    /// Reads an address as it stands in metadata, and reduces a page of a repository (`…/issues`, `…/tree/main`) to the
    /// repository. `Ok(None)` where it is a sound address that names no repository in any form that is known; with `trusted`,
    /// which is for links that are called a source, every sound address with a path is taken for one.
    ///
    /// # Errors
    /// Why it is never fetched.
    pub fn read(text: &str, trusted: bool) -> Result<Option<Address>, &'static str> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err("longer than any address");
        }
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err("it holds characters that no address has");
        }
        let text = text.strip_prefix("git+").unwrap_or(text);
        let Ok(url) = Url::parse(text) else {
            return match text.split_once(':') {
                Some((before, _)) if before.contains('@') => Err("ssh is not used"),
                Some(_) | None => Err("it is no address"),
            };
        };
        match url.scheme() {
            "https" | "http" => {}
            "ssh" => return Err("ssh is not used"),
            "git" => return Err("the git protocol is not used: nothing protects it"),
            "file" => return Err("it is a file, and no public repository"),
            _ => return Err("it is not https"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds credentials");
        }
        if url.port().is_some() {
            return Err("it names a port");
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.trim_end_matches('.').to_ascii_lowercase(),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) => return Err("it names a machine by its number"),
            None => return Err("it names no host"),
        };
        let host = host.strip_prefix("www.").filter(|bare| form(bare) != Form::Unknown).unwrap_or(&host);
        if is_private(host) {
            return Err("it names a private host");
        }
        let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| !is_plain(part)) {
            return Ok(None);
        }
        let Some(parts) = repository(host, &parts, trusted) else { return Ok(None) };
        if parts.contains(&"-") {
            return Ok(None);
        }
        let known = form(host) != Form::Unknown;
        if url.scheme() == "http" && !known {
            return Err("it is not https");
        }
        let mut path = parts.join("/");
        if known {
            path.truncate(path.trim_end_matches(".git").len());
        }
        let text = format!("https://{host}/{path}");
        Ok(Some(Address { text, host: host.len() }))
    }

    /// Its host's name, in lowercase.
    pub fn host(&self) -> &str {
        &self.text["https://".len()..][..self.host]
    }

    /// The whole of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a host's addresses are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OwnerAndName,
    InGroups,
    Unknown,
}

fn form(host: &str) -> Form {
    if OWNER_AND_NAME.contains(&host) || host.starts_with("gitea.") || host.starts_with("forgejo.") {
        Form::OwnerAndName
    } else if IN_GROUPS.contains(&host) || host.starts_with("gitlab.") {
        Form::InGroups
    } else {
        Form::Unknown
    }
}

/// The parts of a path that name the repository.
fn repository<'p>(host: &str, parts: &'p [&'p str], trusted: bool) -> Option<&'p [&'p str]> {
    let first = parts.first()?;
    match form(host) {
        Form::OwnerAndName if parts.len() < 2 || NO_OWNERS.contains(first) => None,
        Form::OwnerAndName => Some(&parts[..2]),
        Form::InGroups => {
            let end = parts.iter().position(|part| *part == "-" || PAGES.contains(part));
            let parts = &parts[..end.unwrap_or(parts.len())];
            (parts.len() >= 2 && !NO_OWNERS.contains(first)).then_some(parts)
        }
        // Elsewhere a name that ends in `.git` is a repository whoever says so.
        Form::Unknown => match parts.iter().position(|part| part.len() > 4 && part.ends_with(".git")) {
            Some(at) => Some(&parts[..=at]),
            None => trusted.then_some(parts),
        },
    }
}

/// A part of a path that no program takes for an option or a hidden file. A lone hyphen separates a repository from its pages
/// on hosts of groups.
fn is_plain(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~+-".contains(c);
    part == "-" || (part.len() <= 200 && part.chars().all(plain) && !part.starts_with(['.', '-']))
}

/// True for a name that can only be one of this machine's own network, or that is no plain name at all.
fn is_private(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let Some((_, end)) = host.rsplit_once('.') else { return true };
    end.is_empty()
        || PRIVATE_ENDS.contains(&end)
        || host.len() > 253
        || host.starts_with(['-', '.'])
        || !host.chars().all(plain)
}

/// What a release's links say of its repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The repository, and the label of the link that names it.
    pub found: Option<(Address, String)>,
    /// Links that would have been asked and are refused: the address as the metadata has it, and why.
    pub refused: Vec<(String, &'static str)>,
}

/// Finds the repository among links (label and address, as `Project-URL` and `Home-page` have them). A link that is called a
/// source comes first, then the home page, then whatever else is a page of a repository.
pub fn named(links: &[(String, String)]) -> Named {
    let mut ranked: Vec<(Meaning, &(String, String))> =
        links.iter().take(MOST_LINKS).map(|link| (meaning(&link.0), link)).collect();
    ranked.sort_by_key(|(meaning, _)| *meaning);
    let mut named = Named::default();
    for (meaning, (label, text)) in ranked {
        let is_source = meaning == Meaning::Source;
        match Address::read(text, is_source) {
            Ok(Some(address)) => {
                named.found = Some((address, label.clone()));
                return named;
            }
            Ok(None) => {}
            Err(why) if is_source => {
                let shown = text.chars().filter(|c| !c.is_control()).take(200).collect();
                named.refused.push((without_credentials(shown), why));
            }
            Err(_) => {}
        }
    }
    named
}

/// What a link is, the most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Source,
    Home,
    Other,
}

/// The meaning of a label, by the specification of well-known labels: punctuation and blanks do not count, nor does case.
fn meaning(label: &str) -> Meaning {
    let normal: String = label
        .chars()
        .filter(|c| !c.is_ascii_punctuation() && !c.is_ascii_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    match normal.as_str() {
        "source" | "repository" | "sourcecode" | "github" => Meaning::Source,
        // Not of the specification, and as common.
        "code" | "gitlab" | "git" | "repo" | "sources" | "vcs" | "scm" | "gitrepository"
        | "githubrepository" | "sourcerepository" | "coderepository" | "githubrepo" | "bitbucket"
        | "codeberg" => Meaning::Source,
        "homepage" | "home" => Meaning::Home,
        _ => Meaning::Other,
    }
}

fn without_credentials(text: String) -> String {
    match (text.split_once("://"), text.split_once('@')) {
        (Some((scheme, rest)), Some(_)) => match rest.split_once('@') {
            Some((before, after)) if !before.contains('/') => format!("{scheme}://…@{after}"),
            Some(_) | None => text,
        },
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Option<String>, &'static str> {
        Address::read(text, false).map(|found| found.map(|address| address.to_string()))
    }

    #[test]
    fn pages_of_a_repository_lead_to_it() {
        let owner = Ok(Some("https://github.com/o/n".to_owned()));
        for page in [
            "https://github.com/o/n",
            "https://github.com/o/n/",
            "http://www.GitHub.com/o/n.git",
            "git+https://github.com/o/n.git#egg=n",
            "https://github.com/o/n/issues",
            "https://github.com/o/n/tree/main/sub?x=1",
            " https://github.com//o/n/blob/main/README.md#top ",
        ] {
            assert_eq!(read(page), owner, "{page}");
        }
        let of = |text: &str| read(text).unwrap().unwrap();
        assert_eq!(of("https://gitlab.com/a/b/c/-/issues"), "https://gitlab.com/a/b/c");
        assert_eq!(of("https://gitlab.gnome.org/GNOME/n/tree/main"), "https://gitlab.gnome.org/GNOME/n");
        assert_eq!(of("https://git.sr.ht/~o/n/tree"), "https://git.sr.ht/~o/n");
        assert_eq!(of("https://git.zx2c4.com/n.git/about"), "https://git.zx2c4.com/n.git");
        let address = Address::read("https://Codeberg.org/o/n", false).unwrap().unwrap();
        assert_eq!(address.host(), "codeberg.org");
    }

    #[test]
    fn what_is_no_repository_is_none_and_a_source_is_believed() {
        for none in [
            "https://github.com/o",
            "https://github.com/sponsors/o",
            "https://gitlab.com/o/-/issues",
            "https://n.readthedocs.io/en/latest/",
            "https://github.com/o/%2e%2e",
            "https://github.com/-upload-pack=x/n",
        ] {
            assert_eq!(read(none), Ok(None), "{none}");
        }
        let trusted = Address::read("https://hg.example.org/n", true).unwrap().unwrap();
        assert_eq!(trusted.as_str(), "https://hg.example.org/n");
        assert_eq!(Address::read("https://example.org/", true), Ok(None));
    }

    #[test]
    fn what_must_never_be_fetched_is_refused_with_the_reason() {
        for (text, why) in [
            ("git://github.com/o/n", "git protocol"),
            ("ssh://git@github.com/o/n", "ssh"),
            ("git@github.com:o/n.git", "ssh"),
            ("file:///etc/passwd", "file"),
            ("--upload-pack=touch x", "characters"),
            ("--upload-pack=touch", "no address"),
            ("ext::sh -c id", "characters"),
            ("ext::id", "not https"),
            ("https://user:secret@github.com/o/n", "credentials"),
            ("https://github.com:8443/o/n", "port"),
            ("https://127.0.0.1/o/n.git", "number"),
            ("https://2130706433/o/n.git", "number"),
            ("https://0x7f.1/o/n.git", "number"),
            ("https://[::1]/o/n.git", "number"),
            ("https://localhost/o/n.git", "private"),
            ("https://git.corp/o/n.git", "private"),
            ("https://db.internal./o/n.git", "private"),
            ("http://example.org/n.git", "not https"),
            ("https://github.com/o/n\u{7}", "characters"),
            ("https://", "no address"),
            ("", "no address"),
        ] {
            let refused = Address::read(text, true).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
        assert!(Address::read(&format!("https://github.com/o/{}", "n".repeat(2000)), true).is_err());
    }

    #[test]
    fn links_are_read_by_what_their_labels_mean() {
        let link = |label: &str, text: &str| (label.to_owned(), text.to_owned());
        let links = [
            link("Documentation", "https://github.com/o/docs"),
            link("Home-page", "https://github.com/o/home"),
            link("Source Code", "https://github.com/o/n"),
        ];
        let label = |links: &[(String, String)]| named(links).found.map(|(_, label)| label);
        assert_eq!(label(&links).as_deref(), Some("Source Code"));
        assert_eq!(label(&links[..2]).as_deref(), Some("Home-page"));
        let refused = named(&[link("Repository", "https://me:secret@github.com/o/n")]);
        assert_eq!(refused.refused[0].0, "https://…@github.com/o/n");
        assert_eq!(refused.found, None);
        // One that is refused does not hide one that is not.
        let both = [link("Repository", "git://github.com/o/n"), link("Homepage", "https://github.com/o/n")];
        assert!(named(&both).found.is_some() && named(&both).refused.len() == 1);
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_none(text in ".{0,200}", trusted: bool) {
            let _ = Address::read(&text, trusted);
        }

        #[test]
        fn what_is_taken_is_plain(
            text in "(https?|git|ssh|file)://[a-z0-9@:.\\-]{0,20}/[A-Za-z0-9._~%/\\-]{0,40}", trusted: bool
        ) {
            if let Ok(Some(address)) = Address::read(&text, trusted) {
                let text = address.as_str();
                prop_assert!(text.starts_with("https://") && !text.contains("..//") && !text.contains('@'));
                prop_assert!(!text.contains("/-") && !address.host().is_empty());
                let again = Address::read(text, trusted).unwrap().unwrap();
                prop_assert_eq!(again, address);
            }
        }
    }
}
