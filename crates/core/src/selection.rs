//! Which release a user of this interpreter would get: `Requires-Python`, yanks (PEP 592), pre-releases only where
//! nothing else exists or the pin names one (PEP 440).

use pep440_rs::{Operator, Version, VersionSpecifiers};

use crate::outcome::Reason;

/// One release as the index lists it, reduced to what decides.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Its version.
    pub version: Version,
    /// True when every file of it is yanked.
    pub yanked: bool,
    /// False when `Requires-Python` of every file excludes the interpreter.
    pub python_admits: bool,
    /// True when there is an sdist, or a wheel that the interpreter takes.
    pub has_usable_file: bool,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// This candidate, by position, and why (the words of `selected.why`).
    Release(usize, &'static str),
    /// This release is what the user asked for or would want, and it is not for this interpreter.
    Unsupported(usize, Reason),
    /// Nothing matches the request at all.
    Nothing,
}

/// Chooses among candidates. `wanted` is the user's specifier, empty for "the newest".
///
/// A pin that names one version exactly takes it even when it is a pre-release or yanked.
pub fn choose(candidates: &[Candidate], wanted: &VersionSpecifiers) -> Choice {
    let pinned =
        wanted.iter().any(|specifier| matches!(specifier.operator(), Operator::Equal | Operator::ExactEqual));
    let mut matching: Vec<usize> =
        (0..candidates.len()).filter(|&index| wanted.contains(&candidates[index].version)).collect();
    matching.sort_by(|&a, &b| candidates[b].version.cmp(&candidates[a].version));
    let usable = |index: &usize| candidates[*index].python_admits && candidates[*index].has_usable_file;
    let final_release = |index: &usize| !candidates[*index].version.any_prerelease();
    let standing = |index: &usize| !candidates[*index].yanked;
    if pinned {
        return match matching.first() {
            None => Choice::Nothing,
            Some(&index) if usable(&index) => Choice::Release(index, "pinned"),
            Some(&index) => Choice::Unsupported(index, why_not(&candidates[index])),
        };
    }
    let newest = matching
        .iter()
        .find(|index| final_release(index) && standing(index))
        .or_else(|| matching.iter().find(|index| standing(index)));
    let Some(&newest) = newest else { return Choice::Nothing };
    let best = matching.iter().find(|index| usable(index) && final_release(index) && standing(index));
    if let Some(&best) = best {
        return Choice::Release(best, if best == newest { "newest" } else { "newest-for-this-python" });
    }
    match matching.iter().find(|index| usable(index) && standing(index)) {
        Some(&best) => Choice::Release(best, "pre-release-only"),
        None => Choice::Unsupported(newest, why_not(&candidates[newest])),
    }
}

fn why_not(candidate: &Candidate) -> Reason {
    if candidate.python_admits { Reason::NoCompatibleFile } else { Reason::RequiresPython }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(version: &str) -> Candidate {
        Candidate {
            version: version.parse().unwrap(),
            yanked: false,
            python_admits: true,
            has_usable_file: true,
        }
    }

    fn any() -> VersionSpecifiers {
        VersionSpecifiers::empty()
    }

    #[test]
    fn takes_the_newest_final_release() {
        let all = [candidate("1.0"), candidate("2.0"), candidate("3.0rc1")];
        assert_eq!(choose(&all, &any()), Choice::Release(1, "newest"));
    }

    #[test]
    fn steps_back_for_an_old_python_and_over_yanks() {
        let mut all = [candidate("1.0"), candidate("2.0"), candidate("3.0")];
        all[2].python_admits = false;
        assert_eq!(choose(&all, &any()), Choice::Release(1, "newest-for-this-python"));
        all[1].yanked = true;
        assert_eq!(choose(&all, &any()), Choice::Release(0, "newest-for-this-python"));
    }

    #[test]
    fn takes_a_pre_release_only_where_nothing_else_exists() {
        assert_eq!(choose(&[candidate("1.0a1")], &any()), Choice::Release(0, "pre-release-only"));
    }

    #[test]
    fn a_pin_takes_yanked_and_pre_releases_and_says_when_python_excludes_it() {
        let mut all = [candidate("1.0"), candidate("2.0rc1")];
        all[1].yanked = true;
        let pin: VersionSpecifiers = "==2.0rc1".parse().unwrap();
        assert_eq!(choose(&all, &pin), Choice::Release(1, "pinned"));
        all[1].python_admits = false;
        assert_eq!(choose(&all, &pin), Choice::Unsupported(1, Reason::RequiresPython));
        assert_eq!(choose(&all, &"==9".parse().unwrap()), Choice::Nothing);
    }

    #[test]
    fn says_why_nothing_fits() {
        let mut all = [candidate("1.0"), candidate("2.0")];
        for release in &mut all {
            release.has_usable_file = false;
        }
        assert_eq!(choose(&all, &any()), Choice::Unsupported(1, Reason::NoCompatibleFile));
    }
}
