//! CPython on WebAssembly for real: fetched with npm, and real packages tapped on it, in the sandbox as everything else.

use std::path::Path;

use crate::{
    platforms::{Machine, the},
    support::{has_program, provide_installer},
};

const ENVIRONMENT: &str = "emscripten-cp314";

#[test]
fn pure_releases_run_on_webassembly_and_others_are_not_for_it() {
    if !has_program("node") || !has_program("npm") {
        wheeltapper_testkit::skip!("node and npm are needed for Emscripten");
    }
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-emscripten");
    std::fs::create_dir_all(&data).expect("the build folder can be written to");
    if let Err(why) = provide_installer(&data) {
        wheeltapper_testkit::skip!("{why}");
    }
    let definitions = data.join("wheeltapper.toml");
    let machine = Machine { data: &data, definitions: &definitions };
    let (code, said) = machine.says(&["env", "build", "emscripten"]);
    if code != 0
        && ["the registry of npm", "is node", "cells do not see it"].iter().any(|why| said.contains(why))
    {
        wheeltapper_testkit::skip!("no interpreter can be had: {said}");
    }
    assert_eq!(code, 0, "{said}");
    let (code, said) = machine.says(&["env", "check", "emscripten"]);
    assert!(code == 0 && said.contains(ENVIRONMENT) && said.contains("no compiler"), "{said}");
    let words =
        ["run", "--fresh", "--format", "json", "--from", "sdist", "--jobs", "1", "--env", ENVIRONMENT];
    let targets = ["six", "iniconfig", "markupsafe", "--exclude-newer", "2026-06-01"];
    let run = machine.run(&[words.as_slice(), &targets].concat());
    run.ends_with(0);
    // Built by this machine's own CPython, installed, imported and tested on WebAssembly.
    let pure = the(&run, "iniconfig", ENVIRONMENT);
    assert_eq!(pure["outcome"], "passed", "{pure}");
    assert_eq!(pure["environment"]["os"], "emscripten");
    assert_eq!(pure["environment"]["arch"], "wasm32");
    // One of its tests starts a program.
    let six = the(&run, "six", ENVIRONMENT);
    assert_eq!(six["phases"]["import"]["status"], "passed", "{six}");
    assert_eq!(six["phases"]["uninstall"]["status"], "passed", "{six}");
    assert_eq!(six["tests"]["failed"], 1, "{six}");
    assert_eq!(six["cause"]["blame"], "platform", "{six}");
    let native = the(&run, "markupsafe", ENVIRONMENT);
    assert_eq!(native["outcome"], "unsupported", "{native}");
    assert_eq!(native["reason"], "no-compatible-file");
    // A platform is asked for by name: the machine's own interpreters are others.
    let (_, said) = machine.says(&["env", "list"]);
    let line = said.lines().find(|line| line.starts_with(ENVIRONMENT)).unwrap_or_default();
    assert!(line.ends_with("yes, on request"), "{said}");
}
