//! Images in a file or folder of this machine: an OCI image layout, or what `docker save` and `podman save` write. The file
//! may be a stranger's, so what links in it lead to is looked up in what was unpacked of it, and never on the host.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use wheeltapper_core::Sha256;
use wheeltapper_index::digest_of;

use super::{
    Blob, Found, Holder,
    documents::{self, Descriptor, Document, check_machine, choose, may_be},
    manifest,
};
use crate::{
    archive,
    definition::Architecture,
    error::Error,
    tree::{Tree, clean},
};

/// Where lists on disk keep the names of images.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// An image's files.
enum Files {
    /// In a folder of the user's.
    Folder(PathBuf),
    /// Unpacked from an archive.
    Archive(Tree),
}

/// A file or folder with images.
struct Layout {
    files: Files,
    /// What the definition calls it.
    shown: String,
}

/// An entry of `manifest.json`, Docker's own list of what it saved.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Finds an image; archives are unpacked into `scratch`, which must outlive what is found.
pub(super) fn find(path: &Path, wanted: Architecture, scratch: &Path) -> Result<Found, Error> {
    let (path, name) = split(path);
    let shown = path.display().to_string();
    let files = match path.is_dir() {
        true => Files::Folder(path),
        false => {
            let mut tree = Tree::new(scratch)?;
            archive::unpack(&path, &shown, &mut tree)?;
            Files::Archive(tree)
        }
    };
    let layout = Layout { files, shown };
    match (layout.find("index.json"), layout.find("manifest.json")) {
        (Some(index), _) => layout.of_index(&index, name.as_deref(), wanted),
        (None, Some(list)) => layout.of_list(&list, name.as_deref(), wanted),
        (None, None) => Err(Error::Tool {
            message: format!("{} holds no image: neither index.json nor manifest.json", layout.shown),
            hint: Some("`tarball` takes a plain root file system".to_owned()),
        }),
    }
}

/// The path, and the image's name that follows it where there is no such file.
fn split(path: &Path) -> (PathBuf, Option<String>) {
    if !path.exists()
        && let Some((file, name)) = path.to_str().and_then(|text| text.split_once(':'))
    {
        return (PathBuf::from(file), Some(name.to_owned()));
    }
    (path.to_path_buf(), None)
}

impl Layout {
    fn of_index(&self, index: &Path, name: Option<&str>, wanted: Architecture) -> Result<Found, Error> {
        let Document::Index(all) = Document::read(&self.read(index)?, &self.shown)? else {
            return Err(self.wrong("its index.json is no list"));
        };
        let named = |entry: &Descriptor| NAMES.iter().find_map(|key| entry.annotations.get(*key)).cloned();
        let is_meant = |entry: &&Descriptor| {
            name.is_none_or(|name| {
                NAMES.iter().any(|key| entry.annotations.get(*key).is_some_and(|own| own == name))
            })
        };
        let mut entries: Vec<&Descriptor> = all.iter().filter(is_meant).collect();
        if entries.is_empty() {
            return Err(self.several(name, all.iter().filter_map(named).collect()));
        }
        let named: Vec<String> = entries.iter().filter_map(|entry| named(entry)).collect();
        let of_all: Vec<Descriptor> = entries.iter().map(|entry| (*entry).clone()).collect();
        entries.retain(|entry| may_be(entry, wanted));
        entries.dedup_by_key(|entry| entry.digest);
        let entry = match entries.as_slice() {
            [] => choose(&of_all, wanted, &self.shown)?,
            [one] => one,
            [..] => return Err(self.several(name, named)),
        };
        let manifest = manifest(self, self.document(&entry.digest)?, wanted, &self.shown)?;
        let layers = manifest.layers.iter().map(|layer| self.blob(layer)).collect::<Result<_, _>>()?;
        Ok(Found { pinned: format!("{}@{}", self.shown, entry.digest), layers })
    }

    fn of_list(&self, list: &Path, name: Option<&str>, wanted: Architecture) -> Result<Found, Error> {
        let saved: Vec<Saved> = serde_json::from_slice(&self.read(list)?)
            .map_err(|error| self.wrong(&format!("its manifest.json, line {}", error.line())))?;
        let tags = |one: &Saved| one.repo_tags.clone().unwrap_or_default();
        let is_meant = |one: &&Saved| name.is_none_or(|name| tags(one).iter().any(|tag| tag == name));
        let meant: Vec<&Saved> = saved.iter().filter(is_meant).collect();
        let [one] = meant.as_slice() else {
            return Err(self.several(name, saved.iter().flat_map(tags).collect()));
        };
        let config = self.read(&self.file(&one.config)?)?;
        check_machine(&config, wanted, &self.shown)?;
        let layers = one.layers.iter().map(|layer| Ok(Blob::File(self.file(layer)?)));
        let layers = layers.collect::<Result<_, Error>>()?;
        Ok(Found { pinned: format!("{}@{}", self.shown, Sha256::of(&config)), layers })
    }

    /// The file at a path inside.
    fn find(&self, inside: &str) -> Option<PathBuf> {
        let inside = clean(inside.as_bytes()).ok()?;
        match &self.files {
            Files::Folder(folder) => Some(folder.join(inside)).filter(|path| path.is_file()),
            Files::Archive(tree) => tree.find_file(&inside).map(|place| tree.path_of(&place)),
        }
    }

    fn file(&self, inside: &str) -> Result<PathBuf, Error> {
        self.find(inside).ok_or_else(|| self.wrong(&format!("{} is not in it", printable(inside))))
    }

    /// A document, as far as one may be long.
    fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let size = std::fs::metadata(path).map_err(Error::file(path))?.len();
        match size > documents::LARGEST {
            true => Err(self.wrong("a document of it is too long")),
            false => std::fs::read(path).map_err(Error::file(path)),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        Error::Archive(format!("{} is no image that is understood: {reason}", self.shown))
    }

    /// None, or more than one, is what was asked for.
    fn several(&self, name: Option<&str>, mut names: Vec<String>) -> Error {
        names.truncate(10);
        let names: Vec<String> = names.iter().map(|name| printable(name)).collect();
        let message = match name {
            Some(name) => format!("{} has not one image `{name}`", self.shown),
            None => format!("{} has not one image only", self.shown),
        };
        let hint = match names.is_empty() {
            true => "none in it has a name: save the image by its name".to_owned(),
            false => format!("`{}:NAME` names one of {}", self.shown, names.join(", ")),
        };
        Error::Tool { message, hint: Some(hint) }
    }

    fn checked(&self, digest: &Sha256) -> Result<PathBuf, Error> {
        let path = self.file(&format!("blobs/sha256/{}", digest.hex()))?;
        match digest_of(&path)? == *digest {
            true => Ok(path),
            false => Err(self.wrong(&format!("{digest} is damaged"))),
        }
    }
}

impl Holder for Layout {
    fn document(&self, digest: &Sha256) -> Result<Vec<u8>, Error> {
        self.read(&self.checked(digest)?)
    }

    fn blob(&self, wanted: &Descriptor) -> Result<Blob, Error> {
        self.checked(&wanted.digest).map(Blob::File)
    }
}

/// What a stranger wrote, fit for a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|one| one.is_ascii_graphic()).take(100).collect()
}
