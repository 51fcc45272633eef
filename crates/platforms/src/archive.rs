//! A root file system's archive on this machine: opened by what it is, whatever it is called.

use std::{
    fs::File,
    io::{BufReader, Read, Seek as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{error::Error, tree::Tree};

/// As many bytes tell what an archive is.
const LONGEST_MAGIC: usize = 262;

/// Unpacks a tar archive, plain or compressed with gzip, zstd or xz; errors call it by `name`.
///
/// # Errors
/// When it cannot be read, is no such archive, or holds what no root file system has.
pub(crate) fn unpack(path: &Path, name: &str, tree: &mut Tree) -> Result<(), Error> {
    let refused = |reason: &str| Error::Archive(format!("`{name}` {reason}"));
    let mut file = File::open(path).map_err(Error::file(path))?;
    let mut magic = [0; LONGEST_MAGIC];
    let mut filled = 0;
    while let Some(rest) = magic.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).map_err(Error::file(path))? {
            0 => break,
            length => filled += length,
        }
    }
    file.rewind().map_err(Error::file(path))?;
    let magic = &magic[..filled];
    if magic.starts_with(b"\x1f\x8b") {
        return tree.unpack(flate2::bufread::MultiGzDecoder::new(BufReader::new(file)), name);
    }
    if magic.starts_with(b"\x28\xb5\x2f\xfd") {
        let reader = zstd::Decoder::new(file).map_err(Error::file(path))?;
        return tree.unpack(reader, name);
    }
    if magic.starts_with(b"\xfd7zXZ") {
        return xz(file, name, tree);
    }
    // An archive of nothing is its end only: zeros. Layers may be such.
    let is_end = filled == LONGEST_MAGIC && magic.iter().all(|byte| *byte == 0);
    if is_end || magic.get(257..262) == Some(b"ustar") {
        return tree.unpack(BufReader::new(file), name);
    }
    Err(refused(if filled == 0 { "is empty" } else { "is no tar archive, plain or by gzip, zstd or xz" }))
}

/// Through the program, since it is nowhere else needed.
fn xz(file: File, name: &str, tree: &mut Tree) -> Result<(), Error> {
    let mut command = Command::new("xz");
    command.args(["--decompress", "--stdout"]).stdin(file).stdout(Stdio::piped()).stderr(Stdio::null());
    let missing = |error: std::io::Error| Error::Tool {
        message: format!("xz cannot be started: {error}"),
        hint: Some("apt-get install xz-utils, or compress the archive with gzip or zstd".to_owned()),
    };
    let mut child = Ended(command.spawn().map_err(missing)?);
    let reader = child.0.stdout.take().ok_or_else(|| Error::Archive(format!("`{name}` cannot be read")))?;
    tree.unpack(reader, name)?;
    match child.0.wait() {
        // What follows a tar archive's end is not read.
        Ok(status) if status.success() || status.code().is_none() => Ok(()),
        Ok(_) | Err(_) => Err(Error::Archive(format!("`{name}` is cut off or damaged: xz does not read it"))),
    }
}

/// A child that does not outlive its reader.
pub(crate) struct Ended(pub(crate) Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
