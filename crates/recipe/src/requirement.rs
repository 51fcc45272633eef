//! Requirement specifiers and requirements files: what of a line can be asked of an index, and what is refused.
//! Owns PEP 508 parsing and pip's file syntax; knows nothing of where a list was declared.

use wheeltapper_core::{ProjectName, pep508_rs};

use crate::tree::{Reader, join, parent};

/// A specifier longer than this is nobody's.
const LONGEST: usize = 1_000;

/// How many files one list may include.
const MOST_FILES: usize = 50;

/// How many specifiers one list may hold.
const MOST_SPECIFIERS: usize = 1_000;

/// A specifier that parses as PEP 508 and names no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Specifier {
    pub project: ProjectName,
    /// As it is handed to the installer.
    pub text: String,
    /// The extras asked for, lower case.
    pub extras: Vec<String>,
}

/// What a line of a list means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    Specifier(Specifier),
    /// The release under test itself, with these extras.
    Itself(Vec<String>),
    /// `-r` of this file.
    Include(String),
    /// `-c` of this file.
    Constraint(String),
    /// Nothing to install: an option, an empty line.
    Nothing,
    /// Not taken, and why.
    Refused(&'static str),
}

/// Why what follows no grammar of specifiers is refused.
pub(crate) const NO_REQUIREMENT: &str = "not a requirement specifier (PEP 508)";

/// Parses one specifier (PEP 508).
pub(crate) fn specifier(text: &str) -> Result<Specifier, &'static str> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err("longer than any specifier");
    }
    if text.contains("://") || text.contains("git+") || text.contains(" @ ") {
        return Err("an address, never fetched");
    }
    if text.chars().any(|c| c.is_control() || c == '{' || c == '$') {
        return Err("holds a placeholder or a control character");
    }
    let parsed = parse(text).ok_or(NO_REQUIREMENT)?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if matches!(parsed.version_or_url, Some(pep508_rs::VersionOrUrl::Url(_))) {
        return Err("an address, never fetched");
    }
    let project = parsed.name.as_ref().parse().map_err(|_| "not a project's name")?;
    let extras = parsed.extras.iter().map(ToString::to_string).collect();
    Ok(Specifier { project, text, extras })
}

fn parse(text: &str) -> Option<pep508_rs::Requirement> {
    if text.matches('(').count() > 20 {
        return None;
    }
    text.parse().ok()
}

/// A specifier without its exact version; `None` when it has none.
pub(crate) fn without_pin(text: &str) -> Option<String> {
    let mut parsed = parse(text)?;
    let Some(pep508_rs::VersionOrUrl::VersionSpecifier(versions)) = &parsed.version_or_url else {
        return None;
    };
    let is_pin = versions.iter().any(|version| version.to_string().starts_with("=="));
    parsed.version_or_url = None;
    is_pin.then(|| parsed.to_string())
}

/// Reads one line of a requirements file, a tox `deps` or an argument list joined to a line.
pub(crate) fn line(raw: &str, own: &ProjectName) -> Line {
    let mut text = raw.trim();
    if text.starts_with('#') {
        return Line::Nothing;
    }
    if let Some(at) = text.find(" #").or_else(|| text.find("\t#")) {
        text = text[..at].trim_end();
    }
    if let Some(at) = text.find(" --") {
        // `--hash`, `--config-settings` and other options of one requirement.
        text = text[..at].trim_end();
    }
    if text.is_empty() {
        return Line::Nothing;
    }
    for (flag, make) in [
        ("--requirement", Line::Include as fn(String) -> Line),
        ("--constraint", Line::Constraint),
        ("-r", Line::Include),
        ("-c", Line::Constraint),
    ] {
        if let Some(rest) = text.strip_prefix(flag) {
            let file = rest.trim_start_matches(['=', ' ', '\t']).trim_matches(['"', '\'']);
            return if file.contains("://") || file.is_empty() {
                Line::Refused("an address, never fetched")
            } else {
                Line::Include(file.to_owned()).or_constraint(make)
            };
        }
    }
    for flag in ["--editable", "-e"] {
        if let Some(rest) = text.strip_prefix(flag)
            && rest.starts_with(['=', ' ', '\t', '.'])
        {
            let rest = rest.trim_start_matches(['=', ' ', '\t']);
            return own_path(rest)
                .map_or(Line::Refused("editable, or an address: never fetched"), Line::Itself);
        }
    }
    if text.starts_with('-') {
        return Line::Refused("an option of the installer");
    }
    if let Some(extras) = own_path(text) {
        return Line::Itself(extras);
    }
    if text.starts_with(['.', '/', '~']) {
        return Line::Refused("a path, not a project");
    }
    match specifier(text) {
        Ok(found) if found.project == *own => Line::Itself(found.extras),
        Ok(found) => Line::Specifier(found),
        Err(why) => Line::Refused(why),
    }
}

impl Line {
    /// Keeps the path, as the variant that `make` builds.
    fn or_constraint(self, make: fn(String) -> Line) -> Line {
        match self {
            Line::Include(path) => make(path),
            other => other,
        }
    }
}

/// `.`, `.[a,b]`, `./`, `{toxinidir}[a]` or `file:.` as the release under test, with its extras.
fn own_path(text: &str) -> Option<Vec<String>> {
    let text = text.trim_matches(['"', '\'']);
    let text = text.strip_prefix("file:").unwrap_or(text);
    let (path, extras) = match text.split_once('[') {
        Some((path, rest)) => (path, rest.split_once(']')?.0),
        None => (text, ""),
    };
    if !matches!(path.trim_end_matches('/'), "." | "{toxinidir}" | "{tox_root}") && path != "./" {
        return None;
    }
    Some(
        extras
            .split(',')
            .map(|extra| extra.trim().to_lowercase())
            .filter(|extra| !extra.is_empty())
            .collect(),
    )
}

/// One specifier with the place it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    pub specifier: Specifier,
    pub file: String,
    /// Counted from 1; 0 when the place within the file is not known.
    pub line: u32,
}

/// A list as read: what to install, extras of the release, what was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub specifiers: Vec<Placed>,
    /// Extras of the release under test.
    pub extras: Vec<String>,
    pub constraints: Vec<Specifier>,
    /// The line, its place, and why it was not taken.
    pub refused: Vec<(String, String, u32, &'static str)>,
    /// Files and groups read so far, which are bounded.
    pub(crate) files: usize,
}

impl List {
    /// True when the list asks for nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.specifiers.is_empty() && self.extras.is_empty()
    }

    /// Takes one line in whose paths are relative to the tree's root, whatever file it stands in.
    pub(crate) fn take_at_root(
        &mut self,
        reader: &Reader,
        own: &ProjectName,
        raw: &str,
        file: &str,
        number: u32,
    ) {
        self.take_from(reader, own, raw, file, number, "", &mut Vec::new());
    }

    /// Takes a requirements file in.
    pub(crate) fn take_file(&mut self, reader: &Reader, own: &ProjectName, path: &str) {
        self.read_file(reader, own, path, &mut Vec::new());
    }

    #[allow(clippy::too_many_arguments, reason = "one recursion's state, all of it needed at each level")]
    fn take_from(
        &mut self,
        reader: &Reader,
        own: &ProjectName,
        raw: &str,
        file: &str,
        number: u32,
        folder: &str,
        open: &mut Vec<String>,
    ) {
        let refused = |list: &mut List, why| {
            if list.refused.len() < 100 {
                list.refused.push((raw.trim().chars().take(120).collect(), file.to_owned(), number, why));
            }
        };
        match line(raw, own) {
            Line::Nothing => {}
            Line::Specifier(specifier) => {
                if self.specifiers.len() < MOST_SPECIFIERS {
                    self.specifiers.push(Placed { specifier, file: file.to_owned(), line: number });
                }
            }
            Line::Itself(extras) => {
                for extra in extras {
                    if !self.extras.contains(&extra) {
                        self.extras.push(extra);
                    }
                }
            }
            Line::Include(path) => match join(folder, &strip_root(&path)) {
                Some(path) if reader.has_file(&path) => self.read_file(reader, own, &path, open),
                _ => refused(self, "the included file is not in the sdist"),
            },
            Line::Constraint(path) => match join(folder, &strip_root(&path)) {
                Some(path) if reader.has_file(&path) => {
                    let mut inner = List { files: self.files, ..List::default() };
                    inner.read_file(reader, own, &path, open);
                    self.files = inner.files;
                    self.constraints.extend(inner.specifiers.into_iter().map(|placed| placed.specifier));
                }
                _ => refused(self, "the constraints file is not in the sdist"),
            },
            Line::Refused(why) => refused(self, why),
        }
    }

    fn read_file(&mut self, reader: &Reader, own: &ProjectName, path: &str, open: &mut Vec<String>) {
        self.files += 1;
        if self.files > MOST_FILES || open.len() > 20 || open.iter().any(|known| known == path) {
            self.refused.push((
                path.to_owned(),
                path.to_owned(),
                0,
                "included in a circle, or too many files",
            ));
            return;
        }
        let Some(text) = reader.text(path) else { return };
        open.push(path.to_owned());
        for (number, raw) in logical_lines(&text).into_iter().take(5_000) {
            self.take_from(reader, own, &raw, path, number, parent(path), open);
        }
        open.pop();
    }
}

fn strip_root(path: &str) -> String {
    path.trim_start_matches("{toxinidir}/").trim_start_matches("{tox_root}/").to_owned()
}

/// Lines with `\` continuations joined, each with the number it starts at.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(u32, String)> = None;
    for (number, raw) in text.lines().enumerate() {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let (start, mut joined) = open.take().unwrap_or((number, String::new()));
        match raw.strip_suffix('\\') {
            Some(part) if joined.len() < 10_000 => {
                joined.push_str(part);
                joined.push(' ');
                open = Some((start, joined));
            }
            _ => {
                joined.push_str(raw);
                lines.push((start, joined));
            }
        }
    }
    lines.extend(open);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::MemoryTree;

    fn own() -> ProjectName {
        "mine".parse().unwrap()
    }

    #[test]
    fn lines_mean_what_pip_says() {
        let text = |line: Line| match line {
            Line::Specifier(specifier) => specifier.text,
            other => format!("{other:?}"),
        };
        for (raw, meaning) in [
            ("pytest >= 3 # runner", "pytest >= 3"),
            ("a==1 --hash=sha256:00", "a==1"),
            ("x[y]; python_version < '3.11'", "x[y]; python_version < '3.11'"),
            ("  # comment", "Nothing"),
            ("-e .[Test,dev]", "Itself([\"test\", \"dev\"])"),
            (".[socks]", "Itself([\"socks\"])"),
            ("mine[all]>=1", "Itself([\"all\"])"),
            ("-r base.txt", "Include(\"base.txt\")"),
            ("--constraint=c.txt", "Constraint(\"c.txt\")"),
            ("-e git+https://x.invalid/y", "Refused(\"editable, or an address: never fetched\")"),
            ("x @ https://x.invalid/x.whl", "Refused(\"an address, never fetched\")"),
            ("--index-url https://x.invalid", "Refused(\"an option of the installer\")"),
            ("./local", "Refused(\"a path, not a project\")"),
            ("h5py>=2.7.0numpy>=1.9.0", "Refused(\"not a requirement specifier (PEP 508)\")"),
            ("{env:X}", "Refused(\"holds a placeholder or a control character\")"),
        ] {
            assert_eq!(text(line(raw, &own())), meaning, "{raw}");
        }
    }

    #[test]
    fn files_include_files_and_circles_end() {
        let tree = MemoryTree::new()
            .with(
                "requirements/test.txt",
                "-r base.txt\n-c limits.txt\npytest \\\n  <9\n-r ../../outside.txt\n",
            )
            .with("requirements/base.txt", "a\n-r test.txt\n")
            .with("requirements/limits.txt", "pytest<8\n");
        let reader = Reader::new(&tree);
        let mut list = List::default();
        list.take_file(&reader, &own(), "requirements/test.txt");
        let texts: Vec<_> =
            list.specifiers.iter().map(|placed| (placed.specifier.text.as_str(), placed.line)).collect();
        assert_eq!(texts, [("a", 1), ("pytest <9", 3)]);
        assert_eq!(list.constraints[0].text, "pytest<8");
        assert_eq!(list.refused.len(), 2);
    }

    #[test]
    fn endless_markers_are_refused() {
        assert!(specifier(&format!("a; {}", "(".repeat(900))).is_err());
        assert!(specifier(&format!("a; {}", "x".repeat(5000))).is_err());
    }
}
