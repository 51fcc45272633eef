//! `pyproject.toml`: dependency groups (PEP 735), cibuildwheel, and the tables of hatch, pdm, poetry and uv.

use super::{Declared, Purpose, Sources, Tier, purpose};
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
    poetry(sources, root, declared);
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

/// Poetry's groups and its older `dev-dependencies`, with its own version syntax.
fn poetry(sources: &Sources, root: Value, declared: &mut Declared) {
    let Some(poetry) = root.path(&["tool", "poetry"]) else { return };
    let read = |table: Value| {
        let mut list = List::default();
        for (name, value) in table.entries() {
            let version = value.str().or_else(|| value.get("version").and_then(Value::str));
            let extras: Vec<&str> = value.get("extras").map(Value::strings).unwrap_or_default();
            let extras = if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
            match version {
                _ if name == "python" => {}
                Some(version) => {
                    let specifier = poetry_version(version);
                    list.take_at_root(
                        sources.reader,
                        sources.own,
                        &format!("{name}{extras}{specifier}"),
                        FILE,
                        value.line(),
                    );
                }
                None => list.refused.push((
                    name.to_owned(),
                    FILE.to_owned(),
                    value.line(),
                    "an address, never fetched",
                )),
            }
        }
        list
    };
    if let Some(groups) = poetry.get("group") {
        for (name, group) in groups.entries() {
            let tier = match purpose(name) {
                Purpose::Test | Purpose::TestPart => Tier::TestEnvironment,
                Purpose::Dev => Tier::Dev,
                Purpose::Other => continue,
            };
            if let Some(table) = group.get("dependencies") {
                declared.add(tier, format!("[tool.poetry.group.{name}]"), FILE, table.line(), read(table));
            }
        }
    }
    if let Some(table) = poetry.get("dev-dependencies") {
        declared.add(Tier::Dev, "[tool.poetry.dev-dependencies]", FILE, table.line(), read(table));
    }
}

/// `^1.2` and `~1.2` of Poetry as PEP 440; `*` as nothing.
fn poetry_version(text: &str) -> String {
    let text = text.trim();
    if text == "*" || text.contains("||") {
        return String::new();
    }
    let mut parts = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (caret, rest) = match part.chars().next() {
            Some('^') => (true, &part[1..]),
            Some('~') if !part.starts_with("~=") => (false, &part[1..]),
            Some(c) if c.is_ascii_digit() => {
                parts.push(format!("=={part}"));
                continue;
            }
            _ => {
                parts.push(part.to_owned());
                continue;
            }
        };
        let numbers: Vec<u64> =
            rest.trim().split('.').map_while(|number| number.parse().ok()).take(6).collect();
        if numbers.is_empty() {
            continue;
        }
        let at = if caret {
            numbers.iter().position(|number| *number != 0).unwrap_or(numbers.len() - 1)
        } else {
            1.min(numbers.len() - 1)
        };
        let mut upper: Vec<String> = numbers[..at].iter().map(ToString::to_string).collect();
        upper.push(numbers[at].saturating_add(1).to_string());
        parts.push(format!(">={},<{}", rest.trim(), upper.join(".")));
    }
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poetrys_versions_are_pep_440() {
        for (poetry, pep440) in [
            ("^7.2", ">=7.2,<8"),
            ("^0.2.3", ">=0.2.3,<0.3"),
            ("~1.2", ">=1.2,<1.3"),
            ("~=1.2", "~=1.2"),
            (">=1,<3", ">=1,<3"),
            ("1.2.3", "==1.2.3"),
            ("*", ""),
            ("^18446744073709551615", ">=18446744073709551615,<18446744073709551615"),
        ] {
            assert_eq!(poetry_version(poetry), pep440);
        }
    }
}
