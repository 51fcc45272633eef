//! A suite of Debian or Ubuntu as a root file system: what mmdebstrap is told, and what its complaints mean.

use std::{
    fs::File,
    io::BufReader,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    archive::Ended,
    definition::{Architecture, Definition, is_package},
    error::Error,
    tree::Tree,
};

/// What common packages build with, in every image that is not minimal.
const LIBRARIES: &str = include_str!("../../../data/debian-libraries.txt");

/// What every image of a suite has, beside its interpreters.
const ALWAYS: [&str; 5] = ["gcc", "libc6-dev", "ca-certificates", "tzdata", "netbase"];

/// What is waited before a mirror that failed is asked again: it may be amid an update of its own.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(30)];

/// Makes the root file system of a suite in this empty folder. What mmdebstrap says goes to `log`.
pub(crate) fn unpack(
    definition: &Definition,
    suite: &str,
    mirror: Option<&str>,
    architecture: Architecture,
    root: &Path,
    log: &Path,
) -> Result<Tree, Error> {
    let mirror = mirror.map(str::to_owned).or_else(own_mirror);
    let mut pauses = PAUSES.iter();
    loop {
        let mut tree = Tree::new(root)?;
        if unpack_once(definition, suite, mirror.as_deref(), architecture, &mut tree, log)? {
            return Ok(tree);
        }
        // A cut-off archive is only what follows from it.
        let said = std::fs::read_to_string(log).unwrap_or_default();
        let pause = pauses.next().filter(|_| may_pass(&said));
        let Some(pause) = pause else {
            return Err(complaint(&said, suite, mirror.as_deref().unwrap_or("the mirror")));
        };
        drop(tree);
        std::fs::remove_dir_all(root).map_err(Error::file(root))?;
        thread::sleep(*pause);
    }
}

/// False where mmdebstrap failed.
fn unpack_once(
    definition: &Definition,
    suite: &str,
    mirror: Option<&str>,
    architecture: Architecture,
    tree: &mut Tree,
    log: &Path,
) -> Result<bool, Error> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--format=tar"]);
    command.arg(format!("--architectures={}", architecture.debian()));
    for option in [
        "APT::Install-Recommends \"false\"",
        "Acquire::Check-Valid-Until \"false\"",
        "Acquire::Retries \"3\"",
    ] {
        command.arg(format!("--aptopt={option}"));
    }
    for left_out in ["doc", "man", "info", "locale", "lintian"] {
        command.arg(format!("--dpkgopt=path-exclude=/usr/share/{left_out}/*"));
    }
    command.arg(format!("--include={}", packages(definition).join(",")));
    // Without a mirror mmdebstrap takes the one that it knows.
    command.args([suite, "-"]).args(mirror);
    let words = File::create(log).map_err(Error::file(log))?;
    command.env("LC_ALL", "C").env("TMPDIR", log.parent().unwrap_or(Path::new("/tmp")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(words);
    let mut child = Ended(command.spawn().map_err(|error| Error::Tool {
        message: format!("mmdebstrap cannot be started: {error}"),
        hint: Some("apt-get install mmdebstrap (and, for another architecture, arch-test)".to_owned()),
    })?);
    let output = child
        .0
        .stdout
        .take()
        .ok_or_else(|| Error::Tool { message: "mmdebstrap has no output".to_owned(), hint: None })?;
    let unpacked = tree.unpack(BufReader::with_capacity(1 << 20, output), "the output of mmdebstrap");
    let status = child.0.wait().map_err(Error::file(Path::new("mmdebstrap")))?;
    if !status.success() {
        return Ok(false);
    }
    unpacked.map(|()| true)
}

/// Whether what went wrong may go right the next time: files that the mirror did not give, or that do not fit its lists yet.
fn may_pass(said: &str) -> bool {
    ["Failed to fetch", "Hash Sum mismatch", "unexpected size", "Mirror sync in progress"]
        .iter()
        .any(|words| said.contains(words))
}

/// What mmdebstrap is to include, sorted.
fn packages(definition: &Definition) -> Vec<String> {
    let mut packages: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    if !definition.minimal {
        let lines = LIBRARIES.lines().map(str::trim);
        packages.extend(lines.filter(|line| is_package(line)).map(str::to_owned));
    }
    for interpreter in definition.interpreters.iter().filter(|name| !name.starts_with('/')) {
        packages.extend([interpreter.clone(), format!("{interpreter}-dev")]);
        // Python 2 had no such package.
        if !interpreter.starts_with("python2") {
            packages.push(format!("{interpreter}-venv"));
        }
    }
    packages.extend(definition.packages.iter().cloned());
    packages.sort();
    packages.dedup();
    packages
}

/// The mirror of this machine's own apt configuration, where that is Debian's.
pub(crate) fn own_mirror() -> Option<String> {
    let folder = std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten();
    let mut files: Vec<_> = folder.map(|entry| entry.path()).collect();
    files.sort();
    files.insert(0, "/etc/apt/sources.list".into());
    let texts = files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.into_iter().find_map(|text| mirror_in(&text))
}

/// The first address of a Debian archive in a file of apt's, of either format (sources.list(5)).
fn mirror_in(text: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let words = lines.filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
    let mut addresses = words.flat_map(str::split_whitespace).filter(|word| word.starts_with("http"));
    addresses.find(|address| address.trim_end_matches('/').ends_with("/debian")).map(str::to_owned)
}

/// What mmdebstrap's words mean for whoever asked for the suite.
fn complaint(said: &str, suite: &str, mirror: &str) -> Error {
    let last = |start: &str| said.lines().rev().find_map(|line| line.trim().strip_prefix(start));
    let lacks = |message: String, hint: &str| Error::Tool { message, hint: Some(hint.to_owned()) };
    if said.contains("does not have a Release file")
        || said.contains("404  Not Found") && said.contains("Release")
    {
        let message = format!("{mirror} has no suite `{suite}`");
        return lacks(message, "code names are meant, such as bookworm; `mirror` names another mirror");
    }
    if let Some(package) = said.lines().find_map(|line| line.split("Unable to locate package ").nth(1)) {
        let message = format!("`{suite}` has no package `{}`", package.trim());
        return lacks(
            message,
            "packages and interpreters are given by the names that this suite has for them",
        );
    }
    if said.contains("arch-test") || said.contains("cannot be executed") || said.contains("binfmt") {
        let message =
            format!("programs of this architecture do not run here: {}", last("E:").unwrap_or_default());
        return lacks(
            message,
            "apt-get install arch-test; other machines' programs want qemu-user-static, too",
        );
    }
    if said.contains("newuidmap") || said.contains("/etc/subuid") || said.contains("unprivileged_userns") {
        let message = format!("mmdebstrap cannot work without root here: {}", last("E:").unwrap_or_default());
        return lacks(
            message,
            "apt-get install uidmap, and give the user subordinate ids (subuid(5)); or run as root",
        );
    }
    let said = last("E:").map_or_else(|| last("").unwrap_or("it says nothing").to_owned(), str::to_owned);
    Error::Tool { message: format!("mmdebstrap failed: {}", said.trim()), hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_own_mirror_is_found_in_either_format() {
        let old = "# deb http://a/debian x main\ndeb [arch=amd64] http://security.x/debian-security s main\n\
                   deb http://mirror.x/debian/ bookworm main\n";
        assert_eq!(mirror_in(old).as_deref(), Some("http://mirror.x/debian/"));
        let new = "Types: deb\nURIs: https://m/debian\nSuites: sid\n";
        assert_eq!(mirror_in(new).as_deref(), Some("https://m/debian"));
        assert_eq!(mirror_in("deb http://mirror.x/ubuntu noble main"), None);
    }

    #[test]
    fn complaints_say_what_to_do() {
        for (said, told) in [
            (
                "E: The repository 'http://m/debian nope Release' does not have a Release file.",
                "no suite `nope`",
            ),
            ("E: Unable to locate package python9\nE: apt-get failed", "no package `python9`"),
            (
                "E: i386 can neither be executed natively nor via qemu user emulation with binfmt_misc",
                "do not run",
            ),
            ("I: x\nE: something else", "something else"),
            ("", "says nothing"),
        ] {
            let error = complaint(said, "nope", "http://m/debian");
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_mirror_amid_its_update_is_asked_again() {
        let said = "E: Failed to fetch http://m/debian/pool/p.deb  File has unexpected size (1 != 2). Mirror sync in progress?";
        assert!(may_pass(said));
        assert!(!may_pass("E: Unable to locate package python9"));
        assert!(!may_pass("E: The repository 'http://m/debian nope Release' does not have a Release file."));
    }

    #[test]
    fn the_known_libraries_are_packages() {
        let lines: Vec<&str> = LIBRARIES.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 20 && lines.iter().all(|line| is_package(line)), "{lines:?}");
    }
}
