//! The platforms there are: those that ship with the program, and above them those of the user's `wheeltapper.toml`.

use std::path::Path;

use crate::{
    definition::{Definition, Origin, nearest, read},
    error::Error,
};

/// Ready definitions, in the format of the user's own.
const SHIPPED: &str = include_str!("../../../data/platforms.toml");

/// What a new `wheeltapper.toml` begins with: every key, explained.
const DEFAULT: &str = include_str!("../../../data/wheeltapper.toml");

/// The text of a `wheeltapper.toml` in which nothing is defined yet.
pub fn default_file() -> &'static str {
    DEFAULT
}

/// Every platform that is defined, sorted by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    definitions: Vec<Definition>,
}

impl Catalogue {
    /// What ships with the program, overlaid with the user's file where there is one.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is not understood.
    pub fn read(file: &Path) -> Result<Catalogue, Error> {
        match std::fs::read_to_string(file) {
            Ok(text) => Catalogue::of(&text, file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Catalogue::of("", file),
            Err(error) => Err(Error::file(file)(error)),
        }
    }

    /// The same with this text for the user's file.
    pub(crate) fn of(text: &str, file: &Path) -> Result<Catalogue, Error> {
        let shipped = shipped()?;
        let mut definitions = read(text, &file.display().to_string(), &shipped)?;
        for known in shipped {
            if !definitions.iter().any(|own| own.name == known.name) {
                definitions.push(known);
            }
        }
        definitions.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(Catalogue { definitions })
    }

    /// All of them.
    pub fn all(&self) -> &[Definition] {
        &self.definitions
    }

    /// The platform of this name, or that of this environment's name (`debian13-cp313` is of `debian13`).
    ///
    /// # Errors
    /// [`Error::Unknown`] with the nearest names.
    pub fn find(&self, name: &str) -> Result<&Definition, Error> {
        let platform = name.rsplit_once('-').map_or("", |(platform, _)| platform);
        self.exactly(name).or_else(|error| self.exactly(platform).map_err(|_| error))
    }

    /// The platform of this very name.
    pub(crate) fn exactly(&self, name: &str) -> Result<&Definition, Error> {
        self.definitions.iter().find(|known| known.name == name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            near: nearest(name, self.definitions.iter().map(|known| known.name.as_str())),
        })
    }
}

fn shipped() -> Result<Vec<Definition>, Error> {
    let mut read = read(SHIPPED, "the catalogue", &[])?;
    read.iter_mut().for_each(|definition| definition.origin = Origin::Catalogue);
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_sound_and_the_default_file_defines_nothing() {
        assert!(shipped().unwrap().len() > 10);
        assert_eq!(read(DEFAULT, "default", &[]).unwrap(), []);
        // Uncommented, its examples are definitions.
        let examples: String = DEFAULT
            .lines()
            .map(|line| line.strip_prefix("#| ").map_or(String::new(), str::to_owned) + "\n")
            .collect();
        assert!(read(&examples, "default", &shipped().unwrap()).unwrap().len() > 3);
    }

    #[test]
    fn environments_lead_to_their_platform_and_misspelt_names_to_the_nearest() {
        let folder = std::env::temp_dir().join("no such folder");
        let catalogue = Catalogue::read(&folder).unwrap();
        assert_eq!(catalogue.find("debian13-i386-cp313").unwrap().name, "debian13-i386");
        assert_eq!(catalogue.find("debian13").unwrap().name, "debian13");
        let error = catalogue.find("debain13").unwrap_err();
        assert!(error.hint().unwrap().contains("debian13"), "{error}");
    }
}
