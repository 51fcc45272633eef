//! What a supervisor holds: the one folder in which cells stand, and who may use it.

use std::{
    fs::{self, File},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use wheeltapper_core::environment::Containment;

use super::{system, trees, world::World};
use crate::{Check, CheckStatus, Error, Mode, Root, ScratchLimits, Settings};

/// Prepares to run cells.
///
/// # Errors
/// [`Error::Refused`] for the full mode, which this system has nothing to make of.
pub fn enter(settings: Settings) -> Result<Host, Error> {
    if settings.mode == Mode::Full {
        return Err(Error::Refused {
            what: "the full sandbox".to_owned(),
            reason: system::MISSING.to_owned(),
            remedy: Some("--sandbox reduced".to_owned()),
        });
    }
    let runtime = &settings.runtime;
    let io = |error| Error::io(format!("create {}", runtime.display()), error);
    fs::create_dir_all(runtime).map_err(io)?;
    let folder = system::real_path(runtime).map_err(io)?.join("cells");
    fs::create_dir_all(&folder).map_err(io)?;
    Ok(Host {
        inner: Arc::new(Inner {
            mode: settings.mode,
            folder,
            claim: Mutex::default(),
            active: Mutex::default(),
            worlds: AtomicU64::new(0),
        }),
    })
}

/// There is nothing to launch: the supervisor starts commands itself.
pub fn launcher_main() -> ! {
    std::process::exit(1)
}

/// A supervisor that can run cells. Clones share it.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) mode: Mode,
    pub(super) folder: PathBuf,
    /// Held while this supervisor has the place.
    claim: Mutex<Option<File>>,
    /// The folder of the world whose tree is in the place now.
    pub(super) active: Mutex<Option<PathBuf>>,
    worlds: AtomicU64,
}

impl Inner {
    /// Where every world's tree stands while a command runs in it: one path for all, since what installers write may hold it.
    /// So one command runs at a time.
    pub(super) fn place(&self) -> PathBuf {
        self.folder.join("cell")
    }

    /// A fresh folder for a world.
    pub(super) fn world_folder(&self) -> Result<PathBuf, Error> {
        self.claim()?;
        let folder = self.folder.join(self.worlds.fetch_add(1, Ordering::Relaxed).to_string());
        fs::create_dir(&folder).map_err(|error| Error::io(format!("create {}", folder.display()), error))?;
        Ok(folder)
    }

    /// Takes the place for this supervisor, and removes what a killed one has left in it.
    fn claim(&self) -> Result<(), Error> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if claim.is_some() {
            return Ok(());
        }
        let path = self.folder.with_extension("lock");
        let io = |error| Error::io(format!("lock {}", path.display()), error);
        let lock = File::create(&path).map_err(io)?;
        if lock.try_lock().is_err() {
            return Err(Error::Refused {
                what: format!("the folder {}", self.folder.display()),
                reason: "another wheeltapper runs cells in it".to_owned(),
                remedy: Some("wait for it, or use another --data folder".to_owned()),
            });
        }
        trees::remove_path(&self.folder)?;
        fs::create_dir(&self.folder).map_err(io)?;
        *claim = Some(lock);
        Ok(())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.claim.get_mut().is_ok_and(|claim| claim.is_some()) {
            // What cannot be removed now goes with the next supervisor.
            let _ = trees::remove_path(&self.folder);
        }
    }
}

impl Host {
    /// How commands are contained, as every result records it.
    pub fn containment(&self) -> Containment {
        Containment { sandbox: self.inner.mode.to_string(), ..system::containment(self.inner.mode) }
    }

    /// Tries what a cell needs, and says what does not hold here.
    pub fn check(&self) -> Vec<Check> {
        let mut checks = vec![Check {
            name: "containment",
            status: CheckStatus::Weak,
            detail: match self.inner.mode {
                Mode::None => "none: packages can read and change whatever this user can".to_owned(),
                Mode::Full | Mode::Reduced => system::WEAK.to_owned(),
            },
            remedy: None,
        }];
        checks.extend(system::checks(self.inner.mode, &self.inner.folder));
        checks
    }

    /// A new tree for cells on these layers (absolute paths of directories, the lowest first). Slots share this system's one
    /// place; `limits` are watched, not enforced.
    ///
    /// # Errors
    /// When another supervisor has the place, or the disk fails.
    pub fn world(&self, slot: usize, layers: &[PathBuf], limits: ScratchLimits) -> Result<World, Error> {
        self.world_on(None, slot, layers, limits)
    }

    /// The same; there are no root file systems here.
    ///
    /// # Errors
    /// As [`Host::world`]; also [`Error::Refused`] for a root file system.
    pub fn world_on(
        &self,
        root: Option<&Root>,
        _slot: usize,
        layers: &[PathBuf],
        limits: ScratchLimits,
    ) -> Result<World, Error> {
        if let Some(root) = root {
            return Err(Error::Refused {
                what: format!("the root file system {}", root.path.display()),
                reason: "cells stand on this machine's own system here".to_owned(),
                remedy: None,
            });
        }
        World::new(Arc::clone(&self.inner), layers.to_vec(), limits, None)
    }
}
