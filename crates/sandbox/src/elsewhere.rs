//! Systems that have no sandbox of ours yet: the same interface, and one clear refusal.

use std::{
    convert::Infallible,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use wheeltapper_core::environment::Containment;

use crate::{Changes, Check, Command, Entry, Error, Execution, Exported, Root, ScratchLimits, Settings};

/// Refuses: [`Error::UnsupportedSystem`].
pub fn enter(_settings: Settings) -> Result<Host, Error> {
    Err(Error::UnsupportedSystem(std::env::consts::OS))
}

/// There is nothing to launch: ends the process with status 1.
pub fn launcher_main() -> ! {
    std::process::exit(1)
}

/// A flag that is set once. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    set: Arc<AtomicBool>,
}

impl Cancel {
    /// A flag that is not set.
    ///
    /// # Errors
    /// None here.
    pub fn new() -> Result<Self, Error> {
        Ok(Cancel::default())
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        self.set.store(true, Ordering::Release);
    }

    /// True once the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }
}

/// No value of it exists here.
#[derive(Debug, Clone)]
pub struct Host(Infallible);

impl Host {
    /// How commands are contained.
    pub fn containment(&self) -> Containment {
        match self.0 {}
    }

    /// What was tried of the sandbox.
    pub fn check(&self) -> Vec<Check> {
        match self.0 {}
    }

    /// A new tree for cells.
    pub fn world(&self, _slot: usize, _layers: &[PathBuf], _limits: ScratchLimits) -> Result<World, Error> {
        match self.0 {}
    }

    /// The same on a root file system.
    pub fn world_on(
        &self,
        _root: Option<&Root>,
        _slot: usize,
        _layers: &[PathBuf],
        _limits: ScratchLimits,
    ) -> Result<World, Error> {
        match self.0 {}
    }
}

/// No value of it exists here.
#[derive(Debug)]
pub struct World(Infallible);

impl World {
    /// Where the commands see the tree.
    pub fn root(&self) -> &Path {
        match self.0 {}
    }

    /// Where the commands see their temporary folder.
    pub fn temporary(&self) -> &Path {
        match self.0 {}
    }

    /// The port of [`crate::Network::Port`].
    pub fn port(&self) -> u16 {
        match self.0 {}
    }

    /// Runs a command in the tree.
    pub fn run(
        &self,
        _command: &Command,
        _cancel: &Cancel,
        _listener: Option<&mut dyn FnMut(TcpListener)>,
    ) -> Result<Execution, Error> {
        match self.0 {}
    }

    /// Puts a file into the tree.
    pub fn write(&self, _relative: &Path, _bytes: &[u8], _mode: u32) -> Result<(), Error> {
        match self.0 {}
    }

    /// Reads a file of the tree.
    pub fn read(&self, _relative: &Path, _max: u64) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }

    /// What is in a directory of the tree.
    pub fn list(&self, _relative: &Path) -> Result<Vec<Entry>, Error> {
        match self.0 {}
    }

    /// What was written since the last seal.
    pub fn changes(&self) -> Result<Changes, Error> {
        match self.0 {}
    }

    /// Ends a phase.
    pub fn seal(&mut self) -> Result<(), Error> {
        match self.0 {}
    }

    /// Another world on the same sealed layers.
    pub fn fork(&self) -> Result<World, Error> {
        match self.0 {}
    }

    /// The same with further layers.
    pub fn fork_with(&self, _layers: &[PathBuf]) -> Result<World, Error> {
        match self.0 {}
    }

    /// Copies what was written out as a layer.
    pub fn export(&self, _to: &Path, _max: ScratchLimits) -> Result<Exported, Error> {
        match self.0 {}
    }
}
