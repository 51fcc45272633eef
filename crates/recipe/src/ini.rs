//! INI files as Python's `configparser` reads them with raw interpolation, which is how setuptools, tox and
//! (nearly) pytest read `setup.cfg`, `tox.ini` and `pytest.ini`. Lenient where Python raises: a line that is
//! neither section, option nor continuation is skipped, a section or option given twice keeps both or the later.

/// One option with its value; lines of a value are joined by newlines, each trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub key: String,
    pub value: String,
    /// Counted from 1.
    pub line: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub name: String,
    pub entries: Vec<Entry>,
    /// Counted from 1.
    pub line: u32,
}

impl Section {
    /// The option of this name, compared without case as `configparser` does.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key.eq_ignore_ascii_case(key))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ini {
    pub sections: Vec<Section>,
}

impl Ini {
    pub(crate) fn parse(text: &str) -> Ini {
        let mut ini = Ini::default();
        let mut option_indent: Option<usize> = None;
        let mut pending_blank = 0usize;
        for (number, raw) in text.lines().enumerate() {
            let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
            let content = raw.trim();
            let indent = raw.len() - raw.trim_start().len();
            if content.is_empty() {
                pending_blank += 1;
                continue;
            }
            if content.starts_with(['#', ';']) {
                continue;
            }
            if let Some(at) = option_indent
                && indent > at
            {
                if let Some(entry) = ini.sections.last_mut().and_then(|section| section.entries.last_mut()) {
                    for _ in 0..pending_blank.min(8) {
                        entry.value.push('\n');
                    }
                    entry.value.push('\n');
                    entry.value.push_str(content);
                }
                pending_blank = 0;
                continue;
            }
            pending_blank = 0;
            if let Some(name) = section_name(content) {
                option_indent = None;
                ini.sections.push(Section { name: name.to_owned(), entries: Vec::new(), line });
                continue;
            }
            let Some(section) = ini.sections.last_mut() else { continue };
            let Some(split) = content.find(['=', ':']) else { continue };
            let key = content[..split].trim_end();
            if key.is_empty() {
                continue;
            }
            option_indent = Some(indent);
            section.entries.push(Entry {
                key: key.to_owned(),
                value: content[split + 1..].trim_start().to_owned(),
                line,
            });
        }
        ini
    }

    /// The section of this name (case matters); of several, the last.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().rev().find(|section| section.name == name)
    }

    pub(crate) fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        self.section(section)?.get(key)
    }
}

/// `[name]`, with whatever follows the last bracket ignored, as `configparser` does.
fn section_name(content: &str) -> Option<&str> {
    let rest = content.strip_prefix('[')?;
    let end = rest.rfind(']')?;
    (end > 0).then(|| &rest[..end])
}

/// The lines of a value that are not empty, comments taken out.
pub(crate) fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_configparser_does() {
        let ini = Ini::parse(
            "# top\nkey = lost\n[tool:pytest]\naddopts = -ra\n  --strict\n# not a part\n\n  -q\nKey: v = w\n[tox]\nx=\n  1\n",
        );
        let pytest = ini.section("tool:pytest").unwrap();
        assert_eq!(pytest.get("ADDOPTS").unwrap().value, "-ra\n--strict\n\n-q");
        assert_eq!(pytest.get("key").unwrap(), &Entry { key: "Key".into(), value: "v = w".into(), line: 9 });
        assert_eq!(ini.get("tox", "x").unwrap().value, "\n1");
        assert!(ini.get("tox", "y").is_none());
    }

    #[test]
    fn nonsense_is_skipped() {
        assert!(Ini::parse("[]\n=x\nfoo\n\0\n[").sections.is_empty());
        assert_eq!(Ini::parse("[a]\n= b\n]\n  x").sections[0].entries, []);
    }
}
