//! Hostile wheels: zip files with entries that no honest one has, and wheels that lie.

use std::{
    io::{self, Cursor, Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{BOMB, climbing, metadata, tricks};
use crate::Artifact;

tricks! {
    /// What is wrong with a wheel.
    WheelTrick {
        /// A file at an absolute path.
        AbsolutePath = "absolute-path",
        /// A file at a path with `..`.
        ParentPath = "parent-path",
        /// A script whose path leaves the folder of scripts.
        DataEscapes = "data-escapes",
        /// A symbolic link to a folder outside, then a file through it.
        SymlinkOut = "symlink-out",
        /// `RECORD` names a file outside as the wheel's own, so that an uninstall removes it.
        RecordEscapes = "record-escapes",
        /// One file of a gibibyte of zeros.
        ZipBomb = "zip-bomb",
        /// The same, but the directory says that it has ten bytes.
        LyingSize = "lying-size",
        /// Twenty thousand files.
        ManyFiles = "many-files",
        /// A path of a thousand folders.
        DeepPath = "deep-path",
        /// A file name that is not UTF-8.
        NonUtf8Name = "non-utf8-name",
        /// Text, not an archive.
        NoArchive = "no-archive",
        /// Nothing at all.
        Empty = "empty",
        /// The first half of a wheel.
        CutShort = "cut-short",
        /// The metadata are of another project.
        OtherName = "other-name",
        /// The metadata are of another version.
        OtherVersion = "other-version",
        /// No metadata at all.
        NoMetadata = "no-metadata",
        /// A second set of metadata, of another project.
        TwoMetadata = "two-metadata",
        /// A `.pth` file that runs code whenever an interpreter of the environment starts.
        PthFile = "pth-file",
    }
}

/// How much a bomb unpacks to. An odd number, so that its bytes are found in the headers only.
const UNPACKED: u64 = BOMB + 0x0a_0b_0c;

/// A name that stands for one that is not UTF-8 until the archive is done; of the same length.
const PLACEHOLDER: &[u8] = b"cafXY.txt";
const NON_UTF8: &[u8] = b"caf\xe9\xff.txt";

impl WheelTrick {
    /// The wheel, reaching for this path where the trick reaches out.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn build(self, outside: &Path) -> Result<Artifact> {
        let mut metadata = metadata("wheel", self.as_str());
        let module = metadata.project()?.escaped();
        let stem = format!("{module}-1.0");
        let info = format!("{stem}.dist-info");
        match self {
            WheelTrick::OtherName => metadata.name = "tap-passes".to_owned(),
            WheelTrick::OtherVersion => metadata.version = "2.0".to_owned(),
            _ => {}
        }
        let mut zip = Zip::new();
        zip.file(&format!("{module}/__init__.py"), b"")?;
        let mut record = format!("{module}/__init__.py,,\n");
        if self != WheelTrick::NoMetadata {
            let wheel = "Wheel-Version: 1.0\nGenerator: hostile\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
            zip.file(&format!("{info}/METADATA"), metadata.text().as_bytes())?;
            zip.file(&format!("{info}/WHEEL"), wheel.as_bytes())?;
            record += &format!("{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n");
        }
        let target = outside.to_str().context("the path is not UTF-8")?;
        let extra = self.extra(&mut zip, &module, &stem, outside)?;
        for path in &extra {
            record += &format!("{path},,\n");
        }
        if self == WheelTrick::RecordEscapes {
            record += &format!("{},,\n{target},,\n", climbing(outside));
        }
        if self != WheelTrick::NoMetadata {
            zip.file(&format!("{info}/RECORD"), record.as_bytes())?;
        }
        let bytes = self.finished(zip.finish()?)?;
        // A publisher says whose file it is by the file's name: the index lists it there.
        metadata.name = format!("tap-wheel-{}", self.as_str());
        metadata.version = "1.0".to_owned();
        Ok(Artifact { filename: format!("{stem}-py3-none-any.whl"), bytes, metadata })
    }

    /// Adds the entries of the trick and returns the paths that `RECORD` lists of them.
    fn extra(self, zip: &mut Zip, module: &str, stem: &str, outside: &Path) -> Result<Vec<String>> {
        let target = outside.to_str().context("the path is not UTF-8")?;
        let folder = outside.parent().and_then(Path::to_str).context("the path has no folder")?;
        let file_name = outside.file_name().and_then(|name| name.to_str()).context("the path has no name")?;
        let mut paths = Vec::new();
        let mut file = |zip: &mut Zip, path: String, bytes: &[u8]| -> Result<()> {
            zip.file(&path, bytes)?;
            paths.push(path);
            Ok(())
        };
        match self {
            WheelTrick::AbsolutePath => file(zip, target.to_owned(), b"escaped")?,
            WheelTrick::ParentPath => file(zip, format!("{module}/{}", climbing(outside)), b"escaped")?,
            WheelTrick::DataEscapes => {
                file(zip, format!("{stem}.data/scripts/{}", climbing(outside)), b"#!python\n")?;
            }
            WheelTrick::SymlinkOut => {
                zip.0.add_symlink(format!("{module}/out"), folder, options())?;
                file(zip, format!("{module}/out/{file_name}"), b"escaped")?;
            }
            WheelTrick::ZipBomb | WheelTrick::LyingSize => {
                let path = format!("{module}/zeros");
                zip.0.start_file(&path, options())?;
                io::copy(&mut io::repeat(0).take(UNPACKED), &mut zip.0)?;
                paths.push(path);
            }
            WheelTrick::ManyFiles => {
                for number in 0..20_000 {
                    file(zip, format!("{module}/many/{number}"), b"")?;
                }
            }
            WheelTrick::DeepPath => file(zip, format!("{module}/{}file", "d/".repeat(1000)), b"deep")?,
            WheelTrick::NonUtf8Name => {
                let name = std::str::from_utf8(PLACEHOLDER).expect("it is ASCII");
                file(zip, format!("{module}/{name}"), b"text")?;
            }
            WheelTrick::TwoMetadata => {
                let other = "Metadata-Version: 2.2\nName: tap-passes\nVersion: 1.0\n";
                file(zip, "tap_passes-1.0.dist-info/METADATA".to_owned(), other.as_bytes())?;
            }
            WheelTrick::PthFile => {
                let line = format!("import os; open({target:?}, 'w').write('escaped')\n");
                file(zip, format!("{module}.pth"), line.as_bytes())?;
            }
            WheelTrick::RecordEscapes
            | WheelTrick::NoArchive
            | WheelTrick::Empty
            | WheelTrick::CutShort
            | WheelTrick::OtherName
            | WheelTrick::OtherVersion
            | WheelTrick::NoMetadata => {}
        }
        Ok(paths)
    }

    /// What is done to the finished archive.
    fn finished(self, mut bytes: Vec<u8>) -> Result<Vec<u8>> {
        match self {
            WheelTrick::NoArchive => Ok(b"<html>this is not the file you asked for</html>\n".to_vec()),
            WheelTrick::Empty => Ok(Vec::new()),
            WheelTrick::CutShort => {
                bytes.truncate(bytes.len() / 2);
                Ok(bytes)
            }
            WheelTrick::NonUtf8Name => {
                // Only in the two headers: what is compressed cannot hold the name by chance at this length.
                replace(&mut bytes, PLACEHOLDER, NON_UTF8);
                Ok(bytes)
            }
            WheelTrick::LyingSize => {
                let honest = u32::try_from(UNPACKED).context("a bomb fits a classic zip")?.to_le_bytes();
                replace(&mut bytes, &honest, &10u32.to_le_bytes());
                Ok(bytes)
            }
            _ => Ok(bytes),
        }
    }
}

/// Replaces every occurrence of some bytes by as many others.
fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(old.len()).position(|window| window == old) {
        bytes[at + found..at + found + new.len()].copy_from_slice(new);
        at += found + old.len();
    }
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644)
}

struct Zip(ZipWriter<Cursor<Vec<u8>>>);

impl Zip {
    fn new() -> Self {
        Zip(ZipWriter::new(Cursor::new(Vec::new())))
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        self.0.start_file(path, options())?;
        self.0.write_all(bytes)?;
        Ok(())
    }

    fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}
