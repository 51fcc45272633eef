//! Overrides on small trees: what becomes the first plan, what stays behind it, and what a hostile one cannot do.

use std::collections::BTreeMap;

use wheeltapper_core::{ProjectName, Runner, Version};
use wheeltapper_recipe::{About, Author, Interpreter, MemoryTree, Override, Plans, Recipes, plan, wishes};

const PYTEST: &str = "import pytest\ndef test_a(): pass\ndef test_b(): pass\n";

fn written(text: &str) -> Vec<Override> {
    let mut recipes = Recipes::default();
    recipes.add(Author::User, "p.toml", "recipes/p.toml", text).expect("a good override");
    recipes.of(&"p".parse().expect("a name"), &"1.0".parse().expect("a version"))
}

fn planned(files: &[(&str, &str)], overrides: Vec<Override>) -> Plans {
    let tree = files.iter().fold(MemoryTree::new(), |tree, (path, text)| tree.with(*path, *text));
    let project: ProjectName = "p".parse().expect("a name");
    let version: Version = "1.0".parse().expect("a version");
    let about = About {
        project: &project,
        version: &version,
        import_names: vec!["p".into()],
        installed_files: vec!["p/__init__.py".into()],
        native: false,
        runtime_requirements: Vec::new(),
        provides_extra: BTreeMap::from([("test".into(), vec!["mock".into()])]),
        overrides,
        interpreter: Interpreter {
            version: (3, 13),
            implementation: "cpython".into(),
            platform: "linux".into(),
        },
    };
    plan(&tree, &about)
}

const TREE: &[(&str, &str)] = &[
    ("p/__init__.py", ""),
    ("tests/test_a.py", PYTEST),
    ("requirements-test.txt", "pytest\nrequests\n"),
    ("pyproject.toml", "[dependency-groups]\nother = ['attrs']\n"),
];

#[test]
fn a_command_goes_first_and_the_rules_stay_behind_it() {
    let plans = planned(
        TREE,
        written(
            "why = 'seen'\ncommand = ['python', '-m', 'pytest', '-q', 'tests']\nenvironment = { A = 1 }\n\
             requirements = ['pytest<9']\nextras = ['test']\ngroups = ['other']\ntimeout = 5\n\
             system-packages = ['git']\ndeselect = ['tests/test_a.py::test_b']\n",
        ),
    );
    let first = &plans.plans[0];
    assert_eq!(first.command.join(" "), "python -m pytest -q tests --deselect=tests/test_a.py::test_b");
    assert_eq!(first.requirements, ["pytest<9", "attrs"]);
    assert_eq!((first.extras.as_slice(), first.timeout_s), (&["test".to_owned()][..], Some(5)));
    assert_eq!((first.environment["A"].as_str(), first.expected_tests), ("1", Some(2)));
    assert_eq!(first.deselected, ["tests/test_a.py::test_b (recipes/p.toml:9)"]);
    assert!(
        first.why.iter().any(|why| why.contains("recipes/p.toml:2")) && first.why.contains(&"seen".into())
    );
    assert_eq!(plans.plans[1].command, ["pytest", "tests"]);
    assert_eq!(plans.plans[1].system_packages, ["git"]);
    assert_eq!(
        (&plans.plans[1].requirements[..], plans.plans[1].extras.len()),
        (&["pytest".to_owned()][..], 1)
    );
}

#[test]
fn a_runner_alone_chooses_among_the_rules_or_is_made() {
    let of = |runner: &str| planned(TREE, written(&format!("runner = '{runner}'\n"))).plans.remove(0);
    assert_eq!(of("pytest").command, ["pytest", "tests"]);
    let unittest = of("unittest");
    assert_eq!(
        (unittest.runner, unittest.command.join(" ")),
        (Runner::Unittest, "python -m unittest discover".into())
    );
    let trial = of("trial");
    assert_eq!(trial.command.join(" "), "python -m twisted.trial tests");
    assert!(trial.requirements.contains(&"twisted".to_owned()));
    assert!(of("zope-testrunner").requirements.contains(&"zope-testrunner".to_owned()));
}

#[test]
fn variables_and_a_folder_change_the_rules_own_plan() {
    let first = planned(TREE, written("directory = 'tests'\nenvironment = { A = 'b' }\n")).plans.remove(0);
    assert_eq!((first.directory.as_str(), first.environment["A"].as_str()), ("tests", "b"));
    let absent = planned(TREE, written("directory = 'nowhere'\n")).plans.remove(0);
    assert_eq!(absent.directory, ".");
    assert!(absent.why.iter().any(|why| why.contains("is not there")));
}

#[test]
fn tests_that_no_rule_finds_can_be_named() {
    let files = &[("p/__init__.py", ""), ("check.py", "print('ok')\n")];
    assert!(planned(files, Vec::new()).none.is_some());
    let plans = planned(files, written("command = 'python check.py'\n"));
    assert_eq!((plans.none, plans.plans[0].runner), (None, Runner::Script));
    assert_eq!(plans.plans[0].command, ["python", "check.py"]);
}

#[test]
fn the_users_beats_the_maintainers_which_is_told() {
    let own = "[tool.wheeltapper]\ncommand = 'pytest own'\n[tool.wheeltapper.contact]\nnotify = 'never'\n";
    let files = &[("tests/test_a.py", PYTEST), ("pyproject.toml", own)];
    let alone = planned(files, Vec::new());
    assert_eq!(alone.plans[0].command, ["pytest", "own"]);
    assert!(alone.plans[0].why[0].contains("the maintainers' override says so (pyproject.toml:2)"));
    let both = planned(files, written("command = 'pytest mine'\n"));
    assert_eq!(both.plans[0].command, ["pytest", "mine"]);
    assert!(both.ignored.iter().any(|one| one.file == "pyproject.toml" && one.because.contains("stronger")));
    let tree = MemoryTree::new().with("pyproject.toml", own);
    let found = wishes(&tree, &written("skip = [{ when = \"os_name == 'nt'\", reason = 'r' }]\n"));
    assert!(found.contact.is_some() && found.skip[0].0 == "recipes/p.toml");
}

#[test]
fn a_hostile_override_is_left_alone_and_told() {
    for (text, says) in [
        ("command = '/bin/sh -c id'", "without its folder"),
        ("command = 'pytest `id`'", "needs no shell"),
        ("environment = { PYTHONHOME = '/x', LD_PRELOAD = 'x' }", "the sandbox's own"),
        ("requirements = ['x @ file:///etc/passwd']", "an address"),
        ("requirements = ['-r /etc/passwd']", "PEP 508"),
        ("directory = '../../etc'", "relative to their root"),
        ("timeout = -1", "at least 1"),
        ("limits = { memory = 1 }", "no such key"),
        ("sandbox = 'none'", "no such key"),
        ("why = 'x'", "no such key"),
        ("skip = [{ when = \"((((((((((((((((((((((((\", reason = 'x' }]", "no environment marker"),
        ("contact = { email = 'a@b, c@d' }", "one plain address"),
    ] {
        let pyproject = format!("[tool.wheeltapper]\n{text}\n");
        let plans = planned(&[("tests/test_a.py", PYTEST), ("pyproject.toml", &pyproject)], Vec::new());
        assert_eq!(plans.plans[0].command, ["pytest", "tests"], "{text}");
        let told = plans.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(told.contains(says) && told.starts_with("pyproject.toml:2: "), "{text}: {told}");
        assert!(plans.ignored.iter().any(|one| one.because.starts_with("the override is left alone")));
    }
}
