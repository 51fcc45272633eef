//! The program for Windows, built here and run by wine: the sandbox's own tests of that system, and the program itself for the
//! tests that start it. Where something for it is missing, that is a skip with its reason.

use std::{path::PathBuf, process::Command};

use crate::{
    command::{cargo, on_path, works},
    targets::{self, Library},
};

const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";
/// The variable that tells tests where the program for Windows is.
pub const PROGRAM: &str = "WHEELTAPPER_WINDOWS_PROGRAM";

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
        Ok(Wine { library, folder: target.join("wine") })
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

    /// Where the built program is.
    pub fn program_path(&self) -> PathBuf {
        self.folder.join(TARGET).join("debug").join("wheeltapper.exe")
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
        command
            .env(variable("LINKER"), LINKER)
            .env(variable("RUNNER"), "wine")
            .env("WINEPREFIX", self.folder.join("prefix"))
            // No window, no dialogue, no word of what wine itself lacks.
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree=;mshtml=")
            .env_remove("DISPLAY");
        command
    }
}
