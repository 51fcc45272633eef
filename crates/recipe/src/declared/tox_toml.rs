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
        for dep in get("deps").map(Value::items).unwrap_or_default() {
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
        for command in get("commands").map(Value::items).unwrap_or_default() {
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
