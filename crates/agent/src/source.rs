//! Source trees: unpacked sdists, each once per data folder, as a layer that cells lay below their working copy; and further
//! layers over one.

use std::path::{Path, PathBuf};

use wheeltapper_core::Sha256;
use wheeltapper_index::{Kind, unpack};
use wheeltapper_recipe::{SourceTree, TreeFile};

use crate::{error::Error, layers::Layers};

/// A source tree on the host that no package code has touched. Nothing in it is ever run there.
#[derive(Debug)]
pub struct Source {
    /// The layers that hold it, the lowest first, each at [`Source::inside`].
    pub layers: Vec<PathBuf>,
    inside: PathBuf,
    files: Vec<TreeFile>,
}

impl Source {
    /// Unpacks an sdist, or finds it unpacked; it stays until the slot releases its layers.
    ///
    /// # Errors
    /// `Ok(Err(reason))` when the archive is at fault, `Err` when the farm is.
    pub fn unpacked(
        layers: &Layers,
        slot: usize,
        archive: &Path,
        filename: &str,
        sha256: &Sha256,
    ) -> Result<Result<Source, String>, Error> {
        let key = Sha256::of_parts(["source", "1", &sha256.hex(), filename]);
        let made = layers.get::<Failure>(slot, &key, |layer| {
            let folder = layer.join("src");
            std::fs::create_dir_all(layer).map_err(Error::file(layer))?;
            unpack::sdist(archive, &folder, &wheeltapper_index::Limits::default()).map_err(|error| {
                if error.kind() == Kind::Package {
                    Failure::Archive(error.to_string())
                } else {
                    Failure::Farm(error.into())
                }
            })?;
            Ok(())
        });
        let layer = match made {
            Ok(layer) => layer,
            Err(Failure::Archive(reason)) => return Ok(Err(reason)),
            Err(Failure::Farm(error)) => return Err(error),
        };
        let inside = top(&layer);
        Ok(Ok(Source::in_layer(layer, inside)))
    }

    /// The tree that lies in a layer at this place.
    pub(crate) fn in_layer(layer: PathBuf, inside: PathBuf) -> Source {
        let mut files = Vec::new();
        walk(&layer.join(&inside), "", &mut files, 0);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Source { layers: vec![layer], inside, files }
    }

    /// This tree below the one of another layer, whose files hide its own. Neither that layer's files nor their folders are links.
    pub(crate) fn under(&self, layer: PathBuf) -> Source {
        let over = Source::in_layer(layer, self.inside.clone());
        let hidden = |file: &&TreeFile| over.file(&file.path).is_some();
        let mut files: Vec<TreeFile> = self.files.iter().filter(|file| !hidden(file)).cloned().collect();
        files.extend(over.files);
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let layers = self.layers.iter().cloned().chain(over.layers).collect();
        Source { layers, inside: self.inside.clone(), files }
    }

    /// Where a file that the walk found lies on the host.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        let at = |layer: &PathBuf| layer.join(&self.inside).join(path);
        let highest = self.layers.iter().rev().map(at).find(|place| place.is_file());
        highest.unwrap_or_else(|| at(&self.layers[0]))
    }

    /// Where the tree lies below a cell's root.
    pub fn inside(&self) -> &Path {
        &self.inside
    }

    /// The file at this path of the tree.
    pub fn file(&self, path: &str) -> Option<&TreeFile> {
        let found = self.files.binary_search_by(|file| file.path.as_str().cmp(path));
        found.ok().map(|index| &self.files[index])
    }
}

impl SourceTree for Source {
    fn files(&self) -> &[TreeFile] {
        &self.files
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        use std::io::Read as _;
        // Only what the walk found: a path through a link would lead out of the tree.
        self.file(path)?;
        let file = std::fs::File::open(self.place(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

enum Failure {
    Archive(String),
    Farm(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Farm(error)
    }
}

/// The tree's place in the layer: the archive's one top-level folder, or `src` where it has none or several.
fn top(layer: &Path) -> PathBuf {
    let entries: Vec<_> = std::fs::read_dir(layer.join("src")).into_iter().flatten().flatten().collect();
    match entries.as_slice() {
        [only] if only.file_type().is_ok_and(|kind| kind.is_dir()) => Path::new("src").join(only.file_name()),
        _ => PathBuf::from("src"),
    }
}

/// Regular files only: a link may point anywhere, and what it points at is not followed here.
fn walk(folder: &Path, prefix: &str, files: &mut Vec<TreeFile>, depth: usize) {
    if depth > 100 {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files, depth + 1);
        } else if kind.is_file() {
            files.push(TreeFile { path, size: entry.metadata().map_or(0, |metadata| metadata.len()) });
        }
    }
}
