//! What a source tree says of its own name and version, without anything being run.

use crate::{
    declared::setup,
    ini::Ini,
    python::with_module,
    toml_file::Toml,
    tree::{Reader, SourceTree},
};

/// A project's name and version as its files state them, neither checked nor normalised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `None` when only a build can tell.
    pub name: Option<String>,
    /// `None` when only a build can tell.
    pub version: Option<String>,
}

/// Reads `[project]` (PEP 621), poetry's table, the call of `setup` by its syntax tree, and `[metadata]` of `setup.cfg`, which
/// setuptools takes last; each of the two from the first place that has it.
pub fn identity(tree: &dyn SourceTree) -> Identity {
    let reader = Reader::new(tree);
    let mut found = Identity::default();
    let mut take = |name: Option<String>, version: Option<String>| {
        found.name = found.name.take().or(name);
        found.version = found.version.take().or(version);
    };
    if let Some(text) = reader.text("pyproject.toml")
        && let Ok(toml) = Toml::parse(&text)
    {
        for table in [&["project"][..], &["tool", "poetry"]] {
            let value = |key| Some(toml.root().path(table)?.get(key)?.str()?.to_owned());
            take(value("name"), value("version"));
        }
    }
    if let Some(text) = reader.text("setup.py") {
        let value = |key| {
            let (lines, _) = with_module(&text, |body| setup::keyword(&text, body, key)).flatten()?;
            lines.into_iter().next()
        };
        take(value("name"), value("version"));
    }
    if let Some(text) = reader.text("setup.cfg") {
        let ini = Ini::parse(&text);
        // `attr: module.name` and `file: NAME` are for the build to follow.
        let value = |key| Some(ini.get("metadata", key)?.value.trim().to_owned());
        let plain = |value: &String| !value.is_empty() && !value.contains(':');
        take(value("name").filter(plain), value("version").filter(plain));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::tree;

    #[test]
    fn each_place_is_read_and_the_first_wins() {
        let script =
            ("setup.py", "NAME = 'a-' + 'b'\nsetup(name=NAME, version=read('VERSION'), install_requires=[])");
        let of = |files: &[(&str, &str)]| {
            let found = identity(&tree(files));
            (found.name, found.version)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(&[script]), (some("a-b"), None));
        let configured = ("setup.cfg", "[metadata]\nname = My.Pkg\nversion = attr: my.version\n");
        assert_eq!(of(&[script, configured]), (some("a-b"), None));
        assert_eq!(of(&[configured]), (some("My.Pkg"), None));
        let poetry = ("pyproject.toml", "[tool.poetry]\nname = 'p'\nversion = '1'\n");
        assert_eq!(of(&[script, configured, poetry]), (some("p"), some("1")));
        let dynamic = ("pyproject.toml", "[project]\nname = 'x'\ndynamic = ['version']\n");
        assert_eq!(of(&[script, dynamic]), (some("x"), None));
        assert_eq!(of(&[("pyproject.toml", "[project\n"), ("setup.py", "setup(name=")]), (None, None));
    }
}
