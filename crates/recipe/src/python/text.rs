//! What can be told of a Python file by its text alone: Python 2, syntax errors, files too large to parse.
//! Coarser than the syntax tree, and never wrong by more than the shape of a line.

use super::facts::{Facts, Import, top};

/// Reads line by line; looks at indentation only.
pub(super) fn facts(source: &str) -> Facts {
    let mut facts = Facts::default();
    // The class around: its indentation, and whether it is unittest's.
    let mut class: Option<(usize, bool)> = None;
    let mut in_string = false;
    for (number, raw) in source.lines().enumerate() {
        let fences = raw.matches("\"\"\"").count() + raw.matches("'''").count();
        let inside = in_string;
        if fences % 2 == 1 {
            in_string = !in_string;
        }
        let line = raw.trim_start();
        if inside || line.is_empty() || line.starts_with('#') || raw.len() > 2000 {
            continue;
        }
        let indent = raw.len() - line.len();
        if class.is_some_and(|(at, _)| indent <= at) {
            class = None;
        }
        if let Some(rest) = line.strip_prefix("@pytest.mark.") {
            let mark: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            facts.marks.insert(mark);
        } else if let Some(rest) = line.strip_prefix("class ") {
            let bases = rest.split_once('(').map_or("", |(_, bases)| bases);
            let unittest =
                bases.contains("TestCase") || (bases.contains("Test") && !bases.starts_with("Test"));
            if unittest || rest.starts_with("Test") {
                class = Some((indent, unittest));
            }
        } else if line.starts_with("def test") || line.starts_with("async def test") {
            match class {
                Some((_, true)) => facts.methods += 1,
                Some((_, false)) => facts.functions += 1,
                None if indent == 0 => facts.functions += 1,
                None => {}
            }
        } else if indent == 0 {
            import(line, u32::try_from(number + 1).unwrap_or(u32::MAX), &mut facts);
        } else if let Some(name) = line.strip_prefix("import ").or_else(|| line.strip_prefix("from ")) {
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                facts.guarded.insert(name.clone());
                facts.optional.insert(name);
            }
        }
    }
    facts
}

fn import(line: &str, number: u32, facts: &mut Facts) {
    let is_module = |name: &str| {
        !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
            && !top(name).is_empty()
    };
    if let Some(rest) = line.strip_prefix("import ") {
        for item in rest.split('#').next().unwrap_or("").split(',').take(50) {
            let module = item.split_whitespace().next().unwrap_or("");
            if is_module(module) {
                facts.imports.push(Import { module: module.to_owned(), names: Vec::new(), line: number });
            }
        }
    } else if let Some(rest) = line.strip_prefix("from ")
        && let Some((module, names)) = rest.split_once(" import ")
    {
        let module = module.trim();
        if module.starts_with('.') {
            facts.relative = facts.relative.max(1);
        } else if is_module(module) {
            let names = names
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|name| !name.is_empty())
                .take(50)
                .map(str::to_owned)
                .collect();
            facts.imports.push(Import { module: module.to_owned(), names, line: number });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_two_is_read_by_its_text() {
        let facts = facts(
            "import unittest, mock\nfrom nose.tools import eq_\n\"\"\"\ndef test_doc(): pass\n\"\"\"\n\
             def test_a():\n    print 'x'\nclass T(unittest.TestCase):\n    def test_b(self):\n        print 1\n\
             class TestC(object):\n    @pytest.mark.asyncio\n    def test_d(self): pass\nclass X(object):\n    def test_no(self): pass\n",
        );
        assert!(!facts.parsed);
        assert_eq!((facts.functions, facts.methods), (2, 1));
        assert!(facts.marks.contains("asyncio"));
        assert_eq!(
            facts.imports.iter().map(|i| i.module.as_str()).collect::<Vec<_>>(),
            ["unittest", "mock", "nose.tools"]
        );
    }
}
