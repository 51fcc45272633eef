//! Tables of tasks in `pyproject.toml` (pdm, poethepoet, taskipy, rye, pixi) and the development packages of a `Pipfile`.
//! A task is a command; what is more than one simple command is read as shell lines are.

use std::collections::BTreeMap;

use super::{Declared, Sources, Tier, Way, poetry::versioned};
use crate::{
    invocation::{Invocation, interpret},
    shell::commands,
    toml_file::{Toml, Value},
};

/// Where task tables stand, and what their tools call them.
const TABLES: &[&[&str]] = &[
    &["tool", "pdm", "scripts"],
    &["tool", "poe", "tasks"],
    &["tool", "taskipy", "tasks"],
    &["tool", "rye", "scripts"],
    &["tool", "pixi", "tasks"],
];

/// Names of tasks that run the tests, the first that is there counts.
const NAMES: &[&str] = &["test", "tests", "pytest", "unittest", "unit", "test-unit", "test_unit"];

/// Reads both.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    const FILE: &str = "pyproject.toml";
    if let Some(text) = sources.reader.text(FILE)
        && let Ok(toml) = Toml::parse(&text)
    {
        for path in TABLES {
            let Some(table) = toml.root().path(path) else { continue };
            let Some((name, task)) = NAMES.iter().find_map(|name| Some((*name, table.get(name)?))) else {
                continue;
            };
            take(&format!("[{}] {name}", path.join(".")), FILE, table, task, declared, 0);
        }
    }
    if let Some(text) = sources.reader.text("Pipfile")
        && let Ok(toml) = Toml::parse(&text)
        && let Some(table) = toml.root().get("dev-packages")
    {
        let list = versioned(sources, "Pipfile", table);
        declared.add(Tier::Dev, "[dev-packages]", "Pipfile", table.line(), list);
    }
}

/// A task as a text, as a table with `cmd`, `shell` or `composite`, or as a list of other tasks' names.
fn take(name: &str, file: &str, table: Value, task: Value, declared: &mut Declared, depth: u8) {
    let command = ["cmd", "shell"].iter().find_map(|key| task.get(key)).unwrap_or(task);
    let environment: BTreeMap<String, String> = task
        .get("env")
        .map(Value::entries)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.scalar()?)))
        .collect();
    let others = ["composite", "sequence"].iter().find_map(|key| task.get(key)).unwrap_or(task);
    for other in others.items().iter().filter_map(|item| table.get(item.str()?)).take(10) {
        if depth < 3 {
            take(name, file, table, other, declared, depth + 1);
        }
    }
    for command in command.str().map(commands).unwrap_or_default() {
        // A task that leads back to itself says the same again.
        let known = |invocation: &Invocation| {
            declared.ways.iter().any(|way| way.name == name && way.invocation == *invocation)
        };
        if let Some(invocation) = interpret(&command).filter(|invocation| !known(invocation)) {
            declared.ways.push(Way {
                tier: Tier::Nox,
                name: name.to_owned(),
                file: file.to_owned(),
                line: task.line(),
                invocation,
                environment: environment.clone(),
                directory: String::new(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{testing::tree, tree::Reader};

    #[test]
    fn tasks_and_a_pipfile_are_read() {
        let tree = tree(&[
            (
                "pyproject.toml",
                "[tool.poe.tasks]\nlint = 'ruff'\nunit = {cmd = 'pytest -q tests', env = {A = '1'}}\n\
                 test = ['lint', 'unit', 'test']\n[tool.pdm.scripts]\ntest = {shell = 'ruff && python -m unittest'}\n\
                 [tool.taskipy.tasks]\ntest = 3\n",
            ),
            (
                "Pipfile",
                "[dev-packages]\npytest = '*'\nx = {version = '>=1', extras = ['y']}\nz = {git = 'https://z.invalid'}\n",
            ),
        ]);
        let reader = Reader::new(&tree);
        let own = "p".parse().unwrap();
        let sources = Sources { reader: &reader, own: &own, python: (3, 13), extras: &BTreeMap::new() };
        let mut declared = Declared::default();
        read(&sources, &mut declared);
        let ways: Vec<_> =
            declared.ways.iter().map(|way| (way.line, way.invocation.words.join(" "))).collect();
        assert_eq!(ways, [(6, "python -m unittest".to_owned()), (3, "pytest -q tests".to_owned())]);
        assert_eq!(declared.ways[1].environment["A"], "1");
        let list = &declared.lists[0].list;
        let texts: Vec<_> = list.specifiers.iter().map(|placed| placed.specifier.text.as_str()).collect();
        assert_eq!((texts, list.refused.len()), (vec!["pytest", "x[y]>=1"], 1));
    }
}
