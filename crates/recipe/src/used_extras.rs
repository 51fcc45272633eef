//! Extras that the tests use without saying so: they import a module of the release which itself imports what only an extra
//! installs.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    About,
    knowledge::is_stdlib,
    needs::provides,
    python::facts::{Facts, top},
    requirement::specifier,
    survey::{Survey, is_under},
    tree::Reader,
};

/// The most modules of the release that are read.
const MOST_MODULES: usize = 100;

/// An extra and why the tests need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsedExtra {
    pub extra: String,
    /// The release's module that asks for it, and what it imports.
    pub because: String,
    pub file: String,
    pub line: u32,
}

/// The extras that modules need which tests import at module level.
pub(crate) fn used_extras(reader: &Reader, survey: &Survey, about: &About) -> Vec<UsedExtra> {
    if about.provides_extra.is_empty() {
        return Vec::new();
    }
    let imports = survey.tests.iter().flat_map(|file| &file.facts.imports);
    let dotted = imports.flat_map(|import| {
        let names = import.names.iter().map(|name| format!("{}.{name}", import.module));
        std::iter::once(import.module.clone()).chain(names)
    });
    let modules: BTreeSet<String> = dotted.collect();
    let sources: BTreeSet<String> =
        modules.iter().filter_map(|module| source_of(reader, survey, module)).take(MOST_MODULES).collect();
    let of_runtime = |module: &str| {
        let required = about.runtime_requirements.iter().filter_map(|text| specifier(text).ok());
        required.into_iter().any(|one| provides(&one.project, module))
    };
    let mut used: BTreeMap<String, UsedExtra> = BTreeMap::new();
    for file in sources {
        let Some((source, whole)) = reader.python(&file) else { continue };
        for import in Facts::of(&source, whole).imports {
            let module = top(&import.module);
            let is_own = about.import_names.iter().any(|own| top(own) == module);
            if is_stdlib(module) || is_own || of_runtime(module) {
                continue;
            }
            let Some(extra) = extra_with(about, module) else { continue };
            used.entry(extra.to_owned()).or_insert_with(|| UsedExtra {
                extra: extra.to_owned(),
                because: format!("the tests import {file}, which imports {module}"),
                file: file.clone(),
                line: import.line,
            });
        }
    }
    used.into_values().collect()
}

/// The smallest extra that installs a module.
fn extra_with<'a>(about: &'a About, module: &str) -> Option<&'a str> {
    let has = |requirements: &Vec<String>| {
        requirements.iter().filter_map(|text| specifier(text).ok()).any(|one| provides(&one.project, module))
    };
    let extras = about.provides_extra.iter().filter(|(_, requirements)| has(requirements));
    extras.min_by_key(|(_, requirements)| requirements.len()).map(|(extra, _)| extra.as_str())
}

/// The file of one of the release's own modules.
fn source_of(reader: &Reader, survey: &Survey, module: &str) -> Option<String> {
    let path = module.replace('.', "/");
    survey.own.iter().find_map(|own| {
        let full = if own.folder.is_empty() { path.clone() } else { format!("{}/{path}", own.folder) };
        let files = [format!("{full}.py"), format!("{full}/__init__.py")];
        files
            .into_iter()
            .find(|file| (is_under(file, &own.path) || *file == own.path) && reader.has_file(file))
    })
}
