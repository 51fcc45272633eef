//! What a command may do, in the language of `sandbox-exec`.

use std::{fmt::Write as _, path::Path};

/// A profile: everything may be read, only these two folders written to, nothing reached beyond this machine's
/// loopback, on which suites have servers of their own. Both folders without links in their paths.
pub(super) fn text(root: &Path, temporary: &Path) -> String {
    let mut text = String::from(
        "(version 1)\n(allow default)\n(deny file-write*)\n(deny network*)\n(deny process-info* (target others))\n\
         (deny signal (target others))\n(allow signal (target same-sandbox))\n(deny system-privilege)\n\
         (deny file-link)\n(deny appleevent-send)\n(deny lsopen)\n",
    );
    for folder in [root, temporary] {
        let _ = writeln!(text, "(allow file-write* file-link (subpath {}))", quoted(folder));
    }
    for device in ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx"] {
        let _ = writeln!(text, "(allow file-write-data (literal \"{device}\"))");
    }
    text.push_str(
        "(allow network-bind network-inbound (local ip \"localhost:*\"))\n\
         (allow network-outbound (remote ip \"localhost:*\"))\n",
    );
    for folder in [root, temporary] {
        let _ = writeln!(text, "(allow network* (subpath {}))", quoted(folder));
    }
    text
}

/// A string of that language.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_cell_is_written_to() {
        let profile = text(Path::new("/a \"b\""), Path::new("/tmp/c"));
        assert!(profile.contains(r#"(allow file-write* file-link (subpath "/a \"b\""))"#), "{profile}");
        assert!(profile.contains("(deny network*)"), "{profile}");
    }
}
