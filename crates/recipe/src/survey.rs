//! Which files of a tree hold tests, how many, of which kind, and where they lie relative to the package.
//! Owns the counting that says whether tests are shipped at all. Decides no command.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    About,
    pytest_config::matches,
    python::facts::{Facts, top},
    tree::{Reader, file_name, parent},
};

/// The most Python files that are parsed.
const MOST_PARSED: usize = 2_000;

/// The most bytes of Python that are read.
const MOST_BYTES: u64 = 24 << 20;

/// One file that has to do with tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TestFile {
    pub path: String,
    pub facts: Facts,
    /// The installed wheel holds the same file.
    pub installed: bool,
    /// Lies inside one of the package's own modules.
    pub in_package: bool,
}

/// Where the package's own modules lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnModule {
    pub name: String,
    /// The folder that has to be on the path for it, empty for the root.
    pub folder: String,
    /// The package's folder or the module's file.
    pub path: String,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Survey {
    /// Files with tests, sorted by path.
    pub tests: Vec<TestFile>,
    /// Files beside tests that hold none: conftest, helpers.
    pub helpers: Vec<TestFile>,
    /// Tests in examples, documentation, tools: not counted as the release's tests.
    pub peripheral: Vec<TestFile>,
    pub own: Vec<OwnModule>,
    /// Files that could not be parsed and were read as text.
    pub as_text: u32,
    /// True when there were more files than are parsed.
    pub cut: bool,
    /// Top-level names that the tests' own folders provide.
    pub local_modules: BTreeSet<String>,
    /// What `roots` answers, from the first time that it is asked.
    found_roots: OnceCell<Vec<(String, u64)>>,
}

const NOT_OURS: &[&str] = &[
    "_vendor",
    "vendor",
    "vendored",
    "_vendored",
    "third_party",
    "thirdparty",
    "third-party",
    "3rdparty",
    "extern",
    "externals",
    "_externals",
    "node_modules",
    "site-packages",
    "build",
    "dist",
    "venv",
    ".venv",
    ".tox",
    ".nox",
    ".git",
    ".eggs",
    "__pycache__",
    "_build",
    "subprojects",
    "submodules",
];

const PERIPHERAL: &[&str] = &[
    "doc",
    "docs",
    "example",
    "examples",
    "sample",
    "samples",
    "demo",
    "demos",
    "benchmark",
    "benchmarks",
    "bench",
    "perf",
    "performance",
    "tools",
    "scripts",
    "ci",
    "packaging",
    "fuzz",
    "fuzzing",
    "contrib",
    "templates",
    "skeletons",
    "stubs",
    "tutorial",
    "tutorials",
    "recipes",
    "notebooks",
    "integration_tests_external",
];

/// Folders of files that are copied or filled in when a project is generated.
const TEMPLATES: &[&str] = &[
    "template",
    "templates",
    "skeleton",
    "skeletons",
    "scaffold",
    "scaffolds",
    "cookiecutter",
    "boilerplate",
];

/// True for a folder's name whose content is nobody's tests here: others' code, what was built, and what is hidden,
/// where pytest does not look either.
fn is_never_tests(name: &str) -> bool {
    NOT_OURS.contains(&name) || name.ends_with(".egg-info") || name.starts_with('.')
}

/// True for a folder's name that says: tests.
pub(crate) fn is_test_folder(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "test"
            | "tests"
            | "testing"
            | "unittests"
            | "unittest"
            | "unit_tests"
            | "unit_test"
            | "testsuite"
            | "test_suite"
            | "testcases"
    ) || name.starts_with("test_")
        || name.starts_with("tests_")
        || name.ends_with("_tests")
        || name.ends_with("_test")
}

/// How a file's name says that it holds tests.
fn has_test_name(name: &str) -> bool {
    let stem = name.trim_end_matches(".py");
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || matches!(stem, "tests" | "test" | "conftest" | "runtests" | "alltests")
        || stem.strip_prefix("test").or_else(|| stem.strip_prefix("Test")).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-')
        })
        || stem.ends_with("Test")
        || stem.ends_with("Tests")
}

impl Survey {
    /// Reads the tree's Python files that may have to do with tests.
    pub(crate) fn of(
        reader: &Reader,
        about: &About,
        extra_patterns: &[String],
        extra_paths: &[String],
    ) -> Survey {
        let mut survey = Survey { own: own_modules(reader, about), ..Survey::default() };
        let installed: BTreeSet<&str> = about.installed_files.iter().map(String::as_str).collect();
        let mut candidates: Vec<(u8, &str, u64)> = Vec::new();
        // Who says that every file may hold tests keeps them beside what they test.
        let everywhere = extra_patterns.iter().any(|pattern| pattern == "*.py")
            && reader.files().iter().filter(|file| file.0.ends_with(".py")).count() <= MOST_PARSED;
        for (path, size) in reader.files() {
            if !path.ends_with(".py") || parent(path).split('/').any(is_never_tests) {
                continue;
            }
            let name = file_name(path);
            let in_test_folder = parent(path).split('/').any(is_test_folder);
            let by_pattern = extra_patterns.iter().any(|pattern| pattern != "*.py" && matches(pattern, path));
            let by_path = extra_paths
                .iter()
                .any(|folder| !matches!(folder.trim_matches(['.', '/']), "") && is_under(path, folder));
            let by_path = by_path || everywhere && survey.holds_tests(reader, path);
            let rank = match (has_test_name(name) || by_pattern, in_test_folder || by_path) {
                _ if matches!(name, "testutils.py" | "test_utils_base.py") => continue,
                _ if name == "conftest.py" => 0,
                (true, _) => 1,
                (false, true) => 2,
                (false, false) => continue,
            };
            candidates.push((rank, path, *size));
        }
        candidates.sort_unstable();
        let mut bytes = 0;
        let fits = |(_, _, size): &&(u8, &str, u64)| {
            bytes += size.min(&crate::tree::PYTHON_LIMIT);
            bytes <= MOST_BYTES
        };
        let parsed: Vec<&str> =
            candidates.iter().take(MOST_PARSED).take_while(fits).map(|(_, path, _)| *path).collect();
        survey.cut = parsed.len() < candidates.len();
        let facts = reader.each_python(&parsed, Facts::of);
        for (path, facts) in parsed.into_iter().zip(facts) {
            let Some(facts) = facts else { continue };
            survey.as_text += u32::from(!facts.parsed);
            survey.place(reader, path, facts, &installed, extra_paths, everywhere);
        }
        survey.tests.sort_by(|a, b| a.path.cmp(&b.path));
        survey.local_modules = local_modules(reader, &survey);
        survey
    }

    /// True for a module of the package with test functions that take nothing.
    fn holds_tests(&self, reader: &Reader, path: &str) -> bool {
        let is_own = self.own.iter().any(|own| is_under(path, &own.path));
        let source = || reader.python(path).filter(|(source, _)| source.contains("\ndef test"));
        is_own
            && source().is_some_and(|(source, whole)| {
                let facts = Facts::of(&source, whole);
                facts.functions > 0 && facts.parameters.is_empty()
            })
    }

    fn place(
        &mut self,
        reader: &Reader,
        path: &str,
        facts: Facts,
        installed: &BTreeSet<&str>,
        configured: &[String],
        everywhere: bool,
    ) {
        let in_package = self.own.iter().any(|own| is_under(path, &own.path));
        let is_installed = self.own.iter().any(|own| {
            is_under(path, &own.path)
                && installed.contains(path.strip_prefix(&own.folder).unwrap_or(path).trim_start_matches('/'))
        });
        let file = TestFile { path: path.to_owned(), in_package, installed: is_installed, facts };
        let peripheral =
            parent(path).split('/').any(|part| PERIPHERAL.contains(&part.to_ascii_lowercase().as_str()))
                && !in_package
                && !configured
                    .iter()
                    .any(|folder| is_under(path, folder) && !folder.trim_matches(['.', '/']).is_empty())
                || self.is_template(reader, path);
        let believable = is_believable(&file) || everywhere && self.holds_tests(reader, path);
        let has_tests = file.facts.tests() > 0 && file_name(path) != "conftest.py" && believable;
        match (has_tests, peripheral) {
            (true, true) => self.peripheral.push(file),
            (true, false) => self.tests.push(file),
            (false, true) => {}
            (false, false) => self.helpers.push(file),
        }
    }

    /// True for a file that is filled in for somebody else's project: a path with a placeholder in it, or one below a
    /// folder of templates that is data of a package, not a package itself.
    fn is_template(&self, reader: &Reader, path: &str) -> bool {
        let below_templates = |own: &OwnModule| {
            let mut folder = own.path.clone();
            let inside = parent(path).strip_prefix(own.path.as_str()).unwrap_or("");
            let mut parts = inside.split('/').filter(|part| !part.is_empty());
            let named = parts.clone().any(|part| TEMPLATES.contains(&part.to_ascii_lowercase().as_str()));
            named
                && parts.any(|part| {
                    folder = format!("{folder}/{part}");
                    !reader.has_file(&format!("{folder}/__init__.py"))
                })
        };
        path.contains("{{") || self.own.iter().any(|own| is_under(path, &own.path) && below_templates(own))
    }

    /// All test functions and methods of the release.
    pub(crate) fn count(&self) -> u64 {
        self.tests.iter().map(|file| u64::from(file.facts.tests())).sum()
    }

    /// Files with tests and those beside them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &TestFile> {
        self.tests.iter().chain(&self.helpers)
    }

    /// The folders (or files at the root) that hold the tests, most tests first, none inside another.
    pub(crate) fn roots(&self) -> &[(String, u64)] {
        self.found_roots.get_or_init(|| self.find_roots())
    }

    fn find_roots(&self) -> Vec<(String, u64)> {
        let mut roots: BTreeMap<String, u64> = BTreeMap::new();
        for file in &self.tests {
            *roots.entry(test_root(&file.path)).or_default() += u64::from(file.facts.tests());
        }
        let mut folded: Vec<(String, u64)> = Vec::new();
        for (root, count) in roots {
            match folded.iter_mut().find(|(outer, _)| is_under(&root, outer)) {
                Some(outer) => outer.1 += count,
                None => folded.push((root, count)),
            }
        }
        folded.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        folded
    }

    /// True when the package's modules lie in the root itself, where a working directory on the path shadows the
    /// installed copy.
    pub(crate) fn is_flat(&self) -> bool {
        self.own.iter().any(|own| own.folder.is_empty())
    }
}

/// The outermost test folder of a path; a file outside any is its own root, at the tree's root or in a package.
fn test_root(path: &str) -> String {
    let folder = parent(path);
    let mut so_far = String::new();
    for part in folder.split('/').filter(|part| !part.is_empty()) {
        if !so_far.is_empty() {
            so_far.push('/');
        }
        so_far.push_str(part);
        if is_test_folder(part) {
            return so_far;
        }
    }
    path.to_owned()
}

/// True for the path itself and everything below it.
pub(crate) fn is_under(path: &str, folder: &str) -> bool {
    let folder = folder.trim_start_matches("./").trim_end_matches('/');
    folder.is_empty()
        || folder == "."
        || path == folder
        || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A module of the package itself may be called `tests.py` or `test_x` and hold `test…` functions that are no
/// tests (a template language's tests, a connection check): outside test folders something must speak for it.
fn is_believable(file: &TestFile) -> bool {
    const FRAMEWORKS: &[&str] = &[
        "unittest",
        "unittest2",
        "pytest",
        "py",
        "nose",
        "django",
        "twisted",
        "absl",
        "doctest",
        "testtools",
        "asynctest",
        "mock",
        "hypothesis",
        "zope",
        "numpy",
    ];
    // A package's own `testing` holds what its users test with: base classes, whose methods run only where they are derived.
    let folders = || parent(&file.path).split('/').filter(|part| is_test_folder(part));
    let offered =
        file.in_package && folders().all(|part| part == "testing") && !has_test_name(file_name(&file.path));
    if offered && folders().next().is_some() {
        return false;
    }
    let in_test_folder = folders().next().is_some();
    in_test_folder
        || !file.in_package
        || file.facts.methods > 0
        || FRAMEWORKS.iter().any(|framework| file.facts.imports_top(framework))
        || (file.facts.parameters.is_empty() && matches("test_*.py", &file.path))
}

pub(crate) fn own_modules(reader: &Reader, about: &About) -> Vec<OwnModule> {
    let mut own = Vec::new();
    for name in about.import_names.iter().take(200) {
        let path = name.replace('.', "/");
        if path.is_empty() || path.starts_with('/') || path.contains("..") {
            continue;
        }
        for folder in ["", "src", "lib", "lib3", "python", "source", "Lib", "py"] {
            let full = if folder.is_empty() { path.clone() } else { format!("{folder}/{path}") };
            let module = format!("{full}.py");
            let has_code = reader
                .under(&full)
                .any(|(path, _)| path.ends_with(".py") || path.ends_with(".pyx") || path.ends_with(".pyi"));
            if has_code {
                own.push(OwnModule { name: name.clone(), folder: folder.to_owned(), path: full });
                break;
            } else if reader.has_file(&module) {
                own.push(OwnModule { name: name.clone(), folder: folder.to_owned(), path: module });
                break;
            }
        }
    }
    own
}

/// Modules that stand beside tests or in the tree's root: importing one needs no requirement.
fn local_modules(reader: &Reader, survey: &Survey) -> BTreeSet<String> {
    let mut local = BTreeSet::new();
    let mut folders: BTreeSet<&str> = BTreeSet::from([""]);
    for file in survey.all() {
        let mut folder = parent(&file.path);
        while !folder.is_empty() && folders.insert(folder) {
            folder = parent(folder);
        }
    }
    for (path, _) in reader.files() {
        if !(path.ends_with(".py") || path.ends_with(".so") || path.ends_with(".pyx")) {
            continue;
        }
        let folder = parent(path);
        if folders.contains(folder) {
            local.insert(top(file_name(path)).to_owned());
        }
        // Without `__init__` a folder loses to an installed package of its name, unless it lies in the root.
        let is_package = file_name(path) == "__init__.py" || parent(folder).is_empty();
        if !folder.is_empty() && is_package && folders.contains(parent(folder)) {
            local.insert(file_name(folder).to_owned());
        }
    }
    local
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::about, tree::MemoryTree};

    fn survey(files: &[(&str, &str)], imports: &[&str], installed: &[&str]) -> Survey {
        let tree = files.iter().fold(MemoryTree::new(), |tree, (path, text)| tree.with(*path, *text));
        let mut about = about();
        about.import_names = imports.iter().map(ToString::to_string).collect();
        about.installed_files = installed.iter().map(ToString::to_string).collect();
        Survey::of(&Reader::new(&tree), &about, &[], &[])
    }

    const TEST: &str = "def test_a(): pass\ndef test_b(): pass\n";

    #[test]
    fn tests_are_found_where_they_lie() {
        let found = survey(
            &[
                ("src/p/__init__.py", ""),
                ("src/p/tests.py", "def test_odd(value): return value % 2\n"),
                ("src/p/_vendor/q/test_x.py", TEST),
                ("src/p/tests/test_in.py", TEST),
                ("tests/unit/test_a.py", TEST),
                ("tests/helper.py", ""),
                ("tests/testutils.py", TEST),
                ("examples/x/tests/test_e.py", TEST),
                ("docs/test_d.py", TEST),
                (".ai/tests/test_h.py", TEST),
            ],
            &["p"],
            &["p/__init__.py", "p/tests/test_in.py"],
        );
        assert_eq!(found.roots(), [("src/p/tests".to_owned(), 2), ("tests".to_owned(), 2)]);
        assert_eq!((found.count(), found.peripheral.len()), (4, 2));
        assert!(found.tests[0].installed && found.tests[0].in_package && !found.tests[1].installed);
        assert!(!found.is_flat() && found.local_modules.contains("helper"));
    }

    #[test]
    fn flat_layouts_and_single_modules_are_seen() {
        let found = survey(&[("six.py", ""), ("test_six.py", TEST)], &["six"], &["six.py"]);
        assert!(found.is_flat());
        assert_eq!(found.roots(), [("test_six.py".to_owned(), 2)]);
    }

    #[test]
    fn tests_of_generated_projects_are_not_the_releases() {
        let found = survey(
            &[
                ("p/__init__.py", ""),
                ("p/cli/__init__.py", ""),
                ("p/cli/templates/generate/app/tests/test_main.py", TEST),
                ("p/cli/templates/generate/app/tests/conftest.py", ""),
                ("p/data/tests/test_{{ label }}.py", TEST),
                ("p/templates/__init__.py", ""),
                ("p/templates/tests/__init__.py", ""),
                ("p/templates/tests/test_render.py", TEST),
            ],
            &["p"],
            &[],
        );
        assert_eq!(found.roots(), [("p/templates/tests".to_owned(), 2)]);
    }

    #[test]
    fn what_a_package_offers_for_testing_is_no_test() {
        let base = "import unittest\nclass Base(unittest.TestCase):\n    def test_it(self): pass\n";
        let files = [("p/__init__.py", ""), ("p/testing/utils.py", base), ("p/testing/tests/check.py", base)];
        assert_eq!(survey(&files, &["p"], &[]).roots(), [("p/testing".to_owned(), 1)]);
    }

    #[test]
    fn names_alone_prove_nothing() {
        let found = survey(
            &[("tests/__init__.py", ""), ("tests/data.py", "x = 1\n"), ("tox.ini", "[pytest]\n")],
            &["p"],
            &[],
        );
        assert_eq!(found.count(), 0);
    }
}
