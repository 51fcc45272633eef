//! A checkout as a target: packed as an sdist would be, with what version control does not ignore.

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
};

use wheeltapper_agent::MemoryTree;
use wheeltapper_core::{ProjectName, Version};

use crate::error::Error;

/// What a checkout says of itself without running anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub project: ProjectName,
    /// `None` when only its build can tell.
    pub version: Option<Version>,
}

/// Packs the checkout below `folder`; returns the archive and what it is.
pub(crate) fn pack(checkout: &Path, folder: &Path) -> Result<(PathBuf, Identity), Error> {
    let identity = identity(checkout)?;
    let version = identity.version.as_ref().map_or_else(|| "0".to_owned(), ToString::to_string);
    let top = format!("{}-{version}", identity.project.escaped());
    let archive = folder.join(format!("{top}.tar.gz"));
    write(checkout, &archive, &top).map_err(|error| Error::User {
        message: format!("the checkout {} cannot be packed: {error}", checkout.display()),
        hint: None,
    })?;
    Ok((archive, identity))
}

/// Name and version as the checkout's own files state them.
fn identity(checkout: &Path) -> Result<Identity, Error> {
    let tree =
        ["pyproject.toml", "setup.cfg", "setup.py"].into_iter().fold(MemoryTree::new(), |tree, name| {
            match std::fs::read(checkout.join(name)) {
                Ok(contents) => tree.with(name, contents),
                Err(_) => tree,
            }
        });
    let stated = wheeltapper_agent::identity(&tree);
    let project = stated.name.and_then(|name| name.parse().ok()).ok_or_else(|| Error::User {
        message: format!(
            "{}: neither pyproject.toml, setup.cfg nor setup.py names the project in so many words",
            checkout.display()
        ),
        hint: Some("build an sdist first (`python -m build --sdist`), and tap that file".to_owned()),
    })?;
    Ok(Identity { project, version: stated.version.and_then(|version| version.parse().ok()) })
}

fn write(checkout: &Path, archive: &Path, top: &str) -> io::Result<()> {
    let file = std::fs::File::create(archive)?;
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    tar.follow_symlinks(false);
    for path in files(checkout)? {
        let metadata = std::fs::symlink_metadata(checkout.join(&path));
        // A file that git knows and that is gone is not packed.
        if metadata.is_ok_and(|metadata| metadata.is_file() || metadata.is_symlink()) {
            tar.append_path_with_name(checkout.join(&path), Path::new(top).join(&path))?;
        }
    }
    // Backends that take the version from tags need the history.
    if checkout.join(".git").is_dir() {
        history(&mut tar, checkout, top)?;
    }
    tar.into_inner()?.finish()?.sync_all()
}

/// The history alone: objects, references, and the index, without which every file counts as changed. The configuration may hold credentials, and hooks are programs.
fn history<W: io::Write>(tar: &mut tar::Builder<W>, checkout: &Path, top: &str) -> io::Result<()> {
    const KEPT: &[&str] = &["HEAD", "index", "packed-refs", "shallow", "refs", "objects"];
    const CONFIGURATION: &[u8] =
        b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n";
    let inside = Path::new(top).join(".git");
    for name in KEPT {
        let path = checkout.join(".git").join(name);
        match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => tar.append_dir_all(inside.join(name), &path)?,
            Ok(metadata) if metadata.is_file() => tar.append_path_with_name(&path, inside.join(name))?,
            Ok(_) | Err(_) => {}
        }
    }
    let mut header = tar::Header::new_gnu();
    header.set_size(CONFIGURATION.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, inside.join("config"), CONFIGURATION)
}

/// What git does not ignore; without git everything but what tools leave.
fn files(checkout: &Path) -> io::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        // The checkout's own configuration could name a program to run.
        .args(["-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(checkout)
        .output();
    if let Ok(output) = listed
        && output.status.success()
    {
        let names = output.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        return Ok(names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect());
    }
    let mut files = Vec::new();
    walk(checkout, Path::new(""), &mut files)?;
    Ok(files)
}

fn walk(checkout: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    const LEFT: &[&str] = &[
        "__pycache__",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "node_modules",
        "build",
        "dist",
        ".git",
        ".hg",
        "target",
    ];
    for entry in std::fs::read_dir(checkout.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if !LEFT.iter().any(|left| entry.file_name() == *left) {
                walk(checkout, &path, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_tells_its_name_and_perhaps_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert!(identity(folder.path()).is_err());
        put("setup.cfg", "[metadata]\nname = My.Pkg\nversion = attr: my.version\n[options]\n");
        let dynamic = identity(folder.path()).unwrap();
        assert_eq!((dynamic.project.as_str(), dynamic.version), ("my-pkg", None));
        put("setup.py", "setup(name='other', version='0.9')");
        let completed = identity(folder.path()).unwrap();
        assert_eq!((completed.project.as_str(), completed.version), ("other", "0.9".parse().ok()));
        put("pyproject.toml", "[project]\nname = 'x'\nversion = '1.2'\n");
        let (archive, identity) = pack(folder.path(), folder.path()).unwrap();
        assert_eq!(identity.version.unwrap().to_string(), "1.2");
        assert!(archive.ends_with("x-1.2.tar.gz") && archive.metadata().unwrap().len() > 0);
    }
}
