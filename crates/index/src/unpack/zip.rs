//! Reading zip archives through their directory. Names are the archive's bytes.

use std::io::{Read, Seek};

use ::zip::ZipArchive;

use super::{Bounded, Tree};
use crate::{Error, Result};

/// Opens an archive; what it says about itself is not believed yet.
pub(crate) fn open_zip<R: Read + Seek>(reader: R, archive: &str) -> Result<ZipArchive<R>> {
    ZipArchive::new(reader).map_err(|error| Error::archive(archive, format!("it is no zip archive: {error}")))
}

/// Unpacks everything into the tree.
pub(super) fn unpack(reader: impl Read + Seek, packed: u64, tree: &mut Tree) -> Result<()> {
    let mut archive = open_zip(reader, &tree.archive)?;
    let mut bound = Bounded::new(std::io::empty(), packed, &tree.limits);
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| tree.fault(format!("entry {index}: {error}")))?;
        let path = entry.name_raw().to_vec();
        let mode = entry.unix_mode().unwrap_or(0);
        // Of the file types of Unix, an archive that knows them says which; one that does not says 0.
        match mode & 0o170000 {
            0o120000 => {
                let mut target = Vec::new();
                let read = entry.take(tree.limits.path as u64 + 1).read_to_end(&mut target);
                read.map_err(|error| tree.fault_at(&path, &format!("cannot be unpacked: {error}")))?;
                tree.link(&path, &target)?;
                continue;
            }
            0 | 0o100000 | 0o040000 => {}
            _ => return Err(tree.fault_at(&path, "is a device or a FIFO")),
        }
        if path.ends_with(b"/") {
            tree.folder(&path)?;
            continue;
        }
        let mut counted = Bounded { inner: entry, left: bound.left };
        tree.file(&path, mode & 0o111 != 0, None, &mut counted)?;
        bound.left = counted.left;
    }
    Ok(())
}
