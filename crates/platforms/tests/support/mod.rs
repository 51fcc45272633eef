//! Archives as tests want them: any names, any kinds, whatever a library would refuse to write.

use std::{fs, io::Write as _};

use tar::{EntryType, Header};

/// One entry: kind, path, and what it holds or leads to.
pub type Entry<'a> = (EntryType, &'a str, &'a [u8]);

/// The beginning of a program for this machine.
pub fn program() -> Vec<u8> {
    fs::read(std::env::current_exe().unwrap()).unwrap()[..4096].to_vec()
}

pub fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, path, content) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        // Names as they are: the library would refuse some.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
        }
        let content = if is_link { &[][..] } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes.extend([0; 1024]);
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}
