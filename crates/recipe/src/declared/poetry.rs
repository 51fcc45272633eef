//! Poetry's groups and its older list, with its own version syntax, which a `Pipfile` shares.

use super::{Declared, Purpose, Sources, Tier, purpose};
use crate::{requirement::List, toml_file::Value};

const FILE: &str = "pyproject.toml";

/// Poetry's groups and its older `dev-dependencies`, with its own version syntax.
pub(crate) fn read(sources: &Sources, root: Value, declared: &mut Declared) {
    let Some(poetry) = root.path(&["tool", "poetry"]) else { return };
    if let Some(groups) = poetry.get("group") {
        for (name, group) in groups.entries() {
            let tier = match purpose(name) {
                Purpose::Test | Purpose::TestPart => Tier::TestEnvironment,
                Purpose::Dev => Tier::Dev,
                Purpose::Other => continue,
            };
            if let Some(table) = group.get("dependencies") {
                declared.add(
                    tier,
                    format!("[tool.poetry.group.{name}]"),
                    FILE,
                    table.line(),
                    versioned(sources, FILE, table),
                );
            }
        }
    }
    if let Some(table) = poetry.get("dev-dependencies") {
        declared.add(
            Tier::Dev,
            "[tool.poetry.dev-dependencies]",
            FILE,
            table.line(),
            versioned(sources, FILE, table),
        );
    }
}

/// A table of projects, each with a version in Poetry's or Pipenv's syntax, or a table that has one.
pub(crate) fn versioned(sources: &Sources, file: &str, table: Value) -> List {
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
                    file,
                    value.line(),
                );
            }
            None => list.refused.push((
                name.to_owned(),
                file.to_owned(),
                value.line(),
                "an address, never fetched",
            )),
        }
    }
    list
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
