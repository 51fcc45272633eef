//! tox in its TOML form: `tox.toml` and `[tool.tox]`, where values are typed and nothing is substituted but
//! positional arguments and the root.

use std::collections::BTreeMap;

use super::{Declared, Purpose, Sources, Tier, Way, purpose, pyproject, tox::python_factor};
use crate::{
    invocation::interpret,
    requirement::List,
    shell::Command,
    toml_file::{Toml, Value},
    tree::join,
};

/// Reads the first of the two that says something.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    for (file, keys) in [("tox.toml", &[][..]), ("pyproject.toml", &["tool", "tox"][..])] {
        let Some(text) = sources.reader.text(file) else { continue };
        let toml = match Toml::parse(&text) {
            Ok(toml) => toml,
            Err((line, message)) => {
                if file == "tox.toml" {
                    declared.broken.push((file.to_owned(), line, message));
                }
                continue;
            }
        };
        let Some(root) = toml.root().path(keys) else { continue };
        let wanted = python_factor(sources.python);
        let dotted = format!("{}.{}", sources.python.0, sources.python.1);
        let environments = root.get("env").map(Value::entries).unwrap_or_default();
        let own = environments
            .iter()
            .find(|(name, _)| *name == wanted || *name == dotted)
            .or_else(|| environments.iter().find(|(name, _)| purpose(name) == Purpose::Test));
        let name = own.map_or("env_run_base", |(name, _)| name);
        let chain: Vec<Value> =
            own.map(|(_, value)| *value).into_iter().chain(root.get("env_run_base")).collect();
        let get = |key: &str| chain.iter().find_map(|environment| environment.get(key));
        let mut list = List::default();
        for dep in get("deps").map(|deps| referred(root, deps, 0)).unwrap_or_default() {
            if let Some(text) = dep.str() {
                list.take_at_root(sources.reader, sources.own, text, file, dep.line());
            }
        }
        list.extras
            .extend(get("extras").map(Value::strings).unwrap_or_default().into_iter().map(str::to_owned));
        if let Some(text) = sources.reader.text("pyproject.toml")
            && let Ok(pyproject) = Toml::parse(&text)
        {
            for group in get("dependency_groups").map(Value::strings).unwrap_or_default() {
                list.specifiers.extend(pyproject::group(sources, pyproject.root(), group).specifiers);
            }
        }
        let label = format!("tox environment {name}");
        if list.is_empty() && get("commands").is_none() {
            continue;
        }
        let line = chain.first().map_or(0, |environment| environment.line());
        declared.add(Tier::Tox, label.clone(), file, line, list);
        let environment: BTreeMap<String, String> = get("set_env")
            .map(Value::entries)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.scalar()?)))
            .collect();
        let directory = get("change_dir")
            .and_then(Value::str)
            .and_then(|folder| join("", &folder.replace("{tox_root}", ".")))
            .unwrap_or_default();
        for command in get("commands").map(|lines| referred(root, lines, 0)).unwrap_or_default() {
            let mut words = Vec::new();
            for item in command.items() {
                match item.str() {
                    Some(text) => words.push(
                        text.replace("{tox_root}/", "")
                            .replace("{envpython}", "python")
                            .replace("{env_python}", "python"),
                    ),
                    None => words.extend(
                        item.get("default")
                            .map(Value::strings)
                            .unwrap_or_default()
                            .into_iter()
                            .map(str::to_owned),
                    ),
                }
            }
            let command_line = Command { environment: Vec::new(), words };
            if let Some(invocation) = interpret(&command_line) {
                declared.ways.push(Way {
                    tier: Tier::Tox,
                    name: label.clone(),
                    file: file.to_owned(),
                    line: command.line(),
                    invocation,
                    environment: environment.clone(),
                    directory: directory.clone(),
                });
            }
        }
        return;
    }
}

/// The items of a list with those of `{ replace = "ref", of = [...] }` in place of the reference.
fn referred<'d>(root: Value<'d>, list: Value<'d>, depth: u8) -> Vec<Value<'d>> {
    let mut items = Vec::new();
    for item in list.items().into_iter().take(500) {
        let of = item.get("of").filter(|_| item.get("replace").and_then(Value::str) == Some("ref"));
        match of.map(Value::strings) {
            Some(keys) if depth < 5 => {
                items
                    .extend(root.path(&keys).map(|list| referred(root, list, depth + 1)).unwrap_or_default());
            }
            Some(_) => {}
            None => items.push(item),
        }
        if items.len() > 1_000 {
            break;
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::tree, tree::Reader};

    #[test]
    fn references_and_positional_arguments_are_followed_and_circles_end() {
        let tree = tree(&[(
            "tox.toml",
            "[env_run_base]\ndeps = ['pytest', { replace = 'ref', of = ['base', 'more'], extend = true }]\n\
             commands = [['pytest', { replace = 'posargs', default = ['tests'], extend = true }]]\n\
             [base]\nmore = ['a', { replace = 'ref', of = ['base', 'more'] }]\n",
        )]);
        let reader = Reader::new(&tree);
        let own = "p".parse().unwrap();
        let sources = Sources { reader: &reader, own: &own, python: (3, 13), extras: &BTreeMap::new() };
        let mut declared = Declared::default();
        read(&sources, &mut declared);
        let list = &declared.lists[0].list.specifiers;
        let texts: Vec<_> = list.iter().map(|placed| placed.specifier.text.as_str()).collect();
        assert_eq!((texts[0], texts[1]), ("pytest", "a"));
        assert_eq!(declared.ways[0].invocation.words, ["pytest", "tests"]);
    }
}
