//! The program for Windows, started by wine: how far it gets without an interpreter of that system, and, where one is given, what
//! it makes of exported jobs. `cargo xtask test` builds it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{configured, finish, provide_installer};

/// Says where the program is.
const PROGRAM: &str = "WHEELTAPPER_WINDOWS_PROGRAM";
/// Says in which folder there is a `python.exe` of CPython 3.13 or another minor version, where somebody has one.
const PYTHON: &str = "WHEELTAPPER_WINDOWS_PYTHON";

struct Windows {
    program: PathBuf,
    folder: PathBuf,
    python: Option<OsString>,
}

impl Windows {
    /// What it is started with is kept beside the built tests.
    fn new() -> Result<Windows, String> {
        let why = || format!("no program for Windows was built: {PROGRAM} is not set");
        let program = PathBuf::from(std::env::var_os(PROGRAM).ok_or_else(why)?);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-windows");
        fs::create_dir_all(&folder).expect("the build folder can be written to");
        Ok(Windows { program, folder, python: std::env::var_os(PYTHON) })
    }

    /// Its exit code, and all that it says. Its files are in its working folder.
    fn says(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new("wine");
        command.arg(&self.program).args(["--data", "data"]).args(arguments).current_dir(&self.folder);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.folder);
        command.envs(std::env::var_os("WINEPREFIX").map(|drive| ("WINEPREFIX", drive)));
        command.env("WINEDEBUG", "-all").env("WINEDLLOVERRIDES", "mscoree=;mshtml=");
        if let Some(python) = &self.python {
            command.env("WINEPATH", python);
        }
        let output = command.stdin(Stdio::null()).output().expect("wine starts");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.code(), text.concat())
    }
}

#[test]
fn the_program_starts_under_wine_and_does_what_can_be_done_there() {
    let windows = match Windows::new() {
        Ok(windows) => windows,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    it_starts_and_says_what_holds(&windows);
    if let Err(why) = jobs_are_read_and_run_where_there_is_an_interpreter(&windows) {
        wheeltapper_testkit::skip!("{why}");
    }
}

fn it_starts_and_says_what_holds(windows: &Windows) {
    let (code, said) = windows.says(&["--version"]);
    assert_eq!((code, said.trim()), (Some(0), concat!("wheeltapper ", env!("CARGO_PKG_VERSION"))));
    // An interpreter is what a run needs.
    let (code, said) = windows.says(&["env", "list"]);
    match windows.python {
        Some(_) => assert!(code == Some(0) && said.contains("windows"), "{said}"),
        None => assert!(code == Some(3) && said.contains("no Python was found"), "{said}"),
    }
    let (code, said) = windows.says(&["doctor"]);
    assert_eq!(code, Some(if windows.python.is_some() { 0 } else { 3 }), "{said}");
    for line in ["~ weak     containment", "✓ ok      job", "✓ ok      token", "~ weak     network"] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let told =
            said.lines().any(|line| line.split_whitespace().take(words.len()).eq(words.iter().copied()));
        assert!(told, "{line}\n{said}");
    }
    let (code, said) = windows.says(&["doctor", "--sandbox", "full"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("--sandbox reduced"), "{said}");
}

/// The error is why no jobs could be had.
fn jobs_are_read_and_run_where_there_is_an_interpreter(windows: &Windows) -> Result<(), String> {
    let here = windows.folder.join("here");
    fs::create_dir_all(&here).expect("the build folder can be written to");
    provide_installer(&here)?;
    let mut export = configured(&here, &["export", "six", "markupsafe", "--env", "windows11-cp313"]);
    let exported = export.output().expect("the program starts");
    let words = String::from_utf8_lossy(&exported.stderr).into_owned();
    if exported.status.code() == Some(5) {
        return Err(format!("no index is reachable: {words}"));
    }
    assert_eq!(exported.status.code(), Some(0), "{words}");
    fs::write(windows.folder.join("jobs.tar"), exported.stdout).expect("the archive can be written");
    let results = windows.folder.join("results.tar");
    let _ = fs::remove_file(&results);
    let (code, said) = windows.says(&["agent", "run", "jobs.tar", "--out", "results.tar"]);
    assert!(said.contains("WARNING: --sandbox reduced"), "{said}");
    if windows.python.is_none() {
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("no interpreter here is cp313 3.13 on windows x86_64"), "{said}");
        assert!(!results.exists());
        return Ok(());
    }
    assert_eq!(code, Some(0), "{said}");
    let run = finish(configured(&here, &["import", results.to_str().expect("a plain path")]));
    run.ends_with(0).says("six");
    Ok(())
}
