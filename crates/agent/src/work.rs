//! A folder for what lives as long as this process. What a killed process left is removed by the next one.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use crate::error::Error;

/// The lock inside of each process's folder, held while it lives.
const LOCK: &str = ".lock";

/// This process's own folder below one that several processes share; removed when this is dropped.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    _alive: File,
}

impl Work {
    /// Makes the folder, and removes those of processes that have ended without a chance to do so.
    ///
    /// # Errors
    /// When the folder cannot be made or locked.
    pub fn open(shared: &Path) -> Result<Self, Error> {
        fs::create_dir_all(shared).map_err(Error::file(shared))?;
        // Nobody looks for the dead while another is being born: a folder without its lock would look dead.
        let gate = locked(&shared.join(LOCK))?;
        gate.lock().map_err(Error::file(shared))?;
        for entry in fs::read_dir(shared).map_err(Error::file(shared))?.flatten() {
            let path = entry.path();
            if path.is_dir() && is_dead(&path) {
                // What cannot be removed now is tried again by the next process.
                let _ = fs::remove_dir_all(&path);
            }
        }
        let mut number = 0_u32;
        let path = loop {
            let path = shared.join(format!("{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => break path,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(Error::File { path, source: error }),
            }
        };
        let alive = locked(&path.join(LOCK))?;
        alive.lock().map_err(Error::file(&path))?;
        Ok(Work { path, _alive: alive })
    }
}

/// True when no process holds the folder's lock.
fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join(LOCK)) {
        Ok(file) => !matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
        Err(_) => true,
    }
}

fn locked(path: &Path) -> Result<File, Error> {
    File::options().create(true).read(true).append(true).open(path).map_err(Error::file(path))
}

impl AsRef<Path> for Work {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl std::ops::Deref for Work {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dead_are_removed_and_the_living_are_not() {
        let shared = tempfile::tempdir().unwrap();
        let dead = shared.path().join("1-0");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("file"), "").unwrap();
        let living = Work::open(shared.path()).unwrap();
        assert!(!dead.exists() && living.is_dir());
        let other = Work::open(shared.path()).unwrap();
        assert!(living.is_dir() && *living != *other);
        let path = living.to_path_buf();
        drop(living);
        assert!(!path.exists() && other.is_dir());
    }
}
