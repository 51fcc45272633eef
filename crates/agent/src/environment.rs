//! From interpreters to environments: one name each, and a digest of all that defines it.

use std::{collections::BTreeMap, path::Path};

use wheeltapper_core::{Environment, Sha256, environment::Containment};
use wheeltapper_sandbox::{Bind, Root};

use crate::{
    installer::Installer,
    interpreter::{Found, Interpreter},
};

/// An environment of this host: what results call it, and its interpreter.
#[derive(Debug, Clone)]
pub struct HostEnvironment {
    /// As records show it.
    pub shown: Environment,
    /// Its interpreter.
    pub interpreter: Interpreter,
    /// What installs into it.
    pub installer: Installer,
    /// Digest of all that defines it, its installer aside.
    basis: Sha256,
    /// Wheel tags it takes, best first.
    pub tags: Vec<String>,
    /// Where the interpreter was found: `given`, `PATH`, `pyenv`, `uv`, `image`.
    pub source: &'static str,
    /// The root file system that its cells stand on; without one they stand on the host's own system.
    pub root: Option<Root>,
}

impl HostEnvironment {
    /// What of the host its cells must see, read-only: the interpreter's prefix, and what of it lies elsewhere. On a root
    /// file system, nothing.
    pub(crate) fn binds(&self) -> Vec<Bind> {
        match self.root {
            Some(_) => Vec::new(),
            None => interpreter_folders(&self.interpreter).into_iter().map(Bind::same).collect(),
        }
    }
}

/// What an interpreter stands on: the operating system of this host, as `os-release` names it, or a root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// For environment names, e.g. `debian12`. A root file system's says its machine, too: `debian13-i386`.
    pub short: String,
    /// For people, e.g. `debian 12`.
    pub long: String,
    /// Digest of `os-release` and of the list of installed packages; or of all that is in the root file system.
    pub digest: Sha256,
    /// The root file system.
    pub root: Option<Root>,
}

impl Platform {
    /// Reads the platform of this host.
    pub fn of_host() -> Platform {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default();
        // What is installed, as the system's own package database says: a list in a text, or a database that is too large to be
        // read at each start, and for which its size and time stand.
        let lists = ["/var/lib/dpkg/status", "/lib/apk/db/installed"]
            .into_iter()
            .filter_map(|path| Some(format!("{path} {}", Sha256::of(&std::fs::read(path).ok()?).hex())));
        let databases = ["/var/lib/rpm/rpmdb.sqlite"].into_iter().filter_map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(format!("{path} {} {}", metadata.len(), modified.as_nanos()))
        });
        let state: Vec<String> = lists.chain(databases).collect();
        Platform::parse(&text, &state.join("\n"))
    }

    /// A root file system with these contents, by the name that its user gave it.
    pub fn of_root(name: &str, os_release: &str, contents: Sha256, root: Root) -> Platform {
        let long = Platform::parse(os_release, "").long;
        Platform { short: name.to_owned(), long, digest: contents, root: Some(root) }
    }

    /// A system of which only the name is known.
    pub(crate) fn elsewhere(name: &str) -> Platform {
        let digest = Sha256::of_parts(["elsewhere", name]);
        Platform { short: name.to_owned(), long: name.to_owned(), digest, root: None }
    }

    fn parse(os_release: &str, packages: &str) -> Platform {
        let value = |key: &str| {
            os_release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .filter(|value| !value.is_empty())
        };
        let id = value("ID").unwrap_or_else(|| std::env::consts::OS.to_owned());
        let version = value("VERSION_ID").or_else(|| value("VERSION_CODENAME")).unwrap_or_default();
        let separator = if version.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "-" };
        Platform {
            short: format!("{id}{separator}{version}").trim_end_matches('-').to_owned(),
            long: format!("{id} {version}").trim_end().to_owned(),
            digest: Sha256::of_parts([os_release, packages]),
            root: None,
        }
    }
}

/// The names of environments that are taken.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, usize>);

/// Names the usable interpreters, each with its usual installer; `uv` is the version of the one that there is. Where several
/// share a minor version, the first found on `PATH` (else the first) has the
/// short name; the others carry where they were found, then a number.
pub fn environments(
    found: &[Found],
    platform: &Platform,
    uv: &str,
    limits: &Containment,
    names: &mut Names,
) -> Vec<HostEnvironment> {
    let mut usable: Vec<(&Found, &Interpreter)> =
        found.iter().filter_map(|found| Some((found, found.interpreter.as_ref().ok()?))).collect();
    usable.sort_by_key(|(found, python)| (python.minor(), found.source != "PATH", python.version.clone()));
    usable
        .into_iter()
        .map(|(found, interpreter)| {
            let arch = match (&platform.root, interpreter.machine.as_str(), interpreter.bits) {
                (Some(_), _, _) | (None, "x86_64", 64) => String::new(),
                (None, "x86_64", _) => "-i386".to_owned(),
                (None, machine, _) => format!("-{machine}"),
            };
            let plain = format!("{}{arch}-{}", platform.short, interpreter.tag());
            let name = names.free(&plain, found.source);
            named(name, interpreter, found.source, platform, uv, limits)
        })
        .collect()
}

impl Names {
    fn free(&mut self, plain: &str, source: &str) -> String {
        for candidate in [plain.to_owned(), format!("{plain}-{}", source.to_ascii_lowercase())] {
            if !self.0.contains_key(&candidate) {
                self.0.insert(candidate.clone(), 1);
                return candidate;
            }
        }
        let count = self.0.entry(format!("{plain}-{}", source.to_ascii_lowercase())).or_default();
        *count += 1;
        format!("{plain}-{}-{count}", source.to_ascii_lowercase())
    }
}

/// The environment of an interpreter, under this name.
pub(crate) fn named(
    name: String,
    interpreter: &Interpreter,
    source: &'static str,
    platform: &Platform,
    uv: &str,
    limits: &Containment,
) -> HostEnvironment {
    let (libc, libc_version) = &interpreter.libc;
    let libc = (!libc.is_empty()).then(|| format!("{libc} {libc_version}"));
    let basis = Sha256::of_parts([
        platform.digest.hex().as_str(),
        &interpreter.digest().hex(),
        libc.as_deref().unwrap_or(""),
        &limits.sandbox,
        &limits.cgroup,
        &limits.network,
    ]);
    let shown = Environment {
        name,
        os: std::env::consts::OS.to_owned(),
        platform: platform.long.clone(),
        arch: interpreter.machine.clone(),
        libc,
        implementation: interpreter.implementation.clone(),
        python: interpreter.version.to_string(),
        installer: String::new(),
        digest: basis,
        limits: limits.clone(),
    };
    let installer = Installer::usual(interpreter, uv);
    let environment = HostEnvironment {
        shown,
        tags: interpreter.tags(),
        interpreter: interpreter.clone(),
        installer: installer.clone(),
        basis,
        source,
        root: platform.root.clone(),
    };
    environment.with_installer(installer)
}

/// What the names of environments end with whose installer was chosen, and is pip.
const WITH_PIP: &str = "-pip";

impl HostEnvironment {
    /// The environment with this installer: its name stays, its digest is another.
    #[must_use]
    pub fn with_installer(mut self, installer: Installer) -> Self {
        self.shown.installer = installer.to_string();
        self.shown.digest = Sha256::of_parts([self.basis.hex().as_str(), &self.shown.installer]);
        self.installer = installer;
        self
    }

    /// The same with pip, under a name of its own where pip is not its usual installer; which pip is not known yet.
    #[must_use]
    pub fn with_pip(self) -> Self {
        if matches!(self.installer, Installer::Pip(_)) {
            return self;
        }
        let mut environment = self.with_installer(Installer::Pip(None));
        environment.shown.name.push_str(WITH_PIP);
        environment
    }

    /// Projects that its users have without asking: virtual environments of Python 2 came with setuptools, and packages of its
    /// time take that for granted.
    pub(crate) fn brings(&self) -> &'static [&'static str] {
        if self.interpreter.is_legacy() { &["setuptools"] } else { &[] }
    }

    /// True when this is what the environment is called, or [`HostEnvironment::with_pip`] of it.
    pub fn is_called(&self, name: &str) -> bool {
        self.shown.name == name || name.strip_suffix(WITH_PIP) == Some(self.shown.name.as_str())
    }
}

fn interpreter_folders(interpreter: &Interpreter) -> Vec<std::path::PathBuf> {
    let system =
        |path: &Path| ["/usr", "/lib", "/lib64", "/bin"].iter().any(|prefix| path.starts_with(prefix));
    let mut folders = Vec::new();
    for path in [Some(interpreter.prefix.as_path()), interpreter.library.as_deref()].into_iter().flatten() {
        let known = folders.iter().any(|folder: &std::path::PathBuf| path.starts_with(folder));
        if !system(path) && !known && path.is_dir() {
            folders.push(path.to_path_buf());
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_readably() {
        let debian = Platform::parse("ID=debian\nVERSION_ID=\"12\"\n", "");
        assert_eq!((debian.short.as_str(), debian.long.as_str()), ("debian12", "debian 12"));
        let sid = Platform::parse("ID=debian\nVERSION_CODENAME=sid\n", "");
        assert_eq!(sid.short, "debian-sid");
        assert_eq!(Platform::parse("ID=arch\n", "").short, "arch");
    }

    #[test]
    fn interpreters_that_share_a_minor_version_get_names_of_their_own() {
        let mut taken = Names::default();
        let names: Vec<String> = ["PATH", "pyenv", "pyenv", "pyenv"]
            .into_iter()
            .map(|source| taken.free("debian12-cp311", source))
            .collect();
        assert_eq!(
            names,
            ["debian12-cp311", "debian12-cp311-pyenv", "debian12-cp311-pyenv-2", "debian12-cp311-pyenv-3"]
        );
    }
}
