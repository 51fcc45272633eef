//! Interpreters on this host: found, asked what they are, and named as environments.
//! They are asked isolated and with `-S`, which reads no `.pth` file, and run nothing of any package.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wheeltapper_core::{
    Sha256, Version,
    pep508_rs::MarkerEnvironment,
    wheel::{self, System},
};

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// `cpython`, `pypy`, …
    pub implementation: String,
    /// The full version in PEP 440 spelling.
    pub version: Version,
    /// `sys.version`.
    pub build: String,
    /// The ABI suffix of extension modules.
    pub soabi: Option<String>,
    /// True for builds without a global interpreter lock.
    pub free_threaded: bool,
    /// The installation's prefix, links resolved.
    pub prefix: PathBuf,
    /// The executable, links resolved.
    pub executable: PathBuf,
    /// `LIBDIR`, where a shared libpython may be.
    pub library: Option<PathBuf>,
    /// 32 or 64.
    pub bits: u32,
    /// The machine.
    pub machine: String,
    /// The C library's name and version, empty when unknown.
    pub libc: (String, String),
    /// The ABI that its wheels are for where it is WebAssembly (PEP 783), as `2026_0`.
    #[serde(default)]
    pub wasm_abi: Option<String>,
    /// Values of environment markers (PEP 508).
    pub markers: MarkerEnvironment,
}

impl Interpreter {
    /// Major and minor version.
    pub fn minor(&self) -> (u32, u32) {
        let release = self.version.release();
        let part = |index: usize| u32::try_from(release.get(index).copied().unwrap_or(0)).unwrap_or(u32::MAX);
        (part(0), part(1))
    }

    /// The short name of implementation and version, e.g. `cp313`, `cp313t`, `pp311`.
    pub fn tag(&self) -> String {
        let (major, minor) = self.minor();
        let short = match self.implementation.as_str() {
            "cpython" => "cp",
            "pypy" => "pp",
            other => other,
        };
        format!("{short}{major}{minor}{}", if self.free_threaded { "t" } else { "" })
    }

    /// True for a Python from before Python 3, to which only installers of its time speak.
    pub fn is_legacy(&self) -> bool {
        self.minor() < (3, 0)
    }

    /// True for an interpreter of Windows.
    pub fn is_of_windows(&self) -> bool {
        self.markers.sys_platform() == "win32"
    }

    /// The flags that keep the user's folders and variables, and with `-m` the working directory, out of it.
    pub fn isolation(&self) -> &'static [&'static str] {
        // Python 2 has nothing that comes nearer to it.
        if self.is_legacy() { &["-E", "-s"] } else { &["-I"] }
    }

    /// The wheel tags it takes, best first.
    pub fn tags(&self) -> Vec<String> {
        let (major, minor) = self.minor();
        let abi = match (self.soabi.as_deref(), self.implementation.as_str()) {
            (Some(soabi), "cpython") => match soabi.split('-').collect::<Vec<_>>().as_slice() {
                // `cpython-313t-x86_64-linux-gnu`; on Windows `cp313t-win_amd64`.
                ["cpython", version, ..] => format!("cp{version}"),
                [abi, ..] if abi.starts_with("cp") => (*abi).to_owned(),
                _ => self.tag(),
            },
            (Some(soabi), _) => soabi.split('-').take(2).collect::<Vec<_>>().join("_").replace('.', "_"),
            (None, _) => self.tag(),
        };
        let number =
            |part: usize| self.libc.1.split('.').nth(part).and_then(|text| text.parse().ok()).unwrap_or(0);
        let system = match (self.markers.sys_platform(), self.libc.0.as_str()) {
            ("win32", _) => System::Windows,
            ("emscripten", _) => self.emscripten(),
            // Darwin counts from 20 where macOS counts from 11.
            ("darwin", _) => System::MacOs(self.darwin().saturating_sub(9)),
            (_, "glibc") => System::Glibc(number(1)),
            (_, "musl") => System::Musl(number(0), number(1)),
            _ => System::Linux,
        };
        let arch = if self.bits == 32 && self.machine == "x86_64" { "i686" } else { &self.machine };
        wheel::supported_tags(&wheel::Interpreter {
            implementation: &self.implementation,
            version: (major, minor),
            abi: &abi,
            arch,
            system,
        })
    }

    fn emscripten(&self) -> System {
        let parts = self.wasm_abi.as_deref().and_then(|abi| abi.split_once('_'));
        let numbers = parts.and_then(|(year, number)| Some((year.parse().ok()?, number.parse().ok()?)));
        let (year, number) = numbers.unwrap_or_default();
        System::Emscripten(year, number)
    }

    fn darwin(&self) -> u32 {
        let release = self.markers.platform_release();
        release.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
    }

    /// Until when its makers support it, as an ISO date; `None` when this program does not know.
    /// The dates are those of the Python developer's guide.
    pub fn supported_until(&self) -> Option<&'static str> {
        match self.minor() {
            (2, _) => Some("2020-01-01"),
            (3, 0..=6) => Some("2021-12-23"),
            (3, 7) => Some("2023-06-27"),
            (3, 8) => Some("2024-10-07"),
            (3, 9) => Some("2025-10-31"),
            (3, 10) => Some("2026-10-31"),
            (3, 11) => Some("2027-10-31"),
            (3, 12) => Some("2028-10-31"),
            (3, 13) => Some("2029-10-31"),
            (3, 14) => Some("2030-10-31"),
            (3, 15) => Some("2031-10-31"),
            _ => None,
        }
    }

    /// True for WebAssembly in JavaScript: it cannot start programs, itself included.
    pub fn is_emscripten(&self) -> bool {
        self.markers.sys_platform() == "emscripten"
    }

    /// Identifies the build: version, compiler, date, and where it lies.
    pub fn digest(&self) -> Sha256 {
        Sha256::of_parts([
            self.build.as_str(),
            self.soabi.as_deref().unwrap_or(""),
            &self.executable.to_string_lossy(),
            &self.machine,
        ])
    }
}

/// An interpreter that was found, and what came of asking it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The path that was asked.
    pub path: PathBuf,
    /// `given`, `PATH`, `registry`, `pyenv` or `uv`.
    pub source: &'static str,
    /// What it says, or why it cannot be used.
    pub interpreter: Result<Interpreter, String>,
}

/// Where to look, taken from the user's environment by the caller.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// `PYENV_ROOT`, or `~/.pyenv`.
    pub pyenv: Option<PathBuf>,
    /// uv's own interpreters, usually `~/.local/share/uv/python`.
    pub uv: Option<PathBuf>,
    /// Executables that the system's registry names ([`crate::registry`]).
    pub registered: Vec<PathBuf>,
    /// Executables the user named.
    pub given: Vec<PathBuf>,
}

/// Every interpreter at these places, each real executable once, sorted by version, then by path.
pub fn discover(places: &Places) -> Vec<Found> {
    let mut candidates: Vec<(PathBuf, &'static str)> =
        places.given.iter().map(|path| (path.clone(), "given")).collect();
    for folder in &places.path {
        // pyenv's shims are scripts that choose an interpreter by the current directory.
        if folder.ends_with("shims") {
            continue;
        }
        let mut names: Vec<PathBuf> =
            entries(folder).into_iter().filter(|path| is_python_name(path)).collect();
        names.sort();
        candidates.extend(names.into_iter().map(|path| (path, "PATH")));
    }
    candidates.extend(places.registered.iter().map(|path| (path.clone(), "registry")));
    let python = if cfg!(windows) { "python.exe" } else { "bin/python" };
    for (root, below, source) in [(&places.pyenv, "versions", "pyenv"), (&places.uv, "", "uv")] {
        let Some(root) = root else { continue };
        for version in entries(&root.join(below)) {
            candidates.push((version.join(python), source));
        }
    }
    let mut by_executable: BTreeMap<PathBuf, (PathBuf, &'static str)> = BTreeMap::new();
    for (path, source) in candidates {
        let Ok(real) = canonical(&path) else {
            if source == "given" {
                by_executable.insert(path.clone(), (path, source));
            }
            continue;
        };
        by_executable.entry(real).or_insert((path, source));
    }
    let asked: Vec<Found> = std::thread::scope(|scope| {
        let threads: Vec<_> = by_executable
            .into_iter()
            .map(|(real, (path, source))| {
                // A virtual environment's link leads to its base, which is what is tapped; its own path is the user's.
                let asked = if source == "given" { path.clone() } else { real };
                scope.spawn(move || Found { path, source, interpreter: ask(&asked) })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let mut found: Vec<Found> = Vec::new();
    for one in asked {
        let same = |other: &Found| match (&other.interpreter, &one.interpreter) {
            (Ok(left), Ok(right)) => left.executable == right.executable,
            _ => false,
        };
        if !found.iter().any(same) {
            found.push(one);
        }
    }
    found.sort_by(|left, right| {
        let key = |found: &Found| found.interpreter.as_ref().ok().map(|python| python.version.clone());
        key(left).cmp(&key(right)).then_with(|| left.path.cmp(&right.path))
    });
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// The path without links, in a form that every program takes.
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    let real = std::fs::canonicalize(path)?;
    let plain = real.to_str().and_then(|text| text.strip_prefix(r"\\?\"));
    Ok(match plain {
        Some(plain) if !plain.starts_with("UNC") => plain.into(),
        _ => real,
    })
}

/// `python3`, `python3.13`, `python3.13t`, `pypy3.11` and the like; not `python3-config`.
pub fn is_python_name(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let name = if cfg!(windows) { name.strip_suffix(".exe").unwrap_or_default() } else { name };
    let version = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    version.is_some_and(|version| {
        let version = version.strip_suffix('t').unwrap_or(version);
        version.chars().all(|character| character.is_ascii_digit() || character == '.')
    })
}

/// Asks one interpreter what it is; at most ten seconds.
///
/// # Errors
/// Why it cannot be used, in words for the user.
pub fn ask(path: &Path) -> Result<Interpreter, String> {
    ask_within(path, Duration::from_secs(10))
}

/// Asks one interpreter what it is, and waits so long for its answer.
///
/// # Errors
/// Why it cannot be used, in words for the user.
pub fn ask_within(path: &Path, patience: Duration) -> Result<Interpreter, String> {
    if !path.exists() {
        return Err(format!("{} does not exist", path.display()));
    }
    let mut child = Command::new(path)
        .args(QUESTION)
        .env_clear()
        .envs(wheeltapper_sandbox::system_environment())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let deadline = std::time::Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if std::time::Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not answer within {} s", patience.as_secs()));
            }
            Err(error) => return Err(format!("it cannot be waited for: {error}")),
        }
    };
    let mut text = String::new();
    let mut complaint = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        let _ = pipe.read_to_string(&mut text);
    }
    if let Some(mut pipe) = child.stderr.take() {
        let _ = pipe.read_to_string(&mut complaint);
    }
    answer(status.success(), &text, &complaint)
}

/// The arguments by which any interpreter is asked what it is. It prints one line; nothing of any package is run.
pub const QUESTION: [&str; 5] = ["-E", "-s", "-S", "-c", include_str!("drivers/interpreter.py")];

/// What an interpreter's answer to [`QUESTION`] says: whether it ended well, what it printed, what it complained of.
///
/// # Errors
/// Why it cannot be used, in words for the user.
pub fn answer(success: bool, text: &str, complaint: &str) -> Result<Interpreter, String> {
    if !success {
        let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message");
        return Err(format!("it fails when started: {last}"));
    }
    let mut interpreter: Interpreter = serde_json::from_str(text.trim())
        .map_err(|error| format!("its answer is not understood: {error}"))?;
    // Windows and macOS have names of their own for machines that are called alike elsewhere.
    interpreter.machine = match interpreter.machine.as_str() {
        "AMD64" => "x86_64".to_owned(),
        "ARM64" | "arm64" => "aarch64".to_owned(),
        other => other.to_owned(),
    };
    match interpreter.minor() {
        (2, 7) | (3, 6..) => Ok(interpreter),
        (major, minor) => Err(format!("Python {major}.{minor} is neither 2.7 nor 3.6 or newer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_names_of_interpreters() {
        for name in ["python", "python3", "python3.13", "python3.13t", "pypy3"] {
            assert!(is_python_name(Path::new(name)), "{name}");
        }
        for name in ["python3-config", "python3.13-dbg", "pythonista", "ipython"] {
            assert!(!is_python_name(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_missing_or_mute_interpreter_is_told_with_its_reason() {
        assert!(ask(Path::new("/nonexistent/python")).unwrap_err().contains("does not exist"));
        assert!(ask(Path::new("/bin/false")).unwrap_err().contains("fails"));
        assert!(ask(Path::new("/bin/true")).unwrap_err().contains("not understood"));
    }
}
