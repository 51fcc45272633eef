//! Root file systems for real: made from this machine's Debian mirror, checked, and real packages run in them. They are made
//! once and kept beside the built tests; each is some 25 s of work.

use std::path::Path;

use serde_json::Value;

use crate::support::{Run, configured, finish, has_program, provide_installer};

/// Small ones: what `minimal` leaves out is not needed here.
const DEFINITIONS: &str = "\
[platform.debian11]\nminimal = true\n\
[platform.debian13]\nminimal = true\n\
[platform.debian13-i386]\nminimal = true\n\
[platform.debian-sid]\nminimal = true\ninterpreters = [\"python3.15\"]\n";

/// A C library each, a word size each, and every kind of interpreter.
const ENVIRONMENTS: [&str; 6] = [
    "debian11-cp27",
    "debian11-cp39",
    "debian13-cp313",
    "debian13-pp311",
    "debian13-i386-cp313",
    "debian-sid-cp315",
];

/// A data folder and a file of definitions.
pub struct Machine<'a> {
    /// The data folder.
    pub data: &'a Path,
    /// The user's definitions.
    pub definitions: &'a Path,
}

impl Machine<'_> {
    /// Runs it to its end; its records are read.
    pub fn run(&self, words: &[&str]) -> Run {
        finish(self.command(words))
    }

    /// The program with this data folder, these definitions, and the index that is really configured.
    pub fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = configured(self.data, words);
        command.arg("--config").arg(self.definitions);
        command
    }

    /// Builds a platform of a suite, if that can be done here at all.
    pub fn builds(&self, platform: &str) -> Result<(), String> {
        let (code, said) = self.says(&["env", "build", platform]);
        let why = ["without root", "Temporary failure", "do not run here"];
        if code != 0 && why.iter().any(|why| said.contains(why)) {
            return Err(said);
        }
        assert_eq!(code, 0, "{platform}: {said}");
        Ok(())
    }

    /// Its exit code, and all that it says.
    pub fn says(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().expect("the program starts");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code().unwrap_or(-1), text.concat())
    }
}

#[test]
fn real_packages_run_on_every_debian_and_nothing_crosses_from_one_to_another() {
    if !has_program("mmdebstrap") {
        wheeltapper_testkit::skip!("mmdebstrap is needed to make root file systems");
    }
    let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-platforms");
    std::fs::create_dir_all(&data).expect("the build folder can be written to");
    if let Err(why) = provide_installer(&data) {
        wheeltapper_testkit::skip!("{why}");
    }
    let definitions = data.join("wheeltapper.toml");
    std::fs::write(&definitions, DEFINITIONS).expect("it can be written");
    let machine = Machine { data: &data, definitions: &definitions };
    for platform in ["debian11", "debian13", "debian13-i386", "debian-sid"] {
        if let Err(said) = machine.builds(platform) {
            wheeltapper_testkit::skip!("no root file system can be made here: {said}");
        }
    }
    each_is_sound(&machine);
    releases_come_out_right(&machine);
    made_again_it_is_the_same(&machine);
}

/// Of one definition on one day: nothing that differs from one build to the next is part of the digest. Made twice: what was kept
/// beside the built tests may be another day's, or another program's.
fn made_again_it_is_the_same(machine: &Machine<'_>) {
    let again = || {
        let (code, said) = machine.says(&["env", "build", "--again", "debian13"]);
        assert_eq!(code, 0, "{said}");
    };
    again();
    let shown = |key: &str| {
        let (_, said) = machine.says(&["env", "show", "debian13"]);
        said.lines().find_map(|line| line.strip_prefix(key)).expect("it is shown").trim().to_owned()
    };
    let before = shown("digest ");
    let manifest = machine.data.join("before.txt");
    std::fs::copy(shown("manifest "), &manifest).expect("the manifest can be copied");
    again();
    let manifest = manifest.display().to_string();
    let (_, difference) = machine.says(&["env", "show", "debian13", "--diff", &manifest]);
    assert_eq!(shown("digest "), before, "{difference}");
    assert!(difference.contains("no difference"), "{difference}");
}

fn each_is_sound(machine: &Machine<'_>) {
    let (code, said) = machine.says(&["env", "check"]);
    assert_eq!(code, 0, "{said}");
    let compiled = said.matches("an extension module is compiled and imported").count();
    assert!(compiled >= ENVIRONMENTS.len(), "{said}");
    assert_eq!(said.matches("a memory hog is ended by: memory").count(), 4, "{said}");
    // What is weak is said, and what would mend it.
    assert!(said.contains("env add debian13 --package git"), "{said}");
}

fn releases_come_out_right(machine: &Machine<'_>) {
    let environments = ENVIRONMENTS.join(",");
    let words =
        ["run", "--fresh", "--format", "json", "--from", "sdist", "--jobs", "2", "--env", &environments];
    let targets = ["six", "markupsafe", "--exclude-newer", "2026-06-01"];
    let run = machine.run(&[words.as_slice(), &targets].concat());
    run.ends_with(0);
    for environment in ENVIRONMENTS {
        let six = the(&run, "six", environment);
        assert_eq!(six["outcome"], "passed", "{environment}: {}", six["cause"]);
        assert_eq!(six["environment"]["name"], environment);
        let tapped = the(&run, "markupsafe", environment);
        for phase in ["build", "install", "import", "uninstall"] {
            let status = &tapped["phases"][phase]["status"];
            assert_eq!(status, "passed", "{phase} of markupsafe on {environment}: {}", tapped["cause"]);
        }
        // A wheel of its own each: PyPy's is pure, CPython's never, whatever was built before.
        let wheel = tapped["wheel"]["filename"].as_str().unwrap_or_default();
        let pure = environment.contains("-pp");
        assert_eq!(wheel.ends_with("-none-any.whl"), pure, "{environment}: {wheel}");
        let imports = tapped["imports"].as_array().cloned().unwrap_or_default();
        let native = imports.iter().any(|import| import["module"] == "markupsafe._speedups");
        assert_eq!(native, !pure, "{environment}: {imports:?}");
    }
    let word = |environment: &str| the(&run, "six", environment)["environment"]["arch"].clone();
    assert_eq!(word("debian13-i386-cp313"), "i686");
    let libc = |environment: &str| the(&run, "six", environment)["environment"]["libc"].clone();
    assert_ne!(libc("debian11-cp39"), libc("debian13-cp313"));
}

/// The record of a project's sdist on an environment.
pub fn the<'a>(run: &'a Run, project: &str, environment: &str) -> &'a Value {
    let is = |record: &&Value| record["project"] == project && record["environment"]["name"] == environment;
    let found = run.records.iter().find(is);
    found.unwrap_or_else(|| panic!("no record of {project} on {environment}\n{}", run.stderr))
}

#[test]
fn what_cannot_be_had_says_what_to_do_and_leaves_nothing() {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    let definitions = data.path().join("w.toml");
    let machine = Machine { data: data.path(), definitions: &definitions };
    let (code, said) = machine.says(&["env", "build", "debain13"]);
    assert!(code == 3 && said.contains("did you mean debian13"), "{said}");
    let (code, said) = machine.says(&["run", "six", "--env", "debian13-cp313"]);
    assert!(code != 0, "{said}");
    let (code, said) = machine.says(&["env", "build", "windows11"]);
    assert!(code == 3 && said.contains("elsewhere"), "{said}");
    let (code, said) = machine.says(&["env", "add", "gone", "--tarball", "/no/such.tar.gz"]);
    assert!(code == 0 && said.contains("env build gone"), "{said}");
    let (code, said) = machine.says(&["env", "build", "gone"]);
    assert!(code != 0 && said.contains("/no/such.tar.gz"), "{said}");
    std::fs::write(&definitions, "[platform.x]\ndebain = 'sid'\n").expect("it can be written");
    let (code, said) = machine.says(&["env", "list"]);
    assert!(code == 3 && said.contains("w.toml:2: unknown field `debain`"), "{said}");
    assert!(said.contains("did you mean `debian`?"), "{said}");
    if has_program("mmdebstrap") {
        let text = "[platform.x]\ndebian = 'nosuchsuite'\n[platform.y]\ndebian = 'trixie'\nminimal = true\n\
                    interpreters = ['python9.9']\n";
        std::fs::write(&definitions, text).expect("it can be written");
        for (name, told) in [("x", "no suite `nosuchsuite`"), ("y", "no package `python9.9`")] {
            let (code, said) = machine.says(&["env", "build", name]);
            if said.contains("without root") || said.contains("Temporary failure") {
                wheeltapper_testkit::skip!("no root file system can be made here: {said}");
            }
            assert!(code == 3 && said.contains(told), "{name}: {said}");
        }
    }
    let left = std::fs::read_dir(data.path().join("platforms/images")).into_iter().flatten().count();
    assert_eq!(left, 0);
}
