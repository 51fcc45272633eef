//! Hatch environments (`[tool.hatch.envs]` or `hatch.toml`): dependencies, features, variables and scripts, with
//! the inheritance of environments from their template.

use std::collections::BTreeMap;

use super::{Declared, Purpose, Sources, Tier, Way, purpose, pyproject};
use crate::{
    invocation::interpret,
    requirement::List,
    shell::commands,
    toml_file::{Toml, Value},
};

/// Reads both places.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    for (file, keys) in [("pyproject.toml", &["tool", "hatch", "envs"][..]), ("hatch.toml", &["envs"][..])] {
        let Some(text) = sources.reader.text(file) else { continue };
        let toml = match Toml::parse(&text) {
            Ok(toml) => toml,
            Err((line, message)) => {
                if file != "pyproject.toml" {
                    declared.broken.push((file.to_owned(), line, message));
                }
                continue;
            }
        };
        if let Some(environments) = toml.root().path(keys) {
            read_environments(sources, file, environments, declared);
        }
    }
}

fn read_environments(sources: &Sources, file: &str, environments: Value, declared: &mut Declared) {
    let mut names: Vec<(u8, &str, Value)> = environments
        .entries()
        .into_iter()
        .filter_map(|(name, value)| {
            let rank = match purpose(name) {
                Purpose::Test => 0,
                Purpose::TestPart => 1,
                Purpose::Other if name == "default" => 2,
                Purpose::Dev => 3,
                Purpose::Other => return None,
            };
            Some((rank, name, value))
        })
        .collect();
    names.sort_by_key(|environment| environment.0);
    for (rank, name, value) in names.into_iter().take(10) {
        let chain = chain(environments, name, value);
        let own = ["dependencies", "extra-dependencies", "dependency-groups"]
            .iter()
            .any(|key| value.get(key).is_some());
        let tier = if rank < 2 && own { Tier::TestEnvironment } else { Tier::Dev };
        let label = format!("[hatch environment {name}]");
        let mut list = List::default();
        for key in ["dependencies", "extra-dependencies"] {
            if let Some(found) = chain.iter().find_map(|environment| environment.get(key)) {
                for item in found.items() {
                    if let Some(text) = item.str() {
                        list.take_at_root(sources.reader, sources.own, text, file, item.line());
                    }
                }
            }
        }
        if let Some(groups) = chain.iter().find_map(|environment| environment.get("dependency-groups"))
            && let Some(text) = sources.reader.text("pyproject.toml")
            && let Ok(pyproject) = Toml::parse(&text)
        {
            for name in groups.strings() {
                list.specifiers.extend(pyproject::group(sources, pyproject.root(), name).specifiers);
            }
        }
        let features = chain.iter().find_map(|environment| environment.get("features")).map(Value::strings);
        list.extras.extend(features.unwrap_or_default().into_iter().map(str::to_owned));
        declared.add(tier, label.clone(), file, value.line(), list);
        ways(file, &label, rank, value.line(), &chain, declared);
    }
}

/// The environment and those it inherits from, nearest first.
fn chain<'d>(environments: Value<'d>, name: &str, value: Value<'d>) -> Vec<Value<'d>> {
    let mut chain = vec![value];
    let mut seen = vec![name.to_owned()];
    let mut current = value;
    while chain.len() < 10 {
        let template = current.get("template").and_then(Value::str).unwrap_or("default");
        if seen.iter().any(|known| known == template) {
            break;
        }
        let Some(next) = environments.get(template) else { break };
        seen.push(template.to_owned());
        chain.push(next);
        current = next;
    }
    chain
}

fn ways(file: &str, label: &str, rank: u8, line: u32, chain: &[Value], declared: &mut Declared) {
    let mut environment = BTreeMap::new();
    for table in chain.iter().rev().filter_map(|environment| environment.get("env-vars")) {
        environment.extend(
            table
                .entries()
                .into_iter()
                .filter_map(|(name, value)| Some((name.to_owned(), value.str()?.to_owned()))),
        );
    }
    let mut scripts: BTreeMap<&str, Value> = BTreeMap::new();
    for table in chain.iter().rev().filter_map(|environment| environment.get("scripts")) {
        scripts.extend(table.entries());
    }
    let wanted = [
        "test",
        "tests",
        "run",
        "run-tests",
        "unit",
        "pytest",
        "no-cov",
        "test-no-cov",
        "cov",
        "test-cov",
        "cover",
    ];
    for name in wanted {
        if !scripts.contains_key(name) {
            continue;
        }
        let mut lines = Vec::new();
        expand(name, &scripts, 0, &mut lines);
        let mut found = false;
        for (text, at) in lines {
            for command in commands(&text) {
                if let Some(invocation) = interpret(&command) {
                    found = true;
                    declared.ways.push(Way {
                        tier: if rank < 2 { Tier::TestEnvironment } else { Tier::Dev },
                        name: label.to_owned(),
                        file: file.to_owned(),
                        line: if at == 0 { line } else { at },
                        invocation,
                        environment: environment.clone(),
                        directory: String::new(),
                    });
                }
            }
        }
        if found {
            return;
        }
    }
}

/// A script's lines; one whose first word is another script stands for that one.
fn expand(name: &str, scripts: &BTreeMap<&str, Value>, depth: u8, lines: &mut Vec<(String, u32)>) {
    let Some(value) = scripts.get(name) else { return };
    let texts: Vec<(String, u32)> = match value.str() {
        Some(text) => vec![(text.to_owned(), value.line())],
        None => {
            value.items().into_iter().filter_map(|item| Some((item.str()?.to_owned(), item.line()))).collect()
        }
    };
    for (text, line) in texts.into_iter().take(20) {
        let text = without_placeholders(&text);
        let first = text.split_whitespace().next().unwrap_or("").trim_start_matches('-').trim();
        if depth < 5 && first != name && scripts.contains_key(first) && lines.len() < 50 {
            expand(first, scripts, depth + 1, lines);
        } else {
            lines.push((text, line));
        }
    }
}

/// `{args:default}` as its default, `{args}` and other placeholders as nothing where that keeps the line's sense.
fn without_placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else { break };
        let inner = &rest[start + 1..start + length];
        out.push_str(&rest[..start]);
        match inner.split_once(':') {
            Some(("args", default)) => out.push_str(default),
            _ if inner == "args" => {}
            Some(("env", variable)) => {
                out.push_str(variable.split_once(':').map_or("", |(_, default)| default))
            }
            _ if inner == "root" => out.push('.'),
            _ => out.push_str(&rest[start..=start + length]),
        }
        rest = &rest[start + length + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_have_defaults() {
        assert_eq!(
            without_placeholders("pytest {args:tests -q} {env:X:y} {args} {matrix:z}"),
            "pytest tests -q y  {matrix:z}"
        );
        assert_eq!(without_placeholders("a {b"), "a {b");
    }
}
