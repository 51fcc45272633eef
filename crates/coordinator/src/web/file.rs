//! From a request's path to a file of the site, and its bytes on their way out. A path is a few harmless words or nothing:
//! no escapes, no dots in front, no way out of the folder.

use std::{
    fs,
    io::Read as _,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::UNIX_EPOCH,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use wheeltapper_core::Sha256;
use wheeltapper_render::web::Site;

/// Files up to this size are read at once, and told apart by what they hold.
const SMALL: u64 = 2 << 20;
/// Bytes of a large file that are read at a time.
const PIECE: usize = 64 * 1024;

/// What there is at a path.
pub(super) enum Found {
    /// A file.
    File { content: Content, kind: &'static str, tag: String, length: u64, cache: &'static str },
    /// A folder, and its address.
    Folder(String),
    /// The front page of a site that has not been made.
    NotYet,
    /// Nothing.
    Nothing,
}

/// Finds a file of the site.
pub(super) fn find(site: &Path, path: &str) -> Found {
    let Some(relative) = path.strip_prefix('/') else { return Found::Nothing };
    let harmless = |part: &str| {
        let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(letters)
    };
    let folder = relative.is_empty() || relative.ends_with('/');
    let parts: Vec<&str> =
        relative.trim_end_matches('/').split('/').filter(|_| !relative.is_empty()).collect();
    if !parts.iter().all(|part| harmless(part)) {
        return Found::Nothing;
    }
    let mut place = site.to_owned();
    place.extend(&parts);
    if folder {
        place.push("index.html");
    } else if place.is_dir() {
        return Found::Folder(format!("{path}/"));
    }
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (kind, cache) = kind(&name, parts.first().copied().unwrap_or_default());
    let opened = fs::symlink_metadata(&place).ok().filter(fs::Metadata::is_file);
    let Some(found) = opened else {
        return match Site::assets().into_iter().find(|asset| asset.path == relative) {
            Some(asset) => small(asset.bytes, kind, cache),
            None if parts.is_empty() => Found::NotYet,
            None => Found::Nothing,
        };
    };
    if found.len() <= SMALL {
        return fs::read(&place).map_or(Found::Nothing, |bytes| small(bytes, kind, cache));
    }
    let Ok(file) = fs::File::open(&place) else { return Found::Nothing };
    let changed =
        found.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let tag = format!("W/\"{:x}-{:x}\"", found.len(), changed.as_nanos());
    Found::File { content: Content::File(file, found.len()), kind, tag, length: found.len(), cache }
}

fn small(bytes: Vec<u8>, kind: &'static str, cache: &'static str) -> Found {
    let tag = format!("\"{}\"", Sha256::of(&bytes).short());
    let length = bytes.len() as u64;
    Found::File { content: Content::Bytes(Some(bytes.into())), kind, tag, length, cache }
}

/// Content type, and for how long it may be kept without asking.
fn kind(name: &str, folder: &str) -> (&'static str, &'static str) {
    let kind = match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "jsonl" => "application/jsonl; charset=utf-8",
        "svg" => "image/svg+xml",
        "atom" => "application/atom+xml; charset=utf-8",
        _ => "text/plain; charset=utf-8",
    };
    // Others show badges on busy pages; everything else is asked after, and answered by its tag.
    (kind, if folder == "badge" { "public, max-age=300" } else { "public, no-cache" })
}

/// The body of an answer.
pub(super) enum Content {
    /// In memory.
    Bytes(Option<Bytes>),
    /// Read as it is sent: the file, and how many bytes are left.
    File(fs::File, u64),
}

impl Content {
    pub(super) fn none() -> Content {
        Content::Bytes(None)
    }

    pub(super) fn of(words: &'static [u8]) -> Content {
        Content::Bytes(Some(Bytes::from_static(words)))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.get_mut() {
            Content::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::File(_, 0) => Poll::Ready(None),
            Content::File(file, left) => {
                let mut piece = vec![0; PIECE.min(usize::try_from(*left).unwrap_or(PIECE))];
                // A local file: reading a piece of it takes no longer than sending it.
                Poll::Ready(Some(match file.read(&mut piece) {
                    Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        piece.truncate(count);
                        *left -= count as u64;
                        Ok(Frame::data(piece.into()))
                    }
                    Err(error) => Err(error),
                }))
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Bytes(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::File(_, left) => SizeHint::with_exact(*left),
        }
    }
}
