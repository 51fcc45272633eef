//! Hostile sdists: tar files with entries that no honest one has.

use std::{io::Write, path::Path};

use anyhow::{Context, Result};
use flate2::{Compress, Compression, Crc, FlushCompress};
use tar::{EntryType, Header};

use super::{BOMB, climbing, metadata, tricks};
use crate::{
    Artifact, BACKEND,
    archive::{gzip, header},
};

tricks! {
    /// What is wrong with an sdist.
    SdistTrick {
        /// A file at an absolute path.
        AbsolutePath = "absolute-path",
        /// A file at a path with `..`.
        ParentPath = "parent-path",
        /// A symbolic link to a folder outside, then a file through it.
        SymlinkOut = "symlink-out",
        /// A chain of relative links, each harmless by itself, that leaves together; then a file through it.
        SymlinkChain = "symlink-chain",
        /// A hard link to a file outside, then the same name written again.
        HardLinkOut = "hard-link-out",
        /// A block device.
        Device = "device",
        /// A FIFO where `pyproject.toml` should be: whoever reads it waits for ever.
        Fifo = "fifo",
        /// One file of a gibibyte of zeros.
        GzipBomb = "gzip-bomb",
        /// A hundred thousand files.
        ManyFiles = "many-files",
        /// A sparse file that declares a tebibyte and holds nothing.
        SparseSize = "sparse-size",
        /// A header that declares 8 GiB, and an archive that ends there.
        CutShort = "cut-short",
        /// A file name that is not UTF-8.
        NonUtf8Name = "non-utf8-name",
        /// File names with a newline, an escape sequence and a carriage return.
        ControlName = "control-name",
        /// A path of two thousand folders.
        DeepPath = "deep-path",
        /// Set-user-id and writable for all.
        SetUserId = "set-user-id",
        /// Text, not an archive.
        NoArchive = "no-archive",
        /// Nothing at all.
        Empty = "empty",
        /// A sound gzip stream whose content is no tar.
        NoTar = "no-tar",
        /// Two folders at the top.
        TwoTops = "two-tops",
        /// A folder at the top that bears another name and version.
        OtherTop = "other-top",
        /// The same file twice, with different content.
        Twice = "twice",
    }
}

impl SdistTrick {
    /// The sdist, reaching for this path where the trick reaches out.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn build(self, outside: &Path) -> Result<Artifact> {
        let metadata = metadata("sdist", self.as_str());
        let stem = format!("{}-1.0", metadata.project()?.escaped());
        let top = if self == SdistTrick::OtherTop { "tap_other-9.9".to_owned() } else { stem.clone() };
        let name = &metadata.name;
        let pyproject = format!(
            "[build-system]\nrequires = []\nbuild-backend = \"fixture_backend\"\nbackend-path = [\"_backend\"]\n\n\
             [project]\nname = \"{name}\"\nversion = \"1.0\"\n"
        );
        let module = metadata.project()?.escaped();
        let mut tar = Tar::default();
        tar.file(&format!("{top}/PKG-INFO"), metadata.text().as_bytes())?;
        if self != SdistTrick::Fifo {
            tar.file(&format!("{top}/pyproject.toml"), pyproject.as_bytes())?;
        }
        tar.file(&format!("{top}/{}", BACKEND.0), BACKEND.1.as_bytes())?;
        tar.file(&format!("{top}/src/{module}/__init__.py"), b"")?;
        let bytes = self.with_trick(tar, &top, outside)?;
        Ok(Artifact { filename: format!("{stem}.tar.gz"), bytes, metadata })
    }

    fn with_trick(self, mut tar: Tar, top: &str, outside: &Path) -> Result<Vec<u8>> {
        let target = outside.to_str().context("the path is not UTF-8")?;
        let folder = outside.parent().and_then(Path::to_str).context("the path has no folder")?;
        let file_name = outside.file_name().and_then(|name| name.to_str()).context("the path has no name")?;
        match self {
            SdistTrick::AbsolutePath => tar.file(target, b"escaped")?,
            SdistTrick::ParentPath => tar.file(&format!("{top}/{}", climbing(outside)), b"escaped")?,
            SdistTrick::SymlinkOut => {
                tar.link(EntryType::Symlink, &format!("{top}/out"), folder)?;
                tar.file(&format!("{top}/out/{file_name}"), b"escaped")?;
            }
            SdistTrick::SymlinkChain => {
                let mut path = top.to_owned();
                for depth in 0..30 {
                    // `up0 -> ..`, `up0/up1 -> ..`: each climbs one folder from where the last one led.
                    path = format!("{path}/up{depth}");
                    tar.link(EntryType::Symlink, &path, "..")?;
                }
                tar.file(&format!("{path}{target}"), b"escaped")?;
            }
            SdistTrick::HardLinkOut => {
                tar.link(EntryType::Link, &format!("{top}/password"), "/etc/passwd")?;
                tar.file(&format!("{top}/password"), b"escaped")?;
            }
            SdistTrick::Device => {
                let mut device = header(0);
                device.set_entry_type(EntryType::Block);
                device.set_device_major(8)?;
                device.set_device_minor(0)?;
                tar.raw(device, format!("{top}/disk").as_bytes(), b"");
            }
            SdistTrick::Fifo => {
                let mut fifo = header(0);
                fifo.set_entry_type(EntryType::Fifo);
                tar.raw(fifo, format!("{top}/pyproject.toml").as_bytes(), b"");
            }
            SdistTrick::GzipBomb => {
                tar.raw(header(BOMB), format!("{top}/zeros").as_bytes(), b"");
                return gzip_with_zeros(&tar.0, BOMB, &[0; 1024]);
            }
            SdistTrick::ManyFiles => {
                for number in 0..100_000 {
                    tar.raw(header(0), format!("{top}/many/{number}").as_bytes(), b"");
                }
            }
            SdistTrick::SparseSize => {
                let mut sparse = Header::new_gnu();
                sparse.set_entry_type(EntryType::GNUSparse);
                sparse.set_mode(0o644);
                let gnu = sparse.as_gnu_mut().context("it is a GNU header")?;
                let end = 1u64 << 40;
                gnu.set_is_extended(false);
                gnu.sparse[0].set_offset(end);
                gnu.sparse[0].set_length(0);
                gnu.set_real_size(end);
                sparse.set_size(0);
                tar.raw(sparse, format!("{top}/sparse").as_bytes(), b"");
            }
            SdistTrick::CutShort => {
                tar.raw(header(8 << 30), format!("{top}/large").as_bytes(), b"the beginning");
                return Ok(gzip(&tar.0)?);
            }
            SdistTrick::NonUtf8Name => {
                tar.raw(header(4), &[format!("{top}/caf").as_bytes(), b"\xe9\xff.txt"].concat(), b"text");
            }
            SdistTrick::ControlName => {
                for name in ["line\nbreak", "colour\x1b[31m", "return\r", "bell\x07"] {
                    tar.raw(header(0), format!("{top}/{name}").as_bytes(), b"");
                }
            }
            SdistTrick::DeepPath => tar.file(&format!("{top}/{}file", "d/".repeat(2000)), b"deep")?,
            SdistTrick::SetUserId => {
                let mut file = header(4);
                file.set_mode(0o6777);
                tar.raw(file, format!("{top}/become-root").as_bytes(), b"\x7fELF");
            }
            SdistTrick::NoArchive => return Ok(b"<html>this is not the file you asked for</html>\n".to_vec()),
            SdistTrick::Empty => return Ok(Vec::new()),
            SdistTrick::NoTar => return Ok(gzip(&b"not a tar file. ".repeat(200))?),
            SdistTrick::TwoTops => tar.file("tap_second-1.0/PKG-INFO", b"Metadata-Version: 2.2\n")?,
            SdistTrick::OtherTop => {}
            SdistTrick::Twice => {
                tar.file(
                    &format!("{top}/PKG-INFO"),
                    b"Metadata-Version: 2.2\nName: tap-other\nVersion: 1.0\n",
                )?;
            }
        }
        Ok(gzip(&tar.finish())?)
    }
}

/// A tar file written entry by entry, without the checks of one that is meant well.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        if path.len() > 100 {
            // The GNU way for long names: an entry that holds the name of the next one.
            let mut name = Header::new_gnu();
            name.set_entry_type(EntryType::GNULongName);
            name.set_size(path.len() as u64 + 1);
            self.raw(name, b"././@LongLink", &[path.as_bytes(), b"\0"].concat());
        }
        self.raw(header(bytes.len() as u64), &path.as_bytes()[..path.len().min(100)], bytes);
        Ok(())
    }

    fn link(&mut self, kind: EntryType, path: &str, target: &str) -> Result<()> {
        let mut link = header(0);
        link.set_entry_type(kind);
        link.set_link_name_literal(target)?;
        if path.len() > 100 {
            let mut name = Header::new_gnu();
            name.set_entry_type(EntryType::GNULongName);
            name.set_size(path.len() as u64 + 1);
            self.raw(name, b"././@LongLink", &[path.as_bytes(), b"\0"].concat());
        }
        self.raw(link, &path.as_bytes()[..path.len().min(100)], b"");
        Ok(())
    }

    fn raw(&mut self, mut header: Header, path: &[u8], bytes: &[u8]) {
        let name = &mut header.as_old_mut().name;
        name.fill(0);
        name[..path.len()].copy_from_slice(path);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(bytes);
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        self.0.extend(std::iter::repeat_n(0, padding));
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// One gzip member of `before`, so many zeros (a multiple of 16 MiB), and `after`. The zeros are compressed once and
/// repeated, which deflate allows after a full flush: a bomb takes milliseconds to make.
fn gzip_with_zeros(before: &[u8], zeros: u64, after: &[u8]) -> Result<Vec<u8>> {
    let chunk = vec![0u8; 16 << 20];
    let times = zeros / chunk.len() as u64;
    let mut crc = Crc::new();
    crc.update(before);
    let mut chunk_crc = Crc::new();
    chunk_crc.update(&chunk);
    for _ in 0..times {
        crc.combine(&chunk_crc);
    }
    let mut after_crc = Crc::new();
    after_crc.update(after);
    crc.combine(&after_crc);

    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(deflated(before, FlushCompress::Full)?);
    let repeated = deflated(&chunk, FlushCompress::Full)?;
    for _ in 0..times {
        bytes.extend_from_slice(&repeated);
    }
    bytes.extend(deflated(after, FlushCompress::Finish)?);
    bytes.write_all(&crc.sum().to_le_bytes())?;
    let total = before.len() as u64 + zeros + after.len() as u64;
    bytes.write_all(&(total as u32).to_le_bytes())?;
    Ok(bytes)
}

/// These bytes as deflate blocks that refer to nothing before them.
fn deflated(bytes: &[u8], flush: FlushCompress) -> Result<Vec<u8>> {
    let mut deflate = Compress::new(Compression::new(6), false);
    let mut out = Vec::with_capacity(bytes.len() / 2 + 64 * 1024);
    deflate.compress_vec(bytes, &mut out, flush)?;
    anyhow::ensure!(deflate.total_in() == bytes.len() as u64, "the buffer was too small");
    Ok(out)
}
