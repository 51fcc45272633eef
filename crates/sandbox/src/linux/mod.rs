//! Linux: namespaces, overlay, cgroups and seccomp, by a launcher of our own.
//!
//! supervisor (many threads) -> launcher (one thread; limits, log) -> init (first process of the cell) -> command.

mod cancel;
mod cgroup;
mod changes;
mod channel;
mod check;
mod copying;
mod enter;
mod init;
mod inside;
mod launcher;
mod layers;
mod mounts;
mod network;
mod processes;
mod reduced;
mod remove;
mod run;
mod seccomp;
mod spec;
mod system;
pub(crate) mod trees;
mod waiting;
mod world;

pub use crate::login::{base_environment, system_environment};
pub use cancel::Cancel;
pub use enter::{Host, enter, enter_with_scratch_on_disk};
pub use launcher::launcher_main;
pub use world::World;
