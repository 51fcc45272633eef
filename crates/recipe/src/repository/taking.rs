//! Which files of a repository are the tests, and what they need beside them: their folders whole, `conftest.py` above them,
//! the configuration of what runs them, lists of what they require, folders of their data. Never a module of the release.

use std::collections::{BTreeMap, BTreeSet};

use super::{Part, same::Compared};
use crate::{
    About, pytest_config,
    survey::{Survey, is_test_folder, is_under},
    tree::{Reader, SourceTree, file_name, parent},
};

/// The most files that are taken, and their size together in bytes.
const MOST_FILES: usize = 20_000;
const MOST_BYTES: u64 = 256 << 20;

/// Configuration of what runs tests. `pyproject.toml` and `setup.cfg` are the release's own.
const CONFIGURATION: &[&str] = &[
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "tox.toml",
    "noxfile.py",
    "hatch.toml",
    ".coveragerc",
    "conftest.py",
    "runtests.py",
    "Makefile",
];

/// Folders beside tests that hold what they read.
const DATA: &[&str] =
    &["testdata", "test-data", "test_data", "tests_data", "test_files", "testfiles", "fixtures"];

/// The files to take, each with its place in the sdist.
pub(super) fn take(
    sdist: &dyn SourceTree,
    part: &Part<'_>,
    about: &About,
    compared: &Compared,
) -> Vec<(String, String)> {
    let (ours, theirs) = (Reader::new(sdist), Reader::new(part));
    let config = pytest_config::find(&theirs, &mut Vec::new());
    let (patterns, paths) = config.map(|config| (config.python_files, config.testpaths)).unwrap_or_default();
    let survey = Survey::of(&theirs, about, &patterns, &paths);
    let roots: Vec<&str> = survey.roots().iter().map(|(root, _)| root.as_str()).collect();
    if roots.is_empty() {
        return Vec::new();
    }
    let beside = Beside::of(&roots);
    let is_own = |path: &str| survey.own.iter().any(|own| is_under(path, &own.path));
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut bytes = 0;
    for (path, size) in theirs.files() {
        let is_test = roots.iter().any(|root| is_under(path, root));
        // What is no test is taken where the sdist has nothing of that name: what was released comes first.
        let place = place(path, &compared.moved);
        let is_there = ours.has_file(place);
        let wanted = if is_own(path) {
            is_test && !is_there && parent(path).split('/').any(is_test_folder)
        } else {
            (is_test && !has_same(sdist, part, place, path)) || (!is_there && beside.wants(path))
        };
        let cut = path.ends_with(".pyc") || path.split('/').any(|name| name == ".git");
        if !wanted || cut || is_below_a_file(&ours, place) {
            continue;
        }
        bytes += size;
        if taken.len() == MOST_FILES || bytes > MOST_BYTES {
            break;
        }
        let from = if compared.folder.is_empty() {
            (*path).to_owned()
        } else {
            format!("{}/{path}", compared.folder)
        };
        taken.insert(from, place.to_owned());
    }
    // Configuration alone is no test.
    let tests: BTreeSet<&str> = survey.tests.iter().map(|file| place(&file.path, &compared.moved)).collect();
    if !taken.values().any(|place| tests.contains(place.as_str())) {
        return Vec::new();
    }
    taken.into_iter().collect()
}

/// Where a file belongs in the sdist: where the repository has its modules in `src` and the sdist does not, so with what lies there.
fn place<'p>(path: &'p str, moved: &str) -> &'p str {
    if moved.is_empty() {
        return path;
    }
    path.strip_prefix(moved).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path)
}

/// True where the sdist has the same content at that place.
fn has_same(sdist: &dyn SourceTree, part: &Part<'_>, ours: &str, theirs: &str) -> bool {
    let ours = sdist.read(ours, MOST_BYTES);
    ours.is_some() && ours == part.read(theirs, MOST_BYTES)
}

/// True where the sdist has a file in the place of one of the folders above.
fn is_below_a_file(sdist: &Reader, path: &str) -> bool {
    let mut folder = parent(path);
    while !folder.is_empty() {
        if sdist.has_file(folder) {
            return true;
        }
        folder = parent(folder);
    }
    false
}

/// What tests need that lies beside them.
struct Beside<'a> {
    /// The folders above the tests; the root is the empty text.
    above: BTreeSet<&'a str>,
}

impl<'a> Beside<'a> {
    fn of(roots: &[&'a str]) -> Beside<'a> {
        let mut above = BTreeSet::from([""]);
        for root in roots {
            let mut folder = parent(root);
            while !folder.is_empty() && above.insert(folder) {
                folder = parent(folder);
            }
        }
        Beside { above }
    }

    fn wants(&self, path: &str) -> bool {
        let (folder, name) = (parent(path), file_name(path));
        let in_root = folder.is_empty();
        let is_list = |text: &str| {
            let text = text.to_ascii_lowercase();
            ["requirement", "constraint"].iter().any(|word| text.contains(word))
        };
        (in_root && CONFIGURATION.contains(&name))
            || (name == "conftest.py" && self.above.contains(folder))
            || (matches!(name.rsplit_once('.'), Some((_, "txt" | "pip" | "in")))
                && ((in_root && is_list(name)) || (is_list(folder) && !folder.contains('/'))))
            || (folder == ".github/workflows" && (name.ends_with(".yml") || name.ends_with(".yaml")))
            || self.is_data(folder)
    }

    /// True for what lies in a folder of data beside a folder of tests, or in the root.
    fn is_data(&self, folder: &str) -> bool {
        let mut folder = folder;
        while !folder.is_empty() {
            if DATA.contains(&file_name(folder)) && self.above.contains(parent(folder)) {
                return true;
            }
            folder = parent(folder);
        }
        false
    }
}
