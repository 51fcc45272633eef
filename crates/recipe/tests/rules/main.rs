//! The rules on small trees, one row each: what a release looks like, and the plan an expert would write.

mod special;
mod support;

use std::collections::BTreeMap;

use wheeltapper_core::Reason;

use support::{CONFIG, FLAT, PYTEST, SRC, UNITTEST, release};

/// Files of a tree, and the requirements that come of them.
type Row<'a> = (Vec<(&'static str, &'static str)>, &'a [&'a str]);

#[test]
fn no_tests_are_an_answer() {
    for files in [
        &[SRC][..],
        &[SRC, CONFIG, ("tox.ini", "[pytest]\n[testenv]\ncommands = pytest\n")],
        &[
            SRC,
            ("src/p/_vendor/q/test_q.py", PYTEST),
            ("tests/__init__.py", ""),
            ("tests/testutils.py", PYTEST),
        ],
        &[SRC, ("src/p/tests.py", "def test_odd(value):\n    return value % 2\n")],
    ] {
        let plans = release(files).plans();
        assert_eq!((plans.none, plans.plans.len()), (Some(Reason::NoTestsShipped), 0), "{files:?}");
    }
}

#[test]
fn a_configuration_means_bare_pytest() {
    assert_eq!(release(&[SRC, CONFIG, ("tests/test_a.py", PYTEST)]).command(), "source-tree: pytest");
    let plan = release(&[SRC, CONFIG, ("tests/test_a.py", PYTEST)]).first();
    assert_eq!((plan.expected_tests, plan.requirements), (Some(2), vec!["pytest".to_owned()]));
}

#[test]
fn without_configuration_pytest_gets_the_test_folders() {
    for (files, command) in [
        (&[SRC, ("tests/test_a.py", PYTEST)][..], "source-tree: pytest tests"),
        (
            &[SRC, ("testing/test_a.py", PYTEST), ("examples/test_b.py", PYTEST)],
            "source-tree: pytest testing",
        ),
        (&[SRC, ("tests/test_a.py", UNITTEST)], "source-tree: pytest tests"),
        (&[SRC, ("test_p.py", PYTEST)], "source-tree: pytest test_p.py"),
        (&[SRC, ("tests/alpha.py", PYTEST)], "source-tree: pytest tests/alpha.py"),
    ] {
        assert_eq!(release(files).command(), command);
    }
}

#[test]
fn unittest_is_the_alternative_and_first_where_pytest_cannot_collect() {
    let plans = release(&[SRC, ("tests/__init__.py", ""), ("tests/test_a.py", UNITTEST)]).plans();
    assert_eq!(plans.plans[1].command.join(" "), "python -m unittest discover -s tests -t .");
    let command =
        release(&[FLAT, ("p/test.py", UNITTEST)]).installed(&["p/__init__.py", "p/test.py"]).command();
    assert_eq!(command, "empty: python -m unittest p.test");
}

#[test]
fn the_source_tree_never_hides_a_compiled_part() {
    let files = [FLAT, ("test/__init__.py", ""), ("test/test_a.py", PYTEST)];
    assert_eq!(release(&files).command(), "source-tree: pytest --import-mode=importlib test");
    let files = [FLAT, ("p/_speed.c", ""), ("tests/test_a.py", PYTEST)];
    assert_eq!(release(&files).native().command(), "source-tree: pytest tests");
    let files = [FLAT, ("tests/__init__.py", ""), ("tests/test_a.py", PYTEST)];
    assert_eq!(release(&files).native().command(), "source-tree: pytest --import-mode=append tests");
    let files = [
        FLAT,
        ("tests/helper.py", ""),
        ("tests/test_a.py", "from tests.helper import x\ndef test_a(): pass\n"),
    ];
    assert!(!release(&files).native().command().contains("python -m pytest"));
    let files = [FLAT, ("tests/test_a.py", UNITTEST)];
    let plans = release(&files).native().plans();
    assert_eq!((plans.plans[1].directory.as_str(), plans.plans[1].command.len()), ("tests", 4));
}

#[test]
fn helpers_in_the_root_need_python_dash_m() {
    let files = [
        SRC,
        ("tests/helper.py", ""),
        ("tests/test_a.py", "from tests.helper import x\ndef test_a(): pass\n"),
    ];
    assert_eq!(release(&files).command(), "source-tree: python -m pytest tests");
}

#[test]
fn tests_inside_the_package_run_where_they_are() {
    let files = [FLAT, ("p/tests/__init__.py", ""), ("p/tests/test_a.py", PYTEST)];
    let installed = ["p/__init__.py", "p/tests/__init__.py", "p/tests/test_a.py"];
    assert_eq!(release(&files).installed(&installed).command(), "empty: pytest --pyargs p.tests");
    assert_eq!(release(&files).command(), "source-tree: pytest p/tests");
    assert_eq!(
        release(&files).native().command(),
        "source-tree: pytest -p p --import-mode=importlib p/tests"
    );
    let files = [FLAT, CONFIG, ("p/tests/__init__.py", ""), ("p/tests/test_a.py", PYTEST)];
    let command = release(&files).installed(&installed).native().command();
    assert_eq!(command, "source-tree: pytest -c pyproject.toml --pyargs p.tests");
}

#[test]
fn django_runs_with_its_settings() {
    let test = "from django.test import TestCase\nclass A(TestCase):\n    def test_a(self): pass\n";
    let hatch = "[tool.hatch.envs.default]\nfeatures = ['q']\ndependencies = ['black', 'freezegun~=1.5']\n\
                 [tool.hatch.envs.default.env-vars]\nPYTHONPATH = 'test'\nDJANGO_SETTINGS_MODULE = 's.settings'\n\
                 [tool.hatch.envs.default.scripts]\ntest = 'python -m django test {args:p}'\n\
                 [tool.hatch.envs.test.scripts]\nrun = 'test'\n";
    let plan = release(&[SRC, ("src/p/tests.py", test), ("pyproject.toml", hatch)])
        .extras(&[("q", "qrcode")])
        .runtime(&["django>=4"])
        .first();
    assert_eq!(plan.command.join(" "), "python -m django test p");
    assert_eq!(plan.environment["PYTHONPATH"], "{root}/src:{root}/test");
    assert_eq!(plan.environment["DJANGO_SETTINGS_MODULE"], "s.settings");
    assert_eq!((plan.requirements, plan.extras), (vec!["freezegun~=1.5".to_owned()], vec!["q".to_owned()]));
    let files = [SRC, ("tests/test_a.py", test), ("runtests.py", "import django\n")];
    assert_eq!(release(&files).command(), "source-tree: python runtests.py");
    let tox = (
        "tox.ini",
        "[testenv]\nsetenv = DJANGO_SETTINGS_MODULE=tests.settings\ncommands = coverage run -m django test\n",
    );
    let plan = release(&[SRC, ("tests/test_a.py", test), tox]).first();
    assert_eq!(plan.command.join(" "), "python -m django test");
    assert_eq!(plan.environment["DJANGO_SETTINGS_MODULE"], "tests.settings");
}

#[test]
fn cibuildwheel_is_believed_for_compiled_packages_only() {
    let toml = "[tool.cibuildwheel]\ntest-command = 'pytest -q {project}/tests/unit'\ntest-requires = 'pytest hypothesis'\n";
    let files =
        [SRC, ("pyproject.toml", toml), ("tests/unit/test_a.py", PYTEST), ("tests/slow/test_b.py", PYTEST)];
    assert_eq!(release(&files).native().command(), "source-tree: pytest tests/unit");
    assert_eq!(release(&files).native().requirements(), ["pytest", "hypothesis"]);
    assert_eq!(release(&files).command(), "source-tree: pytest tests");
    assert_eq!(release(&files).requirements(), ["pytest"]);
}

#[test]
fn tox_gives_directory_and_variables() {
    let tox = "[testenv]\nchangedir = tests\nsetenv =\n  MODE = x\n  COVERAGE_FILE = y\n  SECRET = {env:HOME}/{unknown}\ncommands = pytest {posargs}\n";
    let plan = release(&[SRC, ("tox.ini", tox), ("tests/test_a.py", PYTEST)]).first();
    assert_eq!((plan.directory.as_str(), plan.command.join(" ").as_str()), ("tests", "pytest"));
    assert_eq!(plan.environment, BTreeMap::from([("MODE".to_owned(), "x".to_owned())]));
}

#[test]
fn nox_files_are_read_and_not_run() {
    let nox = "import nox\nDEPS = ['pytest', 'mock']\n@nox.session(python=['3.12'])\ndef tests(session):\n    session.install(*DEPS, '-r', 'extra.txt')\n    \
               session.install('.[fast]')\n    session.run('pytest', *session.posargs, env={'A': 'b'})\n\
               @nox.session\ndef lint(session):\n    session.install('flake8')\n    session.run('flake8')\n";
    let files = [SRC, ("noxfile.py", nox), ("extra.txt", "attrs\n"), ("tests/test_a.py", PYTEST)];
    let plan = release(&files).extras(&[("fast", "cython")]).first();
    assert_eq!(
        (plan.requirements, plan.extras),
        (vec!["pytest".into(), "mock".into(), "attrs".into()], vec!["fast".into()])
    );
    assert_eq!(plan.environment["A"], "b");
}

#[test]
fn requirements_come_from_the_strongest_list() {
    let test = ("tests/test_a.py", PYTEST);
    let group = (
        "pyproject.toml",
        "[dependency-groups]\ntest = [{include-group='base'}, 'pytest>=8']\nbase = ['b']\ndev = ['black', 'd']\n",
    );
    let file = ("requirements/test.txt", "-r common.txt\nf\n-e git+https://example.invalid/x\n");
    let common = ("requirements/common.txt", "c\n");
    let tox = ("tox.ini", "[testenv]\ndeps =\n  t\ncommands = pytest\n");
    let setup =
        ("setup.py", "from setuptools import setup\nTESTS = ['s']\nsetup(name='p', tests_require=TESTS)\n");
    let dev = ("requirements-dev.txt", "flake8\npytest-cov\nd\n");
    let ci = (
        ".github/workflows/test.yml",
        "jobs:\n  x:\n    steps:\n      - run: pip install wheel i\n      - run: pytest\n",
    );
    let rows: [Row; 7] = [
        (vec![SRC, test, group, file, common, tox], &["b", "pytest>=8"]),
        (vec![SRC, test, file, common, tox, setup], &["c", "f", "pytest"]),
        (vec![SRC, test, tox, setup, ci], &["t", "pytest"]),
        (vec![SRC, test, setup, ci, dev], &["s", "pytest"]),
        (vec![SRC, test, ci, dev], &["i", "pytest"]),
        (vec![SRC, test, dev], &["pytest-cov", "d", "pytest"]),
        (vec![SRC, test], &["pytest"]),
    ];
    for (files, wanted) in rows {
        assert_eq!(release(&files).requirements(), wanted);
    }
    let plan = release(&[SRC, test, tox]).extras(&[("testing", "pytest<9"), ("doc", "sphinx")]).first();
    assert_eq!((plan.extras, plan.requirements), (vec!["testing".to_owned()], vec![]));
    let ignored = release(&[SRC, test, file, common]).plans().ignored;
    assert!(ignored.iter().any(|one| one.what.starts_with("-e git+") && one.file == "requirements/test.txt"));
}

#[test]
fn pins_have_an_alternative_without_them() {
    let pinned = ("requirements/tests.txt", "a==1\nb[x]==2; python_version >= '3'\npytest==7.0\nd>=1\n");
    let plans = release(&[SRC, ("tests/test_a.py", PYTEST), pinned]).plans();
    assert_eq!(plans.plans[0].requirements[0], "a==1");
    assert_eq!(plans.plans[1].requirements, ["a", "b[x] ; python_full_version >= '3'", "pytest", "d>=1"]);
    assert_eq!(plans.plans[0].command, plans.plans[1].command);
    assert_eq!(
        (&plans.plans[2].command, &plans.plans[2].requirements[..]),
        (&plans.plans[0].command, &["pytest".to_owned()][..])
    );
}

#[test]
fn a_script_that_runs_the_tests_by_itself_is_run() {
    let script = "import p\ndef test_one(filename): pass\nif __name__ == '__main__':\n    p.check()\n";
    let files = [SRC, ("run_tests.py", script), ("testsuite/a.py", "def testNot(): pass\n")];
    assert_eq!(release(&files).command(), "source-tree: python run_tests.py");
    let with_pytest = [SRC, ("run_tests.py", script), ("tests/test_a.py", PYTEST)];
    assert_eq!(release(&with_pytest).command(), "source-tree: pytest tests run_tests.py");
}

#[test]
fn what_tox_collects_of_a_configured_suite_is_collected() {
    let tox = ("tox.ini", "[testenv]\ncommands =\n  pytest -v tests/unit {posargs}\n");
    let unit = ("tests/unit/test_a.py", PYTEST);
    let files = [SRC, CONFIG, tox, unit, ("tests/functional/test_b.py", PYTEST)];
    assert_eq!(release(&files).command(), "source-tree: pytest tests/unit");
    let more = "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n";
    let files = [SRC, CONFIG, tox, unit, ("tests/functional/test_b.py", more)];
    assert_eq!(release(&files).command(), "source-tree: pytest");
}

#[test]
fn testpaths_that_are_gone_give_way_to_the_folders_of_tests() {
    let config = ("pytest.ini", "[pytest]\ntestpaths = test\n");
    let files = [SRC, config, ("src/tests/test_a.py", PYTEST), ("examples/test_b.py", PYTEST)];
    assert_eq!(release(&files).command(), "source-tree: pytest src/tests");
    assert_eq!(release(&[SRC, config, ("test/test_a.py", PYTEST)]).command(), "source-tree: pytest");
}

#[test]
fn configuration_and_fixtures_imply_plugins() {
    let config = ("pytest.ini", "[pytest]\naddopts = --cov=p -n 4\ntimeout = 9\nasyncio_mode = auto\n");
    let test = ("tests/test_a.py", "def test_a(mocker, httpserver, own, given): pass\n");
    let conftest = ("tests/conftest.py", "import pytest\n@pytest.fixture\ndef httpserver(): pass\n");
    let mut found = release(&[SRC, config, test, conftest]).requirements();
    found.sort();
    assert_eq!(
        found,
        ["pytest", "pytest-asyncio", "pytest-cov", "pytest-mock", "pytest-timeout", "pytest-xdist"]
    );
}

#[test]
fn imports_that_nothing_provides_are_inferred() {
    let test = "import os, yaml, attr, p, helper, flask, numpy as np\nfrom dateutil import tz\ntry:\n    import lxml\nexcept ImportError:\n    lxml = None\n\
                scipy = pytest.importorskip('scipy')\nimport declared.sub\ndef test_a():\n    import pandas, lxml\n\
                @pytest.mark.skipif(X, reason='')\ndef test_b(): import torch\n";
    let files = [
        SRC,
        ("tests/test_a.py", test),
        ("tests/helper.py", "import six\n"),
        ("requirements.txt", "numpy>=2\n"),
    ];
    let plans = release(&files).runtime(&["Flask>=1", "declared"]).plans();
    assert_eq!(
        plans.plans[0].requirements,
        ["pytest", "attrs", "python-dateutil", "numpy>=2", "pandas", "six", "pyyaml"]
    );
    let inferred: Vec<_> = plans.inferred.iter().map(|one| (one.project.as_str(), one.from_table)).collect();
    let by_name = |name| inferred.iter().find(|one| one.0 == name).map(|one| one.1);
    assert_eq!((by_name("pyyaml"), by_name("pandas"), by_name("torch")), (Some(true), Some(false), None));
    assert_eq!(plans.inferred.last().unwrap().line, Some(1));
}

#[test]
fn every_decision_names_its_file() {
    let plan = release(&[SRC, CONFIG, ("tests/test_a.py", "import yaml\ndef test_a(): pass\n")]).first();
    assert!(plan.why.iter().any(|why| why.contains("pyproject.toml")), "{:?}", plan.why);
    assert!(plan.why.iter().any(|why| why.contains("tests/test_a.py:1")), "{:?}", plan.why);
}

#[test]
fn suites_that_open_relative_paths_run_from_where_these_are_found() {
    let test = "import os, unittest\nDATA = os.path.join('..', 'core', 'data', 'a.csv')\n\
                class A(unittest.TestCase):\n    def test_a(self): open(DATA)\n";
    let files = [
        ("packages/core/data/a.csv", ""),
        ("packages/binding/tests/__init__.py", ""),
        ("packages/binding/tests/test_a.py", test),
    ];
    assert_eq!(release(&files).command(), "source-tree: (packages/binding) pytest tests");
    let at_root = [("tests/test_a.py", "def test_a(): open('tests/a.txt')\n"), ("tests/a.txt", "")];
    assert_eq!(release(&at_root).command(), "source-tree: pytest tests");
}

#[test]
fn a_makefile_that_runs_the_installed_tests_is_followed() {
    let files = [
        (
            "Makefile",
            "PYTHON?=python\nUV:=$(shell uv --version)\n.PHONY: test\ntest:\n\t$(PYTHON) -m coverage run -m p.tests $(OPTIONS)\n",
        ),
        ("p/__init__.py", ""),
        ("p/tests/__init__.py", "from .one import A\n"),
        ("p/tests/one.py", UNITTEST),
        ("p/tests/fuzz.py", UNITTEST),
    ];
    let plan = release(&files)
        .installed(&["p/__init__.py", "p/tests/__init__.py", "p/tests/one.py", "p/tests/fuzz.py"])
        .first();
    assert_eq!(plan.command, ["python", "-m", "p.tests"]);
    assert_eq!(plan.working, wheeltapper_core::plan::Working::Empty);
}

#[test]
fn a_script_that_only_stands_in_for_tests_is_none() {
    let workflow = (".github/workflows/ci.yml", "    run: python ./pass_tests.py\n");
    let hollow = release(&[workflow, ("pass_tests.py", "\"\"\"No tests for now.\"\"\"\n")]).plans();
    assert_eq!((hollow.plans.len(), hollow.none), (0, Some(Reason::NoTestsShipped)));
    let real = release(&[workflow, ("pass_tests.py", "import p\np.check()\n")]).plans();
    assert_eq!(real.plans.len(), 1);
}

#[test]
fn tests_in_an_initial_file_are_named_not_discovered() {
    let plan = release(&[("p/__init__.py", ""), ("tests/__init__.py", UNITTEST)]).first();
    assert_eq!(plan.command, ["python", "-m", "unittest", "tests"]);
}

#[test]
fn suites_written_for_nose_run_under_nose_where_pytest_cannot() {
    const YIELDS: &str =
        "from nose.tools import eq_\ndef test_a():\n    for i in range(3):\n        yield eq_, i, i\n";
    let plans = release(&[("tests/test_a.py", YIELDS)]).plans();
    assert_eq!(plans.plans[0].command, ["python", "-m", "nose", "tests"]);
    assert_eq!(plans.plans[0].requirements, ["pynose"]);
    let files = [("tests/test_a.py", "from nose.tools import eq_\ndef test_a(): eq_(1, 1)\n")];
    let plans = release(&files).plans();
    assert_eq!(plans.plans[0].command, ["pytest", "tests"]);
    assert!(plans.plans[0].requirements.contains(&"pynose".to_owned()));
    let tox = ("tox.ini", "[testenv]\ndeps = nose>=1.3\ncommands = nosetests -v tests\n");
    let plans = release(&[files[0], tox]).plans();
    assert_eq!(plans.plans[0].command.join(" "), "python -m nose -v tests");
    assert_eq!(plans.plans[0].requirements, ["pynose"]);
    assert!(plans.ignored.iter().any(|one| one.what == "nose>=1.3" && one.because.contains("pynose")));
}

#[test]
fn trial_and_zope_testrunner_run_as_tox_says() {
    let trial =
        "from twisted.trial import unittest\nclass A(unittest.TestCase):\n    def test_a(self): pass\n";
    let tox = ("tox.ini", "[testenv]\ndeps = twisted\ncommands = coverage run -m twisted.trial p\n");
    let first = release(&[("p/__init__.py", ""), ("p/test/test_a.py", trial), tox]).plans().plans.remove(0);
    assert_eq!(
        (first.runner.as_str(), first.command.join(" ").as_str()),
        ("trial", "python -m twisted.trial p")
    );
    let tox =
        ("tox.ini", "[testenv]\nextras = test\ncommands = zope-testrunner --test-path=src {posargs:-vc}\n");
    let first =
        release(&[("src/p/__init__.py", ""), ("src/p/tests.py", UNITTEST), tox]).plans().plans.remove(0);
    assert_eq!(first.runner.as_str(), "zope-testrunner");
    assert_eq!(first.command.join(" "), "python -m zope.testrunner --test-path=src -vc");
    assert!(first.requirements.contains(&"zope-testrunner".to_owned()));
}

#[test]
fn tests_marked_as_needing_a_network_are_left_out_and_told() {
    const MARKED: &str = "import pytest\n@pytest.mark.network\ndef test_a(): pass\ndef test_b(): pass\n";
    let plan = |files: &[(&'static str, &'static str)]| release(files).plans().plans.remove(0);
    let bare = plan(&[("tests/test_a.py", MARKED)]);
    assert_eq!(bare.command, ["pytest", "tests", "-m", "not network"]);
    assert_eq!(
        bare.deselected,
        ["-m \"not network\": tests/test_a.py marks tests so, and there is no network"]
    );
    let ini = ("pytest.ini", "[pytest]\naddopts = -m \"not slow\"\nmarkers =\n  network: needs it\n");
    assert_eq!(
        plan(&[("tests/test_a.py", MARKED), ini]).command,
        ["pytest", "-m", "(not slow) and not network"]
    );
    let already = ("pytest.ini", "[pytest]\naddopts = -m \"not network\"\n");
    assert!(plan(&[("tests/test_a.py", MARKED), already]).deselected.is_empty());
    let unused = ("pytest.ini", "[pytest]\nmarkers =\n  network: needs it\n");
    assert!(plan(&[("tests/test_a.py", PYTEST), unused]).deselected.is_empty());
}

#[test]
fn django_runs_where_manage_py_lies_and_with_settings_that_are_some() {
    const DJANGO: &str = "from django.test import TestCase\nclass A(TestCase):\n    def test_a(self): pass\n";
    let plan = |files: &[(&'static str, &'static str)]| release(files).plans().plans.remove(0);
    let managed = plan(&[("tests/manage.py", ""), ("tests/app/test_a.py", DJANGO)]);
    assert_eq!(
        (managed.command.join(" "), managed.directory.as_str()),
        ("python manage.py test".into(), "tests")
    );
    let settings = plan(&[
        ("tests/tests.py", DJANGO),
        ("tests/settings.py", "VALUE = 1\n"),
        ("tests/test_settings.py", "INSTALLED_APPS = ['tests']\n"),
    ]);
    assert_eq!(settings.environment["DJANGO_SETTINGS_MODULE"], "tests.test_settings");
    let tox = (
        "tox.ini",
        "[testenv]\ncommands =\n  python -Wd {envbindir}/coverage run tests/manage.py test -v2 {posargs:app}\n",
    );
    let written = plan(&[("tests/manage.py", ""), ("tests/app/test_a.py", DJANGO), tox]);
    assert_eq!(written.command.join(" "), "python -Wd tests/manage.py test -v2 app");
}

#[test]
fn a_suite_that_puts_its_directory_first_runs_beside_the_source() {
    let test = "import sys, unittest\nsys.path[0:0] = ['']\nclass A(unittest.TestCase):\n    def test_a(self): pass\n";
    let files = [("p/__init__.py", ""), ("test/__init__.py", ""), ("test/test_a.py", test)];
    assert!(release(&files).native().command().contains("(test) "));
    assert!(!release(&files).command().contains("(test) "));
}

#[test]
fn a_part_of_a_namespace_names_its_project() {
    let test = "import ns_own\nfrom opentelemetry import trace\nfrom opentelemetry.sdk.trace import x\nfrom google.cloud import storage\n\
                import azure.mgmt.web, google.protobuf.message\ndef test_a(): pass\n";
    let plans = release(&[SRC, ("tests/test_a.py", test)]).plans();
    let mut found = plans.plans[0].requirements.clone();
    found.retain(|one| one != "ns-own");
    found.sort();
    assert_eq!(
        found,
        [
            "azure-mgmt-web",
            "google-cloud-storage",
            "opentelemetry-api",
            "opentelemetry-sdk",
            "protobuf",
            "pytest"
        ]
    );
}

#[test]
fn folders_that_want_a_system_are_left_out_beside_unit_tests() {
    let unit = ("tests/unit/test_a.py", PYTEST);
    let files = [SRC, unit, ("tests/system/test_b.py", PYTEST), ("tests/part/system/test_c.py", PYTEST)];
    let plan = release(&files).first();
    assert_eq!(plan.command.join(" "), "pytest tests --ignore=tests/part/system --ignore=tests/system");
    assert_eq!((plan.expected_tests, plan.deselected.len()), (Some(2), 2));
    let alone = [SRC, ("tests/system/test_b.py", PYTEST)];
    assert_eq!(release(&alone).command(), "source-tree: pytest tests");
    let configured = [SRC, ("pytest.ini", "[pytest]\n"), unit, ("tests/system/test_b.py", PYTEST)];
    assert_eq!(release(&configured).command(), "source-tree: pytest");
}

#[test]
fn extras_of_modules_that_the_tests_import_are_installed() {
    let files = [
        ("p/__init__.py", ""),
        ("p/formats/__init__.py", ""),
        ("p/formats/sarif.py", "import json, sarif_om\nfrom p import x\n"),
        ("p/web.py", "import flask\n"),
        ("tests/test_a.py", "from p.formats import sarif\ndef test_a(): pass\n"),
    ];
    let extras = &[("all", "sarif-om"), ("all", "flask"), ("sarif", "sarif-om"), ("web", "flask")];
    let plan = release(&files).extras(extras).first();
    assert_eq!(plan.extras, ["sarif"]);
    assert!(plan.why.iter().any(|why| why.contains("p/formats/sarif.py:1")), "{:?}", plan.why);
    assert_eq!(release(&files).extras(extras).runtime(&["sarif-om"]).first().extras, Vec::<String>::new());
}

#[test]
fn an_extra_of_checks_is_no_part_of_the_tests() {
    let files = [SRC, ("tests/test_a.py", PYTEST)];
    let both = release(&files).extras(&[("check", "pytest-ruff"), ("test", "big-o")]).first();
    assert_eq!(both.extras, ["test"]);
    assert_eq!(release(&files).extras(&[("check", "hypothesis")]).first().extras, ["check"]);
}
