//! What is taken of a repository, and when it is not believed.

use proptest::prelude::*;

use super::*;
use crate::testing::{about, tree};

const TEST: &str = "def test_it(): pass\n";

/// A package of five modules, below a folder.
fn package(folder: &str) -> Vec<(String, String)> {
    let names = ["__init__", "a", "b", "c", "d"];
    names.iter().map(|name| (format!("{folder}{name}.py"), format!("NAME = '{name}'\n"))).collect()
}

fn with(mut files: Vec<(String, String)>, more: &[(&str, &str)]) -> crate::MemoryTree {
    files.extend(more.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())));
    files.into_iter().fold(crate::MemoryTree::new(), |tree, (path, text)| tree.with(path, text))
}

fn taken(sdist: &crate::MemoryTree, repository: &crate::MemoryTree) -> Result<Vec<String>, String> {
    let found = from_repository(sdist, repository, &about());
    found.map(|taken| taken.files.into_iter().map(|(_, to)| to).collect()).map_err(|not| not.reason)
}

#[test]
fn tests_and_what_they_need_are_taken_and_nothing_of_the_release() {
    let sdist = with(package("src/p/"), &[("pyproject.toml", ""), ("README", ""), ("tox.ini", "[tox]\n")]);
    let repository = with(
        package("src/p/"),
        &[
            ("pyproject.toml", "[tool.other]\n"),
            ("README", "other"),
            ("tox.ini", "[tox]\nenvlist = x\n"),
            ("pytest.ini", "[pytest]\n"),
            ("conftest.py", ""),
            ("tests/conftest.py", ""),
            ("tests/test_p.py", TEST),
            ("tests/data/a.bin", "x"),
            ("testdata/b.txt", "x"),
            ("requirements/test.txt", "attrs\n"),
            ("docs/test_docs.py", TEST),
            ("src/p/new.py", "NEW = 1\n"),
            ("src/p/tests/test_in.py", TEST),
            ("src/p/a_test_helper.py", ""),
            ("tools/release.py", ""),
        ],
    );
    assert_eq!(
        taken(&sdist, &repository).unwrap(),
        [
            "conftest.py",
            "pytest.ini",
            "requirements/test.txt",
            "src/p/tests/test_in.py",
            "testdata/b.txt",
            "tests/conftest.py",
            "tests/data/a.bin",
            "tests/test_p.py",
        ]
    );
}

#[test]
fn a_module_that_moved_within_the_repository_is_found_where_it_lies() {
    let sdist = with(package("p/"), &[("pyproject.toml", "")]);
    let monorepo = with(
        package("packages/one/src/p/"),
        &[
            ("packages/one/pyproject.toml", ""),
            ("packages/one/tests/test_p.py", TEST),
            ("tests/test_all.py", TEST),
        ],
    );
    let found = from_repository(&sdist, &monorepo, &about()).unwrap();
    assert_eq!(
        (found.compared.folder.as_str(), found.compared.moved.as_str(), found.compared.same),
        ("packages/one", "src", 5)
    );
    assert_eq!(found.files, [("packages/one/tests/test_p.py".to_owned(), "tests/test_p.py".to_owned())]);
}

#[test]
fn another_state_of_the_modules_is_not_believed() {
    let sdist = with(package("p/"), &[]);
    let mut other = package("p/");
    other[1].1 = "changed\n".to_owned();
    assert!(taken(&sdist, &with(other.clone(), &[("tests/test_p.py", TEST)])).is_ok(), "one of five");
    other.remove(2);
    let refused = taken(&sdist, &with(other, &[("tests/test_p.py", TEST)])).unwrap_err();
    assert_eq!(
        refused,
        "it is not what was released: 3 of 5 modules of the sdist are the same there (not p/a.py, p/b.py)"
    );
    let nothing = tree(&[("README", "")]);
    assert!(taken(&nothing, &sdist).unwrap_err().contains("no module to compare"));
}

#[test]
fn versions_that_a_build_fills_in_do_not_differ() {
    let sdist = tree(&[("p/__init__.py", "x = 1\r\n__version__ = '1.2'\r\n"), ("p/_version.py", "a")]);
    let repository = tree(&[("p/__init__.py", "x = 1\n__version__ = '0.0.0'\n"), ("tests/test_p.py", TEST)]);
    assert_eq!(taken(&sdist, &repository).unwrap(), ["tests/test_p.py"]);
}

#[test]
fn a_repository_without_tests_says_so() {
    let sdist = with(package("p/"), &[]);
    let repository = with(package("p/"), &[("pytest.ini", "[pytest]\n"), ("tests/README", "")]);
    assert_eq!(taken(&sdist, &repository).unwrap_err(), "it holds no tests that the sdist lacks");
    let shipped = with(package("p/"), &[("tests/test_p.py", TEST)]);
    assert!(taken(&shipped, &shipped).is_err());
}

#[test]
fn a_file_in_the_place_of_a_folder_stays() {
    let sdist = with(package("p/"), &[("tests", "a file\n")]);
    let repository = with(package("p/"), &[("tests/test_p.py", TEST), ("test_q.py", TEST)]);
    assert_eq!(taken(&sdist, &repository).unwrap(), ["test_q.py"]);
}

proptest! {
    #[test]
    fn no_two_trees_are_too_much(
        ours in prop::collection::vec("(p/|tests/|src/p/|\\.\\./|/)?[a-z_.]{1,8}(\\.py)?", 0..8),
        theirs in prop::collection::vec("(p/|tests/|src/p/|x/p/|\\.\\./|/)?[a-z_.]{1,8}(\\.py)?", 0..12),
    ) {
        let tree = |paths: Vec<String>| {
            paths.into_iter().fold(crate::MemoryTree::new(), |tree, path| tree.with(path, TEST))
        };
        if let Ok(taken) = from_repository(&tree(ours), &tree(theirs), &about()) {
            prop_assert!(taken.files.iter().all(|(_, to)| !to.contains("..") && !to.starts_with('/')));
        }
    }
}
