//! Which wheels satisfy a list of requirements: asked of uv on the trusted side, which reads static metadata only
//! (`--no-build`), starts no interpreter that sees package files, and knows no index but our proxy.

use std::{
    collections::HashMap,
    ffi::OsString,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use wheeltapper_core::{ProjectName, Sha256, wheel};
use wheeltapper_index::DistributionName;

use crate::{environment::HostEnvironment, error::Error, requirement};

/// One wheel of a resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedWheel {
    /// Its project.
    pub project: ProjectName,
    /// Its version.
    pub version: String,
    /// Its file name.
    pub filename: String,
    /// Its content; `None` when it was built inside a sandbox.
    pub sha256: Option<Sha256>,
}

/// The answer to "which wheels?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// These, sorted by project.
    Locked(Vec<LockedWheel>),
    /// Something has only an sdist here, so code would have to run to find out: resolve inside a sandbox.
    NeedsBuild(String),
    /// There is no solution; the resolver's words.
    Impossible(String),
}

/// A question to the resolver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Question {
    /// Requirement specifiers (PEP 508).
    pub requirements: Vec<String>,
    /// Constraints: versions that are already decided.
    pub constraints: Vec<String>,
    /// The moment whose index answers, as RFC 3339; `None` for today's.
    pub until: Option<String>,
}

/// What is run to answer questions about an environment.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// The uv.
    pub uv: &'a std::path::Path,
    /// Which interpreter the answer is for.
    pub python: Python,
}

/// How the resolver knows what the interpreter is.
#[derive(Debug, Clone)]
pub enum Python {
    /// It asks the interpreter, or what stands in for it.
    Here(PathBuf),
    /// It is told: a platform as uv calls it, and a version.
    Elsewhere(String, String),
}

impl Python {
    fn arguments(&self) -> Vec<OsString> {
        match self {
            Python::Here(path) => vec!["--python".into(), path.into()],
            Python::Elsewhere(platform, version) => {
                vec!["--python-platform".into(), platform.into(), "--python-version".into(), version.into()]
            }
        }
    }
}

/// One answer, being asked for while the lock is held.
type Answer = Arc<Mutex<Option<Resolution>>>;

impl Question {
    /// The same, in lines that an installer can only read as specifiers.
    pub(crate) fn plain(&self) -> Result<Question, String> {
        Ok(Question {
            requirements: requirement::plain(&self.requirements)?,
            constraints: requirement::plain(&self.constraints)?,
            until: self.until.clone(),
        })
    }

    /// The projects that it names.
    pub(crate) fn projects(&self) -> impl Iterator<Item = ProjectName> {
        self.requirements.iter().filter_map(|text| project_at_start(text))
    }
}

/// Projects that the resolver's words name with a version: those that its refusal rests on.
pub(crate) fn named_in(words: &str) -> impl Iterator<Item = ProjectName> {
    words
        .split_whitespace()
        .filter(|word| word.contains(['=', '<', '>', '~']))
        .filter_map(|word| project_at_start(word.trim_start_matches(['`', '(', '\''])))
}

fn project_at_start(text: &str) -> Option<ProjectName> {
    let end =
        text.find(|one: char| !(one.is_ascii_alphanumeric() || "-_.".contains(one))).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The trusted resolver. Answers are remembered for the length of the run, in which index answers are frozen.
#[derive(Debug)]
pub struct Resolver {
    cache: PathBuf,
    index: String,
    memory: Mutex<HashMap<(String, Question), Answer>>,
}

#[derive(Deserialize)]
struct PyLock {
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: ProjectName,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    wheels: Vec<PyLockWheel>,
}

#[derive(Deserialize)]
struct PyLockWheel {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    hashes: HashMap<String, String>,
}

impl PyLockWheel {
    fn filename(&self) -> Option<&str> {
        self.name.as_deref().or_else(|| self.url.as_deref()?.rsplit('/').next())
    }
}

impl Resolver {
    /// A resolver that keeps what it learns of interpreters in `cache`, and asks the index at `index`.
    pub fn new(cache: PathBuf, index: String) -> Self {
        Resolver { cache, index, memory: Mutex::default() }
    }

    /// Answers a question for one environment.
    ///
    /// # Errors
    /// When uv cannot be run, or says what is not understood.
    pub fn resolve(
        &self,
        environment: &HostEnvironment,
        asked: &Asked<'_>,
        question: &Question,
    ) -> Result<Resolution, Error> {
        if question.requirements.is_empty() {
            return Ok(Resolution::Locked(Vec::new()));
        }
        let question = match question.plain() {
            Ok(question) => question,
            Err(words) => return Ok(Resolution::Impossible(words)),
        };
        let slot = {
            let mut memory = self.memory.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(memory.entry((environment.shown.name.clone(), question.clone())).or_default())
        };
        // Whoever asks the same meanwhile waits for this answer.
        let mut known = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(answer) = &*known {
            return Ok(answer.clone());
        }
        let answer = self.ask(environment, asked, &question)?;
        *known = Some(answer.clone());
        Ok(answer)
    }

    fn ask(
        &self,
        environment: &HostEnvironment,
        asked: &Asked<'_>,
        question: &Question,
    ) -> Result<Resolution, Error> {
        let failed = |what: &str, error: std::io::Error| Error::Installer(format!("{what}: {error}"));
        let mut constraints =
            tempfile::NamedTempFile::new().map_err(|error| failed("temporary file", error))?;
        for line in &question.constraints {
            writeln!(constraints, "{line}").map_err(|error| failed("temporary file", error))?;
        }
        let mut child = Command::new(asked.uv)
            .args([
                "pip",
                "compile",
                "-",
                "--format",
                "pylock.toml",
                "--no-header",
                "--no-annotate",
                "--quiet",
            ])
            .args(["--no-build", "--no-config", "--color", "never", "--no-python-downloads"])
            .args(asked.python.arguments())
            .arg("--default-index")
            .arg(&self.index)
            .arg("--constraints")
            .arg(constraints.path())
            .args(question.until.iter().flat_map(|until| ["--exclude-newer", until]))
            .env_clear()
            .env("UV_CACHE_DIR", &self.cache)
            .env("HOME", &self.cache)
            .env("PATH", "/usr/bin:/bin")
            .envs(wheeltapper_sandbox::system_environment())
            .env("UV_HTTP_TIMEOUT", "120")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&asked.uv.display().to_string(), error))?;
        if let Some(mut input) = child.stdin.take() {
            // uv may stop reading at a line it refuses; its message says more than the broken pipe.
            let _ = input.write_all(question.requirements.join("\n").as_bytes());
        }
        let output = child.wait_with_output().map_err(|error| failed("uv pip compile", error))?;
        let complaint = String::from_utf8_lossy(&output.stderr).replace(&self.index, "the index");
        if !output.status.success() {
            return refused(&complaint, output.status.code());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let lock: PyLock = toml::from_str(&text)
            .map_err(|error| Error::Installer(format!("uv pip compile: answer not understood: {error}")))?;
        lock.packages
            .into_iter()
            .map(|package| locked(package, &environment.tags))
            .collect::<Result<Vec<_>, _>>()
            .map_or_else(
                |missing| Ok(Resolution::NeedsBuild(missing)),
                |mut wheels| {
                    wheels.sort_by(|left, right| left.project.cmp(&right.project));
                    Ok(Resolution::Locked(wheels))
                },
            )
    }
}

/// What a refusal of uv means. Only what it says of the requirements is the package's; anything else is our own failure.
fn refused(complaint: &str, code: Option<i32>) -> Result<Resolution, Error> {
    let lost =
        ["Failed to fetch", "error sending request", "Request failed after", "error decoding response"];
    if lost.iter().any(|sign| complaint.contains(sign)) {
        return Err(Error::Installer(format!("the index is lost: {}", complaint.trim())));
    }
    let only_sdist = [
        "building source distributions is disabled",
        "has no usable wheels",
        "no usable wheels",
        "Building source distributions",
    ];
    if only_sdist.iter().any(|sign| complaint.contains(sign)) {
        return Ok(Resolution::NeedsBuild(complaint.to_owned()));
    }
    let of_requirements = [
        "No solution found",
        "unsatisfiable",
        "parse",
        "not found in the",
        "Requirements contain",
        "onflicting",
    ];
    if code == Some(1) && !complaint.contains("os error")
        || of_requirements.iter().any(|sign| complaint.contains(sign))
    {
        return Ok(Resolution::Impossible(complaint.to_owned()));
    }
    let how = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit status {code}"));
    Err(Error::Installer(format!("uv pip compile ended with {how}: {}", complaint.trim())))
}

/// The best wheel of a package for these tags, or the name of a package that has none.
fn locked(package: Package, tags: &[String]) -> Result<LockedWheel, String> {
    let best = package
        .wheels
        .iter()
        .filter_map(|file| {
            let filename = file.filename()?;
            let name = DistributionName::parse(filename, &package.name).ok()?;
            let parts = name.wheel()?;
            let rank =
                wheel::rank(tags, &parts.python.join("."), &parts.abi.join("."), &parts.platform.join("."))?;
            let sha256 = file.hashes.get("sha256")?.parse().ok()?;
            Some((rank, filename.to_owned(), sha256))
        })
        .min_by_key(|(rank, _, _)| *rank);
    match best {
        Some((_, filename, sha256)) => Ok(LockedWheel {
            project: package.name,
            version: package.version.unwrap_or_default(),
            filename,
            sha256: Some(sha256),
        }),
        None => Err(format!("{} has no wheel for this environment", package.name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdist_only_dependency_is_no_conflict_and_a_lost_index_is_ours() {
        let needs_build = "  ╰─▶ Because x==1 has no usable wheels and you require x, we can conclude";
        assert!(matches!(refused(needs_build, Some(1)), Ok(Resolution::NeedsBuild(_))));
        let conflict =
            "  ╰─▶ Because a depends on b<1 and you require b>2, your requirements are unsatisfiable.";
        assert!(matches!(refused(conflict, Some(1)), Ok(Resolution::Impossible(_))));
        assert!(refused("error: Failed to fetch: `http://…`", Some(2)).is_err());
        assert!(refused("", None).is_err());
        assert!(refused("error: No space left on device (os error 28)", Some(2)).is_err());
        let named: Vec<_> = named_in(conflict).map(|name| name.to_string()).collect();
        assert_eq!(named, ["b", "b"]);
    }
}
