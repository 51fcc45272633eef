//! The documents that describe an image: lists of manifests, manifests, configurations (OCI image specification 1.1, and the
//! older form of Docker's). They come from strangers: nothing in them is believed that is not looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use wheeltapper_core::Sha256;

use crate::{definition::Architecture, error::Error};

/// Longest document that is read, in bytes; registries take none that is longer.
pub(crate) const LARGEST: u64 = 4 << 20;

/// Most layers of an image.
const MOST_LAYERS: usize = 256;

/// Most bytes of an image's layers as they are transferred.
const MOST_BYTES: u64 = 16 << 30;

/// The media types that are asked for.
pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// What a document points to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Descriptor {
    /// Digest of its bytes.
    #[serde(deserialize_with = "digest")]
    pub(crate) digest: Sha256,
    /// How many they are.
    pub(crate) size: u64,
    /// For which machine it is, in a list of manifests.
    platform: Option<Platform>,
    /// What else is said of it: in a list on disk, its name.
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256, D::Error> {
    let text = String::deserialize(deserializer)?;
    let digest = text.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    digest.ok_or_else(|| serde::de::Error::custom("a digest that is no SHA-256"))
}

/// The machine that an image is for, in Go's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// A document that a reference leads to.
#[derive(Debug)]
pub(crate) enum Document {
    /// Manifests of the same image for several machines.
    Index(Vec<Descriptor>),
    /// One image.
    Manifest(Manifest),
}

/// What an image is made of.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Its configuration, which says for which machine it is.
    pub(crate) config: Descriptor,
    /// Its layers, the lowest first.
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Written {
    manifests: Option<Vec<Descriptor>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

impl Document {
    /// Reads one; `image` names it in errors.
    pub(crate) fn read(bytes: &[u8], image: &str) -> Result<Document, Error> {
        let wrong =
            |reason: &str| Error::Archive(format!("{image} is no image that is understood: {reason}"));
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|error| wrong(&format!("its manifest, line {}", error.line())))?;
        match written {
            Written { manifests: Some(manifests), .. } => Ok(Document::Index(manifests)),
            Written { config: Some(config), layers: Some(layers), manifests: None } => {
                let bytes = layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
                if layers.len() > MOST_LAYERS || bytes.is_none_or(|bytes| bytes > MOST_BYTES) {
                    return Err(wrong("it has more layers than any root file system"));
                }
                Ok(Document::Manifest(Manifest { config, layers }))
            }
            Written { .. } => Err(wrong("it is neither of OCI's form nor of Docker's version 2")),
        }
    }
}

/// The one that is for this machine.
///
/// # Errors
/// When there is none; it says for which there are.
pub(crate) fn choose<'a>(
    manifests: &'a [Descriptor],
    wanted: Architecture,
    image: &str,
) -> Result<&'a Descriptor, Error> {
    let found =
        manifests.iter().find(|one| one.platform.as_ref().is_some_and(|platform| platform.is(wanted)));
    found.ok_or_else(|| {
        let platforms = manifests.iter().filter_map(|one| one.platform.as_ref());
        other_machine(image, platforms.collect(), wanted)
    })
}

/// Whether a manifest in a list may be for this machine: those that do not say are looked into.
pub(crate) fn may_be(descriptor: &Descriptor, wanted: Architecture) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.is(wanted))
}

/// Looks whether a configuration's image is for this machine.
pub(crate) fn check_machine(config: &[u8], wanted: Architecture, image: &str) -> Result<(), Error> {
    let platform: Platform = serde_json::from_slice(config).map_err(|error| {
        Error::Archive(format!(
            "{image} is no image that is understood: its configuration, line {}",
            error.line()
        ))
    })?;
    match platform.is(wanted) {
        true => Ok(()),
        false => Err(other_machine(image, vec![&platform], wanted)),
    }
}

impl Platform {
    fn is(&self, wanted: Architecture) -> bool {
        self.os == "linux" && self.architecture == wanted.go()
    }

    /// For people; a stranger wrote it.
    fn shown(&self) -> String {
        let text = format!("{}/{}", self.os, self.architecture);
        text.chars().filter(|one| one.is_ascii_graphic()).take(40).collect()
    }
}

fn other_machine(image: &str, there_are: Vec<&Platform>, wanted: Architecture) -> Error {
    let mut names: Vec<String> = there_are.iter().map(|platform| platform.shown()).collect();
    // Attestations stand in lists as manifests for no machine at all.
    names.retain(|name| name != "unknown/unknown");
    names.sort();
    names.dedup();
    names.truncate(20);
    let names = if names.is_empty() { "no machine that it names".to_owned() } else { names.join(", ") };
    let narrow = there_are.iter().any(|platform| platform.is(Architecture::I386));
    let hint = match narrow && Architecture::I386.runs_here() {
        true => "`architecture = \"i386\"` takes the one that runs here, too",
        false => "take one that was made for this machine, or build it on one of its own",
    };
    Error::Tool {
        message: format!("{image} is for {names}, and linux/{} is wanted", wanted.go()),
        hint: Some(hint.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(platforms: &[(&str, &str)]) -> Vec<Descriptor> {
        let digest = Sha256::of(b"").to_string();
        let entry = |(os, architecture): &(&str, &str)| {
            format!(
                r#"{{"digest":"{digest}","size":1,"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#
            )
        };
        let entries: Vec<String> = platforms.iter().map(entry).collect();
        let text = format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
        match Document::read(text.as_bytes(), "x").unwrap() {
            Document::Index(manifests) => manifests,
            Document::Manifest(_) => panic!("it is a list"),
        }
    }

    #[test]
    fn this_machine_s_is_chosen_and_otherwise_it_is_said_what_there_is() {
        let native = Architecture::Native.go();
        let all =
            index(&[("windows", native), ("linux", "s390x"), ("linux", native), ("unknown", "unknown")]);
        assert_eq!(choose(&all, Architecture::Native, "x").unwrap(), &all[2]);
        let other = index(&[("linux", "s390x"), ("unknown", "unknown")]);
        assert_eq!(
            choose(&other, Architecture::Native, "x").unwrap_err().to_string(),
            format!("x is for linux/s390x, and linux/{native} is wanted")
        );
    }

    #[test]
    fn what_is_no_image_is_told_without_repeating_it() {
        let big = format!(
            r#"{{"config":{{"digest":"{0}","size":1}},"layers":[{{"digest":"{0}","size":18446744073709551615}}]}}"#,
            Sha256::of(b"")
        );
        for text in ["", "<html>", "{}", r#"{"schemaVersion":1,"fsLayers":[]}"#, r#"{"manifests":7}"#, &big] {
            let error = Document::read(text.as_bytes(), "x").unwrap_err();
            assert!(error.to_string().starts_with("x is no image that is understood"), "{error}");
        }
        let sha512 = r#"{"manifests":[{"digest":"sha512:ab","size":1}]}"#;
        assert!(Document::read(sha512.as_bytes(), "x").is_err());
    }
}
