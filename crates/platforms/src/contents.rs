//! Which Debian package has a file: looked up in the index of files that the mirror keeps of each suite, fetched when it is
//! first asked for.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    debian::own_mirror,
    definition::{Definition, Source},
    error::Error,
};

/// Apt's own downloader: it knows this machine's proxies.
const DOWNLOADER: &str = "/usr/lib/apt/apt-helper";

/// A package that has the file, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Provider {
    /// The package.
    pub package: String,
    /// The file's path.
    pub path: String,
}

/// The packages of a platform's suite that have a file whose path ends so, the likeliest first: `lber.h`, `libxml/xpath.h`,
/// `pg_config`. `data` is the data folder, where the index is kept.
///
/// # Errors
/// When the platform is of no suite, or the index cannot be had.
pub fn providers(data: &Path, definition: &Definition, file: &str) -> Result<Vec<Provider>, Error> {
    let Source::Debian { suite, mirror, architecture } = &definition.source else {
        return Err(Error::Tool {
            message: format!("{} is of no Debian suite: nobody keeps an index of its files", definition.name),
            hint: None,
        });
    };
    let mirror = mirror.clone().or_else(own_mirror).ok_or_else(|| Error::Tool {
        message: "this machine's apt configuration names no mirror of Debian".to_owned(),
        hint: Some(format!("`mirror = \"ADDRESS\"` under [platform.{}] names one", definition.name)),
    })?;
    let mut found = Vec::new();
    // What is for one kind of machine, and what is for all.
    for machine in [architecture.debian(), "all"] {
        let name = format!("Contents-{machine}.gz");
        let kept = data.join("platforms/contents").join(format!("{suite}-{name}"));
        if !kept.is_file() {
            fetch(&format!("{}/dists/{suite}/main/{name}", mirror.trim_end_matches('/')), &kept)?;
        }
        let read = File::open(&kept).map_err(Error::file(&kept))?;
        let lines = BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(read))).lines();
        found.extend(search(lines, file).map_err(|error| {
            // Damaged, and of no use to the next who asks.
            let _ = std::fs::remove_file(&kept);
            Error::Archive(format!("{}: {error}", kept.display()))
        })?);
    }
    found.sort();
    Ok(found.into_iter().map(|(_, provider)| provider).collect())
}

fn fetch(address: &str, to: &Path) -> Result<(), Error> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let part = tempfile::tempdir_in(folder).map_err(Error::file(folder))?;
    let path: PathBuf = part.path().join("part");
    let output =
        Command::new(DOWNLOADER).arg("download-file").args([address.as_ref(), path.as_os_str()]).output();
    let output = output.map_err(|error| Error::Tool {
        message: format!("{DOWNLOADER} cannot be started: {error}"),
        hint: Some("apt-file, or packages.debian.org, knows the same".to_owned()),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Tool { message: format!("{address}: {said}"), hint: None });
    }
    std::fs::rename(&path, to).map_err(Error::file(to))
}

/// Reads lines of `path  section/package[,section/package]`; with each package how unlikely it is to be meant.
fn search(
    lines: impl Iterator<Item = std::io::Result<String>>,
    file: &str,
) -> std::io::Result<Vec<(usize, Provider)>> {
    let ending = format!("/{}", file.trim_start_matches('/'));
    let mut found: Vec<(usize, Provider)> = Vec::new();
    for line in lines {
        let line = line?;
        let Some((path, packages)) = line.rsplit_once(char::is_whitespace) else { continue };
        let path = path.trim_end();
        if !path.ends_with(&ending) {
            continue;
        }
        for package in packages.split(',').filter_map(|package| package.rsplit('/').next()) {
            found.push((
                likelihood(path, &ending),
                Provider { package: package.to_owned(), path: path.to_owned() },
            ));
        }
    }
    Ok(found)
}

/// Where compilers and shells look by themselves comes first; then what lies least deep.
fn likelihood(path: &str, ending: &str) -> usize {
    let folder = path.strip_suffix(ending).unwrap_or(path);
    match folder {
        "usr/include" | "usr/bin" | "usr/sbin" => 0,
        _ if folder.strip_prefix("usr/include/").is_some_and(|rest| rest.ends_with("-linux-gnu")) => 1,
        _ => 2 + folder.matches('/').count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_compilers_look_comes_first() {
        let text = "usr/include/deep/down/in/x/lber.h  libdevel/other-dev\n\
                    usr/include/lber.h                libdevel/libldap-dev\n\
                    usr/include/x86_64-linux-gnu/lber.h  libdevel/a-dev,universe/libdevel/b-dev\n\
                    usr/include/notlber.h  libdevel/no-dev\nnonsense\n";
        let mut found = search(text.lines().map(|line| Ok(line.to_owned())), "lber.h").unwrap();
        found.sort();
        let packages: Vec<&str> = found.iter().map(|(_, provider)| provider.package.as_str()).collect();
        assert_eq!(packages, ["libldap-dev", "a-dev", "b-dev", "other-dev"]);
    }
}
