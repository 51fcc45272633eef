//! pip's settings: its configuration files in its order (machine, user, environment, `PIP_CONFIG_FILE`), each
//! overriding the one before, then its variables. Sections `[global]`, then `[install]`.

use std::path::PathBuf;

use super::{Found, Index, Surroundings, ini};
use crate::{Error, Result};

/// What pip is told about indexes.
pub(super) fn settings(surroundings: &Surroundings) -> Result<Found> {
    let mut found = Found::default();
    for path in files(surroundings) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let from = format!("pip's {}", path.display());
        let sections =
            ini::parse(&text).map_err(|reason| Error::Configuration { from: from.clone(), reason })?;
        for section in ["global", "install"] {
            let Some(values) = sections.get(section) else { continue };
            if let Some(address) = values.get("index-url").filter(|value| !value.is_empty()) {
                found.default = Some(Index::parse(address, from.clone())?);
            }
            if let Some(list) = values.get("extra-index-url") {
                found.extra = parse_list(list, &from)?;
            }
            for key in ["find-links", "no-index", "proxy"] {
                if values.get(key).is_some_and(|value| !value.is_empty()) {
                    found.notes.push(format!("{from}: `{key}` is not followed"));
                }
            }
        }
    }
    if let Some(address) = surroundings.variable("PIP_INDEX_URL") {
        found.default = Some(Index::parse(address, "PIP_INDEX_URL")?);
    }
    if let Some(list) = surroundings.variable("PIP_EXTRA_INDEX_URL") {
        found.extra = parse_list(list, "PIP_EXTRA_INDEX_URL")?;
    }
    for name in ["PIP_FIND_LINKS", "PIP_NO_INDEX"] {
        if surroundings.variable(name).is_some() {
            found.notes.push(format!("{name} is not followed"));
        }
    }
    Ok(found)
}

fn parse_list(list: &str, from: &str) -> Result<Vec<Index>> {
    list.split_whitespace().map(|address| Index::parse(address, from)).collect()
}

/// pip's configuration files, weakest first.
fn files(surroundings: &Surroundings) -> Vec<PathBuf> {
    let own = surroundings.variable("PIP_CONFIG_FILE").map(|path| surroundings.expand(path));
    if own.as_ref().is_some_and(|path| path.as_os_str() == "/dev/null") {
        return Vec::new();
    }
    let mut files: Vec<PathBuf> =
        surroundings.config_dirs().into_iter().rev().map(|folder| folder.join("pip/pip.conf")).collect();
    files.push(surroundings.etc.join("pip.conf"));
    // pip reads no user file beside an existing PIP_CONFIG_FILE.
    if !own.as_ref().is_some_and(|path| path.exists()) {
        files.extend(surroundings.home.as_ref().map(|home| home.join(".pip/pip.conf")));
        files.extend(surroundings.config_home().map(|folder| folder.join("pip/pip.conf")));
    }
    files.extend(surroundings.variable("VIRTUAL_ENV").map(|prefix| PathBuf::from(prefix).join("pip.conf")));
    files.extend(own);
    files
}
