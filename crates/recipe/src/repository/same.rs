//! Whether a repository's tree is the release's: its modules compared with the sdist's, wherever in the repository they lie.

use std::collections::BTreeMap;

use crate::{
    About,
    survey::{is_test_folder, is_under, own_modules},
    tree::{Reader, SourceTree, file_name, parent},
};

/// The most modules that are compared.
const MOST: usize = 2_000;

/// The largest file that is compared, in bytes.
const LARGEST: u64 = 4 << 20;

/// Names of modules that a build writes: they hold the version and differ by nature.
const WRITTEN: &[&str] =
    &["version", "version_info", "about", "meta", "metadata", "build_info", "git_version", "scm_version"];

/// What makes a project's root.
const ROOT_FILES: &[&str] = &["pyproject.toml", "setup.py", "setup.cfg"];

/// How the modules of an sdist compare with a repository's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// How many modules of the sdist were compared.
    pub modules: u64,
    /// How many are the same there.
    pub same: u64,
    /// The folder of the repository that is the sdist's root; empty for its own root.
    pub folder: String,
    /// A folder, relative to that one, whose content lies in the sdist's root: empty, or `src` where the sdist has none.
    pub moved: String,
    /// Some of those that differ or are not there.
    pub differing: Vec<String>,
}

impl Compared {
    /// Some that differ, for a sentence.
    pub(super) fn shown(&self) -> String {
        let first: Vec<&str> = self.differing.iter().take(3).map(String::as_str).collect();
        let more = self.differing.len().saturating_sub(first.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("not {}{more}", first.join(", "))
    }
}

/// Compares. The place of the modules in the repository is the one where most of them are the same.
pub(super) fn compare(sdist: &dyn SourceTree, repository: &dyn SourceTree, about: &About) -> Compared {
    let (ours, theirs) = (Reader::new(sdist), Reader::new(repository));
    let modules = modules(&ours, about);
    let before = place(&modules, &theirs);
    let (folder, moved) = project_root(&theirs, &before);
    let mut compared = Compared { folder, moved, ..Compared::default() };
    for path in modules {
        compared.modules += 1;
        if is_same(sdist, repository, path, &join(&before, path)) {
            compared.same += 1;
        } else {
            compared.differing.push(path.to_owned());
        }
    }
    compared
}

/// The release's own modules in its sdist, less its tests and what a build writes. Where it has none in Python, its other code.
fn modules<'r>(reader: &Reader<'r>, about: &About) -> Vec<&'r str> {
    let own = own_modules(reader, about);
    let all = |ends: &[&str], own_only: bool| -> Vec<&'r str> {
        let wanted = |path: &str| {
            let (folder, name) = (parent(path), file_name(path));
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            ends.iter().any(|end| name.ends_with(end))
                && (!own_only || own.iter().any(|module| is_under(path, &module.path)))
                && !folder.split('/').any(is_test_folder)
                && !name.starts_with("test_")
                && !WRITTEN.contains(&stem.trim_matches('_'))
                && !stem.ends_with("_version")
                && !stem.ends_with("_pb2")
                && !matches!(name, "setup.py" | "conftest.py" | "versioneer.py")
        };
        let found = reader.files().iter().filter(|(path, size)| *size <= LARGEST && wanted(path));
        found.map(|(path, _)| *path).take(MOST).collect()
    };
    let python = all(&[".py"], true);
    if python.is_empty() {
        return all(
            &[".py", ".pyx", ".pyi", ".pxd", ".c", ".h", ".cc", ".cpp", ".hpp", ".rs", ".f90"],
            false,
        );
    }
    python
}

/// The folder of the repository below which most of these paths lie; the shortest of several.
fn place(paths: &[&str], reader: &Reader) -> String {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in paths {
        by_name.entry(file_name(path)).or_default().push(path);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, _) in reader.files() {
        for wanted in by_name.get(file_name(path)).into_iter().flatten() {
            let before = path.strip_suffix(wanted).and_then(|before| match before {
                "" => Some(""),
                before => before.strip_suffix('/'),
            });
            if let Some(before) = before {
                *counts.entry(before).or_default() += 1;
            }
        }
    }
    let best = counts.into_iter().min_by_key(|(before, count)| (std::cmp::Reverse(*count), before.len()));
    best.map(|(before, _)| before.to_owned()).unwrap_or_default()
}

/// The project's root above the place of its modules, and what lies between them.
fn project_root(reader: &Reader, before: &str) -> (String, String) {
    let mut folder = before;
    loop {
        if ROOT_FILES.iter().any(|name| reader.has_file(&join(folder, name))) {
            let between = before.strip_prefix(folder).unwrap_or_default().trim_start_matches('/');
            return (folder.to_owned(), between.to_owned());
        }
        if folder.is_empty() {
            return (before.to_owned(), String::new());
        }
        folder = parent(folder);
    }
}

fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}

/// True for the same text but for the ends of lines and for lines that speak of a version, which builds fill in.
fn is_same(sdist: &dyn SourceTree, repository: &dyn SourceTree, ours: &str, theirs: &str) -> bool {
    let (Some(ours), Some(theirs)) = (sdist.read(ours, LARGEST), repository.read(theirs, LARGEST)) else {
        return false;
    };
    ours == theirs || lines(&ours).eq(lines(&theirs))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let counts = |line: &&[u8]| {
        let is_of_version = line.windows(7).any(|word| word.eq_ignore_ascii_case(b"version"));
        !is_of_version && !line.is_empty()
    };
    text.split(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()).filter(counts)
}
