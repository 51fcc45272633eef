//! Signatures: the decisive line with all that varies between cells taken out, hashed.

use std::sync::OnceLock;

use regex::Regex;

use crate::{
    cause::{Cause, CauseId},
    digest::Sha256,
};

/// The signature of a cause: 16 hexadecimal digits over its id and what is decisive in it. Where the particular thing is known
/// (a header, a module, a tool), that is it: the line around it differs from package to package, the remedy does not. Elsewhere
/// it is the normalised decisive line.
pub fn signature(cause: &Cause) -> String {
    let line = cause.evidence.first().map_or(cause.detail.as_str(), |line| &line.text);
    let decisive = match &cause.subject {
        Some(subject) if is_the_remedy(cause.id) => subject.clone(),
        _ => normalise(line),
    };
    Sha256::of_parts([cause.id.as_str(), &decisive]).hex()[..16].to_owned()
}

/// True where the subject alone says what is to be done.
fn is_the_remedy(id: CauseId) -> bool {
    matches!(
        id,
        CauseId::MissingHeader
            | CauseId::MissingLibrary
            | CauseId::MissingTool
            | CauseId::MissingSharedLibrary
            | CauseId::RemovedStdlibModule
            | CauseId::RemovedApi
            | CauseId::RemovedCApi
            | CauseId::RemovedSetuptoolsFeature
            | CauseId::UndeclaredBuildRequirement
            | CauseId::UndeclaredDependency
            | CauseId::MissingTestDependency
            | CauseId::DependencyBuildFailed
            | CauseId::DependencyNotFound
            | CauseId::NoMatchingDistribution
            | CauseId::Python2Syntax
    )
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
    use crate::{
        cause::{Blame, Confidence, EvidenceLine},
        phase::Phase,
    };

    #[test]
    fn what_varies_is_taken_out() {
        assert_eq!(
            normalise("  /cell/src/a-1.0/b.c:12:3: error at 0x7f3a of 2.3.1"),
            "…/b.c:#:#: error at address of #"
        );
    }

    #[test]
    fn the_same_failure_in_two_places_has_one_signature() {
        let cause = |line: &str, subject: Option<&str>| Cause {
            id: CauseId::MissingHeader,
            phase: Phase::Build,
            blame: Blame::Platform,
            dependency: None,
            title: String::new(),
            detail: String::new(),
            subject: subject.map(str::to_owned),
            evidence: vec![EvidenceLine { phase: Phase::Build, line: 1, text: line.to_owned() }],
            confidence: Confidence::Medium,
        };
        let one = cause("/a/b/x.c:1:2: fatal error: ffi.h: No such file", None);
        let two = cause("/c/x.c:77:2: fatal error: ffi.h: No such file", None);
        let other = cause("/c/x.c:77:2: fatal error: pq.h: No such file", None);
        assert_eq!(signature(&one), signature(&two));
        assert_ne!(signature(&one), signature(&other));
        let header = |line| signature(&cause(line, Some("ffi.h")));
        assert_eq!(header("one.c:1: fatal error: ffi.h"), header("two.c:9: fatal error: ffi.h"));
    }
}
