//! Weak evidence: what continuous integration and Makefiles install and run. Lines are found by their shape;
//! neither YAML nor make is interpreted.

use std::collections::BTreeMap;

use super::{Declared, Sources, Tier, Way};
use crate::{
    invocation::interpret,
    requirement::List,
    shell::{Command, commands},
    tree::file_name,
};

/// Reads workflows and the Makefile.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    let is_workflow = |path: &str| {
        (path.starts_with(".github/workflows/") && (path.ends_with(".yml") || path.ends_with(".yaml")))
            || matches!(
                path,
                ".travis.yml" | ".gitlab-ci.yml" | "azure-pipelines.yml" | ".circleci/config.yml"
            )
    };
    let files: Vec<&str> = sources
        .reader
        .files()
        .iter()
        .map(|file| file.0)
        .filter(|path| {
            is_workflow(path) || matches!(*path, "Makefile" | "makefile" | "justfile" | "Justfile")
        })
        .take(10)
        .collect();
    for file in files {
        let Some(text) = sources.reader.text(file) else { continue };
        let mut list = List::default();
        let mut first = 0;
        let mut target = String::new();
        let mut variables: BTreeMap<&str, &str> = BTreeMap::new();
        let is_make = file_name(file).to_ascii_lowercase().ends_with("file");
        for (number, raw) in text.lines().enumerate().take(5_000) {
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            if is_make && !raw.starts_with(char::is_whitespace) {
                if let Some((name, value)) = make_variable(raw) {
                    variables.insert(name, value);
                    continue;
                }
                target = raw.split(':').next().unwrap_or("").trim().to_owned();
                continue;
            }
            if is_make
                && !matches!(target.as_str(), "test" | "tests" | "check" | "pytest" | "unittest" | "unit")
            {
                continue;
            }
            let line = raw.trim().trim_start_matches("- ").trim_start_matches(['@', '-']);
            let line =
                line.strip_prefix("run:").map_or(line, |rest| rest.trim().trim_matches(['|', '>', '-']));
            if line.contains("${{") || line.len() > 1_000 {
                continue;
            }
            let line = if is_make { expanded(line, &variables) } else { line.to_owned() };
            for command in commands(&line) {
                if let Some(arguments) = pip_install(&command) {
                    first = if first == 0 { number } else { first };
                    take_arguments(sources, arguments, file, number, &mut list);
                } else if let Some(invocation) = interpret(&command) {
                    declared.ways.push(Way {
                        tier: Tier::Ci,
                        name: if is_make {
                            format!("make {target}")
                        } else {
                            "continuous integration".into()
                        },
                        file: file.to_owned(),
                        line: number,
                        invocation,
                        environment: BTreeMap::new(),
                        directory: String::new(),
                    });
                }
            }
        }
        declared.add(Tier::Ci, format!("{file} installs"), file, first, list);
    }
    declared.ways.truncate(200);
}

/// `NAME = value`, with any of make's signs for it; the first part of a rule is none.
fn make_variable(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end_matches(['?', ':', '+']).trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name, value.trim()))
}

/// A make line with its plain variables filled in, once; one that nobody sets is empty, as it is for make.
fn expanded(line: &str, variables: &BTreeMap<&str, &str>) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        let close = match rest[at + 1..].chars().next() {
            Some('(') => ')',
            Some('{') => '}',
            _ => break,
        };
        let inside = &rest[at + 2..];
        let name = inside.split(close).next().unwrap_or("");
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || name.len() == inside.len() {
            break;
        }
        text.push_str(&rest[..at]);
        text.push_str(variables.get(name).copied().unwrap_or(""));
        rest = &inside[name.len() + 1..];
    }
    text.push_str(rest);
    text
}

/// The arguments of `pip install`, however it is called.
fn pip_install(command: &Command) -> Option<&[String]> {
    let words = &command.words;
    let at = words.iter().position(|word| matches!(word.rsplit('/').next(), Some("pip" | "pip3")))?;
    (at <= 3 && words.get(at + 1).is_some_and(|word| word == "install")).then(|| &words[at + 2..])
}

/// Reads `pip install`-like arguments into a list.
pub(crate) fn take_arguments(
    sources: &Sources,
    arguments: &[String],
    file: &str,
    line: u32,
    list: &mut List,
) {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-r" | "--requirement" | "-c" | "--constraint" | "-e" | "--editable" => {
                if let Some(value) = arguments.next() {
                    list.take_at_root(
                        sources.reader,
                        sources.own,
                        &format!("{argument} {value}"),
                        file,
                        line,
                    );
                }
            }
            "-i" | "--index-url" | "--extra-index-url" | "-f" | "--find-links" | "--no-binary"
            | "--only-binary" | "--target" | "-t" => {
                arguments.next();
            }
            flag if flag.starts_with('-') && !flag.starts_with("-r") && !flag.starts_with("-c") => {}
            "pip" | "setuptools" | "wheel" | "tox" | "nox" | "build" | "twine" | "codecov" | "coveralls" => {}
            text => list.take_at_root(sources.reader, sources.own, text, file, line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_make_are_filled_in_once() {
        let variables: BTreeMap<&str, &str> =
            ["PYTHON ?= python3", "FLAGS := -v $(MORE)"].into_iter().filter_map(make_variable).collect();
        let line = "$(PYTHON) -m p.tests ${FLAGS} $(UNSET)";
        assert_eq!(expanded(line, &variables), "python3 -m p.tests -v $(MORE) ");
        assert_eq!(expanded("echo $(shell date) $(", &variables), "echo $(shell date) $(");
        assert_eq!(make_variable("test: a=b"), None);
    }
}
