//! Where things are on this machine: the data folder and the places where interpreters are looked for. The only file that
//! reads the environment beside the command line.

use std::path::{Path, PathBuf};

use wheeltapper_agent::interpreter::Places;

use crate::exit::{Exit, Failure};

/// The folders of one user.
#[derive(Debug, Clone)]
pub struct Paths {
    /// Results, files, layers.
    pub data: PathBuf,
    /// The user's definitions of platforms; need not be there.
    pub definitions: PathBuf,
}

impl Paths {
    /// The data folder: as given, else `$XDG_DATA_HOME/wheeltapper`, else `~/.local/share/wheeltapper`; on Windows
    /// `%LOCALAPPDATA%\wheeltapper`. The definitions: as given, else `wheeltapper/wheeltapper.toml` in `$XDG_CONFIG_HOME` or
    /// `~/.config`; on Windows in `%APPDATA%`.
    pub fn find(given: Option<&Path>, definitions: Option<&Path>) -> Result<Self, Failure> {
        let data = match given {
            Some(path) => std::path::absolute(path)
                .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?,
            None => variable("XDG_DATA_HOME")
                .filter(|path| path.is_absolute())
                .or_else(|| of_user("LOCALAPPDATA", ".local/share"))
                .map(|folder| folder.join("wheeltapper"))
                .ok_or_else(|| {
                    Failure::new(Exit::Input, "the environment does not say where this user's data are")
                        .hint("name a data folder with --data DIR")
                })?,
        };
        std::fs::create_dir_all(&data).map_err(|error| {
            Failure::new(Exit::Input, format!("the data folder {} cannot be made: {error}", data.display()))
                .hint("name another with --data DIR")
        })?;
        let definitions = match (definitions, configuration()) {
            (Some(path), _) => std::path::absolute(path)
                .map_err(|error| Failure::new(Exit::Input, format!("{}: {error}", path.display())))?,
            (None, Some(folder)) => folder.join("wheeltapper.toml"),
            (None, None) => data.join("wheeltapper.toml"),
        };
        Ok(Paths { data, definitions })
    }

    /// The user's folder of overrides, when there is one.
    pub fn recipes() -> Option<PathBuf> {
        configuration().map(|folder| folder.join("recipes")).filter(|folder| folder.is_dir())
    }

    /// A folder for what lives as long as a run.
    pub fn runtime(&self) -> PathBuf {
        self.data.join("runtime")
    }

    /// What was exported from here, by its digest: results that come home must answer it.
    pub fn exports(&self) -> PathBuf {
        self.data.join("exports")
    }

    /// A program that is on PATH.
    pub fn program(name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let named = std::env::split_paths(&path).map(|folder| folder.join(name));
        named.filter(|place| place.is_absolute()).find(|place| place.is_file())
    }

    /// Every variable of the environment, for programs that are started with some of them.
    pub fn variables() -> std::env::VarsOs {
        std::env::vars_os()
    }

    /// Where interpreters are looked for.
    pub fn places(given: &[PathBuf]) -> Places {
        let data = variable("XDG_DATA_HOME").or_else(|| of_user("APPDATA", ".local/share"));
        Places {
            path: std::env::var_os("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            pyenv: variable("PYENV_ROOT")
                .or_else(|| of_user("USERPROFILE", "").map(|home| home.join(".pyenv"))),
            uv: variable("UV_PYTHON_INSTALL_DIR")
                .or_else(|| Some(data?.join(if cfg!(windows) { "uv/data/python" } else { "uv/python" }))),
            registered: wheeltapper_agent::registry::interpreters(),
            given: given.to_vec(),
        }
    }
}

/// The user's folder of configuration.
fn configuration() -> Option<PathBuf> {
    variable("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| of_user("APPDATA", ".config"))
        .map(|folder| folder.join("wheeltapper"))
}

/// What Windows has a variable for, and other systems a folder below HOME.
fn of_user(windows: &str, below_home: &str) -> Option<PathBuf> {
    if cfg!(windows) { variable(windows) } else { Some(variable("HOME")?.join(below_home)) }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
