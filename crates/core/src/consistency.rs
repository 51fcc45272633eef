//! Whether what is installed satisfies what it requires: the question of `pip check`, asked of values. It reads nothing;
//! the metadata that it is given are strangers' words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use pep440_rs::Version;
use pep508_rs::{ExtraName, MarkerEnvironment, Requirement, VerbatimUrl, VersionOrUrl};

use crate::{
    metadata::{Metadata, requirement},
    project::ProjectName,
};

/// What is installed: of each project its metadata (`METADATA` in its `.dist-info` folder).
pub type Installed = BTreeMap<ProjectName, Metadata>;

/// A requirement that no installed distribution satisfies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsatisfied {
    /// Whose requirement it is.
    pub by: ProjectName,
    /// The requirement (PEP 508), without its marker.
    pub requirement: String,
    /// The version that is installed of the project it names; `None` where none is.
    pub found: Option<String>,
}

impl fmt::Display for Unsatisfied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requires {}, and ", self.by, self.requirement)?;
        match &self.found {
            Some(version) => write!(f, "{version} is installed"),
            None => f.write_str("it is not installed"),
        }
    }
}

/// The requirements of what is installed that do not hold in this environment, sorted by whose they are. A distribution's
/// extras count where somebody who is installed asks for them. A requirement that does not parse promises nothing, and of
/// one with an address (PEP 508 URL) only the project's presence is asked for.
pub fn unsatisfied(installed: &Installed, environment: &MarkerEnvironment) -> Vec<Unsatisfied> {
    let mut extras: BTreeMap<&ProjectName, BTreeSet<ExtraName>> = BTreeMap::new();
    let mut waiting: Vec<&ProjectName> = installed.keys().collect();
    let mut missing: BTreeMap<(&ProjectName, String), Option<String>> = BTreeMap::new();
    while let Some(by) = waiting.pop() {
        let asked: Vec<ExtraName> = extras.entry(by).or_default().iter().cloned().collect();
        for requirement in held(&installed[by], environment, &asked) {
            let Ok(name) = requirement.name.as_ref().parse::<ProjectName>() else { continue };
            let Some((name, metadata)) = installed.get_key_value(&name) else {
                missing.insert((by, requirement.to_string()), None);
                continue;
            };
            if !admits(&requirement, &metadata.version) {
                missing.insert((by, requirement.to_string()), Some(metadata.version.clone()));
            }
            let known = extras.entry(name).or_default();
            let before = known.len();
            known.extend(requirement.extras);
            if known.len() > before {
                waiting.push(name);
            }
        }
    }
    missing
        .into_iter()
        .map(|((by, requirement), found)| Unsatisfied { by: by.clone(), requirement, found })
        .collect()
}

/// The requirements that hold, one that does not parse left out.
fn held(
    metadata: &Metadata,
    environment: &MarkerEnvironment,
    extras: &[ExtraName],
) -> Vec<Requirement<VerbatimUrl>> {
    let parsed = metadata.requires_dist.iter().filter_map(|text| requirement(text).ok());
    let holding = parsed.filter(|requirement| requirement.evaluate_markers(environment, extras));
    holding.map(|requirement| Requirement { marker: pep508_rs::MarkerTree::TRUE, ..requirement }).collect()
}

fn admits(requirement: &Requirement<VerbatimUrl>, version: &str) -> bool {
    match (&requirement.version_or_url, version.parse::<Version>()) {
        (Some(VersionOrUrl::VersionSpecifier(specifiers)), Ok(version)) => specifiers.contains(&version),
        // A version that is none satisfies nothing that asks for one.
        (Some(VersionOrUrl::VersionSpecifier(_)), Err(_)) => false,
        (Some(VersionOrUrl::Url(_)) | None, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::environment;

    fn of(distributions: &[(&str, &str, &[&str])]) -> Vec<String> {
        let installed = distributions
            .iter()
            .map(|(name, version, requires)| {
                let metadata = Metadata {
                    version: (*version).to_owned(),
                    requires_dist: requires.iter().map(|text| (*text).to_owned()).collect(),
                    ..Metadata::default()
                };
                (name.parse().unwrap(), metadata)
            })
            .collect();
        unsatisfied(&installed, &environment()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_set_that_holds_has_nothing_to_say() {
        let fine = of(&[
            (
                "a",
                "1",
                &["B.x[y]>=1", "z; os_name == 'nt'", "not a requirement", "a[all]", "b-x; extra == 'all'"],
            ),
            ("b-x", "1.5rc1", &["c>2; extra == 'y'", "d; extra == 'no'"]),
            ("c", "3", &["a"]),
        ]);
        assert_eq!(fine, Vec::<String>::new());
    }

    #[test]
    fn versions_absences_and_the_extras_that_somebody_asks_for_count() {
        let wrong = of(&[
            ("a", "1", &["b[y]", "a>=2", "gone"]),
            ("b", "1", &["c>2; extra == 'y'", "d; extra == 'unasked'"]),
            ("c", "2", &["b>=1"]),
            ("e", "no version", &[]),
            ("f", "1", &["e>=1"]),
        ]);
        assert_eq!(
            wrong,
            [
                "a requires a>=2, and 1 is installed",
                "a requires gone, and it is not installed",
                "b requires c>2, and 2 is installed",
                "f requires e>=1, and no version is installed",
            ]
        );
    }
}
