//! What a platform is made of, as `wheeltapper.toml` says it. Reading only: nothing is looked up and nothing is made.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, de::IgnoredAny};
use toml::Spanned;
use wheeltapper_core::Sha256;

use crate::{error::Error, oci::Image};

/// A platform that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name, the first part of its environments' names: `debian13`, `debian13-i386`.
    pub name: String,
    /// What its root file system is made of.
    pub source: Source,
    /// The interpreters inside: names that are looked up on its `PATH`, or absolute paths. Empty: whatever is found.
    pub interpreters: Vec<String>,
    /// Debian packages that are installed beside those that every image of a suite has.
    pub packages: Vec<String>,
    /// Without the libraries' headers that common packages build with.
    pub minimal: bool,
    /// What installs into its environments, where that is not for the program to choose.
    pub installer: Option<Installs>,
    /// When somebody last saw it work, as an ISO date; `None` for what was never tried.
    pub tried: Option<String>,
    /// Who defined it.
    pub origin: Origin,
}

impl Definition {
    /// True for one that the user wrote down.
    pub(crate) fn is_users(&self) -> bool {
        matches!(self.origin, Origin::File(..))
    }

    /// Digest of all that its image is made of.
    pub fn digest(&self) -> Sha256 {
        let Definition {
            name: _,
            source,
            interpreters,
            packages,
            minimal,
            installer: _,
            tried: _,
            origin: _,
        } = self;
        Sha256::of(format!("{source:?} {interpreters:?} {packages:?} {minimal}").as_bytes())
    }
}

/// What installs into an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Installs {
    /// uv.
    Uv,
    /// The newest pip that the interpreter takes.
    Pip,
}

/// Where a root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This machine itself, with an interpreter that is not found by looking around.
    Host {
        /// The interpreter's absolute path.
        interpreter: PathBuf,
    },
    /// A suite of a distribution that is made of Debian packages, by mmdebstrap.
    Debian {
        /// The suite's code name: `trixie`, `noble`.
        suite: String,
        /// The mirror's address; by default that of this machine's own apt configuration.
        mirror: Option<String>,
        /// For which machine.
        architecture: Architecture,
    },
    /// A root file system in a tar archive, plain or compressed.
    Tarball {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A container image (OCI).
    Image {
        /// Where it is.
        image: Image,
        /// For which machine.
        architecture: Architecture,
        /// Whether its registry is spoken to without encryption; by default only one on this machine.
        plain_http: Option<bool>,
    },
    /// CPython on WebAssembly, run by node on this machine.
    Emscripten,
    /// Another operating system: its cells run on an agent elsewhere.
    Elsewhere {
        /// `windows` or `macos`.
        system: String,
    },
}

impl fmt::Display for Source {
    /// In a few words, for people: `debian trixie (i386)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = |architecture: &Architecture| match architecture {
            Architecture::Native => String::new(),
            other => format!(" ({})", other.debian()),
        };
        match self {
            Source::Host { interpreter } => write!(f, "{}", interpreter.display()),
            Source::Debian { suite, mirror: _, architecture } => {
                write!(f, "debian {suite}{}", machine(architecture))
            }
            Source::Tarball { path } => write!(f, "tarball {}", path.display()),
            Source::Image { image, architecture, plain_http: _ } => {
                write!(f, "image {image}{}", machine(architecture))
            }
            Source::Emscripten => f.write_str(EMSCRIPTEN),
            Source::Elsewhere { system } => f.write_str(system),
        }
    }
}

/// A machine, as Debian calls it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// That of this machine.
    #[default]
    Native,
    /// 32 bits on a 64 bit x86.
    I386,
    /// 64 bit x86.
    Amd64,
    /// 64 bit ARM.
    Arm64,
}

impl Architecture {
    /// Debian's name of it; for [`Architecture::Native`] that of the machine this program was made for.
    pub fn debian(self) -> &'static str {
        match (self, std::env::consts::ARCH) {
            (Architecture::I386, _) | (Architecture::Native, "x86") => "i386",
            (Architecture::Amd64, _) | (Architecture::Native, "x86_64") => "amd64",
            (Architecture::Arm64, _) | (Architecture::Native, "aarch64") => "arm64",
            (Architecture::Native, other) => other,
        }
    }

    /// Go's name of it, which images use.
    pub(crate) fn go(self) -> &'static str {
        match self.debian() {
            "i386" => "386",
            "powerpc64" => "ppc64le",
            same => same,
        }
    }

    /// True when its programs run here without an emulator.
    pub fn runs_here(self) -> bool {
        let native = Architecture::Native.debian();
        self.debian() == native || (self == Architecture::I386 && native == "amd64")
    }
}

/// The system of WebAssembly.
const EMSCRIPTEN: &str = "emscripten";

/// Who defined a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The catalogue that ships with the program.
    Catalogue,
    /// A user's file: its name and the line, counted from 1.
    File(String, usize),
}

/// The document: tables of platforms.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    platform: BTreeMap<Spanned<String>, Spanned<Written>>,
    /// Of another reader: where tests come from beside the sdist.
    #[serde(default, rename = "repositories")]
    _repositories: IgnoredAny,
}

/// A platform as it is written. Exactly one key says what it is made of.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    interpreter: Option<PathBuf>,
    debian: Option<String>,
    tarball: Option<PathBuf>,
    image: Option<String>,
    system: Option<String>,
    mirror: Option<String>,
    #[serde(rename = "plain-http")]
    plain_http: Option<bool>,
    #[serde(default)]
    architecture: Architecture,
    #[serde(default)]
    interpreters: Vec<String>,
    #[serde(default)]
    packages: Vec<String>,
    #[serde(default)]
    minimal: bool,
    installer: Option<Installs>,
    tried: Option<String>,
}

/// Where a definition stands in its file.
struct Place<'a> {
    file: &'a str,
    line: usize,
}

impl Place<'_> {
    fn wrong(&self, message: impl Into<String>, hint: Option<String>) -> Error {
        Error::Definition { file: self.file.to_owned(), line: self.line, message: message.into(), hint }
    }
}

/// Reads the definitions of one file, in the order of their names. A table that does not say what its platform is made of
/// adds to the platform of that name in `base`.
pub(crate) fn read(text: &str, file: &str, base: &[Definition]) -> Result<Vec<Definition>, Error> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        let hint = nearest_key(error.message());
        Error::Definition { file: file.to_owned(), line, message: first_line(error.message()), hint }
    })?;
    let read = document.platform.into_iter().map(|(name, written)| {
        let place = Place { file, line: line_of(text, name.span().start) };
        definition(name.into_inner(), written.into_inner(), &place, base)
    });
    read.collect()
}

fn definition(
    name: String,
    written: Written,
    place: &Place<'_>,
    base: &[Definition],
) -> Result<Definition, Error> {
    if !is_name(&name) {
        let hint = "lowercase letters, digits and single hyphens, beginning with a letter: debian13-i386";
        return Err(place.wrong(format!("`{name}` is no platform's name"), Some(hint.to_owned())));
    }
    if let Some(wrong) = written.packages.iter().find(|package| !is_package(package)) {
        return Err(place.wrong(format!("`{wrong}` is no Debian package's name"), None));
    }
    if let Some(wrong) = written.interpreters.iter().find(|program| !is_program(program)) {
        let hint = "a program's name (python3.13) or an absolute path inside (/opt/python/bin/python3)";
        return Err(place.wrong(format!("`{wrong}` is no interpreter"), Some(hint.to_owned())));
    }
    let base = base.iter().find(|known| known.name == name);
    let source = match (source(&written, place)?, base) {
        (Some(source), _) => source,
        (None, Some(base)) => base.source.clone(),
        (None, None) => {
            let hint = "one of: debian = \"trixie\", tarball = \"/a/root.tar.gz\", image = \"alpine:3.22\", \
                        interpreter = \"/opt/python/bin/python3\"";
            return Err(
                place.wrong(format!("`{name}` does not say what it is made of"), Some(hint.to_owned()))
            );
        }
    };
    let of_debian = matches!(source, Source::Debian { .. });
    if !of_debian && !written.packages.is_empty() {
        return Err(place.wrong("packages are installed only in a platform of kind debian", None));
    }
    let inherited = |own: Vec<String>, of_base: fn(&Definition) -> &Vec<String>| match base {
        Some(base) if own.is_empty() => of_base(base).clone(),
        Some(_) | None => own,
    };
    let mut packages = inherited(Vec::new(), |base| &base.packages);
    packages.extend(written.packages);
    packages.sort();
    packages.dedup();
    Ok(Definition {
        interpreters: inherited(written.interpreters, |base| &base.interpreters),
        packages,
        minimal: written.minimal || base.is_some_and(|base| base.minimal),
        installer: written.installer.or(base.and_then(|base| base.installer)),
        tried: written.tried,
        origin: Origin::File(place.file.to_owned(), place.line),
        name,
        source,
    })
}

/// What a platform is made of; `None` where nothing is said of it.
fn source(written: &Written, place: &Place<'_>) -> Result<Option<Source>, Error> {
    let architecture = written.architecture;
    let absolute = |path: &PathBuf| match path.is_absolute() {
        true => Ok(path.clone()),
        false => Err(place.wrong(format!("{} is no absolute path", path.display()), None)),
    };
    let mut sources = Vec::new();
    if let Some(interpreter) = &written.interpreter {
        sources.push(Source::Host { interpreter: absolute(interpreter)? });
    }
    if let Some(suite) = &written.debian {
        if !is_name(suite) {
            return Err(place.wrong(format!("`{suite}` is no suite's code name"), None));
        }
        let mirror = written.mirror.clone();
        if let Some(wrong) = mirror.iter().find(|mirror| !mirror.starts_with("http") || mirror.contains(' '))
        {
            return Err(place.wrong(format!("`{wrong}` is no mirror's address"), None));
        }
        sources.push(Source::Debian { suite: suite.clone(), mirror, architecture });
    }
    if let Some(path) = &written.tarball {
        sources.push(Source::Tarball { path: absolute(path)? });
    }
    if let Some(text) = &written.image {
        let image = Image::read(text).map_err(|wrong| {
            let hint =
                "[registry/]name[:tag][@digest], or a file's absolute path: docker.io/library/python:3.13";
            place.wrong(format!("`{text}` is no image: {wrong}"), Some(hint.to_owned()))
        })?;
        sources.push(Source::Image { image, architecture, plain_http: written.plain_http });
    } else if written.plain_http.is_some() {
        return Err(place.wrong("plain-http is said of an image's registry only", None));
    }
    match &written.system {
        Some(system) if system == EMSCRIPTEN => sources.push(Source::Emscripten),
        Some(system) => sources.push(Source::Elsewhere { system: system.clone() }),
        None => {}
    }
    if sources.len() > 1 {
        let message = "it is made of one thing only: interpreter, debian, tarball, image or system";
        return Err(place.wrong(message, None));
    }
    Ok(sources.pop())
}

/// Readable, sortable, and a file's name: `debian13-i386`.
fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('-').all(|part| {
            !part.is_empty() && part.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
        })
}

/// A package's name by Debian's policy (5.6.1), and so nothing that a program takes for an option or a pattern.
pub(crate) fn is_package(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && text.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || "+-.".contains(one))
}

fn is_program(text: &str) -> bool {
    let name = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || "._-+".contains(one));
    match text.strip_prefix('/') {
        Some(path) => path.split('/').all(|part| !part.is_empty() && part != ".." && name(part)),
        None => is_package(text),
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

/// What was meant by a key or a word that is not known: the reader's complaint quotes it first, then all that it knows.
fn nearest_key(complaint: &str) -> Option<String> {
    let mut quoted = complaint.split('`').skip(1).step_by(2);
    let wrong = quoted.next().filter(|_| complaint.starts_with("unknown"))?;
    let near = nearest(wrong, quoted);
    near.first().map(|near| format!("did you mean `{near}`?"))
}

/// Those of the known words that are likely to be meant, the nearest first; at most two.
pub(crate) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<(usize, &str)> = known.map(|word| (strsim::osa_distance(wrong, word), word)).collect();
    near.retain(|(distance, _)| *distance <= 1 + wrong.len() / 4);
    near.sort();
    near.into_iter().take(2).map(|(_, word)| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Definition, Error> {
        read(text, "w.toml", &[]).map(|mut read| read.pop().unwrap())
    }

    #[test]
    fn two_lines_make_a_platform() {
        let read = one("[platform.debian13-i386]\ndebian = 'trixie'\narchitecture = 'i386'\n").unwrap();
        let (suite, mirror) = ("trixie".to_owned(), None);
        assert_eq!(read.source, Source::Debian { suite, mirror, architecture: Architecture::I386 });
        assert_eq!(read.origin, Origin::File("w.toml".to_owned(), 1));
    }

    #[test]
    fn a_table_without_a_kind_adds_to_the_one_it_is_called_after() {
        let base =
            read("[platform.a]\ndebian = 'sid'\npackages = ['git']\ninterpreters = ['pypy3']", "c", &[]);
        let base = base.unwrap();
        let read = read("\n[platform.a]\npackages = ['libgeos-dev']\n", "w", &base).unwrap();
        assert_eq!(read[0].source, base[0].source);
        assert_eq!(read[0].packages, ["git", "libgeos-dev"]);
        assert_eq!(read[0].interpreters, ["pypy3"]);
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_line_and_what_was_meant() {
        for (text, told, hint) in [
            ("[platform.a]\ndebain = 'sid'\n", "w.toml:2: unknown field `debain`", "did you mean `debian`?"),
            ("\n\n[platfrom.a]\n", "w.toml:3: unknown field `platfrom`", "did you mean `platform`?"),
            ("[platform.a]\ndebian = 'sid'\narchitecture = 'amd46'", "w.toml:3: unknown variant", "`amd64`"),
            ("[platform.a]\npackages = []\n", "w.toml:1: `a` does not say", "one of: debian"),
            ("[platform.a]\ndebian = 'a'\ntarball = '/x'\n", "w.toml:1: it is made of one", ""),
            ("[platform.A]\ndebian = 'sid'\n", "w.toml:1: `A` is no", "lowercase"),
            ("[platform.a]\ndebian = 'sid'\npackages = ['--x']\n", "`--x` is no Debian package's name", ""),
            ("[platform.a]\ndebian = 'sid'\ninterpreters = ['/../x']\n", "`/../x` is no interpreter", ""),
            ("[platform.a]\ndebian = '-o x'\n", "`-o x` is no suite", ""),
            ("[platform.a]\ntarball = 'x.tar'\n", "x.tar is no absolute path", ""),
            ("[platform.a]\ntarball = '/x'\npackages = ['git']\n", "only in a platform of kind debian", ""),
            ("[platform.a]\nimage = 'A:1'\n", "w.toml:1: `A:1` is no image", "[registry/]name"),
            ("[platform.a]\ntarball = '/x'\nplain-http = true\n", "w.toml:1: plain-http is said", ""),
            ("[platform.a\n", "w.toml:1", ""),
        ] {
            let error = one(text).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{error}: {:?}", error.hint());
        }
    }
}
