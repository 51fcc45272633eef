//! What a suite asks of its own folders and the tree does not hold: an `__init__.py`, a helper module or a conftest that
//! was left out of the sdist. Names files and who asks for them; whether that is why a suite fails is not decided here.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    About, Absent,
    knowledge::{Implies, plugin},
    python::facts::{Import, top},
    survey::{Survey, TestFile, is_test_folder},
    tree::{Reader, parent},
};

/// The most files that are named.
const MOST: usize = 20;

/// Fixtures that pytest itself provides, and parameters that are none.
const BUILT_IN: &[&str] = &[
    "self",
    "cls",
    "request",
    "tmp_path",
    "tmp_path_factory",
    "tmpdir",
    "tmpdir_factory",
    "capsys",
    "capsysbinary",
    "capfd",
    "capfdbinary",
    "capteesys",
    "caplog",
    "cache",
    "monkeypatch",
    "recwarn",
    "pytestconfig",
    "pytester",
    "testdir",
    "linecomp",
    "subtests",
    "record_property",
    "record_testsuite_property",
    "record_xml_attribute",
    "doctest_namespace",
];

/// Everything that the tests ask for and that is not there, by path.
pub(crate) fn absent(reader: &Reader, survey: &Survey, about: &About) -> Vec<Absent> {
    let mut found: BTreeMap<String, Absent> = BTreeMap::new();
    let mut note = |path: String, file: &TestFile, line: Option<u32>, what: String| {
        let one = || Absent { path: path.clone(), needed_by: file.path.clone(), line, what };
        found.entry(path.clone()).or_insert_with(one);
    };
    let fixtures = survey.all().flat_map(|file| &file.facts.fixtures).map(String::as_str).collect();
    let suite = Suite { reader, about, fixtures };
    // Inside a package a module may be one that is compiled, or generated, when it is built.
    for file in survey.tests.iter().filter(|file| !file.in_package) {
        for (dots, import) in &file.facts.relatives {
            if let Some(path) = suite.relative(file, *dots, import) {
                note(
                    path,
                    file,
                    Some(import.line),
                    format!("`from {}{} import`", ".".repeat(*dots as usize), import.module),
                );
            }
        }
        for import in &file.facts.imports {
            if let Some(path) = suite.absolute(import) {
                note(path, file, Some(import.line), format!("`{}`", import.module));
            }
        }
        if let Some((path, fixture)) = suite.conftest(file) {
            note(path, file, None, format!("the fixture `{fixture}`"));
        }
    }
    found.into_values().take(MOST).collect()
}

struct Suite<'a> {
    reader: &'a Reader<'a>,
    about: &'a About<'a>,
    /// All that the suite defines.
    fixtures: BTreeSet<&'a str>,
}

impl Suite<'_> {
    fn has_module(&self, path: &str) -> bool {
        self.reader.has_file(&format!("{path}.py")) || self.reader.has_folder(path)
    }

    /// What a relative import asks for in vain.
    fn relative(&self, file: &TestFile, dots: u32, import: &Import) -> Option<String> {
        let beside = parent(&file.path);
        let own = format!("{beside}/__init__.py");
        if beside.is_empty() || !self.reader.has_file(&own) {
            // Not even the folder is a package.
            return (!beside.is_empty()).then_some(own);
        }
        let mut folder = beside;
        for _ in 1..dots {
            if folder.is_empty() {
                return None;
            }
            folder = parent(folder);
        }
        self.missing_below(folder, import)
    }

    /// What an absolute import from a folder of tests asks for in vain.
    fn absolute(&self, import: &Import) -> Option<String> {
        let first = top(&import.module);
        let provided = self.about.import_names.iter().any(|own| top(own) == first)
            || self.about.installed_files.iter().any(|file| file.split(['/', '.']).next() == Some(first));
        if provided || !is_test_folder(first) || !self.reader.has_folder(first) {
            return None;
        }
        self.missing_below("", import)
    }

    fn missing_below(&self, folder: &str, import: &Import) -> Option<String> {
        let mut path = folder.to_owned();
        for part in import.module.split('.').filter(|part| !part.is_empty()) {
            path = if path.is_empty() { part.to_owned() } else { format!("{path}/{part}") };
        }
        if !import.module.is_empty() && !self.has_module(&path) {
            return Some(format!("{path}.py"));
        }
        let initial = format!("{path}/__init__.py");
        let missing = import.names.iter().find(|name| !self.has_module(&format!("{path}/{name}")))?;
        if path.is_empty() || self.reader.has_file(&format!("{path}.py")) {
            return None;
        }
        match self.reader.text(&initial) {
            None => Some(initial),
            // A name that the package itself does not know is a module that was left out.
            Some(text) => {
                (!text.contains(missing.as_str()) && !text.contains('*') && !text.contains("__getattr__"))
                    .then(|| format!("{path}/{missing}.py"))
            }
        }
    }

    /// The conftest that a file's fixtures must come from, where there is none, and one of the fixtures.
    fn conftest(&self, file: &TestFile) -> Option<(String, String)> {
        let mut folder = parent(&file.path);
        loop {
            let conftest =
                if folder.is_empty() { "conftest.py".to_owned() } else { format!("{folder}/conftest.py") };
            if self.reader.has_file(&conftest) {
                return None;
            }
            if folder.is_empty() {
                break;
            }
            folder = parent(folder);
        }
        let imports = file.facts.imports.iter().chain(file.facts.relatives.iter().map(|(_, import)| import));
        let imported: BTreeSet<&str> = imports.flat_map(|import| &import.names).map(String::as_str).collect();
        if imported.contains("*") || !file.facts.plugins.is_empty() {
            return None;
        }
        let defined = |name: &str| {
            BUILT_IN.contains(&name)
                || imported.contains(name)
                || plugin(Implies::Fixture, name).is_some()
                || self.fixtures.contains(name)
        };
        let fixture = file.facts.parameters.iter().find(|name| !defined(name))?;
        let beside = parent(&file.path);
        let path = if beside.is_empty() { "conftest.py".to_owned() } else { format!("{beside}/conftest.py") };
        Some((path, fixture.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{about, tree};

    fn paths(files: &[(&str, &str)]) -> String {
        let tree = tree(files);
        let reader = Reader::new(&tree);
        let about = about();
        let survey = Survey::of(&reader, &about, &[], &[]);
        let found = absent(&reader, &survey, &about);
        found.into_iter().map(|one| one.path).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_an_sdist_leaves_out_is_named() {
        let test = "\ndef test_a(db, tmp_path): pass\n";
        let relative = format!("from .common import x{test}");
        assert_eq!(
            paths(&[("p/__init__.py", ""), ("tests/test_a.py", &relative)]),
            "tests/__init__.py tests/conftest.py"
        );
        assert_eq!(
            paths(&[("tests/__init__.py", ""), ("tests/conftest.py", ""), ("tests/test_a.py", &relative)]),
            "tests/common.py"
        );
        let absolute = "from tests import client\nfrom tests.unit.data import y\ndef test_a(): pass\n";
        assert_eq!(paths(&[("tests/test_a.py", absolute)]), "tests/__init__.py tests/unit/data.py");
    }

    #[test]
    fn a_name_that_its_package_does_not_know_is_a_module_left_out() {
        let test = "from tests import results\nfrom tests import known\ndef test_a(): pass\n";
        let files = |initial| [("tests/test_a.py", test), ("tests/__init__.py", initial)];
        assert_eq!(paths(&files("known = 1\n")), "tests/results.py");
        assert_eq!(paths(&files("from .x import *\n")), "");
    }

    #[test]
    fn what_is_there_or_comes_from_elsewhere_is_not() {
        let test = "import pytest\nfrom tests import helper\nfrom tests.helper import x\nfrom p.tests import y\n\
                    @pytest.fixture\ndef db(): pass\n@pytest.mark.parametrize('a', [1])\n\
                    def test_a(db, a, mocker, monkeypatch): pass\n";
        assert_eq!(paths(&[("tests/test_a.py", test), ("tests/helper.py", "")]), "");
    }
}
