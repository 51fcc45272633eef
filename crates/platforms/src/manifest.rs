//! What a root file system holds, one line each: its digest, and what two of them differ in.

use std::collections::BTreeMap;

use wheeltapper_core::Sha256;

use crate::tree::Entry;

/// Folders of which no cell sees anything.
const UNSEEN: [&str; 12] = [
    "boot/",
    "dev/",
    "home/",
    "lost+found/",
    "media/",
    "mnt/",
    "proc/",
    "root/",
    "run/",
    "sys/",
    "tmp/",
    "var/",
];

/// Files that every cell has anew, or that no user may read; what made the root file system leaves its marks in them.
const OWN: [&str; 20] = [
    "etc/.pwd.lock",
    "etc/fstab",
    "etc/group",
    "etc/group-",
    "etc/gshadow",
    "etc/gshadow-",
    "etc/host.conf",
    "etc/hostname",
    "etc/hosts",
    "etc/localtime",
    "etc/machine-id",
    "etc/mtab",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/passwd-",
    "etc/resolv.conf",
    "etc/shadow",
    "etc/shadow-",
    "etc/timezone",
    "etc/apt/sources.list",
];

/// The lines for all that a cell can see, sorted by path: kind, permissions, content, path.
pub(crate) fn manifest(entries: &BTreeMap<String, Entry>) -> String {
    let seen = entries.iter().filter(|(path, _)| {
        !OWN.contains(&path.as_str())
            && !UNSEEN.iter().any(|folder| format!("{path}/").starts_with(folder))
            && !compiled_from(path).is_some_and(|source| entries.contains_key(&source))
    });
    seen.map(|(path, entry)| {
        let path = path.escape_default();
        match entry {
            Entry::Folder(mode) => format!("d {mode:o} - {path}\n"),
            Entry::File { mode, sha256, size: _ } => format!("f {mode:o} {} {path}\n", sha256.hex()),
            Entry::Link(target) => format!("l - {} {path}\n", target.escape_default()),
        }
    })
    .collect()
}

/// The source that bytecode was compiled from (PEP 3147). It says what the bytecode does; the bytes themselves differ from one
/// compilation to the next, PyPy's always.
fn compiled_from(path: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once("__pycache__/")?;
    let (module, _tag) = name.strip_suffix(".pyc")?.split_once('.')?;
    Some(format!("{folder}{module}.py"))
}

/// The digest of a manifest: two root file systems have the same where cells can see no difference.
pub(crate) fn digest(manifest: &str) -> Sha256 {
    Sha256::of(manifest.as_bytes())
}

/// A path in which two manifests differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Only the first has it.
    Gone(String),
    /// Only the second has it.
    New(String),
    /// Both have it, and it is not the same.
    Changed(String),
}

/// What the second manifest has otherwise than the first, by path.
pub fn differences(first: &str, second: &str) -> Vec<Difference> {
    let read = |text: &str| -> BTreeMap<String, String> {
        let line = |line: &str| line.rsplit_once(' ').map(|(what, path)| (path.to_owned(), what.to_owned()));
        text.lines().filter_map(line).collect()
    };
    let (first, mut second) = (read(first), read(second));
    let mut found: Vec<(String, Difference)> = Vec::new();
    for (path, what) in first {
        match second.remove(&path) {
            None => found.push((path.clone(), Difference::Gone(path))),
            Some(other) if other != what => found.push((path.clone(), Difference::Changed(path))),
            Some(_) => {}
        }
    }
    found.extend(second.into_keys().map(|path| (path.clone(), Difference::New(path))));
    found.sort_by(|left, right| left.0.cmp(&right.0));
    found.into_iter().map(|(_, difference)| difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cells_can_see_counts() {
        let file =
            |text: &[u8]| Entry::File { mode: 0o644, sha256: Sha256::of(text), size: text.len() as u64 };
        let link = Entry::Link("a b".to_owned());
        let tree = |extra: &[(&str, Entry)]| -> BTreeMap<String, Entry> {
            let base = [("usr", Entry::Folder(0o755)), ("usr/b", file(b"x")), ("usr/l", link.clone())];
            base.iter().chain(extra).map(|(path, entry)| ((*path).to_owned(), entry.clone())).collect()
        };
        let plain = manifest(&tree(&[]));
        let unseen =
            [("var/log/dpkg.log", file(b"1")), ("etc/machine-id", file(b"2")), ("dev", link.clone())];
        assert_eq!(digest(&manifest(&tree(&unseen))), digest(&plain));
        let other = manifest(&tree(&[("usr/b", file(b"y")), ("usr/a b", file(b""))]));
        assert_ne!(digest(&other), digest(&plain));
        let compiled = |bytes| [("usr/m.py", file(b"s")), ("usr/__pycache__/m.pypy311.pyc", file(bytes))];
        assert_eq!(manifest(&tree(&compiled(b"1"))), manifest(&tree(&compiled(b"2"))));
        let alone = manifest(&tree(&[("usr/__pycache__/m.pypy311.pyc", file(b"1"))]));
        assert_ne!(alone, plain, "without its source it is what is run");
        let changed = [Difference::Changed("usr/b".to_owned())];
        assert!(differences(&plain, &other).iter().any(|one| changed.contains(one)));
        assert_eq!(differences(&plain, &plain), []);
    }
}
