//! CPython on WebAssembly, run by node on this machine's own system: fetched with npm as its user has configured it, pinned by
//! its integrity, with a launcher beside it that behaves as `python` does.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use sha2::Digest as _;
use wheeltapper_agent::interpreter;

use crate::{archive, error::Error, images::Inside, tree::Tree};

/// Which package, and its hash.
const PINNED: &str = include_str!("../../../data/emscripten.toml");

/// The launcher, without its first line.
const LAUNCHER: &str = include_str!("python.cjs");

/// Where the launcher lies.
const PYTHON: &str = "bin/python";

/// The oldest node whose JavaScript does.
const OLDEST_NODE: u32 = 18;

/// As long an interpreter may take that is compiled when it starts.
const PATIENCE: Duration = Duration::from_secs(180);

/// Folders of this machine's that every cell on its own system sees.
const SEEN: [&str; 2] = ["/usr", "/bin"];

/// What is told of every such platform.
pub(crate) const NO_COMPILER: &str =
    "no compiler: of releases with native code only published wheels can be tapped";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    package: String,
    version: String,
    integrity: String,
}

/// Fetches the interpreter and writes its launcher; returns what exactly it is. Nothing of the package is run. `scratch` is a
/// folder for what is needed meanwhile.
pub(crate) fn unpack(tree: &mut Tree, scratch: &Path) -> Result<String, Error> {
    let pinned: Pinned =
        toml::from_str(PINNED).map_err(|error| Error::Tool { message: error.to_string(), hint: None })?;
    let node = Node::find()?;
    let archive = fetch(&pinned, scratch)?;
    archive::unpack(&archive, &format!("{} {}", pinned.package, pinned.version), tree)?;
    let text = format!("#!{}\n// With node {}.\n{LAUNCHER}", node.path.display(), node.version);
    tree.add(PYTHON, 0o755, text.as_bytes())?;
    Ok(format!("{} {} ({})", pinned.package, pinned.version, pinned.integrity))
}

/// Asks the interpreter in a folder what it is. It sees no package.
pub(crate) fn ask(folder: &Path) -> Inside {
    Inside { path: PYTHON.into(), answer: interpreter::ask_within(&folder.join(PYTHON), PATIENCE) }
}

/// What runs WebAssembly.
struct Node {
    path: PathBuf,
    version: String,
}

impl Node {
    fn find() -> Result<Node, Error> {
        let wrong = |message: String| Error::Tool {
            message,
            hint: Some(format!("node {OLDEST_NODE} or newer and npm are wanted: apt-get install nodejs npm")),
        };
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let found =
            std::env::split_paths(&folders).find_map(|folder| folder.join("node").canonicalize().ok());
        let Some(path) = found else { return Err(wrong("node is not on PATH".to_owned())) };
        if !SEEN.iter().any(|folder| path.starts_with(folder)) {
            let place = path.display();
            return Err(wrong(format!("{place} is where cells do not see it: they see what is below /usr")));
        }
        let output = Command::new(&path).arg("--version").stdin(Stdio::null()).output();
        let output =
            output.map_err(|error| wrong(format!("{} cannot be started: {error}", path.display())))?;
        let version = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned();
        let major: Option<u32> = version.split('.').next().and_then(|major| major.parse().ok());
        if major.is_none_or(|major| major < OLDEST_NODE) {
            return Err(wrong(format!("{} is node {version}", path.display())));
        }
        Ok(Node { path, version })
    }
}

/// The package's archive, by the user's own npm: it knows the registry, its credentials and this machine's proxies.
fn fetch(pinned: &Pinned, scratch: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(scratch).map_err(Error::file(scratch))?;
    let wanted = format!("{}@{}", pinned.package, pinned.version);
    let mut command = Command::new("npm");
    command
        .args(["pack", "--ignore-scripts", "--loglevel=error", "--pack-destination"])
        .arg(scratch)
        .arg(&wanted);
    command.current_dir(scratch).stdin(Stdio::null());
    let output = command.output().map_err(|error| Error::Tool {
        message: format!("npm cannot be started: {error}"),
        hint: Some("apt-get install npm".to_owned()),
    })?;
    if !output.status.success() {
        // Its other words may hold an address with its secret.
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let code =
            said.lines().find_map(|line| line.split_once(" code ").map(|(_, code)| code.trim().to_owned()));
        let registry = "of npm".to_owned();
        let reason = format!("{wanted}: {}", code.unwrap_or_else(|| output.status.to_string()));
        return Err(Error::Lost { registry, reason });
    }
    let entries = std::fs::read_dir(scratch).map_err(Error::file(scratch))?.flatten();
    let mut archives =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "tgz"));
    let archive = archives.next().ok_or_else(|| Error::Archive(format!("npm has no archive of {wanted}")))?;
    let bytes = std::fs::read(&archive).map_err(Error::file(&archive))?;
    let found = format!("sha512-{}", STANDARD.encode(sha2::Sha512::digest(&bytes)));
    match found == pinned.integrity {
        true => Ok(archive),
        false => {
            Err(Error::Archive(format!("{wanted} has the hash {found}, and {} is pinned", pinned.integrity)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_is_read_and_has_a_hash() {
        let pinned: Pinned = toml::from_str(PINNED).unwrap();
        let hash = STANDARD.decode(pinned.integrity.strip_prefix("sha512-").unwrap()).unwrap();
        assert_eq!(hash.len(), 64);
    }
}
