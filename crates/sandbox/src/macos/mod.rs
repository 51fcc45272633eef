//! macOS: a profile of `sandbox-exec`, resource limits and a process group for each command. Written by the system's documents
//! and type-checked; never run on a real machine.

mod files;
mod process;
mod profile;

use std::{
    path::Path,
    process::{Command as Process, Stdio},
};

use wheeltapper_core::environment::Containment;

pub use crate::login::{base_environment, system_environment};
use crate::{Check, CheckStatus, Error, Mode};
pub(crate) use files::{
    allow_removal, copy_link, free_bytes, mark, open_unlinked, real_path, remove_file, set_mode,
};
pub(crate) use process::Running;

/// The program that confines others.
const SANDBOX_EXEC: &str = "/usr/bin/sandbox-exec";

/// Why there is no full sandbox.
pub(crate) const MISSING: &str = "macOS has neither namespaces nor overlays";

/// What the reduced one does not hold.
pub(crate) const WEAK: &str = "reduced: sandbox-exec and resource limits: packages cannot write outside of their folder, nor reach \
                               the network beyond this machine, but can read this user's files; never tried on a real machine";

/// How commands are contained; the mode is the caller's to say.
pub(crate) fn containment(mode: Mode) -> Containment {
    let network = if mode == Mode::None { "host" } else { "loopback" };
    Containment { cgroup: "none".to_owned(), network: network.to_owned(), ..Containment::default() }
}

/// What a command may write to is said by its profile.
pub(crate) fn open_to_cells(_folder: &Path) -> Result<(), Error> {
    Ok(())
}

/// Tries what a command needs.
pub(crate) fn checks(mode: Mode, folder: &Path) -> Vec<Check> {
    if mode == Mode::None {
        return Vec::new();
    }
    let profile = profile::text(folder, folder);
    let tried = Process::new(SANDBOX_EXEC)
        .args(["-p", &profile, "/usr/bin/true"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output();
    let (status, detail) = match tried {
        Ok(output) if output.status.success() => {
            (CheckStatus::Ok, "writes and the network are confined".to_owned())
        }
        Ok(output) => (CheckStatus::Refused, String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => (CheckStatus::Refused, format!("{SANDBOX_EXEC}: {error}")),
    };
    let memory = "memory and processes are watched, not limited by the system".to_owned();
    vec![
        Check { name: "sandbox-exec", status, detail, remedy: None },
        Check { name: "limits", status: CheckStatus::Weak, detail: memory, remedy: None },
    ]
}
