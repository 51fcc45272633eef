//! Requirements files and the release's own extras.

use super::{Declared, Purpose, Sources, Tier, purpose};
use crate::{
    requirement::List,
    tree::{file_name, parent},
};

/// Requirements files whose name or folder says what they are for.
pub(crate) fn requirement_files(sources: &Sources, declared: &mut Declared) {
    let mut found: Vec<(Tier, u8, &str)> = Vec::new();
    for (path, size) in sources.reader.files() {
        let (folder, name) = (parent(path), file_name(path));
        let Some(stem) = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".pip")) else { continue };
        if *size > 1 << 20 || folder.split('/').count() > 2 {
            continue;
        }
        let lower = stem.to_ascii_lowercase();
        let in_folder = file_name(folder).to_ascii_lowercase();
        let about_requirements =
            |text: &str| text.contains("require") || text.contains("deps") || matches!(text, "reqs" | "req");
        let in_tests = crate::survey::is_test_folder(&in_folder);
        let tier = if about_requirements(&lower) {
            let rest = lower
                .replace("requirements", "")
                .replace("requirement", "")
                .replace("require", "")
                .replace("deps", "")
                .replace("reqs", "");
            match purpose(rest.trim_matches(['-', '_', '.'])) {
                Purpose::Test | Purpose::TestPart => Some((Tier::TestFile, 0)),
                Purpose::Dev => Some((Tier::Dev, 0)),
                Purpose::Other if in_tests && rest.trim_matches(['-', '_', '.']).is_empty() => {
                    Some((Tier::TestFile, 1))
                }
                Purpose::Other if rest.is_empty() && folder.is_empty() => Some((Tier::Plain, 0)),
                Purpose::Other => None,
            }
        } else if about_requirements(&in_folder) {
            match purpose(&lower) {
                Purpose::Test => Some((Tier::TestFile, 0)),
                Purpose::TestPart => Some((Tier::TestFile, 2)),
                Purpose::Dev => Some((Tier::Dev, 1)),
                Purpose::Other => None,
            }
        } else {
            None
        };
        if let Some((tier, rank)) = tier {
            found.push((tier, rank, path));
        }
    }
    found.sort_unstable();
    for (tier, _, path) in found.into_iter().take(20) {
        let mut list = List::default();
        list.take_file(sources.reader, sources.own, path);
        declared.add(tier, path, path, 1, list);
    }
}

/// Extras of the release for tests or development, as its metadata has them.
pub(crate) fn extras(sources: &Sources, declared: &mut Declared) {
    for (name, requirements) in sources.extras {
        let tier = match purpose(name) {
            Purpose::Test | Purpose::TestPart => Tier::TestExtra,
            Purpose::Dev => Tier::Dev,
            Purpose::Other => continue,
        };
        let mut list = List { extras: vec![name.clone()], ..List::default() };
        for requirement in requirements {
            list.take_at_root(sources.reader, sources.own, requirement, "METADATA", 0);
        }
        declared.add(tier, format!("extra {name}"), "METADATA", 0, list);
    }
}
