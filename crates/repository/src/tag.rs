//! Which tag of a repository is a release's. Tags are strangers' text: one that git itself would not take for a name, or that a
//! program could take for an option, is not seen. Decides from texts alone.

use wheeltapper_core::{ProjectName, Version};

/// The longest name of a tag that is looked at, in bytes.
const LONGEST: usize = 200;

/// Words that stand before a version: `release-1.2.3`, `REL_1_2_3`, `v1.2.3`.
const WORDS: &[&str] =
    &["releases", "release", "version", "stable", "final", "tags", "tag", "rel", "ver", "v", "r"];

/// Words that stand behind one, and say nothing.
const ENDS: &[&str] = &["release", "final", "stable"];

/// A tag, and the commit that it marks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Its name, without `refs/tags/`.
    pub name: String,
    /// The commit's object name, in lowercase hexadecimal digits.
    pub commit: String,
}

impl Tag {
    /// A tag of this name; `None` for a name or a commit that is none.
    pub fn new(name: &str, commit: &str) -> Option<Tag> {
        let is_hex =
            commit.len() == 40 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (is_hex && is_sound(name)).then(|| Tag { name: name.to_owned(), commit: commit.to_owned() })
    }
}

/// What git takes for a name (git-check-ref-format), less what could be an option or needs quoting.
fn is_sound(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with(['-', '/', '.'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && !["..", "//", "@{", "/."].iter().any(|odd| name.contains(odd))
        && !name.contains(|c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\'\"".contains(c))
}

/// The tag of a release, and those that could be meant as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The most specific.
    pub tag: Tag,
    /// Names of others that read as the same version and mark other commits.
    pub others: Vec<String>,
}

/// Finds the tag of a version: `v1.2.3`, `1.2.3`, `name-1.2.3`, `name/v1.2.3`, `release-1.2.3`, `REL_1_2_3` and the like,
/// compared as PEP 440 compares versions, so that `v1.0-rc.1` is that of 1.0rc1 and `v1.2` that of 1.2.0. One that names the
/// project comes before one that does not, one that spells the version in full before one that does not.
pub fn choose(tags: &[Tag], project: &ProjectName, version: &Version) -> Option<Chosen> {
    let mut fitting: Vec<(Fit, &Tag)> =
        tags.iter().filter_map(|tag| Some((fit(&tag.name, project, version)?, tag))).collect();
    fitting.sort_by(|(one, tag), (other, another)| one.cmp(other).then_with(|| tag.name.cmp(&another.name)));
    let (_, first) = fitting.first()?;
    let others = fitting.iter().filter(|(_, tag)| tag.commit != first.commit);
    Some(Chosen { tag: (*first).clone(), others: others.map(|(_, tag)| tag.name.clone()).take(10).collect() })
}

/// How well a name fits; the least fits best.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    names_no_project: bool,
    spelt_otherwise: bool,
    words: usize,
    length: usize,
}

fn fit(name: &str, project: &ProjectName, version: &Version) -> Option<Fit> {
    let lower = name.to_ascii_lowercase();
    let (rest, of_project) = match behind_project(&lower, project) {
        Some(rest) => (rest, true),
        None => (lower.as_str(), false),
    };
    let (text, words) = behind_words(rest)?;
    let read = read(text)?;
    if read != *version && read != without_epoch(version) {
        return None;
    }
    let in_full = read.release().len() == version.release().len();
    Some(Fit { names_no_project: !of_project, spelt_otherwise: !in_full, words, length: name.len() })
}

/// What follows the project's name, however its parts are joined: `my_name-1.0`, `packages/my.name@1.0`.
fn behind_project<'t>(tag: &'t str, project: &ProjectName) -> Option<&'t str> {
    let own = project.as_str();
    let short = own.strip_prefix("python-").or_else(|| own.strip_suffix("-python"));
    [Some(own), short].into_iter().flatten().find_map(|wanted| {
        let mut starts = tag.match_indices('/').map(|(at, _)| at + 1).chain([0]);
        starts.find_map(|start| after_name(&tag[start..], wanted))
    })
}

/// What follows a normalised name at the beginning of a text, and the separator behind it.
fn after_name<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = text;
    for (number, part) in name.split('-').enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(['-', '_', '.'])?;
        }
        rest = rest.strip_prefix(part)?;
    }
    let behind = rest.trim_start_matches(['-', '_', '.', '/', '@', '=']);
    // `name2` is another project's name, and `name2-1.0` its tag.
    (behind.len() < rest.len() || rest.starts_with('v')).then_some(behind)
}

/// What follows the words before a version, and how many words there are.
fn behind_words(text: &str) -> Option<(&str, usize)> {
    let (mut rest, mut words) = (text, 0);
    while !rest.starts_with(|c: char| c.is_ascii_digit()) {
        let word = WORDS.iter().find(|word| rest.starts_with(**word))?;
        let behind = &rest[word.len()..];
        rest = behind.trim_start_matches(['-', '_', '.', '/', '@']);
        let joined = rest.len() == behind.len();
        if joined && !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        words += 1;
        if words > 4 {
            return None;
        }
    }
    Some((rest, words))
}

/// The version that a text spells; `1_2_3` and `1-2-3` have other separators than dots.
fn read(text: &str) -> Option<Version> {
    let mut text = text;
    for end in ENDS {
        if let Some(before) = text.strip_suffix(end) {
            text = before.trim_end_matches(['-', '_', '.']);
        }
    }
    let dotted = |separator: char| {
        let parts: Vec<&str> = text.split(separator).collect();
        let numbers = parts.len() > 1 && !text.contains('.');
        let is_number = |part: &&&str| part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty();
        (numbers && parts.iter().take(2).filter(is_number).count() == 2).then(|| text.replace(separator, "."))
    };
    let spelt = dotted('_').or_else(|| dotted('-'));
    spelt.as_deref().unwrap_or(text).parse().ok()
}

fn without_epoch(version: &Version) -> Version {
    version.clone().with_epoch(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        let commit = |number: usize| format!("{number:040x}");
        names
            .iter()
            .enumerate()
            .map(|(number, name)| Tag { name: (*name).to_owned(), commit: commit(number) })
            .collect()
    }

    fn chosen(names: &[&str], version: &str) -> Option<Chosen> {
        choose(&tags(names), &"my-name".parse().unwrap(), &version.parse().unwrap())
    }

    fn name(names: &[&str], version: &str) -> Option<String> {
        chosen(names, version).map(|chosen| chosen.tag.name)
    }

    #[test]
    fn tags_are_read_as_projects_write_them() {
        for (tag, version) in [
            ("1.2.3", "1.2.3"),
            ("v1.2.3", "1.2.3"),
            ("V.1.2.3", "1.2.3"),
            ("v1.2", "1.2.0"),
            ("1.2.0", "1.2"),
            ("my-name-1.2.3", "1.2.3"),
            ("My_Name-v1.2.3", "1.2.3"),
            ("my.name@1.2.3", "1.2.3"),
            ("my-name==1.2.3", "1.2.3"),
            ("my-name/v1.2.3", "1.2.3"),
            ("packages/my-name/1.2.3", "1.2.3"),
            ("my-namev1.2.3", "1.2.3"),
            ("release-1.2.3", "1.2.3"),
            ("release/1.2.3", "1.2.3"),
            ("releases/v1.2.3", "1.2.3"),
            ("REL_1_2_3", "1.2.3"),
            ("rel-1.2.3", "1.2.3"),
            ("version-1.2.3", "1.2.3"),
            ("r1.2.3", "1.2.3"),
            ("1_2_3", "1.2.3"),
            ("v1-2-3", "1.2.3"),
            ("1.2.3-final", "1.2.3"),
            ("v1.2.3-release", "1.2.3"),
            ("v1.0-rc.1", "1.0rc1"),
            ("1.0.0-beta2", "1.0b2"),
            ("rel_1_4_0b1", "1.4.0b1"),
            ("2024.01.05", "2024.1.5"),
            ("1.0.post1", "1.0.post1"),
            ("2.0", "1!2.0"),
        ] {
            assert_eq!(name(&[tag], version).as_deref(), Some(tag), "{tag} for {version}");
        }
    }

    #[test]
    fn other_versions_and_other_projects_tags_are_none() {
        for (tag, version) in [
            ("v1.2.4", "1.2.3"),
            ("v1.2.3rc1", "1.2.3"),
            ("other-1.2.3", "1.2.3"),
            ("my-name2-1.2.3", "1.2.3"),
            ("other/v1.2.3", "1.2.3"),
            ("my-name-extra-1.2.3", "1.2.3"),
            ("latest", "1.2.3"),
            ("v", "1"),
            ("nightly-1.2.3", "1.2.3"),
        ] {
            assert_eq!(name(&[tag], version), None, "{tag}");
        }
    }

    #[test]
    fn the_most_specific_is_taken_and_the_others_are_said() {
        let found = chosen(&["v1.2", "v1.2.0", "my-name-1.2.0", "release-1.2.0"], "1.2.0").unwrap();
        assert_eq!(found.tag.name, "my-name-1.2.0");
        assert_eq!(found.others, ["v1.2.0", "release-1.2.0", "v1.2"]);
        // Two names of one commit are not two answers.
        let mut same = tags(&["1.2.0", "v1.2.0"]);
        same[1].commit = same[0].commit.clone();
        let found = choose(&same, &"my-name".parse().unwrap(), &"1.2".parse().unwrap()).unwrap();
        assert_eq!((found.tag.name.as_str(), found.others.len()), ("1.2.0", 0));
    }

    #[test]
    fn hostile_names_are_not_tags() {
        let commit = "0".repeat(40);
        for name in [
            "--upload-pack=x1.0",
            "-1.0",
            "../1.0",
            "v1.0\n",
            "v1 .0",
            "a:b",
            "v1.0.lock",
            "/v1.0",
            "",
            "v'1",
        ] {
            assert_eq!(Tag::new(name, &commit), None, "{name}");
        }
        assert_eq!(Tag::new("v1.0", "HEAD"), None);
        assert!(Tag::new("v1.0", &commit).is_some());
    }

    proptest! {
        #[test]
        fn any_name_fits_or_does_not(name in ".{0,60}", version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}((a|b|rc)[0-9])?") {
            let version: Version = version.parse().unwrap();
            let _ = choose(&[Tag { name, commit: String::new() }], &"my-name".parse().unwrap(), &version);
        }

        #[test]
        fn a_version_is_found_behind_any_usual_beginning(
            before in prop::sample::select(vec!["", "v", "release-", "my-name-", "my_name/v", "REL_"]),
            version in "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}((a|b|rc)[0-9])?",
        ) {
            let tag = format!("{before}{version}");
            prop_assert!(name(&[&tag], &version).is_some());
        }
    }
}
