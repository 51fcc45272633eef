//! The data tables: the standard library's modules, modules named otherwise than their projects, and what needs
//! which pytest plugin. No project's tests are special here; the tables say who owns a module or an option.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

static STDLIB: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("../data/stdlib.txt").lines().collect());

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split(',').collect())
}

static PROVIDERS: LazyLock<HashMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut providers: HashMap<&str, Vec<&str>> = HashMap::new();
    for row in rows(include_str!("../data/modules.csv")) {
        if let [module, project] = row[..] {
            providers.entry(module).or_default().push(project);
        }
    }
    providers
});

static PLUGINS: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    rows(include_str!("../data/plugins.csv"))
        .filter_map(|row| match row[..] {
            [kind, name, project] => Some(((kind, name), project)),
            _ => None,
        })
        .collect()
});

/// True for a top-level module of the standard library of any Python, 2 included.
pub(crate) fn is_stdlib(module: &str) -> bool {
    STDLIB.contains(module) || module.starts_with("_") && STDLIB.contains(module.trim_start_matches('_'))
}

/// The projects known to provide a top-level module under another name; the first is the one to ask for.
pub(crate) fn providers(module: &str) -> &'static [&'static str] {
    PROVIDERS.get(module).map_or(&[], Vec::as_slice)
}

/// True for a top-level module that many projects share.
pub(crate) fn is_namespace(module: &str) -> bool {
    SHARED.contains(&module)
}

/// Modules that many projects share: what follows one of them names the project.
const SHARED: &[&str] = &[
    "airflow",
    "airflow.providers",
    "aws",
    "azure",
    "azure.ai",
    "azure.communication",
    "azure.data",
    "azure.keyvault",
    "azure.mgmt",
    "azure.storage",
    "backports",
    "collective",
    "google",
    "google.cloud",
    "jaraco",
    "keyrings",
    "opentelemetry",
    "opentelemetry.exporter",
    "opentelemetry.instrumentation",
    "plone",
    "repoze",
    "ruamel",
    "sphinxcontrib",
    "zope",
];

/// The part of an imported module's name that tells which project it comes from: the top, and of a namespace one more. `names` are
/// those that are taken from it.
pub(crate) fn portion(module: &str, names: &[String]) -> String {
    let mut parts = module.split('.').chain(names.first().map(String::as_str));
    let mut portion = parts.next().unwrap_or_default().to_owned();
    while is_namespace(&portion)
        && let Some(part) = parts.next()
    {
        portion = format!("{portion}.{part}");
    }
    portion
}

/// What implies a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implies {
    Option,
    Key,
    Fixture,
    Mark,
}

/// The plugin that an option, a configuration key, a fixture or a marker belongs to.
pub(crate) fn plugin(kind: Implies, name: &str) -> Option<&'static str> {
    let kind = match kind {
        Implies::Option => "option",
        Implies::Key => "key",
        Implies::Fixture => "fixture",
        Implies::Mark => "mark",
    };
    PLUGINS.get(&(kind, name)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wheeltapper_core::ProjectName;

    #[test]
    fn tables_hold_project_names_in_their_normal_form() {
        for project in PROVIDERS.values().flatten().chain(PLUGINS.values()) {
            let name: ProjectName = project.parse().unwrap();
            assert_eq!(name.as_str(), *project);
        }
        for row in rows(include_str!("../data/plugins.csv")) {
            assert!(matches!(row[..], ["option" | "key" | "fixture" | "mark", _, _]), "{row:?}");
        }
    }

    #[test]
    fn the_tables_answer() {
        assert!(is_stdlib("urllib2") && is_stdlib("tomllib") && !is_stdlib("mock"));
        assert_eq!(providers("yaml"), ["pyyaml"]);
        assert_eq!(plugin(Implies::Option, "--cov"), Some("pytest-cov"));
        assert_eq!(plugin(Implies::Fixture, "tmp_path"), None);
    }
}
