//! What installing a release would give, as far as its unbuilt sources tell: for looking at a plan without a wheel.
//! A guess from names; a run takes the built wheel instead.

use std::collections::BTreeSet;

use crate::tree::{Reader, SourceTree, file_name, parent};

/// What the sources let expect of the wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unbuilt {
    /// Top-level modules; leaves of namespace packages, dotted.
    pub import_names: Vec<String>,
    /// Files below site-packages.
    pub installed_files: Vec<String>,
    /// True when there are sources to compile.
    pub native: bool,
}

/// The folders that layouts put modules in; the root is the empty text.
const PLACES: &[&str] = &["src", "lib", "python", ""];

/// Top-level folders that hold Python and are not installed by any sane build.
const BESIDE: &[&str] =
    &["test", "tests", "testing", "doc", "docs", "example", "examples", "benchmarks", "scripts", "tools"];

/// Expects what a build would install. `project` is the release's name, which decides where several modules stand beside each other.
pub fn unbuilt(tree: &dyn SourceTree, project: &str) -> Unbuilt {
    let reader = Reader::new(tree);
    let listed = reader.files().iter().find(|file| file.0.ends_with(".egg-info/top_level.txt"));
    let listed = listed.and_then(|file| reader.text(file.0));
    let mut names: Vec<String> = listed
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| line.trim().replace('/', "."))
        .filter(|name| !name.is_empty())
        .take(50)
        .collect();
    if names.is_empty() {
        names = by_layout(&reader, project);
    }
    let mut installed_files = Vec::new();
    for (path, _) in reader.files() {
        let below = place_of(&reader, path, &names);
        installed_files.extend(below.map(str::to_owned));
    }
    let native = reader.files().iter().any(|(path, _)| {
        let compiled =
            [".c", ".cc", ".cpp", ".cxx", ".pyx", ".rs", ".f90", ".f"].iter().any(|end| path.ends_with(end));
        let builds = ["tests", "test", "docs", "doc", "examples", "benchmarks"];
        compiled && !parent(path).split('/').any(|part| builds.contains(&part))
    });
    Unbuilt { import_names: names, installed_files, native }
}

/// The path below site-packages of a file that belongs to one of the modules.
fn place_of<'p>(reader: &Reader, path: &'p str, names: &[String]) -> Option<&'p str> {
    PLACES.iter().find_map(|place| {
        let below = if place.is_empty() { path } else { path.strip_prefix(place)?.strip_prefix('/')? };
        let is_own = names.iter().any(|name| {
            let folder = name.replace('.', "/");
            let in_place = |end: &str| {
                if place.is_empty() { format!("{folder}{end}") } else { format!("{place}/{folder}{end}") }
            };
            below == format!("{folder}.py")
                || (below.starts_with(&format!("{folder}/")) && reader.has_folder(&in_place("")))
        });
        (is_own && !file_name(below).ends_with(".pyc")).then_some(below)
    })
}

/// Modules by the usual layouts: everything importable in a source folder; in the root what is called like the project, else
/// the only package that is no folder of tests or documents.
fn by_layout(reader: &Reader, project: &str) -> Vec<String> {
    for place in PLACES {
        let mut found: BTreeSet<String> = BTreeSet::new();
        for (path, _) in reader.under(place) {
            let below =
                if place.is_empty() { path } else { path.trim_start_matches(place).trim_start_matches('/') };
            match below.split('/').collect::<Vec<_>>()[..] {
                [module] => found.extend(module.strip_suffix(".py").map(str::to_owned)),
                [package, "__init__.py"] => {
                    found.insert(package.to_owned());
                }
                [namespace, package, "__init__.py"]
                    if !place.is_empty() && !reader.has_file(&format!("{place}/{namespace}/__init__.py")) =>
                {
                    found.insert(format!("{namespace}.{package}"));
                }
                _ => {}
            }
        }
        found.retain(|name| {
            !matches!(name.as_str(), "setup" | "conftest" | "noxfile" | "tasks" | "fabfile" | "versioneer")
                && !BESIDE.contains(&name.as_str())
        });
        let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '_', '.'], "");
        let wanted = plain(project);
        let alike = |name: &&String| {
            let name = plain(name);
            name == wanted
                || wanted
                    .strip_prefix("python")
                    .or_else(|| wanted.strip_prefix("py"))
                    .is_some_and(|rest| rest == name)
        };
        if place.is_empty() {
            let called: Vec<String> = found.iter().filter(alike).cloned().collect();
            if !called.is_empty() {
                return called;
            }
            let dotted = project.replace('-', "/");
            if reader.has_file(&format!("{dotted}/__init__.py")) {
                return vec![dotted.replace('/', ".")];
            }
            let packages: Vec<String> =
                found.into_iter().filter(|name| reader.has_file(&format!("{name}/__init__.py"))).collect();
            return packages.into_iter().filter(|name| !name.starts_with("test")).take(1).collect();
        }
        if !found.is_empty() {
            return found.into_iter().take(50).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    #[test]
    fn layouts_tell_what_is_installed() {
        let src =
            tree(&[("src/a/__init__.py", ""), ("src/a/x.py", ""), ("tests/test_a.py", ""), ("setup.py", "")]);
        let found = unbuilt(&src, "whatever");
        assert_eq!((found.import_names, found.native), (vec!["a".to_owned()], false));
        assert_eq!(found.installed_files, ["a/__init__.py", "a/x.py"]);
        let flat = tree(&[("six.py", ""), ("test_six.py", ""), ("setup.py", ""), ("ext/m.c", "")]);
        let found = unbuilt(&flat, "six");
        assert_eq!((found.import_names, found.native), (vec!["six".to_owned()], true));
        let other = tree(&[("yaml/__init__.py", ""), ("tests/__init__.py", ""), ("docs/conf.py", "")]);
        assert_eq!(unbuilt(&other, "pyyaml").import_names, ["yaml"]);
        let namespace = tree(&[("src/ns/part/__init__.py", ""), ("src/ns/part/a.py", "")]);
        assert_eq!(unbuilt(&namespace, "ns-part").import_names, ["ns.part"]);
        let listed =
            tree(&[("x.egg-info/top_level.txt", "one\ntwo\n"), ("one/__init__.py", ""), ("two.py", "")]);
        assert_eq!(unbuilt(&listed, "x").installed_files, ["one/__init__.py", "two.py"]);
    }
}
