//! An empty virtual environment (PEP 405), written by us: neither package code nor an interpreter is needed for it. Of a Python
//! from before that, only the folders.

use std::path::Path;

use crate::{agent::site_packages, environment::HostEnvironment, error::Error};

/// Writes the environment at `env` below this folder, and an empty home beside it.
///
/// # Errors
/// When the folder cannot be written, or the interpreter's own files cannot be read.
pub(crate) fn write(folder: &Path, environment: &HostEnvironment) -> Result<(), Error> {
    let interpreter = &environment.interpreter;
    let (major, minor) = interpreter.minor();
    let bin = folder.join("env/bin");
    for path in [
        bin.clone(),
        folder.join("env/include"),
        folder.join(site_packages(interpreter)),
        folder.join("home"),
    ] {
        make(&path)?;
    }
    for name in [format!("python{major}"), format!("python{major}.{minor}")] {
        link(Path::new("python"), &bin.join(name))?;
    }
    if interpreter.bits == 64 && interpreter.implementation != "pypy" {
        link(Path::new("lib"), &folder.join("env/lib64"))?;
    }
    if interpreter.is_legacy() {
        // It makes the rest itself, inside.
        return Ok(());
    }
    link(&interpreter.executable, &bin.join("python"))?;
    let home = interpreter.executable.parent().unwrap_or(Path::new("/"));
    let text = format!(
        "home = {}\nimplementation = {}\nversion_info = {}\ninclude-system-site-packages = false\n",
        home.display(),
        interpreter.implementation,
        interpreter.version,
    );
    let path = folder.join("env/pyvenv.cfg");
    std::fs::write(&path, text).map_err(Error::file(&path))
}

fn make(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))
}

fn link(target: &Path, name: &Path) -> Result<(), Error> {
    symlink(target, name).map_err(Error::file(name))
}

#[cfg(unix)]
fn symlink(target: &Path, name: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, name)
}

#[cfg(not(unix))]
fn symlink(_: &Path, name: &Path) -> std::io::Result<()> {
    Err(std::io::Error::new(
        std::io::ErrorKind::Unsupported,
        format!("{}: environments on this system are not made of links", name.display()),
    ))
}
