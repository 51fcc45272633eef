//! tox in its INI form: `tox.ini`, `setup.cfg`, `legacy_tox_ini`. Factors, substitutions and references between
//! sections are followed within bounds. The TOML form is in `tox_toml`.

use std::collections::BTreeMap;

use super::{Declared, Sources, Tier, Way, pyproject};
use crate::{
    ini::Ini, invocation::interpret, requirement::List, shell::commands, toml_file::Toml, tree::join,
};

/// The most bytes a value may grow to by substitution.
const LARGEST: usize = 64 << 10;

/// Reads the first of tox's files that is there.
pub(crate) fn read(sources: &Sources, declared: &mut Declared) {
    for file in ["tox.ini", "setup.cfg"] {
        if let Some(text) = sources.reader.text(file) {
            let ini = Ini::parse(&text);
            let core = if file == "setup.cfg" { "tox:tox" } else { "tox" };
            if ini.section(core).is_some()
                || ini.sections.iter().any(|section| section.name.starts_with("testenv"))
            {
                return Tox { sources, ini: &ini, file, core, offset: 0 }.read(declared);
            }
        }
    }
    if let Some(text) = sources.reader.text("pyproject.toml")
        && let Ok(toml) = Toml::parse(&text)
        && let Some(legacy) = toml.root().path(&["tool", "tox", "legacy_tox_ini"])
        && let Some(inner) = legacy.str()
    {
        Tox { sources, ini: &Ini::parse(inner), file: "pyproject.toml", core: "tox", offset: legacy.line() }
            .read(declared);
    }
}

struct Tox<'a> {
    sources: &'a Sources<'a>,
    ini: &'a Ini,
    file: &'a str,
    core: &'a str,
    /// What to add to a line's number.
    offset: u32,
}

impl Tox<'_> {
    fn read(&self, declared: &mut Declared) {
        let environment = self.environment_name();
        let mut list = List::default();
        let line = self.raw(&environment, "deps").map_or(0, |(_, line)| line);
        for dep in self.lines(&environment, "deps") {
            list.take_at_root(self.sources.reader, self.sources.own, &dep, self.file, line);
        }
        for extra in self.lines(&environment, "extras") {
            list.extras.extend(
                extra.split(',').map(|extra| extra.trim().to_owned()).filter(|extra| !extra.is_empty()),
            );
        }
        let groups: Vec<String> = self.lines(&environment, "dependency_groups");
        if let Some(text) = self.sources.reader.text("pyproject.toml")
            && let Ok(toml) = Toml::parse(&text)
        {
            for name in
                groups.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty())
            {
                list.specifiers.extend(pyproject::group(self.sources, toml.root(), name).specifiers);
            }
        }
        let label = format!("tox environment {environment}");
        declared.add(Tier::Tox, label.clone(), self.file, line, list);
        let line = self.raw(&environment, "commands").map_or(0, |(_, line)| line);
        let variables = self.variables(&environment);
        let directory = ["changedir", "change_dir"]
            .iter()
            .find_map(|key| self.raw(&environment, key))
            .map(|(value, _)| self.substitute(&value, &environment, 0))
            .and_then(|folder| join("", folder.trim()))
            .unwrap_or_default();
        for text in self.commands(&environment) {
            for command in commands(&text) {
                if let Some(invocation) = interpret(&command) {
                    declared.ways.push(Way {
                        tier: Tier::Tox,
                        name: label.clone(),
                        file: self.file.to_owned(),
                        line,
                        invocation,
                        environment: variables.clone(),
                        directory: directory.clone(),
                    });
                }
            }
        }
    }

    /// The environment that a person on this Python would run.
    fn environment_name(&self) -> String {
        let list = ["envlist", "env_list"]
            .iter()
            .find_map(|key| self.ini.get(self.core, key))
            .map_or("", |entry| &entry.value);
        let mut names: Vec<String> =
            split_outside_braces(list).iter().flat_map(|item| braces(item)).collect();
        let sections = self.ini.sections.iter().filter_map(|section| section.name.strip_prefix("testenv:"));
        names.extend(sections.flat_map(braces));
        names.truncate(500);
        let wanted = python_factor(self.sources.python);
        let is_plain = |name: &str| {
            !name.split('-').any(|factor| {
                matches!(
                    factor,
                    "lint"
                        | "docs"
                        | "doc"
                        | "mypy"
                        | "typing"
                        | "cov"
                        | "coverage"
                        | "min"
                        | "mindeps"
                        | "oldest"
                        | "lowest"
                        | "dev"
                        | "devdeps"
                        | "main"
                        | "nightly"
                        | "windows"
                        | "win"
                        | "macos"
                )
            })
        };
        names
            .iter()
            .find(|name| **name == wanted)
            .or_else(|| {
                names.iter().find(|name| name.split('-').any(|factor| factor == wanted) && is_plain(name))
            })
            .or_else(|| names.iter().find(|name| super::purpose(name) == super::Purpose::Test))
            .or_else(|| names.iter().find(|name| matches!(name.as_str(), "py" | "py3" | "unit" | "python")))
            .cloned()
            .unwrap_or(wanted)
    }

    /// A key's raw value from the environment's section or from `testenv`, with its line.
    fn raw(&self, environment: &str, key: &str) -> Option<(String, u32)> {
        let own = self.ini.sections.iter().rev().find(|section| {
            section.name.strip_prefix("testenv:").is_some_and(|names| {
                names == environment || braces(names).iter().any(|name| name == environment)
            })
        });
        let base = self.ini.section("testenv");
        own.and_then(|section| section.get(key))
            .or_else(|| base.and_then(|section| section.get(key)))
            .map(|entry| (entry.value.clone(), entry.line + self.offset))
    }

    /// A key's lines for the environment, with factors decided and substitutions made.
    fn lines(&self, environment: &str, key: &str) -> Vec<String> {
        let Some((value, _)) = self.raw(environment, key) else { return Vec::new() };
        let value = self.substitute(&value, environment, 0);
        value
            .lines()
            .take(2_000)
            .filter_map(|line| {
                for_factors(line.trim(), environment, python_factor(self.sources.python).as_str())
            })
            .map(str::to_owned)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect()
    }

    /// Commands with `\` continuations joined.
    fn commands(&self, environment: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut open = false;
        for line in self.lines(environment, "commands") {
            let (text, more) = line.strip_suffix('\\').map_or((line.as_str(), false), |text| (text, true));
            match found.last_mut() {
                Some(last) if open => {
                    last.push(' ');
                    last.push_str(text);
                }
                _ => found.push(text.to_owned()),
            }
            open = more;
        }
        found
    }

    fn variables(&self, environment: &str) -> BTreeMap<String, String> {
        ["setenv", "set_env"]
            .iter()
            .flat_map(|key| self.lines(environment, key))
            .filter_map(|line| {
                let (name, value) = line.split_once('=')?;
                Some((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect()
    }

    /// Replaces what is in braces: references, positional arguments, variables, folders.
    fn substitute(&self, text: &str, environment: &str, depth: u8) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            out.push_str(&rest[..start]);
            let inner_start = &rest[start..];
            let Some(end) = closing(inner_start) else {
                out.push_str(inner_start);
                return out;
            };
            let inner = &inner_start[1..end];
            out.push_str(&self.replacement(inner, environment, depth));
            if out.len() > LARGEST {
                return String::new();
            }
            rest = &inner_start[end + 1..];
        }
        out.push_str(rest);
        out
    }

    fn replacement(&self, inner: &str, environment: &str, depth: u8) -> String {
        if depth > 8 {
            return String::new();
        }
        if let Some((section, key)) = inner.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            let value = match section.strip_prefix("testenv:") {
                Some(name) => self.raw(name, key).map(|(value, _)| value),
                None => self.ini.get(section, key).map(|entry| entry.value.clone()),
            };
            return self.substitute(&value.unwrap_or_default(), environment, depth + 1);
        }
        let (name, default) = inner.split_once(':').map_or((inner, None), |(name, rest)| (name, Some(rest)));
        match name {
            "posargs" => self.substitute(default.unwrap_or(""), environment, depth + 1),
            "env" => {
                let value = default.and_then(|rest| rest.split_once(':')).map_or("", |(_, default)| default);
                self.substitute(value, environment, depth + 1)
            }
            "toxinidir" | "tox_root" | "package_root" => ".".into(),
            "envname" | "env_name" => environment.to_owned(),
            "envpython" | "env_python" | "basepython" => "python".into(),
            "envbindir" | "env_bin_dir" => "bin".into(),
            "/" => "/".into(),
            "tty" => String::new(),
            _ if name.is_empty() => ":".into(),
            // Braces that no rule knows: left in, so that a command which needs them is not taken.
            _ => format!("{{{inner}}}"),
        }
    }
}

/// The brace that closes the first one.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// `py313`.
pub(super) fn python_factor((major, minor): (u32, u32)) -> String {
    format!("py{major}{minor}")
}

/// A line without its factors, if they fit the environment.
fn for_factors<'l>(line: &'l str, environment: &str, python: &str) -> Option<&'l str> {
    let Some((condition, rest)) = line.split_once(':') else { return Some(line) };
    let is_condition = !condition.is_empty()
        && (rest.is_empty() || rest.starts_with(char::is_whitespace))
        && condition.chars().all(|c| c.is_ascii_alphanumeric() || "_,.{}!- ".contains(c))
        && !condition.trim().contains(' ');
    if !is_condition {
        return Some(line);
    }
    let has = |factor: &str| {
        let python_alike =
            factor == python || factor == "py" || (factor == "py3" && python.starts_with("py3"));
        python_alike || environment.split('-').any(|have| have == factor) || factor == environment
    };
    let fits = split_outside_braces(condition).iter().flat_map(|item| braces(item)).any(|alternative| {
        alternative.split('-').all(|factor| match factor.strip_prefix('!') {
            Some(factor) => !has(factor),
            None => has(factor),
        })
    });
    fits.then(|| rest.trim())
}

/// Items between commas and line ends, braces kept together.
fn split_outside_braces(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0usize;
    for c in text.chars().take(20_000) {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' | '\n' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = items.last_mut() {
            last.push(c);
        }
    }
    items
        .into_iter()
        .map(|item| item.trim().to_owned())
        .filter(|item| !item.is_empty() && !item.starts_with('#'))
        .collect()
}

/// `py{38,39}-{a,b}` spelled out; at most 200.
fn braces(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![text.chars().filter(|c| !c.is_whitespace()).collect::<String>()];
    while let Some(item) = open.pop() {
        if done.len() + open.len() > 200 {
            break;
        }
        match item.find('{').and_then(|start| Some((start, start + item[start..].find('}')?))) {
            Some((start, end)) => {
                for choice in item[start + 1..end].split(',').rev().take(100) {
                    open.push(format!("{}{}{}", &item[..start], choice, &item[end + 1..]));
                }
            }
            None => done.push(item),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;
    use crate::tree::Reader;

    fn read_ini(text: &str) -> Declared {
        let tree = tree(&[
            ("tox.ini", text),
            ("requirements.txt", "base\n"),
            ("pyproject.toml", "[dependency-groups]\nt = ['grouped']\n"),
        ]);
        let reader = Reader::new(&tree);
        let own = "p".parse().unwrap();
        let sources = Sources { reader: &reader, own: &own, python: (3, 13), extras: &BTreeMap::new() };
        let mut declared = Declared::default();
        read(&sources, &mut declared);
        declared
    }

    #[test]
    fn factors_substitutions_and_references_are_followed() {
        let declared = read_ini(
            "[tox]\nenvlist = py{312,313}-{a,b}, lint\n[base]\ndeps =\n  pytest>=3\n  -r{toxinidir}/requirements.txt\n\
             [testenv]\ndeps =\n  {[base]deps}\n  a: only-a\n  b: only-b\n  !lint: not-lint\n  py312: old\nextras = x, y\n\
             dependency_groups = t\nsetenv =\n  A = {env:A:1}\n  B={toxinidir}/x\nchangedir = {toxinidir}/sub\n\
             commands =\n  coverage run -m pytest \\\n    {posargs:tests} -q\n  flake8\n",
        );
        let names: Vec<&str> =
            declared.lists[0].list.specifiers.iter().map(|placed| placed.specifier.text.as_str()).collect();
        assert_eq!(names, ["pytest>=3", "base", "only-a", "not-lint", "grouped"]);
        assert_eq!(declared.lists[0].list.extras, ["x", "y"]);
        let way = &declared.ways[0];
        assert_eq!(way.invocation.words.join(" "), "python -m pytest tests -q");
        assert_eq!(
            (way.directory.as_str(), way.environment["A"].as_str(), way.environment["B"].as_str()),
            ("sub", "1", "./x")
        );
        assert_eq!(declared.ways.len(), 1);
    }

    #[test]
    fn circles_and_explosions_end() {
        let mut text = String::from("[testenv]\ndeps = {[a]x}\n[a]\nx = {[a]x}{[a]x}{[a]x}{[a]x}\n");
        assert!(read_ini(&text).lists[0].list.specifiers.is_empty());
        text = format!("[tox]\nenvlist = {}\n[testenv]\ndeps=z\n", "{a,b,c,d}".repeat(50));
        assert_eq!(read_ini(&text).lists[0].list.specifiers.len(), 1);
        assert!(braces(&"{a,b}".repeat(100)).len() <= 200);
    }
}
