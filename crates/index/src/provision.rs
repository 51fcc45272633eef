//! The installer: a fitting uv on PATH, else the pinned one out of its wheel, fetched through our own client
//! and verified, else by a pip into a private folder.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use wheeltapper_core::{ProjectName, Version};

use crate::{Client, Error, File, Files, Limits, Result, Surroundings, Wheel, elf::is_static, process};

/// The uv that is fetched where none fits.
pub const PINNED_UV: &str = "0.13.9";

/// The oldest uv that is taken from PATH. The user's own is preferred where it fits: it is what they install
/// with, and its version is recorded in every environment. Any newer one is taken too.
pub const OLDEST_UV: &str = "0.9.0";

/// A uv that can be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uv {
    /// Full path of the program.
    pub path: PathBuf,
    /// Its version, for example `0.13.9`.
    pub version: String,
    /// Where it comes from, for people.
    pub from: String,
}

impl Uv {
    /// A fitting uv that is already here: on PATH, or fetched by an earlier run.
    pub async fn find(surroundings: &Surroundings, data: &Path) -> Option<Uv> {
        let oldest: Version = OLDEST_UV.parse().expect("the oldest version is one");
        for folder in surroundings.variables.get("PATH").iter().flat_map(std::env::split_paths) {
            let path = folder.join(program());
            if !folder.is_absolute() || !path.is_file() {
                continue;
            }
            if let Some(version) = version_of(&path).await
                && version.parse::<Version>().is_ok_and(|version| version >= oldest)
            {
                return Some(Uv { from: format!("PATH ({})", folder.display()), path, version });
            }
        }
        Uv::fetched(data).await
    }

    /// The pinned one, where an earlier run has fetched it.
    async fn fetched(data: &Path) -> Option<Uv> {
        let path = private_folder(data).join(program());
        let version = version_of(&path).await.filter(|version| version == PINNED_UV)?;
        Some(Uv { path, version, from: "fetched before".to_owned() })
    }

    /// A uv for systems that are not this one: this very one where it wants no library, else the pinned one.
    ///
    /// # Errors
    /// As [`Uv::fetch`].
    pub async fn anywhere(&self, data: &Path, client: &Client, files: &Files) -> Result<Uv> {
        let mut beginning = Vec::new();
        let program = fs::File::open(&self.path).map_err(Error::io("open", &self.path))?;
        program.take(4096).read_to_end(&mut beginning).map_err(Error::io("read", &self.path))?;
        if is_static(&beginning) {
            return Ok(self.clone());
        }
        match Uv::fetched(data).await {
            Some(uv) => Ok(uv),
            None => Uv::fetch(data, client, files).await,
        }
    }

    /// A fitting uv: found, else fetched as its wheel, else installed by a pip of one of these Pythons.
    ///
    /// # Errors
    /// `Installer` with what was tried.
    pub async fn provide(
        surroundings: &Surroundings,
        data: &Path,
        client: &Client,
        files: &Files,
        interpreters: &[PathBuf],
    ) -> Result<Uv> {
        if let Some(found) = Uv::find(surroundings, data).await {
            return Ok(found);
        }
        let mut reasons = Vec::new();
        match Uv::fetch(data, client, files).await {
            Ok(uv) => return Ok(uv),
            Err(error) => reasons.push(error.to_string()),
        }
        for interpreter in interpreters.iter().take(4) {
            match with_pip(surroundings, data, interpreter).await {
                Ok(uv) => return Ok(uv),
                Err(reason) => reasons.push(format!("pip of {}: {reason}", interpreter.display())),
            }
        }
        Err(Error::Installer(reasons.join("; ")))
    }

    /// The pinned uv out of its wheel, into the data folder.
    ///
    /// # Errors
    /// `Installer` where the index has no wheel for this machine; else as `Client::project` and `Files::fetch`.
    pub async fn fetch(data: &Path, client: &Client, files: &Files) -> Result<Uv> {
        let name: ProjectName = "uv".parse().expect("uv is a name");
        let page = client.project(&name).await?;
        let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
        let file = Uv::listed(&page.files, system, machine).ok_or_else(|| {
            Error::Installer(format!("the index has no wheel of uv {PINNED_UV} for {system} on {machine}"))
        })?;
        let lease = files.fetch(client, file).await?;
        Uv::unpack(data, lease.path(), &file.filename).await
    }

    /// uv out of a wheel of the pinned version, into the data folder. `filename` is what the wheel is called.
    ///
    /// # Errors
    /// `Archive` where it is no such wheel, `Installer` where its uv does not run here, `Io`.
    pub async fn unpack(data: &Path, wheel: &Path, filename: &str) -> Result<Uv> {
        // Stored files are named by hash; a wheel is opened by its name.
        let bytes = Wheel::open_as(wheel, filename, &Limits::default())?
            .read(&format!("uv-{PINNED_UV}.data/scripts/{}", program()))?
            .ok_or_else(|| Error::archive(filename, "it holds no uv"))?;
        let folder = private_folder(data);
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let path = folder.join(program());
        let mut part = tempfile::NamedTempFile::new_in(&folder).map_err(Error::io("create", &folder))?;
        part.write_all(&bytes).map_err(Error::io("write", &path))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let permissions = fs::Permissions::from_mode(0o755);
            part.as_file().set_permissions(permissions).map_err(Error::io("write", &path))?;
        }
        // Closed before it is run: a program open for writing cannot be.
        part.into_temp_path().persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        match version_of(&path).await {
            Some(version) => Ok(Uv { path, version, from: filename.to_owned() }),
            None => Err(Error::Installer(format!("the fetched {} does not run", path.display()))),
        }
    }

    /// Of uv's files the wheel of the pinned version whose program runs on such a machine, static where there is one. System
    /// and machine are spelled as `std::env::consts` does.
    pub fn listed<'f>(files: &'f [File], system: &str, machine: &str) -> Option<&'f File> {
        let pinned: Version = PINNED_UV.parse().expect("the pinned version is one");
        let wanted: &[(&str, &str)] = match system {
            "linux" => &[("musllinux_", machine), ("manylinux_", machine)],
            "macos" if machine == "aarch64" => &[("macosx_", "arm64")],
            "macos" => &[("macosx_", machine)],
            "windows" if machine == "x86_64" => &[("win_amd64", "")],
            "windows" if machine == "aarch64" => &[("win_arm64", "")],
            _ => &[],
        };
        wanted.iter().find_map(|(start, end)| {
            files.iter().find(|file| {
                file.distribution.wheel().is_some_and(|wheel| {
                    let fits = |tag: &String| tag.starts_with(start) && tag.ends_with(end);
                    wheel.version == pinned && file.yanked.is_none() && wheel.platform.iter().any(fits)
                })
            })
        })
    }
}

fn program() -> &'static str {
    if cfg!(windows) { "uv.exe" } else { "uv" }
}

fn private_folder(data: &Path) -> PathBuf {
    data.join("tools").join(format!("uv-{PINNED_UV}"))
}

/// `uv 0.13.9 (x86_64-unknown-linux-gnu)` gives `0.13.9`.
async fn version_of(path: &Path) -> Option<String> {
    let mut command = tokio::process::Command::new(path);
    let output = process::output(command.arg("--version"), Duration::from_secs(20)).await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut words = text.split_whitespace();
    (words.next() == Some("uv")).then(|| words.next().map(str::to_owned)).flatten()
}

/// pip of a Python that has one, isolated from the working folder, into our own folder.
async fn with_pip(surroundings: &Surroundings, data: &Path, interpreter: &Path) -> Result<Uv, String> {
    let target = private_folder(data).join("pip");
    let mut command = tokio::process::Command::new(interpreter);
    command.args([
        "-I",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]);
    command
        .args(["--only-binary", ":all:", "--upgrade", "--target"])
        .arg(&target)
        .arg(format!("uv=={PINNED_UV}"));
    command.env_clear().envs(&surroundings.variables);
    let output =
        process::output(&mut command, Duration::from_secs(600)).await.map_err(|error| error.to_string())?;
    if !output.status.success() {
        // pip's words may hold an address with its secret.
        return Err(format!("it ends with {}", output.status));
    }
    let path = target.join("bin").join(program());
    let version = version_of(&path).await.ok_or("the installed uv does not run")?;
    Ok(Uv { path, version, from: format!("pip of {}", interpreter.display()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_uv_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("uv"), "not a program").unwrap();
        let mut surroundings = Surroundings::default();
        surroundings.variables.insert("PATH".to_owned(), folder.path().to_str().unwrap().to_owned());
        assert_eq!(Uv::find(&surroundings, folder.path()).await, None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_old_uv_does_not_fit() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mut surroundings = Surroundings::default();
        surroundings.variables.insert("PATH".to_owned(), folder.path().to_str().unwrap().to_owned());
        for (version, fits) in [("0.1.2", false), ("0.9.0", true), ("1.0.0", true)] {
            let path = folder.path().join(version).join("uv");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, format!("#!/bin/sh\necho uv {version} x\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            let list = path.parent().unwrap().to_str().unwrap().to_owned();
            surroundings.variables.insert("PATH".to_owned(), list);
            let found = Uv::find(&surroundings, folder.path()).await;
            assert_eq!(found.map(|uv| uv.version), fits.then(|| version.to_owned()));
        }
    }
}
