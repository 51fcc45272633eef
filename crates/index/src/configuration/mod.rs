//! Which index the user has configured: uv's settings first, then pip's, then the default of whichever of the
//! two is here. This project names no host. Only user-wide and machine-wide settings count: those of a
//! working directory belong to the package that is tapped there, which is a stranger's.

mod fallback;
mod ini;
mod netrc;
mod pip;
mod uv;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use url::Url;

use crate::{
    Credentials, Error, Result,
    credentials::{same_origin, shown},
};

/// The process's surroundings as the configuration reads them, so that tests can make their own.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// Environment variables. They may hold secrets: this type has no Debug.
    pub variables: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// Folder of machine-wide configuration, `/etc`.
    pub etc: PathBuf,
    /// Folders of distribution-provided wheels, for example `/usr/share/python-wheels`.
    pub wheel_folders: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process. Variables that are not Unicode are left out.
    pub fn of_process() -> Self {
        let text = |value: OsString| value.into_string().ok();
        Surroundings {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
            home: std::env::home_dir(),
            etc: PathBuf::from("/etc"),
            wheel_folders: vec![
                PathBuf::from("/usr/share/python-wheels"),
                PathBuf::from("/usr/share/python-pip-wheels"),
                PathBuf::from("/usr/lib/python3/dist-packages/pip/_internal/models"),
            ],
        }
    }

    /// A variable that is set and not empty.
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    fn config_home(&self) -> Option<PathBuf> {
        match self.variable("XDG_CONFIG_HOME") {
            Some(folder) => Some(PathBuf::from(folder)),
            None => self.home.as_ref().map(|home| home.join(".config")),
        }
    }

    /// `$XDG_CONFIG_DIRS`, or `<etc>/xdg`.
    fn config_dirs(&self) -> Vec<PathBuf> {
        match self.variable("XDG_CONFIG_DIRS") {
            Some(list) => std::env::split_paths(list).collect(),
            None => vec![self.etc.join("xdg")],
        }
    }

    fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => PathBuf::from(path),
        }
    }
}

/// One index: where it is, what it wants, and who said so.
#[derive(Debug, Clone, PartialEq)]
pub struct Index {
    /// Root of its Simple API, ending in `/`, without credentials: safe to show.
    pub url: Url,
    /// What it is asked with.
    pub credentials: Option<Credentials>,
    /// The variable, file or program that named it, for people.
    pub from: String,
}

impl Index {
    /// Parses an address as settings spell it.
    ///
    /// # Errors
    /// `Configuration` where it is no `http` or `https` address.
    pub fn parse(address: &str, from: impl Into<String>) -> Result<Index> {
        let from = from.into();
        let mut url: Url = match address.trim().parse() {
            Ok(url) => url,
            Err(error) => {
                return Err(Error::Configuration {
                    from,
                    reason: format!("an address that is none: {error}"),
                });
            }
        };
        let credentials = Credentials::take_from(&mut url);
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            let reason = format!("`{}` is no http or https address", shown(&url));
            return Err(Error::Configuration { from, reason });
        }
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Index { url, credentials, from })
    }
}

/// The indexes to ask, and what was seen on the way.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Configuration {
    /// In the order in which they are asked: the first that has the project wins (uv's `first-index`).
    pub indexes: Vec<Index>,
    /// Settings that were seen and are not followed, for `doctor`.
    pub notes: Vec<String>,
    /// Secrets by host from netrc.
    netrc: BTreeMap<String, Credentials>,
}

/// What a reader of settings found.
#[derive(Default)]
struct Found {
    /// Extra indexes, in order: asked before the default.
    extra: Vec<Index>,
    default: Option<Index>,
    notes: Vec<String>,
}

impl Found {
    fn is_empty(&self) -> bool {
        self.extra.is_empty() && self.default.is_none()
    }
}

impl Configuration {
    /// Asks uv (a path to it, if there is one), pip's settings, and then whoever knows the default.
    /// `interpreters` are Pythons whose pip may know it: their files are read, none of them is run by us.
    ///
    /// # Errors
    /// `NoIndex` where nobody knows one; `Configuration` where a setting cannot be used.
    pub async fn read(
        surroundings: &Surroundings,
        uv: Option<&Path>,
        interpreters: &[PathBuf],
    ) -> Result<Self> {
        let mut notes = Vec::new();
        let mut found = uv::settings(surroundings)?;
        if let Some(program) = uv.filter(|_| uv::is_configured(surroundings)) {
            match uv::ask(surroundings, program, &found).await {
                Ok(asked) => found = asked,
                Err(reason) => notes.push(format!("uv does not tell its index: {reason}")),
            }
        }
        notes.append(&mut found.notes);
        // pip's settings count where uv has none; its default completes uv's extra indexes.
        if found.default.is_none() {
            let mut pip = pip::settings(surroundings)?;
            notes.append(&mut pip.notes);
            found.default = pip.default;
            if found.extra.is_empty() {
                found.extra = pip.extra;
            }
        }
        if found.default.is_none() {
            found.default = match uv {
                Some(program) => fallback::of_uv(program).await,
                None => None,
            };
        }
        if found.default.is_none() {
            found.default = fallback::of_pip(surroundings, interpreters);
        }
        if found.is_empty() {
            return Err(Error::NoIndex);
        }
        let mut indexes = found.extra;
        indexes.extend(found.default);
        let mut seen = Vec::new();
        indexes.retain(|index| {
            let first = !seen.contains(&index.url);
            seen.push(index.url.clone());
            first
        });
        let netrc = netrc::read(surroundings);
        for index in &mut indexes {
            if index.credentials.is_none() {
                index.credentials = index.url.host_str().and_then(|host| netrc.get(host)).cloned();
            }
        }
        Ok(Configuration { indexes, notes, netrc })
    }

    /// A configuration of one index, for tests and for those who know what they want.
    pub fn of(index: Index) -> Self {
        Configuration { indexes: vec![index], ..Configuration::default() }
    }

    /// The secret to send to this address: that of the index with the same origin, or netrc's for the host.
    pub(crate) fn credentials_for(&self, url: &Url) -> Option<&Credentials> {
        let of_index =
            self.indexes.iter().find(|index| index.credentials.is_some() && same_origin(&index.url, url));
        of_index
            .and_then(|index| index.credentials.as_ref())
            .or_else(|| url.host_str().and_then(|host| self.netrc.get(host)))
    }
}

#[cfg(test)]
mod tests;
