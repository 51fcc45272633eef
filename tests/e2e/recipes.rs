//! How tests are run: shown without running anything, overridden by the user and by maintainers.

use std::fs;

use crate::support::{Lab, lab};

fn said(lab: &Lab, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = lab.command(arguments).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_recipe_is_shown_and_nothing_is_run() {
    let lab = lab!();
    let environment = lab.environment.clone();
    let (code, text, complaint) = said(&lab, &["recipe", "tap-plan-finds-few", "--env", &environment]);
    assert_eq!(code, Some(0), "{complaint}");
    assert!(text.contains("$ python -m unittest tests.test_plan_finds_few"), "{text}");
    assert!(text.contains("pyproject.toml:11") && text.contains("tests  holds 6 tests"), "{text}");
    let (_, json, _) =
        said(&lab, &["recipe", "tap-plan-finds-few", "--env", &environment, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(json["plans"][0]["runner"], "unittest");
    assert!(json["rests_on"].as_array().is_some_and(|list| !list.is_empty()));
    let (code, text, _) = said(&lab, &["recipe", "tap-no-tests", "--env", &environment]);
    assert!(code == Some(0) && text.contains("no plan: no-tests-shipped"), "{text}");
    let (code, ..) = said(&lab, &["recipe", "tap-does-not-exist"]);
    assert_eq!(code, Some(3));
    let (code, _, stored) = said(&lab, &["show", "tap-plan-finds-few"]);
    assert_eq!(code, Some(3), "nothing was run: {stored}");
}

#[test]
fn a_users_override_is_run_again_when_it_changes_and_a_mistake_in_it_ends_the_run() {
    let lab = lab!();
    let folder = lab.data.path().join("recipes");
    fs::create_dir(&folder).expect("a folder");
    let put = |text: &str| fs::write(folder.join("tap-passes.toml"), text).expect("a file");
    let recipes = folder.to_str().expect("a plain path").to_owned();
    let run = |lab: &Lab| lab.run(&["tap-passes", "--from", "sdist", "--recipes", &recipes]);
    put("why = 'one'\ncommand = 'python -m unittest discover -s tests -t .'\ntimeout = 100\n");
    let first = run(&lab);
    assert_eq!(first.records[0]["test_plan"]["timeout_s"], 100, "{}", first.stderr);
    assert_eq!(first.records[0]["tried_plans"][0]["became"], "believed");
    let again = run(&lab);
    assert!(!again.records[0]["reused_from"].is_null(), "the same override reuses");
    put("why = 'two'\ncommand = 'python -m unittest discover -s tests -t .'\ntimeout = 50\n");
    let changed = run(&lab);
    assert!(changed.records[0]["reused_from"].is_null(), "a changed override runs again");
    put("comand = 'pytest'\n");
    let (code, _, complaint) = said(&lab, &["run", "tap-passes", "--recipes", &recipes]);
    assert_eq!(code, Some(3));
    assert!(
        complaint.contains("tap-passes.toml:1: `comand`") && complaint.contains("`command`"),
        "{complaint}"
    );
}
