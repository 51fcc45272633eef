//! One override read from TOML: every key known and of its type, every value harmless, or a problem with its line.

use std::collections::BTreeMap;

use wheeltapper_core::{Contact, Notify, Runner, Sha256, VersionSpecifiers, pep508_rs::MarkerTree};

use super::{Author, Override, Problem, Skip};
use crate::{
    invocation::{Tool, interpret},
    requirement::specifier,
    shell::{Command, commands},
    toml_file::{Toml, Value},
    tree::join,
    variables::is_theirs,
};

const KEYS: &[&str] = &[
    "runner",
    "command",
    "directory",
    "environment",
    "requirements",
    "extras",
    "groups",
    "system-packages",
    "timeout",
    "deselect",
    "skip",
    "contact",
];

/// Those that only a file of a folder has.
const FOLDER_KEYS: &[&str] = &["versions", "why"];

/// The most entries of any list.
const MOST: usize = 200;

/// The longest text.
const LONGEST: usize = 1_000;

/// Reads the table at `path` of a document. `None` when there is no such table, or (a maintainer's) when the document does not
/// parse: that is told elsewhere.
pub(super) fn table(
    text: &str,
    file: &str,
    path: &[&str],
    author: Author,
) -> Option<Result<Override, Vec<Problem>>> {
    let toml = match Toml::parse(text) {
        Ok(toml) => toml,
        Err(_) if author == Author::Maintainer => return None,
        Err((line, message)) => {
            let message = format!("does not parse: {message}");
            return Some(Err(vec![Problem {
                file: file.to_owned(),
                line,
                key: String::new(),
                message,
                near: None,
            }]));
        }
    };
    let table = toml.root().path(path)?;
    let mut reading = Reading { file, problems: Vec::new() };
    let read = reading.table(table, text, author);
    Some(if reading.problems.is_empty() { Ok(read) } else { Err(reading.problems) })
}

struct Reading<'a> {
    file: &'a str,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn wrong(&mut self, line: u32, key: &str, message: impl Into<String>, near: Option<String>) {
        if self.problems.len() < 50 {
            let (file, key) = (self.file.to_owned(), key.to_owned());
            self.problems.push(Problem { file, line, key, message: message.into(), near });
        }
    }

    fn table(&mut self, table: Value, text: &str, author: Author) -> Override {
        let mut read = Override {
            author,
            file: self.file.to_owned(),
            line: table.line(),
            digest: Sha256::of(text.as_bytes()),
            versions: None,
            why: None,
            skip: Vec::new(),
            contact: None,
            system_packages: Vec::new(),
            timeout_s: None,
            runner: None,
            command: None,
            directory: None,
            environment: BTreeMap::new(),
            requirements: None,
            extras: None,
            groups: None,
            deselect: Vec::new(),
            lines: BTreeMap::new(),
        };
        if !table.is_table() {
            self.wrong(table.line(), "", "must be a table", None);
            return read;
        }
        let in_folder = author != Author::Maintainer;
        for (key, value) in table.entries() {
            read.lines.insert(key.to_owned(), value.line());
            match key {
                "runner" => read.runner = self.word(key, value),
                "command" => read.command = self.command(key, value),
                "directory" => read.directory = self.directory(key, value),
                "environment" => read.environment = self.variables(key, value),
                "requirements" => read.requirements = self.requirements(key, value),
                "extras" => read.extras = Some(self.names(key, value)),
                "groups" => read.groups = Some(self.names(key, value)),
                "system-packages" => read.system_packages = self.system_packages(key, value),
                "timeout" => read.timeout_s = self.seconds(key, value),
                "deselect" => read.deselect = self.texts(key, value),
                "skip" => read.skip = self.skips(key, value),
                "contact" => read.contact = self.contact(key, value),
                "versions" if in_folder => read.versions = self.versions(key, value),
                "why" if in_folder => read.why = self.text(key, value),
                _ => {
                    let known = KEYS.iter().chain(FOLDER_KEYS.iter().filter(|_| in_folder)).copied();
                    self.unknown(value.line(), key, "", known);
                }
            }
        }
        if !read.deselect.is_empty() && read.runs_other_than_pytest() {
            self.wrong(
                read.line_of("deselect"),
                "deselect",
                "only pytest deselects tests by their ids",
                None,
            );
        }
        if read.runner == Some(Runner::Script) && read.command.is_none() {
            self.wrong(read.line_of("runner"), "runner", "a script needs its `command`", None);
        }
        read
    }

    fn unknown<'k>(&mut self, line: u32, key: &str, below: &str, known: impl Iterator<Item = &'k str>) {
        let known: Vec<&str> = known.collect();
        let near = nearest(key, &known);
        let message = match &near {
            Some(_) => "there is no such key".to_owned(),
            None => format!("there is no such key; there are {}", known.join(", ")),
        };
        let key: String = key.chars().take(100).collect();
        self.wrong(line, &format!("{below}{key}"), message, near);
    }

    /// A text without control characters, not empty.
    fn text(&mut self, key: &str, value: Value) -> Option<String> {
        match value.str() {
            Some(text) if is_plain(text) && !text.trim().is_empty() => Some(text.to_owned()),
            Some(_) => {
                self.wrong(value.line(), key, "must be one line of text without control characters", None);
                None
            }
            None => {
                self.wrong(value.line(), key, "must be a text", None);
                None
            }
        }
    }

    fn texts(&mut self, key: &str, value: Value) -> Vec<String> {
        if !value.is_array() {
            self.wrong(value.line(), key, "must be a list of texts", None);
            return Vec::new();
        }
        let items = value.items();
        if items.len() > MOST {
            self.wrong(value.line(), key, format!("has more than {MOST} entries"), None);
        }
        items.into_iter().take(MOST).filter_map(|item| self.text(key, item)).collect()
    }

    fn names(&mut self, key: &str, value: Value) -> Vec<String> {
        let names = self.texts(key, value);
        for name in &names {
            let named = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            if !named {
                self.wrong(value.line(), key, format!("`{name}` is no name of an extra or a group"), None);
            }
        }
        names
    }

    fn word(&mut self, key: &str, value: Value) -> Option<Runner> {
        let text = self.text(key, value)?;
        let known: Vec<&str> = Runner::ALL.iter().map(|runner| runner.as_str()).collect();
        match text.parse() {
            Ok(runner) => Some(runner),
            Err(_) => {
                let message = format!("there is no runner `{text}`; there are {}", known.join(", "));
                self.wrong(value.line(), key, message, nearest(&text, &known));
                None
            }
        }
    }

    /// A list of words, or a text that is one simple command.
    fn command(&mut self, key: &str, value: Value) -> Option<(Tool, Vec<String>)> {
        let command = if let Some(text) = value.str() {
            let [command] = &commands(text)[..] else {
                let message = "must be one command that needs no shell: no `&&`, pipes, variables or globs";
                self.wrong(value.line(), key, message, None);
                return None;
            };
            if !command.environment.is_empty() {
                self.wrong(value.line(), key, "variables stand in `environment`", None);
            }
            command.clone()
        } else {
            Command { environment: Vec::new(), words: self.texts(key, value) }
        };
        let first = command.words.first().map(String::as_str).unwrap_or_default();
        let in_bin =
            !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !in_bin || first.starts_with(['-', '.']) {
            let message = "must begin with `python`, or with a program that the requirements install, without its folder";
            self.wrong(value.line(), key, message, None);
            return None;
        }
        if let Some(found) = interpret(&command) {
            return Some((found.tool, found.words));
        }
        let mut words = command.words;
        if words[0].starts_with("python") {
            words[0] = "python".to_owned();
        }
        Some((Tool::Script, words))
    }

    fn directory(&mut self, key: &str, value: Value) -> Option<String> {
        let text = self.text(key, value)?;
        let joined = join("", &text);
        if joined.is_none() {
            self.wrong(value.line(), key, "must be a folder of the sources, relative to their root", None);
        }
        joined
    }

    fn variables(&mut self, key: &str, value: Value) -> BTreeMap<String, String> {
        if !value.is_table() {
            self.wrong(value.line(), key, "must be a table of variables", None);
        }
        let mut variables = BTreeMap::new();
        for (name, value) in value.entries().into_iter().take(MOST) {
            let shown = format!("{key}.{}", name.chars().take(100).collect::<String>());
            let Some(text) = value.scalar().filter(|text| is_plain(text)) else {
                self.wrong(value.line(), &shown, "must be a text, a number or a truth value", None);
                continue;
            };
            if is_theirs(name) {
                variables.insert(name.to_owned(), text);
            } else {
                self.wrong(value.line(), &shown, "is no variable's name, or the sandbox's own to set", None);
            }
        }
        variables
    }

    fn requirements(&mut self, key: &str, value: Value) -> Option<Vec<(String, u32)>> {
        let mut read = Vec::new();
        for text in self.texts(key, value) {
            let line =
                value.items().iter().find(|item| item.str() == Some(&text)).map_or(0, |item| item.line());
            match specifier(&text) {
                Ok(found) => read.push((found.text, line)),
                Err(why) => self.wrong(line, key, format!("`{text}`: {why}"), None),
            }
        }
        Some(read)
    }

    fn system_packages(&mut self, key: &str, value: Value) -> Vec<String> {
        let names = self.texts(key, value);
        for name in &names {
            let fits = name.len() < 100
                && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c));
            if !fits {
                self.wrong(value.line(), key, format!("`{name}` is no package name of Debian"), None);
            }
        }
        names
    }

    fn seconds(&mut self, key: &str, value: Value) -> Option<u64> {
        let seconds =
            value.integer().and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
        if seconds.is_none() {
            self.wrong(value.line(), key, "must be a whole number of seconds, at least 1", None);
        }
        seconds
    }

    fn versions(&mut self, key: &str, value: Value) -> Option<VersionSpecifiers> {
        let text = self.text(key, value)?;
        match text.parse() {
            Ok(versions) => Some(versions),
            Err(_) => {
                self.wrong(value.line(), key, format!("`{text}` is no version specifier (PEP 440)"), None);
                None
            }
        }
    }

    fn skips(&mut self, key: &str, value: Value) -> Vec<Skip> {
        if !value.is_array() {
            self.wrong(value.line(), key, "must be a list of tables with `when` and `reason`", None);
        }
        let mut skips = Vec::new();
        for item in value.items().into_iter().take(MOST) {
            for (name, inner) in item.entries() {
                if !matches!(name, "when" | "reason") {
                    self.unknown(inner.line(), name, "skip.", ["when", "reason"].into_iter());
                }
            }
            let mut required = |name: &str| match item.get(name) {
                Some(inner) => self.text(&format!("skip.{name}"), inner),
                None => {
                    self.wrong(item.line(), key, format!("an entry has no `{name}`"), None);
                    None
                }
            };
            if let (Some(when), Some(reason)) = (required("when"), required("reason")) {
                if when.matches('(').count() > 20 || when.parse::<MarkerTree>().is_err() {
                    let message = format!("`{when}` is no environment marker (PEP 508)");
                    self.wrong(item.line(), "skip.when", message, None);
                } else {
                    skips.push(Skip { when, reason, line: item.line() });
                }
            }
        }
        skips
    }

    fn contact(&mut self, key: &str, value: Value) -> Option<Contact> {
        if !value.is_table() {
            self.wrong(value.line(), key, "must be a table", None);
            return None;
        }
        let mut contact = Contact::default();
        for (name, inner) in value.entries() {
            let shown = format!("contact.{}", name.chars().take(100).collect::<String>());
            match name {
                "notify" => {
                    let Some(text) = self.text(&shown, inner) else { continue };
                    contact.notify = text.parse().ok();
                    if contact.notify.is_none() {
                        let known: Vec<&str> = Notify::ALL.iter().map(|word| word.as_str()).collect();
                        let message = format!("there are {}", known.join(", "));
                        self.wrong(inner.line(), &shown, message, nearest(&text, &known));
                    }
                }
                "email" => {
                    contact.email = self.text(&shown, inner);
                    let fits = |text: &String| {
                        text.matches('@').count() == 1
                            && !text.starts_with('@')
                            && !text.ends_with('@')
                            && !text.contains([' ', ',', ';', '<', '>'])
                    };
                    if contact.email.as_ref().is_some_and(|text| !fits(text)) {
                        self.wrong(inner.line(), &shown, "must be one plain address", None);
                    }
                }
                "url" => {
                    contact.url = self.text(&shown, inner);
                    if contact.url.as_ref().is_some_and(|text| !text.starts_with("https://")) {
                        self.wrong(inner.line(), &shown, "must begin with `https://`", None);
                    }
                }
                _ => self.unknown(inner.line(), name, "contact.", ["notify", "email", "url"].into_iter()),
            }
        }
        Some(contact)
    }
}

impl Override {
    /// True when it names a runner or a command that is not pytest.
    fn runs_other_than_pytest(&self) -> bool {
        match (&self.command, self.runner) {
            (Some((tool, _)), _) => *tool != Tool::Pytest,
            (None, Some(runner)) => runner != Runner::Pytest,
            (None, None) => false,
        }
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= LONGEST && !text.chars().any(char::is_control)
}

/// The known word that a mistyped one most likely stands for.
fn nearest(word: &str, known: &[&str]) -> Option<String> {
    let word: String = word.to_ascii_lowercase().replace('_', "-").chars().take(50).collect();
    let distance = |known: &&&str| strsim::osa_distance(&word, known);
    let best = known.iter().min_by_key(distance)?;
    (distance(&best) <= (best.len() / 3).max(2)).then(|| (*best).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Override, Vec<String>> {
        let read = table(text, "x.toml", &[], Author::User).unwrap();
        read.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_key_is_read() {
        let read = read(
            "versions = '>=1'\nwhy = 'w'\nrunner = 'pytest'\ncommand = 'py.test -q tests'\ndirectory = './a'\n\
             environment = { A = 1, B = 'x' }\nrequirements = ['pytest >= 8']\nextras = ['x']\ngroups = ['y']\n\
             system-packages = ['libxml2-dev']\ntimeout = 60\ndeselect = ['tests/test_a.py::test_b']\n\
             skip = [{ when = \"sys_platform == 'win32'\", reason = 'no' }]\n\
             contact = { notify = 'never', email = 'a@b.example', url = 'https://x.example' }\n",
        )
        .unwrap();
        assert_eq!(read.command.as_ref().unwrap().1, ["pytest", "-q", "tests"]);
        assert_eq!((read.directory.as_deref(), read.timeout_s), (Some("a"), Some(60)));
        assert_eq!(read.environment["A"], "1");
        assert_eq!(read.requirements.as_ref().unwrap()[0], ("pytest >= 8".to_owned(), 7));
        assert_eq!((read.skip[0].reason.as_str(), read.skip[0].line), ("no", 13));
        assert_eq!(read.contact.as_ref().unwrap().notify, Some(Notify::Never));
    }

    #[test]
    fn problems_name_file_line_key_and_the_nearest() {
        let wrong = |text: &str| read(text).unwrap_err().join("\n");
        assert_eq!(
            wrong("\nrequirments = []\n"),
            "x.toml:2: `requirments`: there is no such key; did you mean `requirements`?"
        );
        assert_eq!(
            wrong("system_packages = []\n"),
            "x.toml:1: `system_packages`: there is no such key; did you mean `system-packages`?"
        );
        assert!(wrong("zzzzzz = 1\n").contains("there are runner, command, "));
        assert!(wrong("runner = 'pytst'\n").ends_with("did you mean `pytest`?"));
        for (text, says) in [
            ("a = = 1\n", "x.toml:1: does not parse"),
            ("command = 'a && b'\n", "needs no shell"),
            ("command = 'X=1 pytest'\n", "stand in `environment`"),
            ("command = '/bin/sh x'\n", "without its folder"),
            ("command = []\n", "must begin with"),
            ("command = 3\n", "must be a list"),
            ("directory = '../x'\n", "relative to their root"),
            ("directory = '/etc'\n", "relative to their root"),
            ("environment = { LD_PRELOAD = 'x' }\n", "the sandbox's own to set"),
            ("environment = { PATH = 'x' }\n", "the sandbox's own to set"),
            ("environment = { 'A=B' = 'x' }\n", "no variable's name"),
            ("environment = 3\n", "must be a table"),
            ("requirements = ['x @ https://x.invalid/x.whl']\n", "an address, never fetched"),
            ("requirements = 'x'\n", "must be a list"),
            ("requirements = [3]\n", "must be a text"),
            ("timeout = 0\n", "at least 1"),
            ("timeout = 1.5\n", "whole number"),
            ("timeout = true\n", "whole number"),
            ("system-packages = ['-x; rm']\n", "no package name"),
            ("skip = [{ when = 'nonsense' }]\n", "has no `reason`"),
            ("skip = [{ when = 'nonsense', reason = 'x' }]\n", "no environment marker"),
            ("skip = [{ wen = 'x' }]\n", "did you mean `when`?"),
            ("contact = { notify = 'nevr' }\n", "did you mean `never`?"),
            ("contact = { email = 'x' }\n", "one plain address"),
            ("versions = 'new'\n", "PEP 440"),
            ("why = \"\"\"a\nb\"\"\"\n", "one line"),
            ("runner = 'script'\n", "needs its `command`"),
            ("runner = 'unittest'\ndeselect = ['x']\n", "only pytest"),
        ] {
            assert!(wrong(text).contains(says), "{text}: {}", wrong(text));
        }
    }

    #[test]
    fn a_maintainers_table_knows_no_keys_of_folders() {
        let of = |text: &str| table(text, "pyproject.toml", &["tool", "wheeltapper"], Author::Maintainer);
        assert!(of("[tool.other]\n").is_none() && of("[[[").is_none());
        assert_eq!(of("[tool.wheeltapper]\nwhy = 'x'\n").unwrap().unwrap_err()[0].line, 2);
        assert!(of("[tool]\nwheeltapper = 3\n").unwrap().is_err());
        assert!(of("[tool.wheeltapper]\ntimeout = 5\n").unwrap().is_ok());
    }
}
