//! Signatures: the decisive line with all that varies between cells taken out, hashed.

use std::sync::OnceLock;

use regex::Regex;

use crate::{cause::CauseId, digest::Sha256};

/// The signature of a cause: 16 hexadecimal digits over its id and its normalised decisive line.
pub fn signature(id: CauseId, decisive: &str) -> String {
    Sha256::of_parts([id.as_str(), &normalise(decisive)]).hex()[..16].to_owned()
}

/// Takes out paths (but for the last component), addresses, hexadecimal digests, versions and numbers.
pub fn normalise(line: &str) -> String {
    static PATTERNS: OnceLock<[(Regex, &str); 4]> = OnceLock::new();
    let patterns = PATTERNS.get_or_init(|| {
        let regex = |pattern: &str| Regex::new(pattern).expect("a literal pattern compiles");
        [
            (regex(r"(?:/[\w.+@~-]+)+/([\w.+@~-]+)"), "…/$1"),
            (regex(r"0x[0-9a-fA-F]+"), "address"),
            (regex(r"\b[0-9a-f]{12,64}\b"), "…"),
            (regex(r"\d+(?:\.\d+)*(?:(?:a|b|rc|\.post|\.dev)\d+)?"), "#"),
        ]
    });
    let mut text = line.trim().to_owned();
    for (pattern, replacement) in patterns {
        text = pattern.replace_all(&text, *replacement).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_taken_out() {
        assert_eq!(
            normalise("  /cell/src/a-1.0/b.c:12:3: error at 0x7f3a of 2.3.1"),
            "…/b.c:#:#: error at address of #"
        );
    }

    #[test]
    fn the_same_failure_in_two_places_has_one_signature() {
        let one = signature(CauseId::MissingHeader, "/a/b/x.c:1:2: fatal error: ffi.h: No such file");
        let two = signature(CauseId::MissingHeader, "/c/x.c:77:2: fatal error: ffi.h: No such file");
        assert_eq!(one, two);
        assert_ne!(one, signature(CauseId::MissingHeader, "/c/x.c:77:2: fatal error: pq.h: No such file"));
    }
}
