//! Writing a definition into the user's `wheeltapper.toml`, which keeps everything else as they wrote it.

use std::{fs, io::Write as _, path::Path};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use crate::{
    catalogue::{Catalogue, default_file},
    definition::Definition,
    error::Error,
};

/// What is to be added to the platform of a name.
#[derive(Debug, Clone)]
pub struct Addition<'a> {
    /// The platform.
    pub name: &'a str,
    /// The key that says what it is made of, and its value; without it, it must be defined already.
    pub source: Option<(&'static str, String)>,
    /// For which machine.
    pub architecture: Option<&'a str>,
    /// Packages, beside those it has.
    pub packages: &'a [String],
    /// Interpreters inside, beside those it has.
    pub interpreters: &'a [String],
    /// Without the libraries that common packages build with.
    pub minimal: bool,
}

/// Adds to a platform, or defines it, and returns it as it stands then. The file is made where there is none.
///
/// # Errors
/// When the file is not understood, or would not be any more: it then stays as it is.
pub fn add(file: &Path, addition: &Addition<'_>) -> Result<Definition, Error> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => default_file().to_owned(),
        Err(error) => return Err(Error::file(file)(error)),
    };
    let known = Catalogue::of(&text, file)?;
    if let (Some((kind, _)), Ok(definition)) = (&addition.source, known.exactly(addition.name))
        && definition.is_users()
    {
        let message = format!("`{}` is defined already, and {kind} would make it another", addition.name);
        let hint = format!("choose another name, or change it in {}", file.display());
        return Err(Error::Tool { message, hint: Some(hint) });
    }
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| Error::Tool {
        message: format!("{}: {}", file.display(), error.message()),
        hint: None,
    })?;
    let Some(table) = table(&mut document, addition.name) else {
        let message = format!("{}: `platform` is no table", file.display());
        return Err(Error::Tool { message, hint: None });
    };
    if let Some((key, text)) = &addition.source {
        table.insert(key, value(text.as_str()));
    }
    if let Some(architecture) = addition.architecture {
        table.insert("architecture", value(architecture));
    }
    if addition.minimal {
        table.insert("minimal", value(true));
    }
    for (key, texts) in [("packages", addition.packages), ("interpreters", addition.interpreters)] {
        if texts.is_empty() {
            continue;
        }
        let list = table.entry(key).or_insert_with(|| value(Array::new()));
        if let Some(list) = list.as_array_mut() {
            for text in texts {
                if !list.iter().any(|known| known.as_str() == Some(text)) {
                    list.push(text.as_str());
                }
            }
        }
    }
    let text = document.to_string();
    let definition = Catalogue::of(&text, file)?.exactly(addition.name)?.clone();
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let mut written = tempfile::NamedTempFile::new_in(folder).map_err(Error::file(file))?;
    written.write_all(text.as_bytes()).map_err(Error::file(file))?;
    written.persist(file).map_err(|error| Error::file(file)(error.error))?;
    Ok(definition)
}

/// The table of a platform. A new one comes last in the file, below what is written there.
fn table<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut dyn TableLike> {
    let platforms = document.entry("platform").or_insert_with(implicit).as_table_like()?;
    if !platforms.contains_key(name) {
        let mut new = Table::new();
        new.decor_mut().set_prefix(format!("{}\n", document.trailing().as_str().unwrap_or_default()));
        document.set_trailing("");
        document.get_mut("platform")?.as_table_like_mut()?.insert(name, Item::Table(new));
    }
    document.get_mut("platform")?.as_table_like_mut()?.get_mut(name)?.as_table_like_mut()
}

fn implicit() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addition<'a>(name: &'a str, packages: &'a [String]) -> Addition<'a> {
        Addition { name, source: None, architecture: None, packages, interpreters: &[], minimal: false }
    }

    #[test]
    fn what_is_added_is_understood_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/wheeltapper.toml");
        let geos = ["libgeos-dev".to_owned()];
        let first = add(&file, &addition("debian13", &geos)).unwrap();
        assert_eq!(first.packages, geos);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(default_file()) && text.contains("[platform.debian13]"), "{text}");
        fs::write(&file, format!("# mine\n{text}")).unwrap();
        let again = ["libgeos-dev".to_owned(), "git".to_owned()];
        let second = add(&file, &addition("debian13", &again)).unwrap();
        assert_eq!(second.packages, ["git", "libgeos-dev"]);
        assert!(fs::read_to_string(&file).unwrap().starts_with("# mine\n"));
        let source = Some(("debian", "trixie".to_owned()));
        let made = add(&file, &Addition { source: source.clone(), ..addition("mine", &[]) }).unwrap();
        assert_eq!(made.name, "mine");
        // Twice the same name is a mistake.
        assert!(add(&file, &Addition { source, ..addition("mine", &[]) }).is_err());
    }

    #[test]
    fn what_would_not_be_understood_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wheeltapper.toml");
        let bad = ["-o=x".to_owned()];
        assert!(add(&file, &addition("debian13", &bad)).is_err());
        assert!(add(&file, &addition("nowhere", &[])).is_err());
        let architecture = Some("pdp11");
        assert!(add(&file, &Addition { architecture, ..addition("debian13", &[]) }).is_err());
        assert!(!file.exists());
    }
}
