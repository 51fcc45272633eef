//! The words in which a host's abilities and a world's files are told. Values only; the same on every system.

use std::{ffi::OsString, fmt, path::PathBuf, str::FromStr};

/// How strictly commands are contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Namespaces, overlay, seccomp, cgroups: nothing of the host is seen or reached.
    Full,
    /// Fresh folders, landlock, seccomp and rlimits: the host's files can be read, its network is open to some degree.
    Reduced,
    /// A plain process in fresh folders: no containment at all.
    None,
}

impl Mode {
    /// Every mode, the strictest first.
    pub const ALL: &'static [Mode] = &[Mode::Full, Mode::Reduced, Mode::None];

    /// The published spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Full => "full",
            Mode::Reduced => "reduced",
            Mode::None => "none",
        }
    }
}

impl Default for Mode {
    /// The strictest that this system has: outside of Linux there is no full one.
    fn default() -> Self {
        if cfg!(target_os = "linux") { Mode::Full } else { Mode::Reduced }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = wheeltapper_core::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Mode::ALL.iter().copied().find(|mode| mode.as_str() == text).ok_or_else(|| Self::Err {
            what: "sandbox mode",
            word: text.to_owned(),
            known: &["full", "reduced", "none"],
        })
    }
}

/// What a supervisor decides before it enters.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How strictly commands are contained.
    pub mode: Mode,
    /// A directory for what lives as long as a supervisor does; several supervisors may share it.
    pub runtime: PathBuf,
    /// The program that calls [`launcher_main`](crate::launcher_main) first thing, and the arguments that make it do so.
    pub launcher: (PathBuf, Vec<OsString>),
}

/// What a check of the sandbox found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckStatus {
    /// It works.
    Ok,
    /// It is not there, or less than it could be; cells run all the same, and their results say so.
    Weak,
    /// It is refused, and the mode cannot do without.
    Refused,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// A short noun phrase.
    pub name: &'static str,
    /// What came of it.
    pub status: CheckStatus,
    /// The particulars: what was found, or what the system answered.
    pub detail: String,
    /// One line that can be copied to allow what is refused.
    pub remedy: Option<String>,
}

/// What kind of thing stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device.
    Special,
}

/// How a path differs from the layers below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Nothing stood there before.
    Created,
    /// Something stood there, and was written to, replaced, or given other permissions.
    Replaced,
    /// Something stood there, and is gone.
    Deleted,
    /// A directory was removed and made again: nothing of the old one is left.
    DirectoryReplaced,
}

/// One path that a phase wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the cell's root; may be anything but `/` and NUL, and need not be UTF-8.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
    /// What stands there now (for deletions: what stood there).
    pub file_type: FileType,
    /// Size in bytes, as the file claims: a sparse file holds less.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
}

/// What a phase wrote, sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes.
    pub list: Vec<Change>,
    /// True when there were more, or deeper ones, than are listed.
    pub cut: bool,
}

/// A name in a directory of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name; need not be UTF-8.
    pub name: OsString,
    /// What it is.
    pub file_type: FileType,
    /// Size in bytes.
    pub size: u64,
}

/// What was copied out as a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Regular files and symbolic links.
    pub files: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// FIFOs, sockets, devices: left out.
    pub refused: u64,
}
