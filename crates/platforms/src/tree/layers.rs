//! Layers of container images, unpacked one above the other: what an upper one takes away of those below it (OCI image
//! specification, "Image Layer Filesystem Changeset").

use std::collections::BTreeSet;

use super::{Tree, Wrong, join, wrong};

/// What the names of entries begin with that take something away.
const WHITEOUT: &str = ".wh.";

impl Tree {
    /// What is unpacked from now on is a layer above what is there, and can take it away.
    pub(crate) fn begin_layer(&mut self) {
        self.layer = Some(BTreeSet::new());
    }

    /// There are no more layers.
    pub(crate) fn end_layers(&mut self) {
        self.layer = None;
    }

    /// In a layer, the folder in which an entry of this name takes something away, and what.
    pub(super) fn whiteout<'a>(&self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.layer.as_ref().and_then(|_| Some((folder, name.strip_prefix(WHITEOUT)?)))
    }

    /// Takes away what lower layers have: all that is in a folder, or one name in it. What this layer has written stays,
    /// whichever comes first in its archive.
    pub(super) fn white_out(&mut self, folder: &str, hidden: &str) -> Result<(), Wrong> {
        let Some(folder) = self.resolve(folder) else { return wrong("lies beyond too many links") };
        let mut places = match hidden {
            ".wh..opq" => self.below(&folder),
            "" | "." | ".." => return wrong("takes nothing away that has a name"),
            // Marks of a file system that layers were once made with.
            name if name.starts_with(WHITEOUT) => return Ok(()),
            name => {
                let place = join(&folder, name);
                let below = self.below(&place);
                let itself = self.entries.contains_key(&place).then_some(place);
                itself.into_iter().chain(below).collect()
            }
        };
        // What is in a folder follows the folder.
        while let Some(place) = places.pop() {
            let is_new = self.layer.as_ref().is_some_and(|layer| layer.contains(&place));
            if !is_new && self.below(&place).is_empty() {
                self.clear(&place)?;
            }
        }
        Ok(())
    }
}
