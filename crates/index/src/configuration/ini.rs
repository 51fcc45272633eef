//! The dialect of INI that pip's configuration files are written in (Python's RawConfigParser): sections,
//! `key = value` or `key: value`, whole-line comments, values continued on indented lines.

use std::collections::BTreeMap;

/// Values by section and key; keys are lower case with `-` for `_`, as pip reads them.
pub(super) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads the text; the error says the line.
pub(super) fn parse(text: &str) -> Result<Sections, String> {
    let mut sections = Sections::new();
    let mut section: Option<String> = None;
    let mut key: Option<String> = None;
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let (Some(section), Some(key)) = (&section, &key)
        {
            if let Some(value) = sections.get_mut(section).and_then(|values| values.get_mut(key)) {
                value.push('\n');
                value.push_str(trimmed);
            }
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.split_once(']').ok_or(format!("line {}: a section without `]`", at + 1))?.0;
            sections.entry(name.to_owned()).or_default();
            (section, key) = (Some(name.to_owned()), None);
            continue;
        }
        let Some(current) = &section else {
            return Err(format!("line {}: a value before the first section", at + 1));
        };
        let (name, value) = trimmed
            .split_once(['=', ':'])
            .ok_or(format!("line {}: neither a section nor `key = value`", at + 1))?;
        let name = name.trim().to_ascii_lowercase().replace('_', "-");
        sections.entry(current.clone()).or_default().insert(name.clone(), value.trim().to_owned());
        key = Some(name);
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dialect() {
        let text = "# c\n[global]\nIndex_URL: http://a/\nextra-index-url =\n  http://b/\n  ; no\n\n  http://c/\n[install]\nx=y=z\n";
        let sections = parse(text).unwrap();
        assert_eq!(sections["global"]["index-url"], "http://a/");
        assert_eq!(sections["global"]["extra-index-url"], "\nhttp://b/\nhttp://c/");
        assert_eq!(sections["install"]["x"], "y=z");
    }

    #[test]
    fn lines_of_errors() {
        assert_eq!(parse("x=1").unwrap_err(), "line 1: a value before the first section");
        assert_eq!(parse("[a]\n\nnonsense").unwrap_err(), "line 3: neither a section nor `key = value`");
        assert_eq!(parse("[a").unwrap_err(), "line 1: a section without `]`");
    }
}
