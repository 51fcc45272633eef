//! `cargo xtask check-targets`: whether the program compiles for systems that this machine is not. Nothing is linked or run.
//!
//! The standard library of such a system is either installed (`rustup target add`), or checked along from its source
//! (`rust-src`), which stable Rust lets nobody do without `RUSTC_BOOTSTRAP`. Crates that compile C would want a compiler and the
//! headers of that system: for a check none of it is used, so this program stands in for the compiler and makes empty files.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::command;

/// The systems that Wheeltapper is to run on one day, and compiles for today.
const TARGETS: &[&str] =
    &["x86_64-pc-windows-gnu", "x86_64-pc-windows-msvc", "x86_64-apple-darwin", "aarch64-apple-darwin"];

/// The word by which this program is asked to stand in for a compiler or an archiver.
pub const STAND_IN: &str = "stand-in-for-c-compiler";

/// What the command line says.
pub struct Options {
    targets: Vec<String>,
    strict: bool,
}

impl Options {
    /// Reads the arguments behind `check-targets`; the error is a sentence.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options { targets: Vec::new(), strict: false };
        for argument in arguments {
            match argument.as_str() {
                "--strict" => options.strict = true,
                flag if flag.starts_with('-') => return Err(format!("there is no option `{flag}`")),
                target => options.targets.push(target.to_owned()),
            }
        }
        if options.targets.is_empty() {
            options.targets = TARGETS.iter().map(|target| (*target).to_owned()).collect();
        }
        Ok(options)
    }
}

/// How a target's standard library is had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// It is there.
    Installed,
    /// It can be built along.
    FromSource,
    /// It is not there.
    Missing,
}

/// Checks each target; fails where one does not compile, and, strictly, where one could not be checked.
pub fn run(options: &Options) -> ExitCode {
    let (mut lines, mut failed, mut skipped) = (Vec::new(), 0, 0);
    for target in &options.targets {
        let library = library(target);
        if matches!(library, Library::Missing) {
            skipped += 1;
            lines.push(format!(
                "SKIPPED {target}: its standard library is not here; `rustup target add {target}`, or `rustup component \
                 add rust-src` (Debian: the package rust-src, beside its own rustc and cargo)"
            ));
        } else if command::run(&mut check(target, &library)).success {
            lines.push(format!("compiles {target}"));
        } else {
            failed += 1;
            lines.push(format!("FAILED   {target}"));
        }
    }
    println!("\n{}", lines.join("\n"));
    println!("{} compile, {failed} failed, {skipped} skipped", lines.len() - failed - skipped);
    if failed > 0 || (options.strict && skipped > 0) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn check(target: &str, library: &Library) -> Command {
    let folder = crate::workspace().join("target/check-targets");
    let mut cargo =
        command::cargo(&["check", "--locked", "-p", "wheeltapper", "--bin", "wheeltapper", "--target"]);
    cargo.arg(target).arg("--target-dir").arg(folder);
    if matches!(library, Library::FromSource) {
        cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
    }
    if let Ok(ourselves) = std::env::current_exe() {
        let stand_in = format!("{} {STAND_IN}", ourselves.display());
        for tool in ["CC", "CXX", "AR"] {
            cargo.env(format!("{tool}_{}", target.replace('-', "_")), &stand_in);
        }
    }
    cargo
}

/// How the standard library of a target is had here.
pub fn library(target: &str) -> Library {
    let Some(root) = sysroot() else { return Library::Missing };
    let library = root.join("lib/rustlib");
    let is_std = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    };
    let installed = std::fs::read_dir(library.join(target).join("lib"))
        .is_ok_and(|entries| entries.flatten().any(|entry| is_std(&entry.path())));
    if installed {
        Library::Installed
    } else if library.join("src/rust/library/Cargo.lock").is_file() {
        Library::FromSource
    } else {
        Library::Missing
    }
}

fn sysroot() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Stands in for a C compiler or an archiver: makes the file that it is asked for, with nothing in it.
pub fn stand_in(arguments: impl Iterator<Item = String>) -> ExitCode {
    let mut wanted = None;
    let mut is_output = false;
    for argument in arguments {
        let named = ["-Fo", "/Fo", "-out:", "/out:", "/OUT:", "-OUT:"]
            .iter()
            .find_map(|flag| argument.strip_prefix(flag));
        if is_output || argument.ends_with(".a") || argument.ends_with(".lib") {
            wanted.get_or_insert(named.unwrap_or(&argument).to_owned());
        } else if let Some(path) = named.filter(|path| !path.is_empty()) {
            wanted.get_or_insert(path.to_owned());
        }
        is_output = argument == "-o";
    }
    // An archive without members begins with these bytes, and so may any file that nobody reads.
    let made = wanted.is_none_or(|path| std::fs::write(path, "!<arch>\n").is_ok());
    if made { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
