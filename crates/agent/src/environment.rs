//! From interpreters to environments: one name each, and a digest of all that defines it.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use wheeltapper_core::{Environment, Sha256, environment::Containment};
use wheeltapper_sandbox::{Bind, Root};

pub use crate::platform::Platform;
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
    /// Where the interpreter was found: `given`, `PATH`, `registry`, `pyenv`, `uv`, `image`.
    pub source: &'static str,
    /// The root file system that its cells stand on; without one they stand on the host's own system.
    pub root: Option<Root>,
    /// The environment of this machine that does what this one's interpreter cannot, which is to start programs: it builds
    /// wheels, and watches imports.
    pub builder: Option<Arc<HostEnvironment>>,
}

impl HostEnvironment {
    /// What of the host its cells must see, read-only: the interpreter's prefix, and what of it lies elsewhere. On a root
    /// file system, nothing.
    pub(crate) fn binds(&self) -> Vec<Bind> {
        let mut binds: Vec<Bind> = match self.root {
            Some(_) => Vec::new(),
            None => interpreter_folders(&self.interpreter).into_iter().map(Bind::same).collect(),
        };
        binds.extend(self.builder.iter().flat_map(|builder| builder.binds()));
        binds
    }

    /// True when it is this machine's own system, and nothing that was built beside it.
    pub fn is_machines_own(&self) -> bool {
        self.root.is_none() && !self.interpreter.is_emscripten()
    }

    /// The environment with one of this machine that does what its interpreter cannot.
    #[must_use]
    pub fn with_builder(mut self, builder: Arc<HostEnvironment>) -> Self {
        self.basis = Sha256::of_parts([self.basis.hex().as_str(), &builder.shown.digest.hex()]);
        self.builder = Some(builder);
        let installer = self.installer.clone();
        self.with_installer(installer)
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
            let plain = format!("{}{}-{}", platform.short, machine(platform, interpreter), interpreter.tag());
            let name = names.free(&plain, found.source);
            named(name, interpreter, found.source, platform, uv, limits)
        })
        .collect()
}

/// How a name tells the machine, where it is not the usual one of its system.
fn machine(platform: &Platform, interpreter: &Interpreter) -> String {
    let (system, machine) = (interpreter.markers.sys_platform(), interpreter.machine.as_str());
    match (&platform.root, system, machine, interpreter.bits) {
        (Some(_), ..) | (None, "emscripten", ..) => String::new(),
        (None, "darwin", "aarch64", _) | (None, "win32", "aarch64", _) => "-arm64".to_owned(),
        (None, "darwin", machine, _) => format!("-{machine}"),
        (None, _, "x86_64", 64) => String::new(),
        (None, _, "x86_64", _) => "-i386".to_owned(),
        (None, _, machine, _) => format!("-{machine}"),
    }
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
        os: if interpreter.is_emscripten() { "emscripten" } else { std::env::consts::OS }.to_owned(),
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
        builder: None,
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
