//! uv's settings: asked of uv itself where it is here, else read from its variables and its user-wide and
//! machine-wide `uv.toml`. Named indexes' secrets (`UV_INDEX_<NAME>_USERNAME`, `_PASSWORD`) are ours to add:
//! uv does not print them.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use super::{Found, Index, Surroundings, fallback};
use crate::{Credentials, Error, Result, process};

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Settings {
    index: Vec<Entry>,
    index_url: Option<String>,
    extra_index_url: Vec<String>,
    find_links: Vec<toml::Value>,
    no_index: Option<bool>,
    pip: Option<Box<Settings>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case", default)]
struct Entry {
    name: Option<String>,
    url: String,
    default: bool,
    explicit: bool,
    format: Option<String>,
}

/// What uv's variables and files say, without asking uv.
pub(super) fn settings(surroundings: &Surroundings) -> Result<Found> {
    let mut found = Found::default();
    // Variables are stronger than files and come first among the extra indexes.
    if let Some(list) = surroundings.variable("UV_INDEX") {
        for word in list.split_whitespace() {
            found.extra.push(named(surroundings, word, "UV_INDEX")?);
        }
    }
    if let Some(list) = surroundings.variable("UV_EXTRA_INDEX_URL") {
        for word in list.split_whitespace() {
            found.extra.push(named(surroundings, word, "UV_EXTRA_INDEX_URL")?);
        }
    }
    for name in ["UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
        if let Some(address) = surroundings.variable(name)
            && found.default.is_none()
        {
            found.default = Some(named(surroundings, address.trim(), name)?);
        }
    }
    for name in ["UV_FIND_LINKS", "UV_NO_INDEX"] {
        if surroundings.variable(name).is_some() {
            found.notes.push(format!("{name} is not followed"));
        }
    }
    for path in files(surroundings) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let from = format!("uv's {}", path.display());
        let settings: Settings = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            Error::Configuration { from: from.clone(), reason: format!("line {line}: {}", error.message()) }
        })?;
        take(surroundings, &mut found, settings, &from)?;
    }
    Ok(found)
}

fn take(surroundings: &Surroundings, found: &mut Found, settings: Settings, from: &str) -> Result<()> {
    for entry in settings.index {
        if entry.explicit || entry.format.as_deref().is_some_and(|format| format != "simple") {
            // An explicit index is for the projects pinned to it, a flat one is no Simple API.
            found.notes.push(format!("{from}: index `{}` is not followed", entry.name.unwrap_or_default()));
            continue;
        }
        let mut index = Index::parse(&entry.url, from)?;
        add_secrets(surroundings, &mut index, entry.name.as_deref());
        if !entry.default {
            found.extra.push(index);
        } else if found.default.is_none() {
            found.default = Some(index);
        }
    }
    for address in settings.extra_index_url {
        found.extra.push(Index::parse(&address, from)?);
    }
    if let Some(address) = settings.index_url
        && found.default.is_none()
    {
        found.default = Some(Index::parse(&address, from)?);
    }
    if !settings.find_links.is_empty() || settings.no_index == Some(true) {
        found.notes.push(format!("{from}: `find-links` and `no-index` are not followed"));
    }
    match settings.pip {
        Some(pip) => take(surroundings, found, *pip, &format!("{from}, [pip]")),
        None => Ok(()),
    }
}

/// uv's files, strongest first.
fn files(surroundings: &Surroundings) -> Vec<std::path::PathBuf> {
    if surroundings.variable("UV_NO_CONFIG").is_some() {
        return Vec::new();
    }
    if let Some(path) = surroundings.variable("UV_CONFIG_FILE") {
        return vec![surroundings.expand(path)];
    }
    let mut files: Vec<_> =
        surroundings.config_home().into_iter().map(|folder| folder.join("uv/uv.toml")).collect();
    files.extend(surroundings.config_dirs().into_iter().map(|folder| folder.join("uv/uv.toml")));
    files.push(surroundings.etc.join("uv/uv.toml"));
    files
}

/// Whether there is anything that could configure an index for uv. Where there is not, asking uv, which starts
/// a Python on the way, would take a third of a second for nothing.
pub(super) fn is_configured(surroundings: &Surroundings) -> bool {
    surroundings.variables.keys().any(|name| name.starts_with("UV_") && name.contains("INDEX"))
        || files(surroundings).iter().any(|path| path.exists())
}

/// `name=address` or an address.
fn named(surroundings: &Surroundings, word: &str, from: &str) -> Result<Index> {
    let name_end = word.find('=').filter(|at| !word[..*at].contains([':', '/']));
    let (name, address) = match name_end {
        Some(at) => (Some(&word[..at]), &word[at + 1..]),
        None => (None, word),
    };
    let mut index = Index::parse(address, from)?;
    add_secrets(surroundings, &mut index, name);
    Ok(index)
}

fn add_secrets(surroundings: &Surroundings, index: &mut Index, name: Option<&str>) {
    let Some(name) = name else { return };
    let spelled: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let username = surroundings.variable(&format!("UV_INDEX_{spelled}_USERNAME"));
    let password = surroundings.variable(&format!("UV_INDEX_{spelled}_PASSWORD"));
    if username.is_some() || password.is_some() {
        index.credentials = Some(Credentials::new(username.unwrap_or(""), password.unwrap_or("")));
    }
}

/// Asks uv for its indexes. `known` are those that `settings` read, with the secrets and origins uv does not
/// print. The default that uv has built in does not count as configured.
pub(super) async fn ask(surroundings: &Surroundings, program: &Path, known: &Found) -> Result<Found, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let requirements = folder.path().join("empty.in");
    std::fs::write(&requirements, "").map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::new(program);
    // An empty folder: neither a stranger's uv.toml nor a stranger's .venv is looked at.
    command.current_dir(folder.path()).arg("pip").arg("compile").arg(&requirements);
    command.args(["--emit-index-url", "--no-header", "--no-annotate", "--no-build", "--quiet", "--offline"]);
    command.args(["--color", "never", "--system"]).env_clear();
    for (name, value) in &surroundings.variables {
        let environment =
            matches!(name.as_str(), "VIRTUAL_ENV" | "CONDA_PREFIX" | "PYTHONPATH" | "UV_PYTHON");
        if !environment && name != "UV_CONFIG_FILE" {
            command.env(name, value);
        }
    }
    if let Some(path) = surroundings.variable("UV_CONFIG_FILE") {
        command.env(
            "UV_CONFIG_FILE",
            std::path::absolute(surroundings.expand(path)).map_err(|e| e.to_string())?,
        );
    }
    let output =
        process::output(&mut command, Duration::from_secs(30)).await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        // Its words may repeat an address with its secret: only the status is told.
        return Err(format!("it ends with {}", output.status));
    }
    let built_in = fallback::of_uv(program).await.map(|index| index.url);
    let mut found = Found { notes: known.notes.clone(), ..Found::default() };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (address, extra) =
            match (line.strip_prefix("--index-url "), line.strip_prefix("--extra-index-url ")) {
                (Some(address), _) => (address, false),
                (_, Some(address)) => (address, true),
                _ => continue,
            };
        let mut index = Index::parse(address, "uv's settings").map_err(|error| error.to_string())?;
        let before = known.extra.iter().chain(&known.default).find(|known| known.url == index.url);
        if let Some(before) = before {
            index.from.clone_from(&before.from);
            index.credentials = before.credentials.clone().or(index.credentials);
        }
        if extra {
            found.extra.push(index);
        } else if Some(&index.url) != built_in.as_ref() || known.default.is_some() {
            found.default = Some(index);
        }
    }
    Ok(found)
}
