//! What a launcher is told: everything that one run needs, and nothing that it could look up itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup;
use crate::{Command, Root, command::os_path};

/// How a run is contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Contained {
    /// By namespaces, an overlay and a seccomp filter.
    Full,
    /// By landlock and a seccomp filter.
    Reduced,
    /// By nothing.
    Not,
}

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) contained: Contained,
    /// Without full containment: the folders that the command may write to.
    pub(super) writable: Vec<PathBuf>,
    /// The supervisor's private folder: `etc`, `dev`, `root`.
    #[serde(with = "os_path")]
    pub(super) stage: PathBuf,
    /// What it stands on.
    pub(super) system: System,
    /// Who runs the command.
    pub(super) identity: Identity,
    /// The cell's lower layers, the highest first.
    pub(super) layers: Vec<Layer>,
    /// The folder of the current upper: `upper`, `work`, `tmp`, `shm`.
    #[serde(with = "os_path")]
    pub(super) scratch: PathBuf,
    /// The folder with this slot's `passwd` and `group`.
    #[serde(with = "os_path")]
    pub(super) accounts: PathBuf,
    /// Bytes that the scratch takes: they count as memory of the cell.
    pub(super) scratch_bytes: u64,
    /// Files that the scratch takes.
    pub(super) scratch_inodes: u64,
    /// The scratch is a folder on a disk that is shared with others: nothing but the launcher limits it.
    pub(super) scratch_on_disk: bool,
    /// Where limits are kept.
    pub(super) cgroup: Option<cgroup::Place>,
    /// The folder of this run's cgroup.
    pub(super) name: String,
    /// The port of [`crate::Network::Port`].
    pub(super) port: u16,
    /// What is run.
    pub(super) command: Command,
}

impl Spec {
    /// True when the cell has a user namespace of its own.
    pub(super) fn in_user_namespace(&self) -> bool {
        self.contained == Contained::Full && matches!(self.identity, Identity::Mapped { .. })
    }

    /// True when init moves itself into its cgroup, which only root may and only version 1 knows; else the launcher moves it.
    pub(super) fn enters_its_cgroup(&self) -> bool {
        matches!((&self.cgroup, self.identity), (Some(cgroup::Place::V1 { .. }), Identity::Slot { .. }))
    }
}

/// The system that a cell stands on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct System {
    /// A root file system; without one it is the host's own.
    pub(super) root: Option<Root>,
    /// What its `/etc` is, as the supervisor has prepared it.
    #[serde(with = "os_path")]
    pub(super) configuration: PathBuf,
}

/// Who runs the command.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Identity {
    /// The supervisor is root: a user of the slot's own, in the host's user namespace.
    Slot { uid: u32, gid: u32 },
    /// The supervisor is a plain user, who appears as [`INNER`] in a user namespace.
    Mapped { outer_uid: u32, outer_gid: u32 },
}

/// The uid and gid inside, when the supervisor is a plain user.
pub(super) const INNER: u32 = 1000;

impl Identity {
    /// uid and gid as the cell sees them.
    pub(super) fn inside(self) -> (u32, u32) {
        match self {
            Identity::Slot { uid, gid } => (uid, gid),
            Identity::Mapped { .. } => (INNER, INNER),
        }
    }
}

/// A lower layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layer {
    #[serde(with = "os_path")]
    pub(super) path: PathBuf,
    /// A layer of the host's: owned by the supervisor on disk, it must appear as the command's own.
    pub(super) foreign: bool,
}
