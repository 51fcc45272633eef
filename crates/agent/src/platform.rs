//! What an interpreter stands on: this machine's own operating system, as that calls itself, or a root file system.

use std::process::{Command, Stdio};

use wheeltapper_core::Sha256;
use wheeltapper_sandbox::Root;

use crate::registry;

/// An operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// For environment names, e.g. `debian12`, `windows11`. A root file system's says its machine, too: `debian13-i386`.
    pub short: String,
    /// For people, e.g. `debian 12`.
    pub long: String,
    /// Digest of all that tells its state, installed packages included; or of all that is in the root file system.
    pub digest: Sha256,
    /// The root file system.
    pub root: Option<Root>,
}

impl Platform {
    /// Reads the platform of this host.
    pub fn of_host() -> Platform {
        match std::env::consts::OS {
            "windows" => Self::windows(&registry::query(registry::SYSTEM).unwrap_or_default()),
            "macos" => Self::macos(&said("/usr/bin/sw_vers", &[]).unwrap_or_default()),
            _ => Self::unix(),
        }
    }

    fn unix() -> Platform {
        let text = ["/etc/os-release", "/usr/lib/os-release"]
            .iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
            .unwrap_or_default();
        // What is installed, as the system's own package database says: a list in a text, or a database that is too large to be
        // read at each start, and for which its size and time stand.
        let lists = ["/var/lib/dpkg/status", "/lib/apk/db/installed"]
            .into_iter()
            .filter_map(|path| Some(format!("{path} {}", Sha256::of(&std::fs::read(path).ok()?).hex())));
        let databases = ["/var/lib/rpm/rpmdb.sqlite"].into_iter().filter_map(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            let modified = metadata.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(format!("{path} {} {}", metadata.len(), modified.as_nanos()))
        });
        let state: Vec<String> = lists.chain(databases).collect();
        Platform::parse(&text, &state.join("\n"))
    }

    /// What Windows says of itself in its registry. Its eleventh version still calls itself the tenth there.
    fn windows(registry: &[registry::Value]) -> Platform {
        let value = |name: &str| registry.iter().find(|one| one.name == name).map(|one| one.data.as_str());
        let (product, build) = (value("ProductName").unwrap_or_default(), value("CurrentBuildNumber"));
        let build = build.and_then(|build| build.parse::<u32>().ok()).unwrap_or(0);
        let named = product.split(' ').find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
        let version = match named {
            Some("10") if build >= 22_000 => "11",
            other => other.unwrap_or_default(),
        };
        Platform::of("windows", version, &format!("{product} {build} {}", value("UBR").unwrap_or_default()))
    }

    /// What `sw_vers` says: the first number of the version is what macOS is known by.
    fn macos(sw_vers: &str) -> Platform {
        let version = sw_vers.lines().find_map(|line| line.strip_prefix("ProductVersion:")).map(str::trim);
        Platform::of("macos", version.and_then(|text| text.split('.').next()).unwrap_or_default(), sw_vers)
    }

    fn of(system: &str, version: &str, state: &str) -> Platform {
        Platform {
            short: format!("{system}{version}"),
            long: format!("{system} {version}").trim_end().to_owned(),
            digest: Sha256::of_parts([system, state]),
            root: None,
        }
    }

    /// A root file system with these contents, by the name that its user gave it.
    pub fn of_root(name: &str, os_release: &str, contents: Sha256, root: Root) -> Platform {
        let long = Platform::parse(os_release, "").long;
        Platform { short: name.to_owned(), long, digest: contents, root: Some(root) }
    }

    /// An interpreter that brings its own system, in a folder with these contents; the programs that it needs are the host's.
    pub fn of_folder(name: &str, contents: Sha256) -> Platform {
        let digest = Sha256::of_parts([contents.hex().as_str(), &Platform::of_host().digest.hex()]);
        Platform { short: name.to_owned(), long: name.to_owned(), digest, root: None }
    }

    /// A system of which only the name is known.
    pub(crate) fn elsewhere(name: &str) -> Platform {
        let digest = Sha256::of_parts(["elsewhere", name]);
        Platform { short: name.to_owned(), long: name.to_owned(), digest, root: None }
    }

    fn parse(os_release: &str, packages: &str) -> Platform {
        let value = |key: &str| {
            os_release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .filter(|value| !value.is_empty())
        };
        let id = value("ID").unwrap_or_else(|| std::env::consts::OS.to_owned());
        let version = value("VERSION_ID").or_else(|| value("VERSION_CODENAME")).unwrap_or_default();
        let separator = if version.starts_with(|first: char| first.is_ascii_digit()) { "" } else { "-" };
        Platform {
            short: format!("{id}{separator}{version}").trim_end_matches('-').to_owned(),
            long: format!("{id} {version}").trim_end().to_owned(),
            digest: Sha256::of_parts([os_release, packages]),
            root: None,
        }
    }
}

/// What a program of the system prints.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_readably() {
        let debian = Platform::parse("ID=debian\nVERSION_ID=\"12\"\n", "");
        assert_eq!((debian.short.as_str(), debian.long.as_str()), ("debian12", "debian 12"));
        let sid = Platform::parse("ID=debian\nVERSION_CODENAME=sid\n", "");
        assert_eq!(sid.short, "debian-sid");
        assert_eq!(Platform::parse("ID=arch\n", "").short, "arch");
        assert_eq!(Platform::macos("ProductName:\t\tmacOS\nProductVersion:\t\t15.1\n").short, "macos15");
    }

    #[test]
    fn windows_is_known_by_what_it_is_sold_as() {
        let named = |product: &str, build: &str| {
            let text = format!(
                "    ProductName    REG_SZ    {product}\n    CurrentBuildNumber    REG_SZ    {build}\n"
            );
            Platform::windows(&registry::parse(&text)).short
        };
        assert_eq!(named("Windows 10 Pro", "22631"), "windows11");
        assert_eq!(named("Windows 10 Pro", "19045"), "windows10");
        assert_eq!(named("Windows Server 2022 Datacenter", "20348"), "windows2022");
        assert_eq!(Platform::windows(&[]).short, "windows");
    }
}
