//! Reading tar archives record by record. Long names and extended headers are read here, within limits,
//! rather than by the library, which would take as much memory as an attacker asks for.

use std::io::Read;

use ::tar::{Archive, EntryType, PaxExtensions};

use super::Tree;
use crate::Result;

/// Longest extended header or long name, in bytes.
const LARGEST_HEADER: u64 = 1 << 20;

/// Unpacks everything into the tree.
pub(super) fn unpack(reader: impl Read, tree: &mut Tree) -> Result<()> {
    let mut archive = Archive::new(reader);
    let mut next = Extended::default();
    let mut copies = tree.limits.total;
    let entries =
        archive.entries().map_err(|error| tree.fault(format!("it cannot be read: {error}")))?.raw(true);
    for entry in entries {
        let mut entry = entry.map_err(|error| tree.fault(format!("it cannot be read: {error}")))?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName
            | EntryType::GNULongLink
            | EntryType::XHeader
            | EntryType::XGlobalHeader => {
                let mut bytes = Vec::new();
                let read = (&mut entry).take(LARGEST_HEADER + 1).read_to_end(&mut bytes);
                read.map_err(|error| tree.fault(format!("it cannot be read: {error}")))?;
                if bytes.len() as u64 > LARGEST_HEADER {
                    return Err(tree.fault("it has a header of more than a mebibyte"));
                }
                tree.entries += 1;
                if tree.entries > tree.limits.entries {
                    return Err(tree.fault("it has too many entries"));
                }
                match kind {
                    EntryType::GNULongName => next.path = Some(until_null(bytes)),
                    EntryType::GNULongLink => next.link = Some(until_null(bytes)),
                    EntryType::XHeader => next.read(&bytes, tree)?,
                    // Global headers of archives made by git hold a comment.
                    _ => {}
                }
                continue;
            }
            _ => {}
        }
        let extended = std::mem::take(&mut next);
        let path = extended.path.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let size =
            entry.header().entry_size().map_err(|error| tree.fault(format!("it cannot be read: {error}")))?;
        if extended.size.is_some_and(|said| said != size) {
            return Err(tree.fault_at(&path, "has two sizes"));
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let modified = extended.modified.or(entry.header().mtime().ok());
        match kind {
            // An old tar spells a folder as a file whose name ends in a slash.
            EntryType::Directory => tree.folder(&path)?,
            EntryType::Regular if path.ends_with(b"/") && size == 0 => tree.folder(&path)?,
            EntryType::Regular | EntryType::Continuous => {
                tree.file(&path, executable, modified, &mut entry)?
            }
            EntryType::Symlink | EntryType::Link => {
                let link =
                    extended.link.or_else(|| entry.header().link_name_bytes().map(|name| name.into_owned()));
                let target = link.unwrap_or_default();
                if kind == EntryType::Symlink {
                    tree.link(&path, &target)?;
                } else {
                    tree.hard_link(&path, &target, &mut copies)?;
                }
            }
            EntryType::Char | EntryType::Block => return Err(tree.fault_at(&path, "is a device")),
            EntryType::Fifo => return Err(tree.fault_at(&path, "is a FIFO")),
            _ => return Err(tree.fault_at(&path, "is neither a file, a folder nor a link")),
        }
    }
    Ok(())
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
    fn read(&mut self, bytes: &[u8], tree: &Tree) -> Result<()> {
        for extension in PaxExtensions::new(bytes) {
            let extension = extension.map_err(|_| tree.fault("it has a malformed extended header"))?;
            match extension.key_bytes() {
                b"path" => self.path = Some(extension.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(extension.value_bytes().to_vec()),
                b"size" => {
                    let size = extension.value().ok().and_then(|value| value.parse().ok());
                    self.size = Some(size.ok_or_else(|| tree.fault("it has a malformed extended header"))?);
                }
                b"mtime" => {
                    let whole = extension.value().ok().and_then(|value| value.split('.').next());
                    self.modified = whole.and_then(|value| value.parse().ok());
                }
                key if key.starts_with(b"GNU.sparse") => return Err(tree.fault("it holds a sparse file")),
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
