//! The `git` program, as a means of transfer: lists tags, brings one commit without its history into a bare repository that is
//! thrown away, and reads its files object by object. Nothing is checked out, so nothing of a repository decides what is run or
//! written: no hook, no filter, no attribute, no submodule, no configuration of it. docs/sandbox.md says why it runs where it does.

mod objects;
mod said;

use std::{
    ffi::OsString,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::{ChildStdout, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use crate::{
    address::{Address, KNOWN_HOSTS},
    error::Error,
    limited::{self, Ended},
    mirrors::Place,
    network::{self, Unreachable},
    tag::Tag,
};

pub use objects::Exported;

/// How long a list of tags may take, and a transfer.
const LIST_TIME: Duration = Duration::from_secs(60);
const TRANSFER_TIME: Duration = Duration::from_secs(300);

/// How large what is transferred may be, packed, in bytes.
const LARGEST_TRANSFER: u64 = 512 << 20;

/// How much memory git may use, in bytes: it maps what it reads.
const MEMORY: u64 = 3 << 30;

/// How long a list of tags may be, in bytes.
const LONGEST_LIST: u64 = 16 << 20;

/// Files beyond this size, in bytes, are neither transferred nor read.
const LARGEST_FILE: u64 = 8 << 20;

/// The one ref of a repository of ours.
const WANTED: &str = "refs/wheeltapper/wanted";

/// What git is told whatever it does. It reads no other configuration: not the user's, not the system's.
const CONFIGURATION: &str = "\
[core]\n\thooksPath = /dev/null\n\tfsmonitor = false\n\taskPass =\n\tattributesFile = /dev/null\n\tbigFileThreshold = 16m\n\
[credential]\n\thelper =\n\
[protocol]\n\tallow = never\n\
[http]\n\tfollowRedirects = false\n\tlowSpeedLimit = 1000\n\tlowSpeedTime = 30\n\
[fetch]\n\tunpackLimit = 1\n\trecurseSubmodules = false\n\twriteCommitGraph = false\n\
[transfer]\n\tunpackLimit = 1\n\tbundleURI = false\n\tcredentialsInUrl = die\n\
[submodule]\n\trecurse = false\n\
[gc]\n\tauto = 0\n\
[maintenance]\n\tauto = false\n\
[pack]\n\tthreads = 1\n\
[uploadpack]\n\tallowFilter = true\n\
[safe]\n\tdirectory = *\n\
[advice]\n\tdetachedHead = false\n";

/// The program, and a home of its own.
#[derive(Debug)]
pub struct Git {
    program: PathBuf,
    home: PathBuf,
    /// What the operator's environment says of proxies and certificates.
    surroundings: Vec<(OsString, OsString)>,
    /// Its version as it says it, once that was asked.
    version: OnceLock<String>,
}

/// The oldest git that can be held to addresses: `http.curloptResolve` came with it, and older ones pass over it in silence.
const OLDEST: (u32, u32) = (2, 37);

/// Variables of the operator's environment that git is given: how the network is reached from here.
const SURROUNDINGS: &[&str] = &[
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
];

impl Git {
    /// The program at this path, with a home below a folder of temporary files; of the variables, those that say how the network
    /// is reached are passed on to it.
    ///
    /// # Errors
    /// When the home cannot be made.
    pub fn new(
        program: PathBuf,
        work: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Git, Error> {
        let home = work.join("git");
        std::fs::create_dir_all(&home).map_err(Error::file(&home))?;
        let configuration = home.join("configuration");
        std::fs::write(&configuration, CONFIGURATION).map_err(Error::file(&configuration))?;
        let wanted = |name: &OsString| SURROUNDINGS.iter().any(|known| name == *known);
        let surroundings = variables.filter(|(name, _)| wanted(name)).collect();
        Ok(Git { program, home, surroundings, version: OnceLock::new() })
    }

    /// The tags of a repository, with the commits that they mark.
    ///
    /// # Errors
    /// When there is none, or it does not answer.
    pub(crate) fn tags(&self, place: &Place) -> Result<Vec<Tag>, Error> {
        let mut command = self.command(&self.home, place)?;
        command.args(["ls-remote", "--tags", "--quiet", "--"]).arg(source(place));
        let list = self.run(&mut command, place, LIST_TIME, |stdout| text(stdout, LONGEST_LIST))?;
        Ok(read_tags(&list))
    }

    /// Writes the files of a tag's commit into a folder.
    ///
    /// # Errors
    /// When it marks another commit by now, its tree is hostile or too large, or the repository does not answer.
    pub(crate) fn export(&self, place: &Place, tag: &Tag, into: &Path) -> Result<Exported, Error> {
        let bare = tempfile::Builder::new()
            .prefix("bare-")
            .tempdir_in(&self.home)
            .map_err(Error::file(&self.home))?;
        let bare = bare.path();
        self.transfer(place, tag, bare)?;
        let mut command = self.command(bare, place)?;
        command.args(["rev-parse", "--verify", "--quiet"]).arg(format!("{WANTED}^{{commit}}"));
        let commit = self.run(&mut command, place, LIST_TIME, |stdout| text(stdout, 1000))?;
        if commit.trim() != tag.commit {
            let reason = format!("the tag {} marks another commit than it did", tag.name);
            return Err(Error::Refused { place: place.address().to_string(), reason });
        }
        self.read_tree(place, bare, &tag.commit, into)
    }

    /// Brings the tag's commit, without history and without large files, into a bare repository.
    fn transfer(&self, place: &Place, tag: &Tag, bare: &Path) -> Result<(), Error> {
        let mut command = self.command(bare, place)?;
        command.args(["init", "--quiet", "--bare", "--template=", "--object-format=sha1"]).arg(bare);
        self.run(&mut command, place, LIST_TIME, |stdout| text(stdout, 1000))?;
        let configuration = bare.join("config");
        let plain = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";
        let remote = format!(
            "{plain}[remote \"origin\"]\n\turl = {}\n\tpromisor = true\n\tpartialclonefilter = blob:limit={LARGEST_FILE}\n",
            quoted(&source(place))
        );
        std::fs::write(&configuration, remote).map_err(Error::file(&configuration))?;
        let mut command = self.command(bare, place)?;
        command.args(["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"]);
        command.args(["--no-write-fetch-head", "--no-auto-maintenance", "--refmap="]);
        command.arg(format!("--filter=blob:limit={LARGEST_FILE}")).arg("origin");
        command.arg(format!("refs/tags/{}:{WANTED}", tag.name));
        self.run(&mut command, place, TRANSFER_TIME, |stdout| text(stdout, LONGEST_LIST))?;
        // Nowhere to fetch from any more: what was left out stays out.
        std::fs::write(&configuration, plain).map_err(Error::file(&configuration))
    }

    /// The program, set up to work on this repository of ours and to reach that place.
    fn command(&self, bare: &Path, place: &Place) -> Result<Command, Error> {
        let mut command = Command::new(&self.program);
        let folder = self.program.parent().unwrap_or(Path::new("/"));
        let path =
            std::env::join_paths([folder, Path::new("/usr/bin"), Path::new("/bin")]).unwrap_or_default();
        let protocol = match place {
            Place::Mirror { .. } => "file",
            Place::Network(_) => "https",
        };
        command.env_clear().stdin(Stdio::null()).current_dir(bare);
        command
            .env("PATH", path)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("LC_ALL", "C");
        command.env("GIT_DIR", bare).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_ATTR_NOSYSTEM", "1");
        command.env("GIT_CONFIG_GLOBAL", self.home.join("configuration"));
        command.env("GIT_ALLOW_PROTOCOL", protocol).env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "");
        command
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0");
        if let Place::Network(address) = place {
            command.envs(self.surroundings.iter().cloned());
            self.hold_to_public(&mut command, address)?;
        }
        Ok(command)
    }

    /// Has git connect to the addresses that were looked at, and to no others. A proxy looks up names by itself.
    fn hold_to_public(&self, command: &mut Command, address: &Address) -> Result<(), Error> {
        let is_proxy = |name: &OsString| name.to_string_lossy().to_ascii_lowercase().ends_with("s_proxy");
        if self.surroundings.iter().any(|(name, value)| is_proxy(name) && !value.is_empty()) {
            return Ok(());
        }
        let version = self.version()?;
        if !is_new_enough(&version) {
            let (major, minor) = OLDEST;
            return Err(Error::NoGit(format!("it is {version}, and {major}.{minor} or newer is needed")));
        }
        let place = address.to_string();
        let pinned = network::pinned(address.host()).map_err(|unreachable| match unreachable {
            Unreachable::NoSuchHost if network::knows_any(KNOWN_HOSTS) => {
                Error::Absent { place, reason: "nobody has that host's name".to_owned() }
            }
            Unreachable::NoSuchHost => {
                Error::Lost { place, reason: "no host's name is known here: there is no network".to_owned() }
            }
            Unreachable::LookUp(reason) => Error::Lost { place, reason },
            Unreachable::Private => {
                Error::Refused { place, reason: "its host's name leads into a private network".to_owned() }
            }
        })?;
        command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.curloptResolve");
        command.env("GIT_CONFIG_VALUE_0", pinned);
        Ok(())
    }

    /// What `git version` says.
    fn version(&self) -> Result<String, Error> {
        if let Some(known) = self.version.get() {
            return Ok(known.clone());
        }
        let mut command = Command::new(&self.program);
        command.arg("version").env_clear().stdin(Stdio::null());
        let limits = limited::Limits { wall: LIST_TIME, memory: MEMORY, file: LARGEST_TRANSFER };
        let unknown = |error: io::Error| Error::NoGit(error.to_string());
        let ended = limited::run(&mut command, limits, |stdout| text(stdout, 1000)).map_err(unknown)?;
        let said = ended.output.map_err(unknown)?;
        Ok(self.version.get_or_init(|| said.trim().to_owned()).clone())
    }

    /// Runs a command to its end; a failure is told as what it says of the place.
    fn run<T>(
        &self,
        command: &mut Command,
        place: &Place,
        wall: Duration,
        read: impl FnOnce(&mut ChildStdout) -> io::Result<T>,
    ) -> Result<T, Error> {
        let limits = limited::Limits { wall, memory: MEMORY, file: LARGEST_TRANSFER };
        let ended = limited::run(command, limits, read).map_err(|error| Error::NoGit(error.to_string()))?;
        let Ended { status, complaints, output, overdue } = ended;
        match output {
            Ok(output) if status.success() && !overdue => Ok(output),
            Err(error) if status.success() || (complaints.is_empty() && !overdue) => {
                Err(Error::Refused { place: place.address().to_string(), reason: error.to_string() })
            }
            Ok(_) | Err(_) => Err(said::failure(place, &complaints, overdue.then_some(wall))),
        }
    }
}

/// True for `git version 2.37.0` and later ones, whoever built them.
fn is_new_enough(said: &str) -> bool {
    let number = said.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = number.unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

/// What git is told to fetch from.
fn source(place: &Place) -> OsString {
    match place {
        Place::Mirror { folder, .. } => folder.into(),
        Place::Network(address) => address.as_str().into(),
    }
}

/// A value of git's configuration.
fn quoted(value: &std::ffi::OsStr) -> String {
    let escaped = value.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

/// All of an output that is at most so many bytes long.
fn text(stdout: &mut ChildStdout, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    stdout.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("it answers with more than {most} bytes")));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The list of `git ls-remote --tags`. An annotated tag has two lines; the second, `…^{}`, has its commit.
fn read_tags(list: &str) -> Vec<Tag> {
    let mut tags: Vec<Tag> = Vec::new();
    for line in list.lines() {
        let Some((object, name)) = line.split_once('\t') else { continue };
        let Some(name) = name.strip_prefix("refs/tags/") else { continue };
        match name.strip_suffix("^{}") {
            Some(name) => {
                if let Some(tag) = tags.last_mut().filter(|tag| tag.name == name)
                    && let Some(peeled) = Tag::new(name, object)
                {
                    *tag = peeled;
                }
            }
            None => tags.extend(Tag::new(name, object)),
        }
    }
    tags
}

#[cfg(test)]
mod tests;
