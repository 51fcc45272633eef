//! Where a cell's tree stood is no news, and rules go by paths: what cells print calls it `/cell`, whatever system they ran on.

use std::path::Path;

use wheeltapper_sandbox::CELL_PATH;

/// What ends a path in a text. A blank may be part of one, but rarely of one below a cell.
const ENDS: &[u8] = b"\"'`<>|*?:,;() \t\r\n";

/// A text with each path below this root as it would be in the full sandbox. Those of Windows also come with their backslashes
/// doubled, as in texts of Python and JSON, and with slashes.
pub(crate) fn as_in_a_cell(text: Vec<u8>, root: &Path) -> Vec<u8> {
    if root == Path::new(CELL_PATH) {
        return text;
    }
    let root = root.to_string_lossy();
    // How each spelling separates parts; the longest first, since it begins like the others.
    let spelled = [r"\\", r"\", "/"].map(|separator| (root.replace('\\', separator), separator));
    let mut said = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    'text: while let Some(first) = rest.first() {
        for (root, separator) in &spelled {
            if let Some(after) = rest.strip_prefix(root.as_bytes()) {
                said.extend_from_slice(CELL_PATH.as_bytes());
                rest = with_slashes(after, separator.as_bytes(), &mut said);
                continue 'text;
            }
        }
        said.push(*first);
        rest = &rest[1..];
    }
    said
}

/// Takes the rest of a path whose parts are separated so; what follows it is returned.
fn with_slashes<'t>(mut text: &'t [u8], separator: &[u8], said: &mut Vec<u8>) -> &'t [u8] {
    while let Some(first) = text.first() {
        if let Some(rest) = text.strip_prefix(separator) {
            said.push(b'/');
            text = rest;
        } else if *first == b'\\' || ENDS.contains(first) {
            // A backslash that separates nothing is of the text: it escapes what follows.
            break;
        } else {
            said.push(*first);
            text = &text[1..];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, root: &str) -> String {
        String::from_utf8(as_in_a_cell(text.into(), Path::new(root))).unwrap()
    }

    #[test]
    fn paths_are_those_of_a_full_sandbox() {
        let root = r"C:\data\cells\cell";
        let line = r#"  File "C:\data\cells\cell\src\a-1\a\b.py", line 3 in C:\Windows\x"#;
        assert_eq!(told(line, root), r#"  File "/cell/src/a-1/a/b.py", line 3 in C:\Windows\x"#);
        let line = r#"{"x": "in \"C:\\data\\cells\\cell\\src\\a\"\nand C:\\data\\cells\\cell\nb"}"#;
        assert_eq!(told(line, root), r#"{"x": "in \"/cell/src/a\"\nand /cell\nb"}"#);
        assert_eq!(told("at C:/data/cells/cell/src/a.py:3: in f\n", root), "at /cell/src/a.py:3: in f\n");
        assert_eq!(told("/d/slot-0/cell/env/bin/x: no\n", "/d/slot-0/cell"), "/cell/env/bin/x: no\n");
        assert_eq!(told("/cell/src \\n", CELL_PATH), "/cell/src \\n");
    }
}
