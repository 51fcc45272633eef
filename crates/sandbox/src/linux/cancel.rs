//! Stopping a run from another thread.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// A flag that is set once and wakes whoever waits for it. Clones share it.
#[derive(Debug, Clone)]
pub struct Cancel {
    event: Arc<OwnedFd>,
}

impl Cancel {
    /// A flag that is not set.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn new() -> Result<Self, crate::Error> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| crate::Error::io("make an event", error))?;
        Ok(Cancel { event: Arc::new(event) })
    }

    /// Sets the flag: every run that was given it ends, now and later.
    pub fn cancel(&self) {
        // It is never read, so it stays readable. When its counter is full it is readable all the more.
        let _ = rustix::io::write(&*self.event, &1u64.to_ne_bytes());
    }

    /// True once the flag is set.
    pub fn is_cancelled(&self) -> bool {
        let mut source = [PollFd::from_borrowed_fd(self.event.as_fd(), PollFlags::IN)];
        poll(&mut source, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
