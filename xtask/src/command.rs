//! Commands that are run: shown before, echoed while, and their output kept for counting.

use std::{
    ffi::OsStr,
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// How a command ended, and all that it said on both channels.
pub struct Ended {
    /// True for exit status 0.
    pub success: bool,
    /// Standard output and standard error; the order between them is lost.
    pub output: String,
}

/// A cargo command in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(crate::workspace());
    // Set by the cargo that started us, about this package: not for the others.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command, passing its output on as it comes.
pub fn run(command: &mut Command) -> Ended {
    println!("\n> {}", shown(command));
    let _ = io::stdout().flush();
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            let output = format!("cannot start {}: {error}\n", command.get_program().display());
            eprint!("{output}");
            return Ended { success: false, output };
        }
    };
    let stderr = child.stderr.take().map(|pipe| thread::spawn(move || pass_on(pipe, io::stderr())));
    let mut output = child.stdout.take().map(|pipe| pass_on(pipe, io::stdout())).unwrap_or_default();
    output.extend(stderr.and_then(|thread| thread.join().ok()).unwrap_or_default());
    let success = child.wait().is_ok_and(|status| status.success());
    Ended { success, output: String::from_utf8_lossy(&output).into_owned() }
}

/// Whether a command starts and succeeds; what it says is not shown.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether a program of this name is on PATH.
pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| is_executable(&folder.join(program)))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file() || path.with_extension("exe").is_file()
}

fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(name).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

fn pass_on(mut from: impl Read, mut to: impl Write) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 8192];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 {
            break;
        }
        let _ = to.write_all(&buffer[..count]);
        let _ = to.flush();
        all.extend_from_slice(&buffer[..count]);
    }
    all
}
