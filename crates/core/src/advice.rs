//! What each cause is called, and what the maintainer and the user can do about it: read from a data file, filled with the
//! particulars of one cause. Nothing is decided here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use serde::Deserialize;

use crate::{
    cause::{Cause, CauseId},
    classify::rules::fill,
    modules::providers,
};

/// What is told of one cause id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// A short noun phrase for tables.
    pub title: String,
    maintainer: String,
    maintainer_known: Option<String>,
    user: String,
    user_known: Option<String>,
}

static ADVICE: LazyLock<HashMap<CauseId, Advice>> = LazyLock::new(|| {
    let read: BTreeMap<String, Advice> = toml::from_str(include_str!("../data/advice.toml"))
        .expect("the shipped advice parses; a test proves it");
    read.into_iter()
        .map(|(id, advice)| (id.parse().expect("each advice is of a cause; a test proves it"), advice))
        .collect()
});

static DEBIAN: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    include_str!("../data/debian.csv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut columns = line.splitn(3, ',');
            let key = (columns.next()?, columns.next()?);
            columns.next().filter(|package| !package.is_empty()).map(|package| (key, package))
        })
        .collect()
});

/// What is told of this cause.
pub fn of(id: CauseId) -> &'static Advice {
    ADVICE.get(&id).expect("every cause has its advice; a test proves it")
}

/// The package of Debian and Ubuntu that has this header, library, tool or shared library.
pub fn debian_package(id: CauseId, subject: &str) -> Option<&'static str> {
    let kinds: &[&str] = match id {
        CauseId::MissingHeader => &["header"],
        CauseId::MissingLibrary => &["pkg-config", "library"],
        CauseId::MissingTool => &["tool"],
        CauseId::MissingSharedLibrary => &["shared"],
        _ => return None,
    };
    let lower = subject.to_ascii_lowercase();
    let bare = lower.strip_prefix("lib").unwrap_or(&lower);
    let names = [subject, lower.as_str(), bare];
    kinds.iter().find_map(|kind| names.iter().find_map(|name| DEBIAN.get(&(*kind, *name)).copied()))
}

/// The system package, or the project, that is known to provide what a cause is about.
pub fn known(cause: &Cause) -> Option<String> {
    let subject = cause.subject.as_deref()?;
    if let Some(package) = debian_package(cause.id, subject) {
        return Some(package.to_owned());
    }
    let module = match cause.id {
        CauseId::UndeclaredDependency
        | CauseId::UndeclaredBuildRequirement
        | CauseId::MissingTestDependency
        | CauseId::RemovedStdlibModule => subject.split('.').next()?,
        _ => return None,
    };
    providers(module).next().map(str::to_owned)
}

/// What the maintainer could do about this cause.
pub fn for_maintainer(cause: &Cause) -> String {
    let advice = of(cause.id);
    filled(cause, &advice.maintainer, advice.maintainer_known.as_deref())
}

/// What a user of the release could do about it now.
pub fn for_user(cause: &Cause) -> String {
    let advice = of(cause.id);
    filled(cause, &advice.user, advice.user_known.as_deref())
}

fn filled(cause: &Cause, plain: &str, with_known: Option<&str>) -> String {
    let known = known(cause);
    let text = match (with_known, &known) {
        (Some(text), Some(_)) => text,
        (_, _) => plain,
    };
    let dependency = cause.dependency.as_ref().map_or("the dependency", |dependency| &dependency.project);
    let subject = cause.subject.as_deref().unwrap_or("what the log names");
    fill(
        text,
        &[("subject", subject), ("known", known.as_deref().unwrap_or("it")), ("dependency", dependency)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_advice_and_every_name_is_known() {
        for id in CauseId::ALL {
            let advice = of(*id);
            for text in [&advice.title, &advice.maintainer, &advice.user] {
                assert!(
                    !text.is_empty() && text.matches('{').count() == text.matches('}').count(),
                    "{id}: {text}"
                );
            }
        }
        assert_eq!(ADVICE.len(), CauseId::ALL.len());
    }

    #[test]
    fn debian_packages_are_found_by_kind() {
        assert_eq!(debian_package(CauseId::MissingHeader, "lber.h"), Some("libldap-dev"));
        assert_eq!(debian_package(CauseId::MissingTool, "pg_config"), Some("libpq-dev"));
        assert_eq!(debian_package(CauseId::MissingLibrary, "libxml2"), Some("libxml2-dev"));
        assert_eq!(debian_package(CauseId::MissingLibrary, "dbus-1"), Some("libdbus-1-dev"));
        assert_eq!(debian_package(CauseId::MissingHeader, "nowhere.h"), None);
    }
}
