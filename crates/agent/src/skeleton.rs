//! An empty virtual environment (PEP 405), written by us: neither package code nor an interpreter is needed for it. Of a Python
//! from before that, only the folders.

use std::path::Path;

use crate::{environment::HostEnvironment, error::Error, interpreter::Interpreter, layout::Layout};

/// Writes the environment at `env` below this folder, and an empty home beside it.
///
/// # Errors
/// When the folder cannot be written, or the interpreter's own files cannot be read.
pub(crate) fn write(folder: &Path, environment: &HostEnvironment) -> Result<(), Error> {
    let interpreter = &environment.interpreter;
    let (major, minor) = interpreter.minor();
    let layout = Layout::of(interpreter);
    let bin = folder.join(&layout.programs);
    for path in
        [bin.clone(), folder.join("env/include"), folder.join(&layout.site_packages), folder.join("home")]
    {
        make(&path)?;
    }
    if interpreter.is_of_windows() {
        copy_programs(interpreter, &bin)?;
        return configure(folder, interpreter);
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
    configure(folder, interpreter)
}

/// Writes `pyvenv.cfg`, by which an interpreter knows that it is of an environment, and where its own files are.
fn configure(folder: &Path, interpreter: &Interpreter) -> Result<(), Error> {
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

/// Programs that start the interpreter, and know the environment by where they lie: small ones that come with it for this
/// purpose, or itself and its libraries.
fn copy_programs(interpreter: &Interpreter, into: &Path) -> Result<(), Error> {
    let launchers = interpreter.prefix.join("Lib").join("venv").join("scripts").join("nt");
    let copy = |from: &Path, name: &str| {
        let to = into.join(name);
        std::fs::copy(from, &to).map(drop).map_err(Error::file(&to))
    };
    let threads = if interpreter.free_threaded { "t" } else { "" };
    for (launcher, name) in [("venvlauncher", "python.exe"), ("venvwlauncher", "pythonw.exe")] {
        // As it was called before 3.13, and as it is since.
        let known = [launchers.join(name), launchers.join(format!("{launcher}{threads}.exe"))];
        if let Some(found) = known.iter().rev().find(|path| path.is_file()) {
            copy(found, name)?;
        }
    }
    if into.join("python.exe").is_file() {
        return Ok(());
    }
    copy(&interpreter.executable, "python.exe")?;
    let home = interpreter.executable.parent().unwrap_or(Path::new("/"));
    for entry in std::fs::read_dir(home).map_err(Error::file(home))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.to_ascii_lowercase().ends_with(".dll") {
            copy(&entry.path(), &name)?;
        }
    }
    Ok(())
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
