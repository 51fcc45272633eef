//! Names of projects, normalised where they are parsed.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The normalised name of a project (PEP 503, names valid by PEP 508): lower case, runs of `-_.` as one `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ProjectName(String);

/// A text that is no project name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a project name: letters, digits, `-`, `_` and `.`, starting and ending with a letter or digit"
)]
pub struct InvalidName(String);

impl ProjectName {
    /// The normalised spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling in file names of wheels and sdists (PEP 427, PEP 625): `_` for `-`.
    pub fn escaped(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for ProjectName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !(edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner)) {
            return Err(InvalidName(text.chars().take(80).collect()));
        }
        let mut name = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '-' | '_' | '.' if name.ends_with('-') => {}
                '-' | '_' | '.' => name.push('-'),
                other => name.push(other.to_ascii_lowercase()),
            }
        }
        Ok(ProjectName(name))
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for ProjectName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ProjectName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
