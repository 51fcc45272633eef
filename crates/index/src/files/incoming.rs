//! A file on its way into the store: hashed while it comes, locked as long as somebody brings it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use sha2::Digest as _;
use wheeltapper_core::Sha256;

use crate::{Error, Result};

/// A file that is coming in, to be kept by [`crate::Files::keep`]; if this is dropped, nothing of it stays.
#[derive(Debug)]
pub struct Incoming {
    pub(super) path: PathBuf,
    pub(super) file: fs::File,
    hasher: sha2::Sha256,
    pub(super) size: u64,
}

impl Incoming {
    pub(super) fn new(root: &Path) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let nanoseconds =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = root.join("partial").join(format!("{}-{nanoseconds}-{number}", std::process::id()));
        let options = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        let file = options.map_err(Error::io("create", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(Incoming { path, file, hasher: sha2::Sha256::new(), size: 0 })
    }

    /// Adds to its end.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digest of what has come so far.
    pub fn digest(&self) -> Sha256 {
        Sha256(self.hasher.clone().finalize().into())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
