//! An environment: a platform with one interpreter and one installer.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// Which limits held and how a cell was contained. By default nothing is said of it: nothing was run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// `full`, `reduced` or `none`.
    pub sandbox: String,
    /// `v1`, `v2`, `job` (a Job Object of Windows) or `none`: what limits memory of all processes together.
    pub cgroup: String,
    /// `index-only`: loopback, and the index proxy's port in the phases that need it; `loopback`: this machine's own; `host`: nothing
    /// is cut off.
    pub network: String,
    /// True when the supervisor is root, and cells run as a uid of the slot's own.
    pub privileged: bool,
}

/// The name of an environment's platform and what follows it: `debian13-i386` and `cp313` of `debian13-i386-cp313`. A name
/// without an interpreter in it is all platform.
pub fn platform_and_rest(name: &str) -> (&str, &str) {
    let is_interpreter = |rest: &str| {
        let version = rest.trim_start_matches(|one: char| one.is_ascii_lowercase());
        rest.len() - version.len() == 2 && version.starts_with(|one: char| one.is_ascii_digit())
    };
    let dashes = name.match_indices('-').map(|(at, _)| (&name[..at], &name[at + 1..]));
    dashes.into_iter().find(|(_, rest)| is_interpreter(rest)).unwrap_or((name, ""))
}

/// A platform with one interpreter and one installer, as results name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Readable and sortable, e.g. `debian12-cp313`.
    pub name: String,
    /// `linux`, `macos`, `windows`, `emscripten`.
    pub os: String,
    /// Distribution and version, e.g. `debian 12`.
    pub platform: String,
    /// The machine, e.g. `x86_64`.
    pub arch: String,
    /// The C library, e.g. `glibc 2.36`.
    pub libc: Option<String>,
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// The full version, e.g. `3.13.0`.
    pub python: String,
    /// Name and version, e.g. `uv 0.13.9`.
    pub installer: String,
    /// Digest of all that defines it.
    pub digest: Sha256,
    /// Which limits held.
    pub limits: Containment,
}

#[cfg(test)]
mod tests {
    use super::platform_and_rest;

    #[test]
    fn names_fall_into_platform_and_interpreter() {
        for (name, parts) in [
            ("debian13-cp313", ("debian13", "cp313")),
            ("debian13-i386-cp313t", ("debian13-i386", "cp313t")),
            ("debian-sid-pp311-pip", ("debian-sid", "pp311-pip")),
            ("debian12-cp311-pyenv-2", ("debian12", "cp311-pyenv-2")),
            ("mine", ("mine", "")),
            ("", ("", "")),
        ] {
            assert_eq!(platform_and_rest(name), parts);
        }
    }
}
