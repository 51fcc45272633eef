//! `[tool.cibuildwheel]`: what the maintainers run against an installed wheel, the strongest evidence for packages
//! with compiled parts. Its commands run outside the tree, with `{project}` and `{package}` for the root.

use std::collections::BTreeMap;

use super::{Declared, Sources, Tier, Way, pyproject::group};
use crate::{
    invocation::interpret,
    requirement::List,
    shell::commands,
    toml_file::{Toml, Value},
};

/// The name its list and its ways share.
const NAME: &str = "[tool.cibuildwheel]";

/// Reads the table.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    const FILE: &str = "pyproject.toml";
    let Some(text) = sources.reader.text(FILE) else { return };
    let Ok(toml) = Toml::parse(&text) else { return };
    let Some(table) = toml.root().path(&["tool", "cibuildwheel"]) else { return };
    let linux = table.get("linux");
    let get = |key: &str| linux.and_then(|linux| linux.get(key)).or_else(|| table.get(key));
    let mut list = List::default();
    if let Some(requires) = get("test-requires") {
        for item in words_of(requires) {
            list.take_at_root(sources.reader, sources.own, &item, FILE, requires.line());
        }
    }
    list.extras.extend(get("test-extras").map(words_of).unwrap_or_default());
    for name in get("test-groups").map(words_of).unwrap_or_default() {
        let included = group(sources, toml.root(), &name);
        list.specifiers.extend(included.specifiers);
        list.refused.extend(included.refused);
    }
    declared.add(Tier::Cibuildwheel, NAME, FILE, table.line(), list);
    let mut environment = BTreeMap::new();
    if let Some(variables) = get("test-environment") {
        environment.extend(
            variables
                .entries()
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value.scalar()?))),
        );
    }
    let Some(command) = get("test-command") else { return };
    for line in command.strings() {
        let line = line
            .replace("{project}/", "")
            .replace("{package}/", "")
            .replace("{project}", ".")
            .replace("{package}", ".");
        for command in commands(&line) {
            if let Some(invocation) = interpret(&command) {
                declared.ways.push(Way {
                    tier: Tier::Cibuildwheel,
                    name: NAME.to_owned(),
                    file: FILE.to_owned(),
                    line: get("test-command").map_or(0, Value::line),
                    invocation,
                    environment: environment.clone(),
                    directory: String::new(),
                });
            }
        }
    }
}

/// A list, or a text of words.
fn words_of(value: Value) -> Vec<String> {
    match value.str() {
        Some(text) => text.split_whitespace().map(str::to_owned).collect(),
        None => value.strings().into_iter().map(str::to_owned).collect(),
    }
}
