//! How a source tree says it is built: PEP 517 and PEP 518, and what holds when it says nothing.

use crate::words::words;

words! {
    /// By which door a wheel is built.
    BuildVia: "way to build" {
        /// The hooks of a build backend (PEP 517).
        Pep517 = "pep517",
        /// `setup.py bdist_wheel`, as before PEP 517.
        SetupPy = "setup.py",
    }
}

/// The build backend of a source tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSystem {
    /// `module` or `module:object`.
    pub backend: String,
    /// Folders of the source tree that the backend is imported from.
    pub backend_path: Vec<String>,
    /// Requirement specifiers to be installed before any hook is called.
    pub requires: Vec<String>,
}

/// A `pyproject.toml` whose build system cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBuildSystem {
    /// It is not TOML.
    #[error("pyproject.toml: {0}")]
    Toml(String),
    /// `[build-system]` breaks PEP 518 or PEP 517.
    #[error("pyproject.toml: [build-system] {0}")]
    Table(String),
    /// There is nothing to build with.
    #[error("the source tree has neither pyproject.toml nor setup.py")]
    Nothing,
}

impl BuildSystem {
    /// What pip and uv do for a tree without `[build-system]` (PEP 517, "Source trees").
    pub fn legacy() -> Self {
        BuildSystem {
            backend: "setuptools.build_meta:__legacy__".to_owned(),
            backend_path: Vec::new(),
            requires: vec!["setuptools>=40.8.0".to_owned()],
        }
    }

    /// Reads the build system from `pyproject.toml`'s text, when there is one.
    ///
    /// # Errors
    /// When the file is not TOML, the table is malformed, or there is nothing to build with.
    pub fn read(pyproject: Option<&str>, has_setup_py: bool) -> Result<Self, InvalidBuildSystem> {
        let Some(text) = pyproject else {
            return if has_setup_py { Ok(Self::legacy()) } else { Err(InvalidBuildSystem::Nothing) };
        };
        let document: toml::Table =
            toml::from_str(text).map_err(|error| InvalidBuildSystem::Toml(error.to_string()))?;
        let Some(table) = document.get("build-system") else {
            return Ok(Self::legacy());
        };
        let wrong = |what: &str| InvalidBuildSystem::Table(what.to_owned());
        let table = table.as_table().ok_or_else(|| wrong("is not a table"))?;
        let requires = strings(table, "requires")?.ok_or_else(|| wrong("has no `requires`"))?;
        let backend_path = strings(table, "backend-path")?.unwrap_or_default();
        if backend_path.iter().any(|path| path.starts_with('/') || path.split('/').any(|part| part == "..")) {
            return Err(wrong("has a `backend-path` outside of the source tree"));
        }
        match table.get("build-backend") {
            None => Ok(BuildSystem { requires, ..Self::legacy() }),
            Some(toml::Value::String(backend)) => {
                Ok(BuildSystem { backend: backend.clone(), backend_path, requires })
            }
            Some(_) => Err(wrong("has a `build-backend` that is not a string")),
        }
    }
}

fn strings(table: &toml::Table, key: &str) -> Result<Option<Vec<String>>, InvalidBuildSystem> {
    let Some(value) = table.get(key) else { return Ok(None) };
    let list = value.as_array().and_then(|values| {
        values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
    });
    list.map(Some)
        .ok_or_else(|| InvalidBuildSystem::Table(format!("has a `{key}` that is not a list of strings")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_says_nothing_is_built_by_setuptools() {
        assert_eq!(BuildSystem::read(None, true), Ok(BuildSystem::legacy()));
        assert_eq!(BuildSystem::read(Some("[tool.x]\na=1"), false), Ok(BuildSystem::legacy()));
        assert_eq!(BuildSystem::read(None, false), Err(InvalidBuildSystem::Nothing));
    }

    #[test]
    fn reads_a_backend_in_the_tree() {
        let text = "[build-system]\nrequires = []\nbuild-backend = 'a:b'\nbackend-path = ['.']";
        let read = BuildSystem::read(Some(text), false).unwrap();
        assert_eq!((read.backend.as_str(), read.backend_path.as_slice()), ("a:b", &[".".to_owned()][..]));
    }

    #[test]
    fn refuses_what_pep_518_forbids() {
        for text in ["[build-system]", "[build-system]\nrequires = 'x'", "build-system = 1", "[[["] {
            assert!(BuildSystem::read(Some(text), true).is_err(), "{text}");
        }
        let outside = "[build-system]\nrequires = []\nbuild-backend = 'a'\nbackend-path = ['../x']";
        assert!(BuildSystem::read(Some(outside), true).is_err());
    }
}
