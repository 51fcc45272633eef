//! The program for Windows, built here and run by wine: the sandbox's own tests of that system, and the program itself for the
//! tests that start it. Where something for it is missing, that is a skip with its reason.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    command::{cargo, on_path, works},
    targets::{self, Library},
};

const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// The variable that tells tests where the program for Windows is.
const PROGRAM: &str = "WHEELTAPPER_WINDOWS_PROGRAM";
/// A library of Windows that wine has from its ninth version on, and that every Rust program wants for its one function.
const RANDOM: &str = "bcryptprimitives.dll";
const RANDOM_SOURCE: &str = "\
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) { return RtlGenRandom(data, (ULONG)size); }
";

/// What builds and runs programs of Windows here.
pub struct Wine {
    library: Library,
    /// What is built, and what wine takes for its drive.
    folder: PathBuf,
}

impl Wine {
    /// Finds it; the standard library is fetched where rustup can and `install` says that it may. The error is what is missing.
    pub fn find(install: bool) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("programs of Windows are run by wine on Linux only".to_owned());
        }
        for program in ["wine", LINKER] {
            if !on_path(program) {
                return Err(format!("{program} is missing"));
            }
        }
        let mut library = targets::library(TARGET);
        if library != Library::Installed && install && works("rustup", &["target", "add", TARGET]) {
            library = targets::library(TARGET);
        }
        if library == Library::Missing {
            return Err(format!("the standard library is missing: rustup target add {TARGET}"));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| crate::workspace().join("target"), PathBuf::from);
        let wine = Wine { library, folder: target.join("wine") };
        wine.prepare()?;
        Ok(wine)
    }

    /// Makes wine's drive, with what an older wine lacks on it.
    fn prepare(&self) -> Result<(), String> {
        fs::create_dir_all(&self.folder).map_err(|error| format!("{}: {error}", self.folder.display()))?;
        let mut boot = Command::new("wine");
        boot.args(["wineboot", "--init"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if !self.settings(&mut boot).status().is_ok_and(|status| status.success()) {
            return Err("wine does not start here".to_owned());
        }
        let library = self.prefix().join("drive_c/windows/system32").join(RANDOM);
        if library.exists() {
            return Ok(());
        }
        let source = self.folder.join("random.c");
        let written = fs::write(&source, RANDOM_SOURCE);
        let mut link = Command::new(LINKER);
        link.arg("-shared").arg(&source).arg("-ladvapi32").arg("-o").arg(&library);
        match written.and_then(|()| link.status()) {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!("{RANDOM}, which this wine lacks, cannot be made")),
        }
    }

    /// Wine's drive.
    fn prefix(&self) -> PathBuf {
        self.folder.join("prefix")
    }

    /// How wine is started: no window, no dialogue, no word of what itself lacks.
    fn settings<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.env("WINEPREFIX", self.prefix()).env("WINEDEBUG", "-all").env_remove("DISPLAY");
        command.env("WINEDLLOVERRIDES", "mscoree=;mshtml=")
    }

    /// Runs the sandbox's tests of Windows, one by one: they fill memory and process tables.
    pub fn sandbox(&self) -> Command {
        let mut command = self.cargo("test");
        command.args(["-p", "wheeltapper-sandbox", "--lib", "--test", "windows", "--no-fail-fast"]);
        command.args(["--", "--test-threads", "1"]);
        command
    }

    /// Builds the program.
    pub fn program(&self) -> Command {
        let mut command = self.cargo("build");
        command.args(["-p", "wheeltapper", "--bin", "wheeltapper"]);
        command
    }

    /// Tells the tests that this command runs where the built program and wine's drive are.
    pub fn tell(&self, tests: &mut Command) {
        let program: &Path = &self.folder.join(TARGET).join("debug").join("wheeltapper.exe");
        tests.env(PROGRAM, program).env("WINEPREFIX", self.prefix());
    }

    fn cargo(&self, subcommand: &str) -> Command {
        let mut command = cargo(&[subcommand, "--locked", "--quiet", "--target", TARGET, "--target-dir"]);
        command.arg(&self.folder);
        // Built to be started a few times: nothing is gained by making it fast.
        command.args([
            "--config",
            "profile.dev.package.'*'.opt-level=0",
            "--config",
            "profile.dev.debug=false",
        ]);
        if self.library == Library::FromSource {
            command.arg("-Zbuild-std=std,test,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        }
        let variable =
            |name: &str| format!("CARGO_TARGET_{}_{name}", TARGET.replace('-', "_").to_uppercase());
        self.settings(command.env(variable("LINKER"), LINKER).env(variable("RUNNER"), "wine"));
        command
    }
}
