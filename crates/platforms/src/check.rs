//! `env check`: a platform is tried as cells will use it. Each line says what was tried, what came of it, and what is weak.

use std::path::Path;

use wheeltapper_agent::{Work, interpreter::Interpreter};
use wheeltapper_core::phase::Limit;
use wheeltapper_sandbox::{Check, CheckStatus, Host, Limits};

use crate::{
    emscripten,
    error::Error,
    images::{Built, Lease},
    inside::Runner,
};

/// Builds and imports an extension module of a few lines; prints why not.
const EXTENSION: &str = include_str!("extension.py");

/// Takes memory without end.
const HOG: &str = "x = []\nwhile True: x.append(b'x' * (1 << 20))";

/// Prints what of a usual Python is missing.
const PARTS: &str = include_str!("parts.py");

/// Tries a platform. `runtime` is a folder for what lives as long as this.
///
/// # Errors
/// When the sandbox itself fails.
pub fn check(host: &Host, built: &Built, lease: &Lease, runtime: &Path) -> Result<Vec<Check>, Error> {
    let work = Work::open(&runtime.join("work")).map_err(Error::work)?;
    let runner = Runner { host, root: lease.root.clone(), folder: work.to_path_buf() };
    let mut checks = Vec::new();
    if built.on_host {
        return Ok(on_host(built, lease));
    }
    for inside in &built.interpreters {
        let path = inside.path.display().to_string();
        let python = match runner.ask(&path)? {
            Ok(python) => python,
            Err(why) => {
                checks.push(line("interpreter", CheckStatus::Weak, format!("{path}: {why}"), None));
                continue;
            }
        };
        let detail = format!(
            "{}-{}: {path} is {} {}",
            built.name,
            python.tag(),
            python.implementation,
            python.version
        );
        checks.push(line("interpreter", CheckStatus::Ok, detail, None));
        checks.push(extension(&runner, built, &path, &python)?);
        checks.extend(parts(&runner, built, &path, &python)?);
    }
    match built.interpreters.iter().find(|inside| inside.answer.is_ok()) {
        Some(inside) => checks.push(limits(&runner, &inside.path.display().to_string())?),
        None => checks.push(line("interpreter", CheckStatus::Refused, "none can be used".to_owned(), None)),
    }
    for (tool, purpose) in [("git", "some builds and tests call it"), ("make", "some builds call it")] {
        let (execution, _) = runner.run(
            &runner.world()?,
            "/bin/sh",
            &["-c", &format!("command -v {tool}")],
            Limits::default(),
        )?;
        if !execution.exit.success() {
            let remedy = format!("wheeltapper env add {} --package {tool}", built.name);
            checks.push(line(tool, CheckStatus::Weak, format!("is not in it; {purpose}"), Some(remedy)));
        }
    }
    Ok(checks)
}

/// An interpreter on this machine's own system, whose limits `doctor` tries.
fn on_host(built: &Built, lease: &Lease) -> Vec<Check> {
    let asked = emscripten::ask(&lease.root.path);
    let (status, detail) = match asked.answer {
        Ok(python) => {
            let name = format!("{}-{}", built.name, python.tag());
            (CheckStatus::Ok, format!("{name} is {} {}", python.implementation, python.version))
        }
        Err(why) => (CheckStatus::Refused, why),
    };
    vec![
        line("interpreter", status, detail, None),
        line("C extension", CheckStatus::Weak, emscripten::NO_COMPILER.to_owned(), None),
    ]
}

fn line(name: &'static str, status: CheckStatus, detail: String, remedy: Option<String>) -> Check {
    Check { name, status, detail, remedy }
}

fn extension(runner: &Runner<'_>, built: &Built, path: &str, python: &Interpreter) -> Result<Check, Error> {
    let (execution, printed) = runner.run(&runner.world()?, path, &["-c", EXTENSION], Limits::default())?;
    let name = format!("{}-{}", built.name, python.tag());
    if execution.exit.success() {
        let detail = format!("{name}: an extension module is compiled and imported");
        return Ok(line("C extension", CheckStatus::Ok, detail, None));
    }
    let said = printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    let remedy = format!("wheeltapper env add {} --package gcc (and its Python's -dev package)", built.name);
    Ok(line("C extension", CheckStatus::Weak, format!("{name}: {}", said.trim()), Some(remedy)))
}

fn parts(
    runner: &Runner<'_>,
    built: &Built,
    path: &str,
    python: &Interpreter,
) -> Result<Option<Check>, Error> {
    let (_, printed) = runner.run(&runner.world()?, path, &["-c", PARTS], Limits::default())?;
    let missing: Vec<&str> = printed.lines().filter_map(|line| line.strip_prefix("missing ")).collect();
    let detail = format!("{}-{} lacks {}", built.name, python.tag(), missing.join(", "));
    Ok((!missing.is_empty()).then(|| line("standard library", CheckStatus::Weak, detail, None)))
}

/// That what runs in it is stopped where it takes too much.
fn limits(runner: &Runner<'_>, python: &str) -> Result<Check, Error> {
    let limits = Limits { memory: 256 << 20, ..Limits::default() };
    let (execution, _) = runner.run(&runner.world()?, python, &["-c", HOG], limits)?;
    let containment = runner.host.containment();
    let by = execution.limit.map_or_else(|| "nothing".to_owned(), |limit| limit.to_string());
    let detail = format!("a memory hog is ended by: {by} (cgroup: {})", containment.cgroup);
    Ok(match (execution.limit, containment.cgroup.as_str()) {
        (Some(Limit::Memory), "none") => line("limits", CheckStatus::Weak, detail, None),
        (Some(Limit::Memory), _) => line("limits", CheckStatus::Ok, detail, None),
        (_, _) => line("limits", CheckStatus::Refused, detail, None),
    })
}
