//! Where a tree configures pytest, and what that configuration says. Follows pytest's own search in its own
//! order (pytest.toml, pytest.ini, pyproject.toml, tox.ini, setup.cfg). Changes nothing of it.

use crate::{
    ini::Ini,
    knowledge::{Implies, plugin},
    shell::words,
    toml_file::{Toml, Value},
    tree::Reader,
};

/// A configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PytestConfig {
    pub file: String,
    /// `[pytest]`, `[tool.pytest.ini_options]` …
    pub section: String,
    /// Line of the section, counted from 1.
    pub line: u32,
    pub addopts: Vec<String>,
    pub testpaths: Vec<String>,
    pub python_files: Vec<String>,
    pub pythonpath: Vec<String>,
    /// Entries of `filterwarnings`.
    pub filterwarnings: Vec<String>,
    /// Other keys with their values and lines.
    pub keys: Vec<(String, String, u32)>,
}

/// Finds the configuration that `pytest` in the root would use. A file that does not parse is told in `broken`.
pub(crate) fn find(reader: &Reader, broken: &mut Vec<(String, u32, String)>) -> Option<PytestConfig> {
    for file in ["pytest.toml", ".pytest.toml"] {
        if let Some(text) = reader.text(file) {
            match Toml::parse(&text) {
                Ok(toml) => {
                    if let Some(section) = toml.root().get("pytest") {
                        return Some(from_toml(file, "[pytest]", section));
                    }
                    return Some(PytestConfig {
                        file: file.into(),
                        section: "(empty)".into(),
                        line: 1,
                        ..Default::default()
                    });
                }
                Err((line, message)) => broken.push((file.to_owned(), line, message)),
            }
        }
    }
    for file in ["pytest.ini", ".pytest.ini"] {
        if let Some(text) = reader.text(file) {
            // pytest.ini counts even when it is empty.
            return Some(from_ini(file, &Ini::parse(&text), "pytest").unwrap_or(PytestConfig {
                file: file.into(),
                section: "(empty)".into(),
                line: 1,
                ..Default::default()
            }));
        }
    }
    if let Some(text) = reader.text("pyproject.toml") {
        match Toml::parse(&text) {
            Ok(toml) => {
                if let Some(tool) = toml.root().path(&["tool", "pytest"]) {
                    if let Some(section) = tool.get("ini_options") {
                        return Some(from_toml("pyproject.toml", "[tool.pytest.ini_options]", section));
                    }
                    if tool.is_table() {
                        return Some(from_toml("pyproject.toml", "[tool.pytest]", tool));
                    }
                }
            }
            Err((line, message)) => broken.push(("pyproject.toml".to_owned(), line, message)),
        }
    }
    for (file, section) in [("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")] {
        if let Some(text) = reader.text(file)
            && let Some(found) = from_ini(file, &Ini::parse(&text), section)
        {
            return Some(found);
        }
    }
    None
}

fn from_ini(file: &str, ini: &Ini, section: &str) -> Option<PytestConfig> {
    let found = ini.section(section)?;
    let mut config = PytestConfig {
        file: file.into(),
        section: format!("[{section}]"),
        line: found.line,
        ..Default::default()
    };
    for entry in &found.entries {
        config.put(&entry.key, &entry.value, words(&entry.value), entry.line);
    }
    Some(config)
}

fn from_toml(file: &str, name: &str, section: Value) -> PytestConfig {
    let line = section.line();
    let mut config = PytestConfig { file: file.into(), section: name.to_owned(), line, ..Default::default() };
    for (key, value) in section.entries() {
        let text = value.scalar().unwrap_or_else(|| value.strings().join("\n"));
        // A list's items are arguments as they stand; a text is split as a shell does.
        let list = match value.str() {
            Some(text) => words(text),
            None => value.strings().into_iter().map(str::to_owned).collect(),
        };
        config.put(key, &text, list, value.line());
    }
    config
}

impl PytestConfig {
    fn put(&mut self, key: &str, text: &str, list: Vec<String>, line: u32) {
        match key {
            "addopts" => self.addopts = list,
            "testpaths" => self.testpaths = list,
            "python_files" => self.python_files = list,
            "pythonpath" | "python_paths" => self.pythonpath = list,
            "filterwarnings" => {
                self.filterwarnings =
                    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
            }
            _ => {}
        }
        self.keys.push((key.to_owned(), text.chars().take(200).collect(), line));
    }

    /// Modules that `filterwarnings` names: pytest imports each category's module before it collects anything.
    pub(crate) fn warning_modules(&self) -> Vec<&str> {
        let category = |entry: &'_ String| -> Option<(usize, usize)> {
            let start = entry.match_indices(':').nth(1)?.0 + 1;
            let end = entry[start..].find(':').map_or(entry.len(), |length| start + length);
            Some((start, start + entry[start..end].trim_end().rfind('.')?))
        };
        self.filterwarnings
            .iter()
            .filter_map(|entry| category(entry).map(|(start, end)| entry[start..end].trim()))
            .collect()
    }

    /// Plugins that addopts and keys need, with why.
    pub(crate) fn plugins(&self) -> Vec<(&'static str, String)> {
        let mut found: Vec<(&'static str, String)> = Vec::new();
        let addopts_line = self.keys.iter().find(|key| key.0 == "addopts").map_or(self.line, |key| key.2);
        let mut previous = "";
        for option in &self.addopts {
            let name = option.split('=').next().unwrap_or(option);
            let name = if option.starts_with("-n") && !option.starts_with("--") { "-n" } else { name };
            if previous != "-p"
                && previous != "-k"
                && previous != "-m"
                && let Some(project) = plugin(Implies::Option, name)
            {
                found.push((project, format!("{}:{addopts_line} addopts has {option}", self.file)));
            }
            previous = option;
        }
        for (key, _, line) in &self.keys {
            if let Some(project) = plugin(Implies::Key, key) {
                found.push((project, format!("{}:{line} sets {key}", self.file)));
            }
        }
        if self.keys.iter().any(|key| key.0 == "python_paths") {
            found.push(("pytest-pythonpath", format!("{} sets python_paths", self.file)));
        }
        found
    }

    /// True when addopts choose how test modules are imported.
    pub(crate) fn has_import_mode(&self) -> bool {
        self.addopts.iter().any(|option| option.starts_with("--import-mode"))
            || self.keys.iter().any(|key| key.0 == "import_mode")
    }

    /// True when source modules are collected for their doctests.
    pub(crate) fn has_doctest_modules(&self) -> bool {
        self.addopts
            .iter()
            .any(|option| option.starts_with("--doctest-modules") || option.starts_with("--doctest-plus"))
            || self.keys.iter().any(|key| key.0 == "doctest_plus" && key.1 != "disabled")
    }

    /// The patterns of test files' names.
    pub(crate) fn patterns(&self) -> Vec<String> {
        if self.python_files.is_empty() { default_patterns() } else { self.python_files.clone() }
    }
}

/// pytest's own patterns.
pub(crate) fn default_patterns() -> Vec<String> {
    vec!["test_*.py".to_owned(), "*_test.py".to_owned()]
}

/// `fnmatch` with `*`, `?` and `[…]` taken literally; a pattern with a `/` is matched against the whole path.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let subject = if pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    let pattern: Vec<char> = pattern.chars().take(200).collect();
    let subject: Vec<char> = subject.chars().collect();
    // Greedy with one point to return to: linear in practice, never exponential.
    let (mut p, mut s, mut back) = (0, 0, None);
    while s < subject.len() {
        match pattern.get(p) {
            Some('*') => {
                back = Some((p, s));
                p += 1;
            }
            Some(c) if *c == '?' || *c == subject[s] => {
                p += 1;
                s += 1;
            }
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    p = star + 1;
                    s = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn config(files: &[(&str, &str)]) -> Option<PytestConfig> {
        let tree = files.iter().fold(MemoryTree::new(), |tree, (path, text)| tree.with(*path, *text));
        find(&Reader::new(&tree), &mut Vec::new())
    }

    #[test]
    fn modules_of_warning_categories_are_named() {
        let text = "[pytest]\nfilterwarnings =\n  error\n  ignore::DeprecationWarning\n  # why\n  ignore:no data:coverage.exceptions.CoverageWarning\n  default::a.B:x\n";
        assert_eq!(config(&[("pytest.ini", text)]).unwrap().warning_modules(), ["coverage.exceptions", "a"]);
        let toml = "[tool.pytest.ini_options]\nfilterwarnings = ['error', 'ignore::b.c.D']\n";
        assert_eq!(config(&[("pyproject.toml", toml)]).unwrap().warning_modules(), ["b.c"]);
    }

    #[test]
    fn the_search_is_pytests_own() {
        let tox = ("tox.ini", "[tox]\nx=1\n[pytest]\naddopts = -n4 --cov=x\n  -p no:timeout\ntimeout = 3\n");
        let toml = (
            "pyproject.toml",
            "[tool.pytest.ini_options]\naddopts = ['-ra', '-k', 'a b']\ntestpaths='t u'\nasyncio_mode='auto'\n",
        );
        let found = config(&[tox]).unwrap();
        assert_eq!(found.addopts, ["-n4", "--cov=x", "-p", "no:timeout"]);
        let plugins: Vec<_> = found.plugins().into_iter().map(|plugin| plugin.0).collect();
        assert_eq!(plugins, ["pytest-xdist", "pytest-cov", "pytest-timeout"]);
        let found = config(&[tox, toml]).unwrap();
        assert_eq!((found.file.as_str(), found.line, found.testpaths.len()), ("pyproject.toml", 1, 2));
        assert_eq!(found.plugins()[0].0, "pytest-asyncio");
        assert_eq!(config(&[tox, toml, ("pytest.ini", "")]).unwrap().file, "pytest.ini");
        assert_eq!(
            config(&[("pyproject.toml", "[tool.pytest]\ntestpaths=['t']\n")]).unwrap().testpaths,
            ["t"]
        );
        assert_eq!(config(&[("setup.cfg", "[pytest]\nx=1\n"), ("tox.ini", "[tox]\n")]), None);
        assert_eq!(config(&[("pyproject.toml", "tool = 3\n")]), None);
    }

    #[test]
    fn patterns_match_as_fnmatch_does() {
        assert!(matches("test_*.py", "a/test_b.py") && !matches("test_*.py", "a/b.py"));
        assert!(matches("*.py", "x.py") && matches("tests/*.py", "tests/x.py") && !matches("t?.py", "t.py"));
        assert!(!matches(&"*a".repeat(100), &"a".repeat(80)));
    }
}
