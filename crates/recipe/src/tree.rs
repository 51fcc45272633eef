//! The source tree as the rules see it: a list of files and a way to read them within limits.
//! Owns decoding and path safety; knows no file system and nothing of tests.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// One file of a source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeFile {
    /// Relative to the tree's root, with `/` between its parts; bytes that are not UTF-8 replaced.
    pub path: String,
    /// In bytes.
    pub size: u64,
}

/// An unpacked source distribution (or a checkout), whatever holds it. Several threads may read it at once.
pub trait SourceTree: Sync {
    /// Every regular file. Order does not matter; hostile paths are skipped by the reader.
    fn files(&self) -> &[TreeFile];

    /// The first `limit` bytes of a file; `None` when it cannot be read.
    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>>;
}

/// A tree held in memory: for tests and for trees that come out of an archive without touching a disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    files: Vec<TreeFile>,
    contents: HashMap<String, Vec<u8>>,
}

impl MemoryTree {
    /// An empty tree.
    pub fn new() -> MemoryTree {
        MemoryTree::default()
    }

    /// The tree with one more file; a path given twice keeps the later contents.
    #[must_use]
    pub fn with(mut self, path: impl Into<String>, contents: impl Into<Vec<u8>>) -> MemoryTree {
        let (path, contents) = (path.into(), contents.into());
        let size = contents.len() as u64;
        if self.contents.insert(path.clone(), contents).is_none() {
            self.files.push(TreeFile { path, size });
        } else if let Some(file) = self.files.iter_mut().find(|file| file.path == path) {
            file.size = size;
        }
        self
    }
}

impl SourceTree for MemoryTree {
    fn files(&self) -> &[TreeFile] {
        &self.files
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let contents = self.contents.get(path)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(contents.len());
        Some(contents[..limit].to_vec())
    }
}

/// Configuration files past this size are not read: none that a person wrote comes near it.
const CONFIGURATION_LIMIT: u64 = 1 << 20;

/// Python files past this size are read as text up to it, never parsed.
pub(crate) const PYTHON_LIMIT: u64 = 256 << 10;

/// How many files are worth threads of their own, and the most threads.
const WORTH_THREADS: usize = 200;
const MOST_THREADS: usize = 4;

/// The most files of a tree that are looked at.
const MOST_FILES: usize = 200_000;

/// A view of a tree that is safe to walk: sane paths only, sorted, with a cache of what was read.
pub(crate) struct Reader<'a> {
    tree: &'a dyn SourceTree,
    files: Vec<(&'a str, u64)>,
    cache: RefCell<HashMap<String, Option<Rc<str>>>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(tree: &'a dyn SourceTree) -> Reader<'a> {
        let mut files: Vec<(&str, u64)> = tree
            .files()
            .iter()
            .take(MOST_FILES)
            .filter(|file| is_sane(&file.path))
            .map(|file| (file.path.as_str(), file.size))
            .collect();
        files.sort_unstable();
        files.dedup_by_key(|file| file.0);
        Reader { tree, files, cache: RefCell::default() }
    }

    /// Every file with its size, sorted by path.
    pub(crate) fn files(&self) -> &[(&'a str, u64)] {
        &self.files
    }

    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.binary_search_by(|file| file.0.cmp(path)).is_ok()
    }

    /// True for a folder that holds at least one file. The root is the empty text or `.`.
    pub(crate) fn has_folder(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        if path.is_empty() || path == "." {
            return true;
        }
        self.under(path).next().is_some()
    }

    /// The files below a folder, sorted.
    pub(crate) fn under(&self, folder: &str) -> impl Iterator<Item = &(&'a str, u64)> {
        let folder = folder.trim_end_matches('/');
        let prefix = if folder.is_empty() || folder == "." { String::new() } else { format!("{folder}/") };
        let start = self.files.partition_point(|file| file.0 < prefix.as_str());
        self.files[start..].iter().take_while(move |file| file.0.starts_with(&prefix))
    }

    /// A configuration file's text, decoded; `None` when it is absent or too large.
    pub(crate) fn text(&self, path: &str) -> Option<Rc<str>> {
        if let Some(known) = self.cache.borrow().get(path) {
            return known.clone();
        }
        let position = self.files.binary_search_by(|file| file.0.cmp(path)).ok()?;
        let text = if self.files[position].1 > CONFIGURATION_LIMIT {
            None
        } else {
            self.tree.read(path, CONFIGURATION_LIMIT).map(|bytes| Rc::from(decode(bytes)))
        };
        self.cache.borrow_mut().insert(path.to_owned(), text.clone());
        text
    }

    /// A Python file's text, cut at [`PYTHON_LIMIT`], and whether it is whole. Not cached.
    pub(crate) fn python(&self, path: &str) -> Option<(String, bool)> {
        python(self.tree, path)
    }

    /// What is made of the text of each of these Python files, and whether it is whole; in their order, on several threads where
    /// there are many of them.
    pub(crate) fn each_python<T: Send>(
        &self,
        paths: &[&str],
        make: impl Fn(&str, bool) -> T + Sync,
    ) -> Vec<Option<T>> {
        let tree = self.tree;
        let made = |path: &&str| python(tree, path).map(|(source, whole)| make(&source, whole));
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        if cores == 1 || paths.len() < WORTH_THREADS {
            return paths.iter().map(made).collect();
        }
        std::thread::scope(|scope| {
            let parts = paths.chunks(paths.len().div_ceil(cores));
            let threads: Vec<_> =
                parts.map(|part| scope.spawn(|| part.iter().map(made).collect::<Vec<_>>())).collect();
            let finished = threads.into_iter().map(|thread| thread.join());
            finished.flat_map(|part| part.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    }
}

fn python(tree: &dyn SourceTree, path: &str) -> Option<(String, bool)> {
    let bytes = tree.read(path, PYTHON_LIMIT + 1)?;
    let whole = bytes.len() as u64 <= PYTHON_LIMIT;
    Some((decode(bytes), whole))
}

/// A path that cannot escape and that a command line can carry.
fn is_sane(path: &str) -> bool {
    !path.is_empty()
        && path.len() < 1024
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(|c: char| c.is_control() || c == '\\' || c == char::REPLACEMENT_CHARACTER)
}

/// UTF-8 with or without a mark, else UTF-16 with a mark, else Latin-1; null bytes become spaces.
fn decode(bytes: Vec<u8>) -> String {
    let text = if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        let units: Vec<u16> =
            rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        match String::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
            // A cut may have split the last character; the rest is Latin-1 by far the most often.
            Err(error) if error.utf8_error().error_len().is_none() => {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
            Err(error) => error.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        }
    };
    if text.contains('\0') { text.replace('\0', " ") } else { text }
}

/// The folder a path lies in; empty for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last part of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Joins and normalises, refusing what leaves the tree.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    if relative.starts_with('/') || relative.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_are_not_seen() {
        let tree = MemoryTree::new()
            .with("/etc/passwd", "")
            .with("a/../b.py", "")
            .with("ok.py", "x")
            .with("a\nb", "");
        assert_eq!(Reader::new(&tree).files(), &[("ok.py", 1)]);
    }

    #[test]
    fn any_bytes_become_text() {
        assert_eq!(decode(b"\xef\xbb\xbfa\0b".to_vec()), "a b");
        assert_eq!(decode(b"caf\xe9 = 1".to_vec()), "café = 1");
        assert_eq!(decode(b"\xff\xfea\0b\0".to_vec()), "ab");
    }

    #[test]
    fn joins_stay_inside() {
        assert_eq!(join("a/b", "../c.txt").as_deref(), Some("a/c.txt"));
        assert_eq!(join("a", "../../c.txt"), None);
        assert_eq!(join("", "/etc/passwd"), None);
    }

    #[test]
    fn folders_are_found_among_neighbours_that_sort_between() {
        let tree = MemoryTree::new().with("a-b/x.py", "").with("a/x.py", "").with("a.py", "");
        let reader = Reader::new(&tree);
        assert!(reader.has_folder("a") && reader.has_folder("a-b/") && !reader.has_folder("x"));
        assert_eq!(reader.under("a").count(), 1);
    }
}
