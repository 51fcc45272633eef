//! Layers kept ready: folders of installed wheels, made once in a sandbox by the environment's own installer, used only
//! as read-only lowers of cells. A layer's key holds all that it was made of.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use wheeltapper_core::Sha256;

use crate::{error::Error, work::Work};

/// The layers of one data folder. Safe under several processes: a layer appears by renaming, whole or not at all.
#[derive(Debug)]
pub struct Layers {
    folder: PathBuf,
    /// Where layers are made, to be renamed when they are done; what a killed process left half made goes with it.
    unfinished: Work,
    making: Mutex<HashMap<Sha256, Arc<Mutex<()>>>>,
}

impl Layers {
    /// Layers below this folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let unfinished = Work::open(&folder.join(".unfinished"))?;
        Ok(Layers { folder: folder.to_path_buf(), unfinished, making: Mutex::default() })
    }

    /// The layer of this key; `make` is called with the path to create when there is none. Within the process each layer is
    /// made once however many slots ask for it; of two processes the first to finish wins.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E: From<Error>>(
        &self,
        key: &Sha256,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.folder.join(&key.hex()[..32]);
        if path.is_dir() {
            return Ok(path);
        }
        let lock = {
            let mut making = self.making.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(making.entry(*key).or_default())
        };
        let _guard = lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if path.is_dir() {
            return Ok(path);
        }
        let unfinished = self.unfinished.join(&key.hex()[..32]);
        if unfinished.exists() {
            std::fs::remove_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
        }
        make(&unfinished)?;
        match std::fs::rename(&unfinished, &path) {
            Ok(()) => Ok(path),
            Err(_) if path.is_dir() => {
                std::fs::remove_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
                Ok(path)
            }
            Err(error) => Err(Error::File { path, source: error }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_made_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::open(folder.path()).unwrap();
        let key = Sha256::of(b"x");
        let failed: Result<_, Error> = layers.get(&key, |path| {
            std::fs::create_dir(path).unwrap();
            Err(Error::Installer("no".into()))
        });
        assert!(failed.is_err());
        let made = layers.get(&key, |path| std::fs::create_dir(path).map_err(Error::file(path))).unwrap();
        let again = layers.get(&key, |_| -> Result<(), Error> { panic!("made twice") }).unwrap();
        assert_eq!(made, again);
    }
}
