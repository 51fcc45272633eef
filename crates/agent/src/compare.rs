//! The wheel that was built here beside the published one: which files, tags, requirements and entry points differ.
//! Both are strangers' archives; they are only read.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use wheeltapper_core::{metadata::Metadata, pep508_rs};
use wheeltapper_index::{Error, Limits, Wheel};

use crate::phases::import::is_native;

/// The most differences of one kind that are listed.
const MOST: usize = 10;

/// What one wheel promises, in a form in which two can be compared.
struct Contents {
    files: BTreeSet<String>,
    tags: BTreeSet<String>,
    requirements: BTreeSet<String>,
    entry_points: BTreeSet<String>,
}

/// A sentence for each difference; empty when there is none.
///
/// # Errors
/// When one of the wheels cannot be read.
pub(crate) fn differences(built: &Path, published: &Path, published_as: &str) -> Result<Vec<String>, Error> {
    let limits = Limits::default();
    let built = Contents::of(Wheel::open(built, &limits)?)?;
    let published = Contents::of(Wheel::open_as(published, published_as, &limits)?)?;
    let mut lines = Vec::new();
    for (what, ours, theirs) in [
        ("file", &built.files, &published.files),
        ("tag", &built.tags, &published.tags),
        ("requirement", &built.requirements, &published.requirements),
        ("entry point", &built.entry_points, &published.entry_points),
    ] {
        for (where_it_is, here, there) in [("built", ours, theirs), ("published", theirs, ours)] {
            let only: Vec<&String> = here.difference(there).collect();
            lines.extend(
                only.iter().take(MOST).map(|one| format!("{what} only in the {where_it_is} wheel: {one}")),
            );
            if only.len() > MOST {
                lines.push(format!("… and {} more", only.len() - MOST));
            }
        }
    }
    Ok(lines)
}

impl Contents {
    fn of(mut wheel: Wheel) -> Result<Self, Error> {
        let metadata = wheel.read_info("METADATA")?.unwrap_or_default();
        let entry_points = wheel.read_info("entry_points.txt")?.unwrap_or_default();
        let metadata = Metadata::parse(&String::from_utf8_lossy(&metadata));
        let name = wheel.name();
        // A repaired wheel names the platforms that it runs on; one that was just built names this machine.
        let platform = |tag: &String| if tag == "any" { "any" } else { "native" }.to_owned();
        let platforms: BTreeSet<String> = name.platform.iter().map(platform).collect();
        let tags = name.python.iter().flat_map(|python| {
            let platforms = &platforms;
            name.abi
                .iter()
                .flat_map(move |abi| platforms.iter().map(move |end| format!("{python}-{abi}-{end}")))
        });
        Ok(Contents {
            files: wheel.members().iter().filter_map(|member| comparable(&member.path)).collect(),
            tags: tags.collect(),
            requirements: metadata.requires_dist.iter().map(|text| requirement(text)).collect(),
            entry_points: entries(&String::from_utf8_lossy(&entry_points)),
        })
    }
}

/// A member's path where it says something about the release: metadata have their own comparison, bundled libraries are
/// what a repaired wheel adds, and the name of an extension module ends with the binary interface that it was built for.
fn comparable(path: &str) -> Option<String> {
    let top = path.split('/').next().unwrap_or(path);
    if path.ends_with('/') || top.ends_with(".dist-info") || top.ends_with(".libs") || path.ends_with(".pyc")
    {
        return None;
    }
    let path = match path.split_once(".data/") {
        Some((_, rest)) => {
            rest.strip_prefix("purelib/").or_else(|| rest.strip_prefix("platlib/")).unwrap_or(rest)
        }
        None => path,
    };
    let (folder, file) = path.rsplit_once('/').map_or(("", path), |(folder, file)| (folder, file));
    match file.split_once('.') {
        Some((stem, _)) if is_native(file) => {
            Some(format!("{folder}/{stem}.so").trim_start_matches('/').to_owned())
        }
        _ => Some(path.to_owned()),
    }
}

/// A requirement in its canonical form; as it stands where it is none.
fn requirement(text: &str) -> String {
    text.parse::<pep508_rs::Requirement>()
        .map_or_else(|_| text.trim().to_owned(), |parsed| parsed.to_string())
}

fn entries(text: &str) -> BTreeSet<String> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut group = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => group = name.trim().to_owned(),
            None => {
                let bare: String = line.chars().filter(|character| !character.is_whitespace()).collect();
                groups.entry(group.clone()).or_default().insert(bare);
            }
        }
    }
    groups
        .into_iter()
        .flat_map(|(group, lines)| lines.into_iter().map(move |line| format!("{group}: {line}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_repaired_wheel_adds_is_no_difference() {
        assert_eq!(comparable("a.libs/libz.so.1"), None);
        assert_eq!(comparable("a-1.dist-info/METADATA"), None);
        assert_eq!(comparable("a/_b.cpython-313-x86_64-linux-gnu.so").as_deref(), Some("a/_b.so"));
        assert_eq!(comparable("a/_b.abi3.so").as_deref(), Some("a/_b.so"));
        assert_eq!(comparable("a-1.data/purelib/x.py").as_deref(), Some("x.py"));
    }

    #[test]
    fn spelling_is_no_difference() {
        assert_eq!(requirement("Foo >=1 ; python_version<'3'"), requirement("foo>=1; python_version < '3'"));
        assert_eq!(entries("[console_scripts]\na = b:c\n"), entries("# x\n[ console_scripts ]\na=b:c"));
    }
}
