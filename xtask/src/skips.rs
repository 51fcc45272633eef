//! Tests that did not run, and whether that was expected. Tests append a line each to the file that the variable
//! WHEELTAPPER_SKIPS names (`wheeltapper_testkit::skip!`), since runners swallow what passing tests print.

use std::{fs, path::Path};

/// The variable that names the file of skips. Testkit writes to it.
pub const VARIABLE: &str = "WHEELTAPPER_SKIPS";

/// One test or check that did not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Its path, e.g. `e2e::fixtures::native_extension`.
    pub test: String,
    /// Why.
    pub reason: String,
}

impl Skip {
    /// A skip of one of our own checks.
    pub fn new(test: &str, reason: impl Into<String>) -> Self {
        Skip { test: test.to_owned(), reason: reason.into() }
    }
}

/// The skips in the text of that file, once each, in order.
pub fn parse(text: &str) -> Vec<Skip> {
    let mut skips = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("SKIPPED: ")) {
        let (test, reason) = line.split_once(": ").unwrap_or((line, "no reason given"));
        let skip = Skip::new(test, reason);
        if !skips.contains(&skip) {
            skips.push(skip);
        }
    }
    skips.sort_by(|one, other| one.test.cmp(&other.test));
    skips
}

/// Which skips are no surprise.
#[derive(Debug, Default)]
pub struct Expected(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    test: String,
    reason: String,
}

impl Expected {
    /// Reads the file: a line each, `TEST: REASON`, where `*` stands for any text in either; `#` starts a comment.
    ///
    /// # Errors
    /// A sentence, when it cannot be read or a line has no reason.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text =
            fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|line| format!("{}:{line}: expected `TEST: REASON`", path.display()))
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut patterns = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (test, reason) = line.split_once(": ").ok_or(index + 1)?;
            patterns.push(Pattern { test: test.trim().to_owned(), reason: reason.trim().to_owned() });
        }
        Ok(Expected(patterns))
    }

    /// Whether this skip is expected.
    pub fn has(&self, skip: &Skip) -> bool {
        self.0.iter().any(|pattern| {
            matches(pattern.test.as_bytes(), skip.test.as_bytes())
                && matches(pattern.reason.as_bytes(), skip.reason.as_bytes())
        })
    }
}

/// Whether the text is as the pattern says, `*` standing for any bytes.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|from| matches(rest, &text[from..])),
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == byte && matches(rest, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_read_once_each() {
        let text = "SKIPPED: e2e::b: no gcc: none at all\nSKIPPED: e2e::a: no python3\nSKIPPED: e2e::a: no python3\nx\n";
        assert_eq!(
            parse(text),
            [Skip::new("e2e::a", "no python3"), Skip::new("e2e::b", "no gcc: none at all")]
        );
    }

    #[test]
    fn expected_ones_are_told_by_test_and_reason() {
        let expected = Expected::parse("# why\n\ne2e::*: no cgroup*\ncargo-deny: *\n").unwrap();
        assert!(expected.has(&Skip::new("e2e::memory", "no cgroup v2 here")));
        assert!(expected.has(&Skip::new("cargo-deny", "not installed")));
        assert!(!expected.has(&Skip::new("e2e::memory", "no python3")));
        assert!(!expected.has(&Skip::new("other::memory", "no cgroup")));
        assert_eq!(Expected::parse("a: b\nno reason\n").unwrap_err(), 2);
    }
}
