//! Core metadata of a distribution, as far as results need it (core metadata specification 2.5, PEP 566, PEP 794).

use crate::cycle::People;
use pep508_rs::{MarkerEnvironment, MarkerTree, Requirement, VerbatimUrl};

use crate::project::ProjectName;

/// The fields of a `METADATA` or `PKG-INFO` file that decide something here. Texts are as the file has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `Name`.
    pub name: String,
    /// `Version`.
    pub version: String,
    /// `Requires-Python`.
    pub requires_python: Option<String>,
    /// `Requires-Dist`, one requirement each.
    pub requires_dist: Vec<String>,
    /// `Provides-Extra`.
    pub provides_extra: Vec<String>,
    /// `Classifier`.
    pub classifiers: Vec<String>,
    /// `Import-Name` (PEP 794), without its `; private` mark; private names are left out.
    pub import_names: Vec<String>,
    /// `Import-Namespace` (PEP 794).
    pub import_namespaces: Vec<String>,
    /// `Author`, `Maintainer`, their addresses, `Home-page` and `Project-URL`.
    pub people: People,
}

impl Metadata {
    /// Reads the header block of a metadata file: RFC 822 fields up to the first empty line.
    pub fn parse(text: &str) -> Metadata {
        let mut metadata = Metadata::default();
        for (field, value) in fields(text) {
            match field.to_ascii_lowercase().as_str() {
                "name" => metadata.name = value,
                "version" => metadata.version = value,
                "requires-python" => metadata.requires_python = Some(value),
                "requires-dist" => metadata.requires_dist.push(value),
                "provides-extra" => metadata.provides_extra.push(value),
                "classifier" => metadata.classifiers.push(value),
                "author" => metadata.people.author = value,
                "author-email" => metadata.people.author_email = value,
                "maintainer" => metadata.people.maintainer = value,
                "maintainer-email" => metadata.people.maintainer_email = value,
                "home-page" => metadata.people.links.push(("Home-page".to_owned(), value)),
                "project-url" => {
                    let link = value.split_once(',');
                    metadata.people.links.extend(
                        link.map(|(label, address)| (label.trim().to_owned(), address.trim().to_owned())),
                    );
                }
                "import-name" => metadata.import_names.extend(public(&value)),
                "import-namespace" => metadata.import_namespaces.extend(public(&value)),
                _ => {}
            }
        }
        metadata
    }

    /// The runtime requirements that hold in this environment, with these extras.
    ///
    /// # Errors
    /// The first requirement that does not parse, with the parser's reason.
    pub fn requirements(
        &self,
        environment: &MarkerEnvironment,
        extras: &[pep508_rs::ExtraName],
    ) -> Result<Vec<Requirement<VerbatimUrl>>, InvalidRequirement> {
        let mut held = Vec::new();
        for text in &self.requires_dist {
            let mut requirement = requirement(text)?;
            if requirement.evaluate_markers(environment, extras) {
                // The marker has had its say; an `extra` in it would mean nothing to the next reader.
                requirement.marker = MarkerTree::TRUE;
                held.push(requirement);
            }
        }
        Ok(held)
    }

    /// What has to be installed beside the release for it to run with these extras: its requirements that hold in this
    /// environment, and, where it requires extras of itself (`own[extra]`), theirs. Itself it does not name.
    ///
    /// # Errors
    /// As [`Metadata::requirements`].
    pub fn runtime(
        &self,
        own: &ProjectName,
        environment: &MarkerEnvironment,
        extras: &[pep508_rs::ExtraName],
    ) -> Result<Vec<Requirement<VerbatimUrl>>, InvalidRequirement> {
        let mut extras = extras.to_vec();
        loop {
            let (itself, others): (Vec<_>, Vec<_>) = self
                .requirements(environment, &extras)?
                .into_iter()
                .partition(|requirement| requirement.name.as_ref() == own.as_str());
            let asked = itself.into_iter().flat_map(|requirement| requirement.extras);
            let new: Vec<_> = asked.filter(|extra| !extras.contains(extra)).collect();
            if new.is_empty() {
                return Ok(others);
            }
            extras.extend(new);
        }
    }
}

/// The longest requirement, in bytes, and the most parentheses in one: the parser of markers descends for each.
const LONGEST: usize = 10_000;
const MOST_PARENTHESES: usize = 50;

/// Parses one requirement of a stranger's metadata (PEP 508).
///
/// # Errors
/// Where it is none, or is made to exhaust a parser.
pub(crate) fn requirement(text: &str) -> Result<Requirement<VerbatimUrl>, InvalidRequirement> {
    let invalid = |why: String| InvalidRequirement { text: text.chars().take(200).collect(), why };
    if text.len() > LONGEST || text.matches('(').count() > MOST_PARENTHESES {
        return Err(invalid("longer than any requirement".to_owned()));
    }
    text.parse().map_err(|error: pep508_rs::Pep508Error<_>| invalid(error.message.to_string()))
}

/// A requirement that does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid requirement `{text}`: {why}")]
pub struct InvalidRequirement {
    /// The requirement as the metadata has it.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

fn public(value: &str) -> Option<String> {
    let (name, mark) = value.split_once(';').unwrap_or((value, ""));
    (mark.trim() != "private" && !name.trim().is_empty()).then(|| name.trim().to_owned())
}

fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    fields
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// CPython 3.13 on Linux.
    pub(crate) fn environment() -> MarkerEnvironment {
        serde_json::from_value(serde_json::json!({
            "implementation_name": "cpython", "implementation_version": "3.13.0", "os_name": "posix",
            "platform_machine": "x86_64", "platform_python_implementation": "CPython", "platform_release": "",
            "platform_system": "Linux", "platform_version": "", "python_full_version": "3.13.0",
            "python_version": "3.13", "sys_platform": "linux"
        }))
        .unwrap()
    }

    #[test]
    fn reads_repeated_folded_and_private_fields_and_stops_at_the_description() {
        let metadata = Metadata::parse(
            "Metadata-Version: 2.5\nName: a\nVersion: 1\nRequires-Dist: b>1\nRequires-Dist: c ; extra == 'x'\n\
             License: one\n  two\nImport-Name: a\nImport-Name: _a ; private\n\nRequires-Dist: not-this\n",
        );
        assert_eq!(metadata.requires_dist, ["b>1", "c ; extra == 'x'"]);
        assert_eq!(metadata.import_names, ["a"]);
    }

    #[test]
    fn requirements_of_an_extra_lose_the_marker_that_has_been_evaluated() {
        let metadata = Metadata::parse(
            "Requires-Dist: a\nRequires-Dist: b>1; extra == 'x'\nRequires-Dist: c; os_name == 'nt'\n",
        );
        let environment = environment();
        let held = |extras: &[&str]| -> Vec<String> {
            let extras: Vec<_> = extras.iter().map(|extra| extra.parse().unwrap()).collect();
            metadata.requirements(&environment, &extras).unwrap().iter().map(ToString::to_string).collect()
        };
        assert_eq!(held(&[]), ["a"]);
        assert_eq!(held(&["x"]), ["a", "b>1"]);
    }

    #[test]
    fn a_requirement_that_would_exhaust_the_parser_is_none() {
        let deep = format!("a; {}os_name == 'nt'{}", "(".repeat(60_000), ")".repeat(60_000));
        for text in [deep.as_str(), &format!("a; {}", "(".repeat(51)), "a b"] {
            assert!(requirement(text).is_err());
        }
    }

    #[test]
    fn extras_that_a_release_requires_of_itself_are_its_requirements() {
        let metadata = Metadata::parse(
            "Requires-Dist: me[one]\nRequires-Dist: a\nRequires-Dist: b; extra == 'one'\n\
             Requires-Dist: me[two,one]; extra == 'one'\nRequires-Dist: c; extra == 'two'\n\
             Requires-Dist: d; extra == 'three'\n",
        );
        let runtime = metadata.runtime(&"me".parse().unwrap(), &environment(), &[]).unwrap();
        assert_eq!(runtime.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
