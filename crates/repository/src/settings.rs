//! What a user says of repositories in `wheeltapper.toml`: the table `[repositories]`. Its other tables are platforms'.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use wheeltapper_core::TestSource;

use crate::{error::Error, mirrors::Mirrors};

/// What is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where tests come from, unless the command line says so.
    pub source: TestSource,
    /// Folders that stand for addresses.
    pub mirrors: Mirrors,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    repositories: Written,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    source: TestSource,
    #[serde(default)]
    mirrors: BTreeMap<String, PathBuf>,
}

impl Settings {
    /// Reads them; a file that is not there says nothing.
    ///
    /// # Errors
    /// When it cannot be read, or says what is not understood.
    pub fn read(file: &Path) -> Result<Settings, Error> {
        match std::fs::read_to_string(file) {
            Ok(text) => {
                Settings::of(&text).map_err(|message| Error::Settings { file: file.to_path_buf(), message })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(Error::file(file)(error)),
        }
    }

    fn of(text: &str) -> Result<Settings, String> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| {
                text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1
            });
            format!("line {line}: {}", error.message().lines().next().unwrap_or_default())
        })?;
        let Written { source, mirrors } = document.repositories;
        let mirrors = Mirrors::new(mirrors).map_err(|wrong| format!("[repositories.mirrors]: {wrong}"))?;
        Ok(Settings { source, mirrors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_two_keys_is_read_among_others() {
        let text = "[platform.a]\ndebian = 'sid'\n[repositories]\nsource = 'auto'\n\
                    [repositories.mirrors]\n'https://github.com/' = '/srv/git'\n";
        let settings = Settings::of(text).unwrap();
        assert_eq!(settings.source, TestSource::Auto);
        assert_ne!(settings.mirrors, Mirrors::default());
        assert_eq!(Settings::of("").unwrap(), Settings::default());
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line() {
        for (text, told) in [
            ("\n[repositories]\nsorce = 'auto'\n", "line 3: unknown field `sorce`"),
            ("[repositories]\nsource = 'git'\n", "known: sdist, auto, repository"),
            ("[repositories.mirrors]\n'github.com' = '/m'\n", "does not begin with https://"),
        ] {
            let wrong = Settings::of(text).unwrap_err();
            assert!(wrong.contains(told), "{wrong}");
        }
    }
}
