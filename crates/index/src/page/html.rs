//! The HTML form of a project page (PEP 503, 592, 629, 658, 708, 714, 792). A scanner of tags, not a browser:
//! the pages of indexes are flat lists of anchors.

use wheeltapper_core::ProjectName;

use super::{CoreMetadata, Listed, ProjectPage, ProjectStatus, Raw};
use crate::{Result, credentials::percent_decode};

/// The names of a root page: the texts of its anchors.
pub(super) fn names(body: &[u8]) -> Vec<ProjectName> {
    let text = String::from_utf8_lossy(body);
    let anchors = Tags(&text).filter(|tag| tag.name.eq_ignore_ascii_case("a"));
    anchors.filter_map(|tag| decode_entities(tag.text.trim()).parse().ok()).collect()
}

/// Parses an HTML page.
pub(super) fn parse(raw: &Raw<'_>) -> Result<ProjectPage> {
    let text = String::from_utf8_lossy(raw.body);
    let lower = text.get(..1024.min(text.len())).unwrap_or(&text).to_ascii_lowercase();
    if !(lower.contains("<html")
        || lower.contains("<!doctype")
        || lower.contains("<a ")
        || text.trim().is_empty())
    {
        return Err(raw.garbage("text that is no HTML"));
    }
    let mut base = raw.base.clone();
    let mut status = ProjectStatus::default();
    let (mut files, mut ignored) = (Vec::new(), 0);
    let (mut alternate_locations, mut tracks) = (Vec::new(), Vec::new());
    for tag in Tags(&text) {
        match tag.name.to_ascii_lowercase().as_str() {
            "base" => {
                if let Some(url) = tag.attribute("href").and_then(|href| base.join(&href).ok()) {
                    base = url;
                }
            }
            "meta" => {
                let content = tag.attribute("content").unwrap_or_default();
                match tag.attribute("name").unwrap_or_default().as_str() {
                    "pypi:repository-version" => raw.check_version(&content)?,
                    "pypi:project-status" => status.status = content,
                    "pypi:project-status-reason" => status.reason = Some(content),
                    "pypi:alternate-locations" => alternate_locations.push(content),
                    "pypi:tracks" => tracks.push(content),
                    _ => {}
                }
            }
            "a" => {
                let Some(url) = tag.attribute("href") else { continue };
                let shown = decode_entities(tag.text.trim());
                // PEP 503: the anchor's text is the file's name; old indexes decorate it, then the address tells.
                let path = url.split(['?', '#']).next().unwrap_or("");
                let last = percent_decode(path.rsplit('/').next().unwrap_or(""));
                let filename =
                    if crate::DistributionName::parse(&shown, raw.name).is_ok() { shown } else { last };
                let metadata =
                    tag.attribute("data-core-metadata").or_else(|| tag.attribute("data-dist-info-metadata"));
                let listed = Listed {
                    filename,
                    url,
                    requires_python: tag.attribute("data-requires-python"),
                    yanked: tag.attribute("data-yanked"),
                    core_metadata: match metadata.as_deref() {
                        None | Some("false") => CoreMetadata::Absent,
                        Some(value) => {
                            match value.strip_prefix("sha256=").and_then(|digest| digest.parse().ok()) {
                                Some(digest) => CoreMetadata::Hashed(digest),
                                None => CoreMetadata::Present,
                            }
                        }
                    },
                    ..Listed::default()
                };
                match raw.accept(&base, listed) {
                    Some(file) => files.push(file),
                    None => ignored += 1,
                }
            }
            _ => {}
        }
    }
    let mut page = ProjectPage::of(raw.name.clone(), raw.index.to_owned(), files, status);
    page.ignored = ignored;
    page.alternate_locations = alternate_locations;
    page.tracks = tracks;
    Ok(page)
}

/// A start tag with the text up to the next tag.
struct Tag<'a> {
    name: &'a str,
    attributes: &'a str,
    text: &'a str,
}

/// Start tags in document order; comments and end tags are passed over.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let open = self.0.find('<')?;
            let rest = &self.0[open + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                self.0 = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let Some(close) = tag_end(rest) else {
                self.0 = "";
                return None;
            };
            let (inside, after) = (&rest[..close], &rest[close + 1..]);
            self.0 = after;
            if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            let name_end = inside.find(|c: char| c.is_ascii_whitespace() || c == '/').unwrap_or(inside.len());
            let text = &after[..after.find('<').unwrap_or(after.len())];
            return Some(Tag { name: &inside[..name_end], attributes: &inside[name_end..], text });
        }
    }
}

/// Where a tag ends: at the first `>` outside quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

impl Tag<'_> {
    /// The decoded value of an attribute; one without a value is the empty text.
    fn attribute(&self, wanted: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if rest.is_empty() {
                return None;
            }
            let end =
                rest.find(|c: char| c.is_ascii_whitespace() || c == '=' || c == '/').unwrap_or(rest.len());
            // A stray `=` has no name before it: step over it.
            let (name, after) = rest.split_at(if end == 0 { 1 } else { end });
            let after_name = after.trim_start();
            let (value, left) = match after_name.strip_prefix('=') {
                None => ("", after),
                Some(value) => {
                    let value = value.trim_start();
                    match value.chars().next() {
                        Some(quote @ ('"' | '\'')) => {
                            let inner = &value[1..];
                            let close = inner.find(quote).unwrap_or(inner.len());
                            (&inner[..close], inner.get(close + 1..).unwrap_or(""))
                        }
                        _ => value
                            .split_at(value.find(|c: char| c.is_ascii_whitespace()).unwrap_or(value.len())),
                    }
                }
            };
            if name.eq_ignore_ascii_case(wanted) {
                return Some(decode_entities(value));
            }
            rest = left;
        }
    }
}

/// The few entities that addresses and specifiers need; others stay as they are.
fn decode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let decoded = rest[1..].split_once(';').and_then(|(name, after)| {
            let character = match name {
                "amp" => '&',
                "lt" => '<',
                "gt" => '>',
                "quot" => '"',
                "apos" => '\'',
                _ => {
                    let number = name.strip_prefix('#')?;
                    let code = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    };
                    char::from_u32(code)?
                }
            };
            Some((character, after))
        });
        match decoded {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}
