//! The one list of programs that the tests want beside Rust, and how they are had: as root on Debian or Ubuntu they
//! are installed; elsewhere the line that does it is printed, and the tests that want them say that they skip.
//! Never sudo.

use std::{path::Path, process::Command};

use crate::command::{self, on_path, works};

/// One program, what it is called in Debian and Ubuntu, and what it is for.
struct Need {
    package: &'static str,
    why: &'static str,
    there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need { package: "gcc", why: "fixtures and packages that compile C", there: || on_path("gcc") },
    Need { package: "libc6-dev", why: "C headers", there: || on_path("gcc") && compiles() },
    Need { package: "make", why: "packages that build with make", there: || on_path("make") },
    Need { package: "git", why: "tests in a repository", there: || on_path("git") },
    Need { package: "python3", why: "an interpreter to tap with", there: || on_path("python3") },
    Need { package: "python3-venv", why: "comparison with venv and pip", there: has_venv },
    Need {
        package: "mmdebstrap",
        why: "root file systems of other Debians",
        there: || on_path("mmdebstrap"),
    },
    Need { package: "arch-test", why: "root file systems of other machines", there: || on_path("arch-test") },
    Need { package: "xz-utils", why: "root file systems in .tar.xz", there: || on_path("xz") },
    Need {
        package: "docker-registry",
        why: "images of a registry on the loopback",
        there: || on_path("docker-registry"),
    },
    Need { package: "nodejs", why: "Python on WebAssembly", there: || on_path("node") },
    Need { package: "npm", why: "Python on WebAssembly", there: || on_path("npm") },
    Need { package: "chromium", why: "the report, seen in a browser", there: has_browser },
    Need { package: "wine", why: "the program for Windows is started", there: || on_path("wine") },
    Need { package: "wine64", why: "the program for Windows is started", there: has_wine },
    Need {
        package: "gcc-mingw-w64-x86-64-win32",
        why: "the program for Windows is linked",
        there: || on_path("x86_64-w64-mingw32-gcc"),
    },
    Need {
        package: "util-linux",
        why: "tests as a plain user (setpriv, unshare)",
        there: || on_path("setpriv"),
    },
];

/// Chromium and its sisters, by the names they go by.
const BROWSERS: &[&str] =
    &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/// Programs that are missing, after having installed what may be installed: a line each on what will be skipped.
pub fn provide(install: bool) -> Vec<String> {
    let missing = missing();
    if missing.is_empty() {
        return Vec::new();
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    if install && is_root() && is_debian() {
        println!("\nMissing here: {}. Installing.", packages.join(" "));
        apt_get(&["update", "-qq"]);
        if !apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], packages.as_slice()].concat()) {
            // One that this release does not have must not keep the others away.
            for package in &packages {
                apt_get(&["install", "-y", "-qq", "--no-install-recommends", package]);
            }
        }
    } else {
        println!("\nMissing here: {}. This installs what is missing:", packages.join(" "));
        println!("    {}", line(&packages));
    }
    let lines = self::missing().into_iter().map(|need| format!("{} is missing ({})", need.package, need.why));
    lines.collect()
}

fn missing() -> Vec<&'static Need> {
    // The packages are those of Linux distributions; elsewhere the tests decide by themselves.
    NEEDS.iter().filter(|need| cfg!(target_os = "linux") && !(need.there)()).collect()
}

/// The line that a user can copy.
fn line(packages: &[&str]) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    if is_debian() {
        return format!("{sudo}apt-get install --no-install-recommends {}", packages.join(" "));
    }
    format!("{sudo}<your package manager> install {}   (names as in Debian)", packages.join(" "))
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command::run(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).success
}

fn has_venv() -> bool {
    works("python3", &["-I", "-c", "import ensurepip, venv"])
}

/// Whether there is what runs programs of 64 bits, by any of the names it was packed under.
fn has_wine() -> bool {
    on_path("wine64") || Path::new("/usr/lib/wine/wine64").is_file()
}

fn has_browser() -> bool {
    BROWSERS.iter().any(|browser| on_path(browser))
}

/// Whether a C file that includes a standard header compiles.
fn compiles() -> bool {
    works("gcc", &["-E", "-include", "stdio.h", "-x", "c", "/dev/null"])
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn is_debian() -> bool {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    is_debian_by(&text) && on_path("apt-get")
}

/// Whether `/etc/os-release` is Debian's, Ubuntu's, or that of a distribution made of them.
fn is_debian_by(os_release: &str) -> bool {
    let values = os_release.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key, "ID" | "ID_LIKE").then(|| value.trim_matches('"'))
    });
    values.flat_map(str::split_whitespace).any(|id| matches!(id, "debian" | "ubuntu"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_and_its_children_are_known() {
        assert!(is_debian_by("PRETTY_NAME=\"Debian\"\nID=debian\n"));
        assert!(is_debian_by("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian_by("NAME=debian\nID=fedora\n"));
    }
}
