//! Windows: a Job Object and a token of low rights for each command. Nothing hides this machine's files or its network.

mod checks;
mod command_line;
mod environment;
mod files;
mod job;
mod process;
mod start;
mod token;

use std::{ffi::OsStr, os::windows::ffi::OsStrExt as _, path::Path};

use wheeltapper_core::environment::Containment;

use crate::{Error, Mode};

pub(crate) use checks::checks;
pub use environment::{base_environment, system_environment};
pub(crate) use files::{
    allow_removal, copy_link, free_bytes, mark, open_unlinked, real_path, remove_file, set_mode,
};
pub(crate) use process::Running;

/// Why there is no full sandbox.
pub(crate) const MISSING: &str = "Windows has nothing that hides this machine's files and its network from a program without an administrator's help";

/// What the reduced one does not hold.
pub(crate) const WEAK: &str = "reduced: a Job Object and a token of low integrity: packages cannot write outside of their folder, \
                               but can read this user's files, and the network is open to them";

/// How commands are contained; the mode is the caller's to say.
pub(crate) fn containment(_mode: Mode) -> Containment {
    Containment { cgroup: "job".to_owned(), network: "host".to_owned(), ..Containment::default() }
}

/// Lets commands of low integrity write below a folder of ours, and nobody but this user and the system besides.
pub(crate) fn open_to_cells(folder: &Path) -> Result<(), Error> {
    token::label(folder)
}

/// Text as Windows takes it: UTF-16 with a NUL at its end.
fn wide(text: &OsStr) -> Vec<u16> {
    text.encode_wide().chain([0]).collect()
}

/// What the last call of Windows says went wrong, while something was being done.
fn last_error(action: &str) -> Error {
    Error::io(action, std::io::Error::last_os_error())
}
