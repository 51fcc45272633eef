//! What git's complaints mean: that there is no such repository, that it is not as it should be, or that nothing is known of it
//! because the network failed. Whatever is not known for the first two is the last: a package is not blamed on a guess.

use std::time::Duration;

use crate::{error::Error, mirrors::Place};

/// The repository is not there, or not for everybody.
const ABSENT: &[&str] = &[
    "repository not found",
    "does not appear to be a git repository",
    "returned error: 401",
    "returned error: 403",
    "returned error: 404",
    "returned error: 410",
    "could not read username",
    "terminal prompts disabled",
    "authentication failed",
    "access denied",
    "couldn't find remote ref",
    "' not found",
    "not valid: is this a git repository",
];

/// The address leads elsewhere.
const MOVED: &[&str] = &[
    "returned error: 301",
    "returned error: 302",
    "returned error: 307",
    "returned error: 308",
    "unable to update url base",
];

/// What came is beyond a limit.
const TOO_LARGE: &[&str] = &["signal 25", "file too large", "out of memory", "cannot allocate memory"];

/// What came is damaged, or made to harm.
const UNSOUND: &[&str] = &[
    "bad object",
    "corrupt",
    "fsck error",
    "invalid index-pack output",
    "mismatched algorithms",
    "bad tree",
    "not a valid object",
    "unable to read tree",
    "too-short tree",
    "malformed mode",
    "empty filename in tree",
    "bad revision",
];

/// The failure that the complaints tell of; `overdue` is the time that was over.
pub(super) fn failure(place: &Place, complaints: &str, overdue: Option<Duration>) -> Error {
    let shown = place.address().to_string();
    if let Some(wall) = overdue {
        let reason = format!("it was not done within {} s", wall.as_secs());
        return Error::Lost { place: shown, reason };
    }
    let lower = complaints.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let mut reason = line(complaints);
    if let Place::Mirror { folder, .. } = place {
        // Where mirrors lie is nobody's business who reads results.
        reason = reason.replace(&folder.display().to_string(), "the mirror");
        return if !folder.is_dir() || says(ABSENT) {
            Error::Absent { place: shown, reason: "the mirror has no such repository".to_owned() }
        } else {
            Error::Refused { place: shown, reason }
        };
    }
    if says(MOVED) {
        Error::Absent { place: shown, reason: "it has moved to another address".to_owned() }
    } else if says(ABSENT) {
        Error::Absent { place: shown, reason }
    } else if says(TOO_LARGE) {
        Error::Refused { place: shown, reason: "it is larger than what is transferred".to_owned() }
    } else if says(UNSOUND) {
        Error::Refused { place: shown, reason }
    } else {
        Error::Lost { place: shown, reason }
    }
}

/// The line that says it: the first that git calls fatal, else the last.
fn line(complaints: &str) -> String {
    let lines = || complaints.lines().map(str::trim).filter(|line| !line.is_empty());
    let fatal = lines().find_map(|line| line.strip_prefix("fatal: "));
    let said = fatal.or_else(|| lines().next_back()).unwrap_or("git failed and said nothing");
    said.chars().filter(|c| !c.is_control()).take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    #[test]
    fn what_is_not_known_is_never_the_repositorys_fault() {
        let address = Address::read("https://github.com/o/n", true).unwrap().unwrap();
        let place = Place::Network(address);
        let kind = |complaints: &str| match failure(&place, complaints, None) {
            Error::Absent { .. } => "absent",
            Error::Refused { .. } => "refused",
            Error::Lost { .. } => "lost",
            Error::NoGit(_) | Error::Settings { .. } | Error::File { .. } => "ours",
        };
        for (complaints, expected) in [
            ("remote: Repository not found.\nfatal: repository 'https://x/' not found\n", "absent"),
            ("fatal: could not read Username for 'https://x': terminal prompts disabled", "absent"),
            ("fatal: unable to access 'https://x/': The requested URL returned error: 301", "absent"),
            ("fatal: unable to access 'https://x/': Could not resolve host: github.com", "lost"),
            ("fatal: unable to access 'https://x/': The requested URL returned error: 503", "lost"),
            ("fatal: early EOF\nfatal: fetch-pack: unexpected disconnect", "lost"),
            ("error: index-pack died of signal 25\nfatal: fetch-pack: invalid index-pack output", "refused"),
            ("fatal: something new", "lost"),
            ("", "lost"),
        ] {
            assert_eq!(kind(complaints), expected, "{complaints}");
        }
        assert!(matches!(failure(&place, "", Some(Duration::from_secs(5))), Error::Lost { .. }));
    }
}
