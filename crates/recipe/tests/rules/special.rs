//! Rules for suites that are run in a way of their own: from inside the package, without what stands in the way.

use crate::support::{CONFIG, PYTEST, SRC, UNITTEST, release};

#[test]
fn a_package_tests_itself_by_a_function_of_its_own() {
    let init = (
        "p/__init__.py",
        "def test(verbosity=1):\n    from p import test_p\n    return test_p.run(verbosity)\n",
    );
    let files = [init, ("p/test_p.py", UNITTEST)];
    let installed = ["p/__init__.py", "p/test_p.py"];
    let command = |files: &[_]| release(files).installed(&installed).native().command();
    assert_eq!(command(&files), "empty: python -c import p; p.test()");
    let make = ("Makefile", "PYTHON=python3\ntest: build\n\t$(PYTHON) -c \"import p; p.test(2)\"\n");
    assert_eq!(command(&[files[0], files[1], make]), "empty: python -c import p; p.test(2)");
    let other = ("p/__init__.py", "def test(value):\n    from p import test_p\n");
    assert_eq!(command(&[other, files[1]]), "empty: pytest --pyargs p.test_p");
}

#[test]
fn a_plan_without_linters_stands_behind_the_others() {
    let config = ("setup.cfg", "[tool:pytest]\naddopts = -ra --flake8\n");
    let extras =
        &[("testing", "pytest>=6; extra == 'testing'"), ("testing", "pytest-flake8; extra == 'testing'")];
    let files = [SRC, config, ("tests/test_a.py", PYTEST)];
    let plans = release(&files).extras(extras).plans().plans;
    assert_eq!(plans[0].extras, ["testing"]);
    let without = plans.iter().find(|plan| plan.extras.is_empty() && plan.command.len() > 1).expect("one");
    assert_eq!(
        (without.command.join(" "), without.requirements.join(" ")),
        ("pytest -o addopts=-ra".into(), "pytest>=6".into())
    );
    let plain = release(&[SRC, CONFIG, ("tests/test_a.py", PYTEST)]).plans().plans;
    assert!(plain.iter().all(|plan| !plan.command.contains(&"-o".to_owned())));
}

#[test]
fn folders_that_ask_for_a_service_are_left_out_where_nothing_says_what_to_collect() {
    let unit = ("tests/unit/test_a.py", PYTEST);
    let cloud = ("tests/integration/test_b.py", "import botocore.session\ndef test_c(): pass\n");
    let plain = ("tests/integration/test_b.py", PYTEST);
    let named = ("pyproject.toml", "[tool.pytest.ini_options]\ntestpaths = ['tests']\n");
    let command = |files: &[_]| release(files).command();
    assert!(command(&[SRC, CONFIG, unit, cloud]).ends_with("--ignore=tests/integration"));
    assert!(!command(&[SRC, CONFIG, unit, plain]).contains("--ignore"));
    assert!(!command(&[SRC, named, unit, cloud]).contains("--ignore"));
    assert!(command(&[SRC, unit, plain]).contains("--ignore"));
}

#[test]
fn tests_beside_what_they_test_are_found_where_every_file_may_hold_them() {
    let config = ("setup.cfg", "[tool:pytest]\npython_files = *.py\npython_functions = test\n");
    let module = ("p/ip.py", "def parse(x): pass\n\ndef test_ip():\n    assert parse(1)\n");
    let other = ("p/odd.py", "def test_odd(value):\n    return value % 2\n");
    let plans = release(&[("p/__init__.py", ""), config, module, other])
        .installed(&["p/__init__.py", "p/ip.py", "p/odd.py"])
        .plans();
    assert_eq!((plans.expected_tests, plans.plans[0].command.join(" ")), (1, "pytest p/ip.py".to_owned()));
    assert_eq!(release(&[("p/__init__.py", ""), module]).plans().expected_tests, 0);
}
