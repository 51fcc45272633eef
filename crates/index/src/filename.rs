//! Names of distributions (PEP 427 wheels, PEP 625 and older sdists): parsed once, against the project they
//! are listed under, so that a file of another project is never taken for one of this.

use std::fmt;

use wheeltapper_core::{ProjectName, Version};

use crate::{Error, Result};

/// A file name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DistributionName {
    /// A source distribution.
    Sdist {
        /// Normalised project name.
        project: ProjectName,
        /// The version it is named after.
        version: Version,
        /// How it is packed.
        format: SdistFormat,
    },
    /// A wheel.
    Wheel(WheelName),
}

/// How an sdist is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdistFormat {
    /// `.tar.gz` or `.tgz`: the standard.
    TarGz,
    /// `.zip`: legacy.
    Zip,
    /// `.tar.bz2`, `.tar.xz`, `.tar.Z`, `.tar`: legacy, listed but not unpacked.
    OtherTar,
}

/// A wheel's name taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WheelName {
    /// Normalised project name.
    pub project: ProjectName,
    /// The version it is named after.
    pub version: Version,
    /// Build number and its suffix, where given.
    pub build: Option<String>,
    /// Python tags, for example `py2`, `py3`.
    pub python: Vec<String>,
    /// ABI tags, for example `cp313`, `abi3`, `none`.
    pub abi: Vec<String>,
    /// Platform tags, for example `any`, `manylinux_2_17_x86_64`.
    pub platform: Vec<String>,
}

impl WheelName {
    /// Whether the wheel claims to hold no native code: ABI `none` and platform `any` only.
    pub fn is_pure(&self) -> bool {
        self.abi.iter().all(|tag| tag == "none") && self.platform.iter().all(|tag| tag == "any")
    }

    /// Every tag, spelled out: `py2-none-any`, `py3-none-any`.
    pub fn tags(&self) -> Vec<String> {
        let mut tags = Vec::new();
        for python in &self.python {
            for abi in &self.abi {
                for platform in &self.platform {
                    tags.push(format!("{python}-{abi}-{platform}"));
                }
            }
        }
        tags
    }
}

impl fmt::Display for WheelName {
    /// The name as PEP 427 spells it, normalised.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.project.escaped(), self.version)?;
        if let Some(build) = &self.build {
            write!(f, "-{build}")?;
        }
        write!(f, "-{}-{}-{}.whl", self.python.join("."), self.abi.join("."), self.platform.join("."))
    }
}

impl DistributionName {
    /// Parses a name as listed on the page of `project`.
    ///
    /// # Errors
    /// `Filename` where it is no wheel or sdist, has no PEP 440 version, or belongs to another project.
    pub fn parse(filename: &str, project: &ProjectName) -> Result<Self> {
        let wrong = || Error::Filename(filename.chars().take(200).collect());
        let name = Self::read(filename, Some(project)).ok_or_else(wrong)?;
        if name.project() == project { Ok(name) } else { Err(wrong()) }
    }

    /// Parses a name of a file whose project is not known. Where an old sdist's name can be cut in several
    /// places, the first cut after which a version stands is taken.
    ///
    /// # Errors
    /// `Filename` as above.
    pub fn guess(filename: &str) -> Result<Self> {
        Self::read(filename, None).ok_or_else(|| Error::Filename(filename.chars().take(200).collect()))
    }

    /// Normalised project name.
    pub fn project(&self) -> &ProjectName {
        match self {
            DistributionName::Sdist { project, .. } => project,
            DistributionName::Wheel(wheel) => &wheel.project,
        }
    }

    /// The version it is named after.
    pub fn version(&self) -> &Version {
        match self {
            DistributionName::Sdist { version, .. } => version,
            DistributionName::Wheel(wheel) => &wheel.version,
        }
    }

    /// The wheel's parts, if it is one.
    pub fn wheel(&self) -> Option<&WheelName> {
        match self {
            DistributionName::Sdist { .. } => None,
            DistributionName::Wheel(wheel) => Some(wheel),
        }
    }

    fn read(filename: &str, project: Option<&ProjectName>) -> Option<Self> {
        if !is_safe(filename) {
            return None;
        }
        if let Some(stem) = filename.strip_suffix(".whl") {
            return read_wheel(stem).map(DistributionName::Wheel);
        }
        const FORMATS: [(&str, SdistFormat); 7] = [
            (".tar.gz", SdistFormat::TarGz),
            (".tgz", SdistFormat::TarGz),
            (".zip", SdistFormat::Zip),
            (".tar.bz2", SdistFormat::OtherTar),
            (".tar.xz", SdistFormat::OtherTar),
            (".tar.Z", SdistFormat::OtherTar),
            (".tar", SdistFormat::OtherTar),
        ];
        let (stem, format) =
            FORMATS.iter().find_map(|(end, format)| Some((filename.strip_suffix(end)?, *format)))?;
        for (at, _) in stem.match_indices('-') {
            let Ok(name) = stem[..at].parse::<ProjectName>() else { continue };
            if project.is_some_and(|project| *project != name) {
                continue;
            }
            if let Ok(version) = stem[at + 1..].parse::<Version>() {
                return Some(DistributionName::Sdist { project: name, version, format });
            }
        }
        None
    }
}

fn read_wheel(stem: &str) -> Option<WheelName> {
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version, build, tags) = match parts.as_slice() {
        [name, version, python, abi, platform] => (name, version, None, [python, abi, platform]),
        [name, version, build, python, abi, platform] if build.starts_with(|c: char| c.is_ascii_digit()) => {
            (name, version, Some((*build).to_owned()), [python, abi, platform])
        }
        _ => return None,
    };
    let [python, abi, platform] = tags.map(|tag| tag.split('.').map(str::to_owned).collect::<Vec<_>>());
    let sound = |tags: &[String]| {
        tags.iter().all(|tag| !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
    };
    if !(sound(&python) && sound(&abi) && sound(&platform)) {
        return None;
    }
    Some(WheelName {
        project: name.parse().ok()?,
        // `_` stands for `-` in versions of old wheels (PEP 427 escaping).
        version: version.parse().or_else(|_| version.replace('_', "-").parse()).ok()?,
        build,
        python,
        abi,
        platform,
    })
}

/// A single path component that no file system and no header misreads.
pub(crate) fn is_safe(filename: &str) -> bool {
    !filename.is_empty()
        && filename.len() <= 255
        && !filename.starts_with('.')
        && filename.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'\\' | b'"' | b'<' | b'>'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn project(name: &str) -> ProjectName {
        name.parse().unwrap()
    }

    #[test]
    fn wheels() {
        let name = DistributionName::parse("six-1.17.0-py2.py3-none-any.whl", &project("six")).unwrap();
        let wheel = name.wheel().unwrap();
        assert!(wheel.is_pure());
        assert_eq!(wheel.tags(), ["py2-none-any", "py3-none-any"]);
        assert_eq!(wheel.to_string(), "six-1.17.0-py2.py3-none-any.whl");
        let name = DistributionName::parse("A_B-1-2x-cp39-abi3-linux_x86_64.whl", &project("a-b")).unwrap();
        assert_eq!(name.wheel().unwrap().build.as_deref(), Some("2x"));
    }

    #[test]
    fn sdists() {
        let version = |file: &str, name: &str| {
            DistributionName::parse(file, &project(name)).map(|n| n.version().to_string())
        };
        assert_eq!(version("zope.interface-5.0.tar.gz", "zope-interface").unwrap(), "5.0");
        assert_eq!(version("foo-bar-1.0-1.tar.gz", "foo-bar").unwrap(), "1.0.post1");
        assert_eq!(version("foo-2-1.0.zip", "foo-2").unwrap(), "1.0");
        // `foo-2-1.0.zip` on the page of `foo` would read as version 2-1.0: that is no version.
        assert!(version("foo-2-1.0.zip", "foo").is_err());
        assert!(version("foo-1.0.tar.gz", "bar").is_err());
        assert_eq!(DistributionName::guess("foo-bar-1.0.tar.gz").unwrap().project().as_str(), "foo-bar");
    }

    #[test]
    fn hostile_names() {
        for name in [
            "../six-1.tar.gz",
            "six-1.tar.gz/",
            ".six-1.tar.gz",
            "",
            "six-1.exe",
            "six-1\n.tar.gz",
            "s\"-1.zip",
        ] {
            assert!(DistributionName::parse(name, &project("six")).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(name in ".*") {
            let _ = DistributionName::guess(&name);
            let _ = DistributionName::parse(&name, &project("six"));
        }

        #[test]
        fn what_is_parsed_is_one_component_of_that_project(name in "[a-z.]{1,5}[-_.]{1,2}[0-9.a-z]{1,6}(-py3-none-any\\.whl|\\.tar\\.gz|\\.zip)") {
            if let Ok(parsed) = DistributionName::guess(&name) {
                prop_assert!(!name.contains('/'));
                prop_assert_eq!(DistributionName::parse(&name, parsed.project()).unwrap(), parsed);
            }
        }

        #[test]
        fn wheels_round_trip(name in "[a-z][a-z0-9]{0,8}", version in "(0|[1-9][0-9]{0,2})(\\.(0|[1-9][0-9]{0,2})){0,3}", tag in "cp3[0-9]{1,2}") {
            let file = format!("{name}-{version}-{tag}-{tag}-linux_x86_64.whl");
            let parsed = DistributionName::parse(&file, &project(&name)).unwrap();
            prop_assert_eq!(parsed.wheel().unwrap().to_string(), file);
        }
    }
}
