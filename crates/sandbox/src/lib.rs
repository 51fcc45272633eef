//! One untrusted command, isolated, limited and measured; and the exact set of files it wrote.
//!
//! This crate owns namespaces, mounts, cgroups and the seccomp filter, and what other systems have of that. What is run, and what
//! a result means, is the agent's. Everything read back from a [`World`] was written by strangers: it is only reached through
//! this crate.

mod command;
mod copies;
mod error;
mod host;
#[cfg(unix)]
mod login;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;

#[cfg(not(target_os = "linux"))]
mod portable;
#[cfg(not(target_os = "linux"))]
use portable as platform;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(windows)]
mod windows;

/// Slots are numbered from 0 and below this: each has a uid of its own.
pub const MOST_SLOTS: usize = 256;

pub use command::{Bind, CELL_PATH, Command, Execution, Limits, MemorySource, Network, Root, ScratchLimits};
pub use error::Error;
pub use host::{Change, ChangeKind, Changes, Check, CheckStatus, Entry, Exported, FileType, Mode, Settings};
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use platform::enter_with_scratch_on_disk;
pub use platform::{Cancel, Host, World, base_environment, enter, launcher_main, system_environment};
