//! Stopping a run from another thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

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
    pub fn new() -> Result<Self, crate::Error> {
        Ok(Cancel::default())
    }

    /// Sets the flag: every run that was given it ends, now and later.
    pub fn cancel(&self) {
        self.set.store(true, Ordering::Release);
    }

    /// True once the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }
}
