//! What the tests of several modules share: a release about which nothing special is known.

use std::{collections::BTreeMap, sync::LazyLock};

use wheeltapper_core::{ProjectName, Version};

use crate::{About, Interpreter, MemoryTree};

static PROJECT: LazyLock<ProjectName> = LazyLock::new(|| "p".parse().unwrap());
static VERSION: LazyLock<Version> = LazyLock::new(|| "1.0".parse().unwrap());

/// A pure release of one package `p`, on CPython 3.13.
pub(crate) fn about() -> About<'static> {
    About {
        project: &PROJECT,
        version: &VERSION,
        import_names: vec!["p".into()],
        installed_files: vec!["p/__init__.py".into()],
        native: false,
        runtime_requirements: Vec::new(),
        provides_extra: BTreeMap::new(),
        overrides: Vec::new(),
        interpreter: Interpreter {
            version: (3, 13),
            implementation: "cpython".into(),
            platform: "linux".into(),
        },
    }
}

/// A tree of these files.
pub(crate) fn tree(files: &[(&str, &str)]) -> MemoryTree {
    files.iter().fold(MemoryTree::new(), |tree, (path, text)| tree.with(*path, *text))
}
