//! Systems without overlays and namespaces: worlds of copies, and one loop that watches a command. How a command is started,
//! confined, counted and ended is the system's own: [`crate::windows`] or [`crate::macos`].

mod cancel;
mod host;
mod output;
pub(crate) mod trees;
pub(crate) mod watch;
mod world;

#[cfg(target_os = "macos")]
use crate::macos as system;
#[cfg(windows)]
use crate::windows as system;

pub use cancel::Cancel;
pub use host::{Host, enter, launcher_main};
pub use system::{base_environment, system_environment};
pub use world::World;
