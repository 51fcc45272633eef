//! What the user asks to tap: a project, a release, or a local file.

use std::path::{Path, PathBuf};

use wheeltapper_core::{ProjectName, VersionSpecifiers, pep508_rs};

/// One target of a run.
#[derive(Debug, Clone)]
pub enum Target {
    /// A project of the index, with specifiers that may be empty.
    Project(ProjectName, VersionSpecifiers),
    /// A local sdist, wheel, or checkout.
    Local(PathBuf),
}

/// A target that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no target: {why}")]
pub struct TargetError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl Target {
    /// Reads a target as given on the command line.
    ///
    /// # Errors
    /// When it is neither a requirement specifier nor a path.
    pub fn parse(text: &str) -> Result<Target, TargetError> {
        let archive = [".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2"].iter().any(|end| text.ends_with(end));
        let address = text.contains("://");
        if address {
            return Err(TargetError { text: text.to_owned(), why: ADDRESS.to_owned() });
        }
        if archive || text == "." || text == ".." || text.contains('/') {
            return Ok(Target::Local(PathBuf::from(text)));
        }
        Self::specifier(text).map_err(|(_, why)| TargetError { text: text.to_owned(), why })
    }

    /// Reads a requirement specifier; an error comes with how many characters into the text it is.
    fn specifier(text: &str) -> Result<Target, (usize, String)> {
        let requirement: pep508_rs::Requirement = text
            .parse()
            .map_err(|error: pep508_rs::Pep508Error<_>| (error.start, error.message.to_string()))?;
        Self::of(requirement).map_err(|why| (0, why))
    }

    fn of(requirement: pep508_rs::Requirement) -> Result<Target, String> {
        if !requirement.extras.is_empty() {
            return Err("extras are not tapped; name the project alone".to_owned());
        }
        if requirement.marker.try_to_string().is_some() {
            return Err("environment markers are not read here; choose environments with --env or --python"
                .to_owned());
        }
        let name = requirement.name.as_ref().parse().map_err(|_| "it is no project name".to_owned())?;
        match requirement.version_or_url {
            None => Ok(Target::Project(name, VersionSpecifiers::empty())),
            Some(pep508_rs::VersionOrUrl::VersionSpecifier(specifiers)) => {
                Ok(Target::Project(name, specifiers))
            }
            Some(pep508_rs::VersionOrUrl::Url(_)) => Err(ADDRESS.to_owned()),
        }
    }
}

/// What is said to an address.
const ADDRESS: &str = "addresses are not fetched; download the file and give its path";

/// Reads a file of requirement specifiers, one a line; `#` begins a comment.
///
/// # Errors
/// The first line that is anything else, with its number and the column in which it goes wrong, both from 1.
pub fn requirements_file(path: &Path, text: &str) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let indent = line.chars().take_while(|character| character.is_whitespace()).count();
        let line = line.split(" #").next().unwrap_or("").trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let target = if line.starts_with('-') {
            Err((0, "options and includes of installers are not read here".to_owned()))
        } else {
            Target::specifier(line)
        };
        match target {
            Ok(target) => targets.push(target),
            Err((at, why)) => {
                let (line_number, column) = (index + 1, indent + at + 1);
                return Err(format!("{}:{line_number}:{column}: `{line}`: {why}", path.display()));
            }
        }
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_releases_and_files() {
        assert!(matches!(Target::parse("Six"), Ok(Target::Project(name, _)) if name.as_str() == "six"));
        assert!(matches!(Target::parse("six==1.0"), Ok(Target::Project(_, pin)) if !pin.is_empty()));
        for path in [".", "./dist/x-1.0.tar.gz", "x-1.0-py3-none-any.whl", "/abs/path"] {
            assert!(matches!(Target::parse(path), Ok(Target::Local(_))), "{path}");
        }
        for bad in ["six==", "six[a]", "six @ https://x", "six; python_version<'3'", "-x", ""] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = requirements_file(Path::new("r.txt"), "six\n\n-e .\n").unwrap_err();
        assert!(error.starts_with("r.txt:3:1: "), "{error}");
        let error = requirements_file(Path::new("r.txt"), "six\n  attrs ?? 1\n").unwrap_err();
        assert!(error.starts_with("r.txt:2:9: "), "{error}");
        assert_eq!(requirements_file(Path::new("r"), "# c\nsix # why\nattrs>=1\n").unwrap().len(), 2);
    }
}
