//! An environment: a platform with one interpreter and one installer.

use serde::{Deserialize, Serialize};

use crate::digest::Sha256;

/// Which limits held and how a cell was contained. By default nothing is said of it: nothing was run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Containment {
    /// `full`, `reduced` or `none`.
    pub sandbox: String,
    /// `v1`, `v2` or `none`: what limits memory of all processes together.
    pub cgroup: String,
    /// `index-only`: loopback, and the index proxy's port in the phases that need it; `host` without a sandbox.
    pub network: String,
    /// True when the supervisor is root, and cells run as a uid of the slot's own.
    pub privileged: bool,
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
