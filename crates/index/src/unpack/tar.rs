//! Reading tar archives record by record. Long names and extended headers are read here, within limits,
//! rather than by the library, which would take as much memory as an attacker asks for.

use std::io::Read;

use ::tar::{Archive, EntryType, PaxExtensions};

use super::{Tree, shown};
use crate::{Error, Result};

/// Longest extended header or long name, in bytes.
const LARGEST_HEADER: u64 = 1 << 20;

/// What an entry of a tar archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A directory.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A further name of a file that the archive holds.
    HardLink,
    /// A character or block device.
    Device,
    /// A FIFO.
    Fifo,
    /// None of these.
    Other,
}

/// One entry of a tar archive, as it is written: nothing of it is checked.
pub struct Record<'a> {
    /// Its name's bytes.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: RecordKind,
    /// Where a link leads; else empty.
    pub link: Vec<u8>,
    /// Bytes of content.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: Option<u64>,
    /// Its content.
    pub content: &'a mut dyn Read,
}

/// Reads a tar archive to its end, entry by entry; at most so many, headers included. `archive` names it in errors.
///
/// # Errors
/// `Archive` where it cannot be read; and those of `take`.
pub fn records(
    reader: impl Read,
    archive: &str,
    most: u64,
    mut take: impl FnMut(Record<'_>) -> Result<()>,
) -> Result<()> {
    let fault = |reason: String| Error::archive(archive, reason);
    let unread = |error: std::io::Error| fault(format!("it cannot be read: {error}"));
    let mut tar = Archive::new(reader);
    let mut next = Extended::default();
    let mut count = 0;
    for entry in tar.entries().map_err(unread)?.raw(true) {
        let mut entry = entry.map_err(unread)?;
        count += 1;
        if count > most {
            return Err(fault(format!("it has more than {most} entries")));
        }
        let kind = entry.header().entry_type();
        if let EntryType::GNULongName
        | EntryType::GNULongLink
        | EntryType::XHeader
        | EntryType::XGlobalHeader = kind
        {
            let mut bytes = Vec::new();
            (&mut entry).take(LARGEST_HEADER + 1).read_to_end(&mut bytes).map_err(unread)?;
            if bytes.len() as u64 > LARGEST_HEADER {
                return Err(fault("it has a header of more than a mebibyte".to_owned()));
            }
            match kind {
                EntryType::GNULongName => next.path = Some(until_null(bytes)),
                EntryType::GNULongLink => next.link = Some(until_null(bytes)),
                EntryType::XHeader => next.read(&bytes).map_err(|reason| fault(reason.to_owned()))?,
                // Global headers of archives made by git hold a comment.
                _ => {}
            }
            continue;
        }
        let extended = std::mem::take(&mut next);
        let path = extended.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let size = entry.header().entry_size().map_err(unread)?;
        if extended.size.is_some_and(|said| said != size) {
            return Err(fault(format!("`{}` has two sizes", shown(&path))));
        }
        let header = entry.header();
        let link = extended.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let record = Record {
            kind: match kind {
                EntryType::Directory => RecordKind::Folder,
                // An old tar spells a folder as a file whose name ends in a slash.
                EntryType::Regular if path.ends_with(b"/") && size == 0 => RecordKind::Folder,
                EntryType::Regular | EntryType::Continuous => RecordKind::File,
                EntryType::Symlink => RecordKind::Symlink,
                EntryType::Link => RecordKind::HardLink,
                EntryType::Char | EntryType::Block => RecordKind::Device,
                EntryType::Fifo => RecordKind::Fifo,
                _ => RecordKind::Other,
            },
            link: link.unwrap_or_default(),
            mode: header.mode().unwrap_or(0),
            modified: extended.modified.or(header.mtime().ok()),
            path,
            size,
            content: &mut entry,
        };
        take(record)?;
    }
    Ok(())
}

/// Unpacks everything into the tree.
pub(super) fn unpack(reader: impl Read, tree: &mut Tree) -> Result<()> {
    let mut copies = tree.limits.total;
    let (archive, most) = (tree.archive.clone(), tree.limits.entries);
    records(reader, &archive, most, |mut record| {
        let path = &record.path;
        match record.kind {
            RecordKind::Folder => tree.folder(path),
            RecordKind::File => {
                tree.file(path, record.mode & 0o111 != 0, record.modified, &mut record.content)
            }
            RecordKind::Symlink => tree.link(path, &record.link),
            RecordKind::HardLink => tree.hard_link(path, &record.link, &mut copies),
            RecordKind::Device => Err(tree.fault_at(path, "is a device")),
            RecordKind::Fifo => Err(tree.fault_at(path, "is a FIFO")),
            RecordKind::Other => Err(tree.fault_at(path, "is neither a file, a folder nor a link")),
        }
    })
}

/// What extended headers say about the entry that follows.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    /// Seconds since 1970. Python's writer leaves 0 in the plain header where the time has a fraction.
    modified: Option<u64>,
}

impl Extended {
    fn read(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        const MALFORMED: &str = "it has a malformed extended header";
        for extension in PaxExtensions::new(bytes) {
            let extension = extension.map_err(|_| MALFORMED)?;
            match extension.key_bytes() {
                b"path" => self.path = Some(extension.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size = extension.value().ok().and_then(|value| value.parse().ok());
                    self.size = Some(size.ok_or(MALFORMED)?);
                }
                b"mtime" => {
                    let whole = extension.value().ok().and_then(|value| value.split('.').next());
                    self.modified = whole.and_then(|value| value.parse().ok());
                }
                key if key.starts_with(b"GNU.sparse") => return Err("it holds a sparse file"),
                _ => {}
            }
        }
        Ok(())
    }
}

fn until_null(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
