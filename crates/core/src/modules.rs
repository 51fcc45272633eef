//! Who owns a module or a name: modules that the standard library had, names that it had, and modules that are called
//! otherwise than the projects which provide them. Data tables only; no project's results are special here.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

/// What became of something that the standard library had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was Python 2's.
    Python2,
    /// Gone since this minor version of Python 3.
    Gone(u32, u32),
    /// Only this system has it: `windows` or `macos`.
    Only(&'static str),
}

impl Fate {
    fn parse(text: &'static str) -> Self {
        match text.split_once('.') {
            Some((major, minor)) => Fate::Gone(major.parse().unwrap_or(3), minor.parse().unwrap_or(0)),
            None if text == "2" => Fate::Python2,
            None => Fate::Only(text),
        }
    }

    /// True where an interpreter of this minor version on this system lacks it.
    pub fn applies(self, (major, minor): (u32, u32), os: &str) -> bool {
        match self {
            Fate::Python2 => major >= 3,
            Fate::Gone(gone_major, gone_minor) => (major, minor) >= (gone_major, gone_minor),
            Fate::Only(only) => only != os,
        }
    }
}

fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split(',').collect())
}

static MODULES: LazyLock<HashMap<&str, Fate>> = LazyLock::new(|| {
    let row = |row: Vec<&'static str>| match row[..] {
        [name, fate] => Some((name, Fate::parse(fate))),
        _ => None,
    };
    rows(include_str!("../data/stdlib-modules.csv")).filter_map(row).collect()
});

static NAMES: LazyLock<HashMap<(&str, &str), Fate>> = LazyLock::new(|| {
    let row = |row: Vec<&'static str>| match row[..] {
        [owner, name, fate] => Some(((owner, name), Fate::parse(fate))),
        _ => None,
    };
    rows(include_str!("../data/stdlib-names.csv")).filter_map(row).collect()
});

static PROVIDERS: LazyLock<BTreeMap<&str, Vec<&str>>> = LazyLock::new(|| {
    let mut providers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in rows(include_str!("../../recipe/data/modules.csv")) {
        if let [module, project] = row[..] {
            providers.entry(module).or_default().push(project);
        }
    }
    providers
});

/// What became of a module of the standard library; `None` for one that it never had, or still has everywhere.
/// The longest listed prefix of a dotted name counts.
pub fn stdlib_module(module: &str) -> Option<Fate> {
    let mut name = module;
    loop {
        if let Some(fate) = MODULES.get(name) {
            return Some(*fate);
        }
        name = name.rsplit_once('.')?.0;
    }
}

/// What became of a name of a standard module; `None` as the owner means an attribute of some object.
pub fn stdlib_name(owner: Option<&str>, name: &str) -> Option<Fate> {
    NAMES.get(&(owner.unwrap_or("*"), name)).copied()
}

/// Projects that are known to provide a top-level module under another name; the first is the one to ask for.
pub fn providers(module: &str) -> impl Iterator<Item = &'static str> {
    PROVIDERS.get(module).into_iter().flatten().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_whole() {
        assert_eq!(stdlib_module("distutils.util"), Some(Fate::Gone(3, 12)));
        assert_eq!(stdlib_module("ConfigParser"), Some(Fate::Python2));
        assert_eq!(stdlib_module("winreg"), Some(Fate::Only("windows")));
        assert_eq!(stdlib_module("xml.etree"), None);
        assert_eq!(stdlib_name(Some("inspect"), "getargspec"), Some(Fate::Gone(3, 11)));
        assert_eq!(stdlib_name(None, "assertEquals"), Some(Fate::Gone(3, 12)));
        assert!(providers("yaml").any(|project| project == "pyyaml"));
        for text in [include_str!("../data/stdlib-modules.csv"), include_str!("../data/stdlib-names.csv")] {
            let columns: Vec<usize> = rows(text).map(|row| row.len()).collect();
            assert!(columns.windows(2).all(|pair| pair[0] == pair[1]));
        }
        assert!(Fate::Gone(3, 12).applies((3, 13), "linux") && !Fate::Gone(3, 12).applies((3, 11), "linux"));
        assert!(Fate::Only("windows").applies((3, 13), "linux"));
    }
}
