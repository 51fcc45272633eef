//! Hostile trees: whatever stands in them, a plan or a reason comes out, soon, and never a panic.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wheeltapper_core::{ProjectName, Version, pep508_rs::Requirement};
use wheeltapper_recipe::{About, Interpreter, MemoryTree, Plans, SourceTree, TreeFile, plan};

fn planned(tree: &dyn SourceTree) -> Plans {
    let project: ProjectName = "p".parse().expect("a name");
    let version: Version = "1.0".parse().expect("a version");
    let about = About {
        project: &project,
        version: &version,
        import_names: vec!["p".into(), "../x".into(), String::new(), "a.b".into()],
        installed_files: vec!["p/__init__.py".into(), "\0".into(), "p/tests/test_a.py".into()],
        native: true,
        runtime_requirements: vec!["nonsense nonsense".into(), "a>=1".into()],
        provides_extra: BTreeMap::from([("test".into(), vec!["b; extra == 'test'".into(), "@".into()])]),
        overrides: Vec::new(),
        interpreter: Interpreter {
            version: (3, 13),
            implementation: "cpython".into(),
            platform: "linux".into(),
        },
    };
    let plans = plan(tree, &about);
    assert_eq!(plans.plans.is_empty(), plans.none.is_some());
    for plan in &plans.plans {
        assert!(matches!(plan.command.first().map(String::as_str), Some("pytest" | "python")));
        assert!(plan.command.iter().all(|word| !word.contains(['\0', '\n'])), "{:?}", plan.command);
        assert!(!plan.directory.starts_with('/') && !plan.directory.split('/').any(|part| part == ".."));
        for requirement in &plan.requirements {
            let parsed: Requirement =
                requirement.parse().unwrap_or_else(|error| panic!("{requirement}: {error}"));
            assert!(!requirement.contains("://"), "{parsed}");
        }
    }
    plans
}

const NAMES: &[&str] = &[
    "pyproject.toml",
    "tox.ini",
    "tox.toml",
    "setup.cfg",
    "setup.py",
    "noxfile.py",
    "pytest.ini",
    "hatch.toml",
    "requirements-test.txt",
    "requirements/test.txt",
    "requirements.txt",
    "tests/test_a.py",
    "tests/conftest.py",
    "tests/__init__.py",
    "p/tests/test_b.py",
    "p/__init__.py",
    "Makefile",
    ".github/workflows/ci.yml",
    "manage.py",
    "../escape/test_x.py",
    "/abs/test_y.py",
    "tests/-rf.py",
    "tests/a b.py",
    "\u{fffd}/test_z.py",
];

const PIECES: &[&str] = &[
    "[tox]\n",
    "[testenv]\n",
    "envlist = py{38,313}-{a,b}\n",
    "deps =\n",
    "  -r requirements-test.txt\n",
    "  -rtox.ini\n",
    "  {[testenv]deps}\n",
    "commands = {posargs:pytest} {",
    "  a: b\n",
    "[tool.pytest.ini_options]\n",
    "addopts = 3\n",
    "addopts = ['-p', 'x']\n",
    "testpaths = '../..'\n",
    "testpaths = tests -x\n",
    "[dependency-groups]\n",
    "test = [{include-group='test'}]\n",
    "test = 'x'\n",
    "dev = [1, {}, 'a>=1']\n",
    "[project]\n",
    "[tool.hatch.envs.test]\ntemplate = 'test'\n",
    "scripts = {run='run', test='run'}\n",
    "[tool.cibuildwheel]\ntest-command = 'pytest {project}'\n",
    "test-requires = 5\n",
    "[tool.poetry.group.test.dependencies]\nx = '^1'\n",
    "import nox\n@nox.session\ndef test(session):\n    session.run('pytest', *session.posargs)\n",
    "    session.install(*X, '-r', 'x')\n",
    "X = X + X\n",
    "from setuptools import setup\nsetup(tests_require=[1, 'a', X])\n",
    "def test_a(mocker): yield 1\n",
    "import yaml, \u{e9}t\u{e9}\n",
    "class A(unittest.TestCase):\n    def test_b(self): pass\n",
    "\0",
    "\u{feff}",
    "((((((((",
    "'''",
    "\\\n",
    "-e git+https://x.invalid/x\n",
    "pytest>=8 --hash=sha256:00\n",
    "x @ file:///etc/passwd\n",
    "name; python_version < '3'\n",
    "[tool.wheeltapper]\n",
    "command = 'pytest tests'\n",
    "command = ['python', '-c', 'x']\n",
    "runner = 'unittest'\n",
    "requirements = ['a', 'b @ https://x.invalid/b']\n",
    "environment = {PATH = 'x', A = 1}\n",
    "directory = '../..'\n",
    "skip = [{when = 'x', reason = 3}]\n",
    "timeout = 99999999999999999999\n",
    "-c requirements/test.txt\n",
    "run: pip install -r x pytest\n",
    "test:\n\tpytest $(shell id)\n",
    "\t- pip install x && pytest tests; rm -rf /\n",
    "print 'two'\n",
    "\r",
    "[",
    "]",
    "=",
    "{",
    "}",
    "\"",
    "#\n",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_plan_or_a_reason(files in prop::collection::vec(
        (prop::sample::select(NAMES), prop::collection::vec(prop::sample::select(PIECES), 0..12)), 0..10)) {
        let tree = files.into_iter().fold(MemoryTree::new(), |tree, (name, pieces)| tree.with(name, pieces.concat()));
        planned(&tree);
    }

    #[test]
    fn any_bytes_in_any_file(files in prop::collection::vec(
        (prop::sample::select(NAMES), prop::collection::vec(any::<u8>(), 0..200)), 0..6)) {
        let tree = files.into_iter().fold(MemoryTree::new(), |tree, (name, bytes)| tree.with(name, bytes));
        planned(&tree);
    }

    #[test]
    fn any_paths(paths in prop::collection::vec("[a-z./\\\\ \u{0}\u{fffd}-]{0,12}(test_|/tests/)?[a-z]{0,3}(\\.py|\\.txt)?", 0..20)) {
        let tree = paths.into_iter().fold(MemoryTree::new(), |tree, path| tree.with(path, "def test_a(): pass\n"));
        planned(&tree);
    }
}

/// A tree that lies about its sizes and has files without end.
struct Liar(Vec<TreeFile>);

impl SourceTree for Liar {
    fn files(&self) -> &[TreeFile] {
        &self.0
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        assert!(limit <= 1 << 20, "reads are bounded");
        if path.ends_with("9.py") {
            None
        } else {
            Some(b"def test_a(): pass\n".repeat(limit as usize / 19 + 1))
        }
    }
}

#[test]
fn a_hundred_thousand_files_that_lie_are_planned_in_bounds() {
    let mut files: Vec<TreeFile> = (0..100_000)
        .map(|number| TreeFile { path: format!("tests/d{}/test_{number}.py", number % 100), size: 50 << 20 })
        .collect();
    files.push(TreeFile { path: "pyproject.toml".into(), size: 1 });
    let plans = planned(&Liar(files));
    assert!(plans.expected_tests > 0);
    assert!(plans.evidence.iter().any(|evidence| evidence.says.contains("more test files")));
}

#[test]
fn circles_of_every_kind_end() {
    let tree = MemoryTree::new()
        .with("tests/test_a.py", "def test_a(): pass\n")
        .with("requirements-test.txt", "-r requirements-test.txt\n-c c.txt\n-r b.txt\n")
        .with("b.txt", "-r requirements-test.txt\n-r b.txt\nx\n")
        .with("c.txt", "-c c.txt\n-r c.txt\n")
        .with("tox.ini", "[testenv]\ndeps = {[testenv]deps}\n  {[a]b}\n  -rb.txt\n[a]\nb = {[c]d}\n[c]\nd = {[a]b}{[a]b}\n")
        .with(
            "pyproject.toml",
            "[dependency-groups]\ntest = [{include-group='a'}]\na = [{include-group='test'}, {include-group='a'}, 'y']\n\
             [tool.hatch.envs.a]\ntemplate='b'\n[tool.hatch.envs.b]\ntemplate='a'\n[tool.hatch.envs.test]\ntemplate='a'\nscripts={run=['test','run'],test='run'}\n",
        );
    let plans = planned(&tree);
    assert!(plans.plans[0].requirements.contains(&"y".to_owned()));
    assert!(plans.ignored.iter().any(|one| one.because.contains("circle")));
}

#[test]
fn groups_that_double_at_each_level_end() {
    let mut toml = String::from("[dependency-groups]\ntest = [{include-group='g0'}]\n");
    for level in 0..40 {
        let next = level + 1;
        toml.push_str(&format!("g{level} = [{{include-group='g{next}'}}, {{include-group='g{next}'}}]\n"));
    }
    let mut files =
        MemoryTree::new().with("tests/test_a.py", "def test_a(): pass\n").with("pyproject.toml", toml);
    for level in 0..40 {
        files = files.with(
            format!("requirements/r{level}.txt"),
            format!("-r r{}.txt\n-r r{}.txt\n", level + 1, level + 1),
        );
    }
    planned(&files.with("requirements/test.txt", "-r r0.txt\n"));
}

#[test]
fn bad_configuration_gets_a_plan_and_a_word_about_it() {
    const TEST: &str = "def test_a(): pass\n";
    for (file, text, told) in [
        ("pyproject.toml", "[project\n", "does not parse"),
        ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = 3\naddopts = {a = 1}\n", ""),
        ("pyproject.toml", "dependency-groups = 3\ntool = []\n", ""),
        (
            "pyproject.toml",
            "[dependency-groups]\ntest = ['-e .', 'git+https://x.invalid/x', 'a @ file:///b']\n",
            "address",
        ),
        ("requirements-test.txt", "-e git+https://x.invalid/x\na==1 --hash=sha256:0\n", "never fetched"),
        (
            "requirements-test.txt",
            "--index-url https://private.invalid/simple\na\n",
            "an option of the installer",
        ),
        ("requirements-test.txt", "https://private.invalid/a.whl\n", "never fetched"),
        ("requirements-test.txt", "-r requirements-test.txt\n-c requirements-test.txt\na\n", "circle"),
        ("requirements-test.txt", "-r ../../../etc/passwd\n", "not in the sdist"),
        ("tox.toml", "[env_run_base\n", "does not parse"),
        ("hatch.toml", "envs = = 1\n", "does not parse"),
        ("noxfile.py", "def tests(:\n", "no Python 3"),
        ("tox.ini", "[testenv]\ndeps = {[testenv]deps}\ncommands = {[testenv]commands}\n", ""),
        ("setup.cfg", "[options]\ntests_require = file: /etc/passwd\n", ""),
    ] {
        let tree = MemoryTree::new().with("tests/test_a.py", TEST).with(file, text);
        let plans = planned(&tree);
        assert!(!plans.plans.is_empty(), "{file}: {text}");
        let words: Vec<String> = plans.ignored.iter().map(|one| one.because.clone()).collect();
        assert!(told.is_empty() || words.iter().any(|word| word.contains(told)), "{file}: {text}: {words:?}");
    }
}

#[test]
fn bytes_of_any_kind_in_test_files_are_counted_or_passed_over() {
    let utf16: Vec<u8> = "\u{feff}def test_a(): pass\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin = b"# -*- coding: latin-1 -*-\n# caf\xe9\ndef test_b(): pass\n".to_vec();
    let nulls = b"def test_c(): pass\n\0\0\0def test_d(): pass\n".to_vec();
    let mut huge = b"def test_e(): pass\n".repeat(100);
    huge.resize(50 << 20, b'#');
    let tree = MemoryTree::new()
        .with("tests/test_utf16.py", utf16)
        .with("tests/test_latin.py", latin)
        .with("tests/test_nulls.py", nulls)
        .with("tests/test_huge.py", huge)
        .with("tests/test_binary.py", (0..=255).collect::<Vec<u8>>());
    let plans = planned(&tree);
    assert!(plans.expected_tests >= 103, "{}", plans.expected_tests);
    assert!(!plans.plans.is_empty());
}
