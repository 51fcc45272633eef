//! `pyproject.toml`: dependency groups (PEP 735) and the lists of pdm and uv.

use super::{Declared, Purpose, Sources, Tier, poetry, purpose};
use crate::{
    requirement::List,
    toml_file::{Toml, Value},
};

const FILE: &str = "pyproject.toml";

/// Reads the file into lists and ways. One that does not parse is noted by the search for pytest's configuration.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    let Some(text) = sources.reader.text(FILE) else { return };
    let Ok(toml) = Toml::parse(&text) else { return };
    let root = toml.root();
    groups(sources, root, declared);
    uv_and_pdm(sources, root, declared);
    poetry::read(sources, root, declared);
}

fn groups(sources: &Sources, root: Value, declared: &mut Declared) {
    let Some(table) = root.get("dependency-groups") else { return };
    for (name, value) in table.entries() {
        let tier = match purpose(name) {
            Purpose::Test => Tier::TestGroup,
            Purpose::TestPart => continue,
            Purpose::Dev => Tier::Dev,
            Purpose::Other => continue,
        };
        let list = group(sources, root, name);
        declared.add(tier, format!("[dependency-groups] {name}"), FILE, value.line(), list);
    }
}

/// A dependency group with all it includes.
pub(crate) fn group(sources: &Sources, root: Value, name: &str) -> List {
    let mut list = List::default();
    expand(sources, root, name, &mut Vec::new(), &mut list);
    list
}

fn expand(sources: &Sources, root: Value, name: &str, open: &mut Vec<String>, list: &mut List) {
    let normal = normalise(name);
    // Groups that include two others each double at every level: steps are counted, not only depth.
    list.files += 1;
    if list.files > 500 {
        return;
    }
    if open.contains(&normal) || open.len() > 50 || list.specifiers.len() > 1_000 {
        list.refused.push((name.to_owned(), FILE.to_owned(), 0, "included in a circle, or too many groups"));
        return;
    }
    let Some(table) = root.get("dependency-groups") else { return };
    let Some((_, value)) = table.entries().into_iter().find(|(key, _)| normalise(key) == normal) else {
        return;
    };
    open.push(normal);
    for item in value.items() {
        if let Some(text) = item.str() {
            list.take_at_root(sources.reader, sources.own, text, FILE, item.line());
        } else if let Some(included) = item.get("include-group").and_then(Value::str)
            && list.refused.len() < 100
        {
            expand(sources, root, included, open, list);
        }
    }
    open.pop();
}

fn normalise(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

/// `[tool.pdm.dev-dependencies]` by name, `[tool.uv] dev-dependencies`.
fn uv_and_pdm(sources: &Sources, root: Value, declared: &mut Declared) {
    if let Some(table) = root.path(&["tool", "pdm", "dev-dependencies"]) {
        for (name, value) in table.entries() {
            let tier = match purpose(name) {
                Purpose::Test | Purpose::TestPart => Tier::TestEnvironment,
                Purpose::Dev => Tier::Dev,
                Purpose::Other => continue,
            };
            declared.add(
                tier,
                format!("[tool.pdm.dev-dependencies] {name}"),
                FILE,
                value.line(),
                strings(sources, value),
            );
        }
    }
    if let Some(value) = root.path(&["tool", "uv", "dev-dependencies"]) {
        declared.add(Tier::Dev, "[tool.uv] dev-dependencies", FILE, value.line(), strings(sources, value));
    }
}

pub(crate) fn strings(sources: &Sources, value: Value) -> List {
    let mut list = List::default();
    for item in value.items() {
        if let Some(text) = item.str() {
            list.take_at_root(sources.reader, sources.own, text, FILE, item.line());
        }
    }
    list
}
