//! Root file systems out of container images (OCI, and Docker's own older form): found in a registry or in a file, checked by
//! digest, and their layers unpacked one above the other. No container engine is needed, and nothing of an image is run.

mod challenge;
mod documents;
mod local;
mod login;
mod reference;
mod registry;

use std::path::{Path, PathBuf};

use wheeltapper_core::Sha256;
use wheeltapper_index::{Files, Lease, Patience, Surroundings};

use self::{
    documents::{Descriptor, Document, Manifest, check_machine, choose},
    registry::Registry,
};
use crate::{archive, definition::Architecture, error::Error, tree::Tree};

pub use reference::{Image, Reference};

/// How deep lists of manifests may lie in each other.
const DEEPEST: usize = 3;

/// What holds the documents and blobs of an image.
trait Holder {
    /// The document of this digest.
    fn document(&self, digest: &Sha256) -> Result<Vec<u8>, Error>;

    /// A blob, whose bytes have been looked at.
    fn blob(&self, wanted: &Descriptor) -> Result<Blob, Error>;
}

/// A blob as a file of this machine.
enum Blob {
    /// In the store of files, kept there while this lives.
    Stored(Lease),
    /// In the image's own file or folder.
    File(PathBuf),
}

impl Blob {
    fn path(&self) -> &Path {
        match self {
            Blob::Stored(lease) => lease.path(),
            Blob::File(path) => path,
        }
    }
}

/// An image that is all here.
struct Found {
    /// Where it is from, with the digest that it has today.
    pinned: String,
    /// Its layers, the lowest first.
    layers: Vec<Blob>,
}

/// What an image is wanted for, and with what.
pub(crate) struct Pull<'a> {
    pub(crate) image: &'a Image,
    pub(crate) architecture: Architecture,
    /// The registry is spoken to without encryption; by default only one of this machine's own.
    pub(crate) plain: Option<bool>,
    pub(crate) surroundings: &'a Surroundings,
    /// Where blobs are stored.
    pub(crate) files: Files,
    /// A folder for what is needed meanwhile.
    pub(crate) scratch: PathBuf,
}

impl Pull<'_> {
    /// Unpacks the image, and says exactly which it was.
    ///
    /// # Errors
    /// When it cannot be had, is for another machine, or is no image; then what is in the tree is of no use.
    pub(crate) fn unpack(&self, tree: &mut Tree) -> Result<String, Error> {
        let found = match self.image {
            Image::Remote(reference) => self.remote(reference)?,
            Image::Local(path) => local::find(path, self.architecture, &self.scratch)?,
        };
        for (number, layer) in found.layers.iter().enumerate() {
            tree.begin_layer();
            let name = format!("{}, layer {} of {}", self.image, number + 1, found.layers.len());
            archive::unpack(layer.path(), &name, tree)?;
        }
        tree.end_layers();
        // What was unpacked of an archive is as large as the image.
        let _ = std::fs::remove_dir_all(&self.scratch);
        Ok(found.pinned)
    }

    fn remote(&self, reference: &Reference) -> Result<Found, Error> {
        let login = login::credentials(reference, self.surroundings)?;
        let plain = self.plain.unwrap_or_else(|| reference.is_loopback());
        let registry = Registry::new(reference, plain, login, Patience::default(), &self.files)?;
        let (top, digest) = registry.top()?;
        let manifest = manifest(&registry, top, self.architecture, &reference.to_string())?;
        let layers = manifest.layers.iter().map(|layer| Holder::blob(&registry, layer));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Found { pinned: Reference { digest: Some(digest), ..reference.clone() }.to_string(), layers })
    }
}

impl Holder for Registry<'_> {
    fn document(&self, digest: &Sha256) -> Result<Vec<u8>, Error> {
        self.document(digest)
    }

    fn blob(&self, wanted: &Descriptor) -> Result<Blob, Error> {
        self.blob(wanted).map(Blob::Stored)
    }
}

/// The manifest that a document leads to for this machine, after a look at the image's configuration.
fn manifest(
    holder: &dyn Holder,
    mut bytes: Vec<u8>,
    wanted: Architecture,
    image: &str,
) -> Result<Manifest, Error> {
    for _ in 0..DEEPEST {
        let manifest = match Document::read(&bytes, image)? {
            Document::Index(manifests) => {
                bytes = holder.document(&choose(&manifests, wanted, image)?.digest)?;
                continue;
            }
            Document::Manifest(manifest) => manifest,
        };
        if manifest.config.size > documents::LARGEST {
            return Err(Error::Archive(format!("{image} has a configuration that is too long")));
        }
        let config = holder.blob(&manifest.config)?;
        let config = std::fs::read(config.path()).map_err(Error::file(config.path()))?;
        check_machine(&config, wanted, image)?;
        return Ok(manifest);
    }
    Err(Error::Archive(format!("{image} is a list of lists without end")))
}
