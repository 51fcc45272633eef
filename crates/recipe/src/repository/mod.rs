//! Tests that the sdist lacks, out of the project's repository: whether the repository's tree is that of this release at all
//! (`same`), and which of its files are the tests and what they need beside them (`taking`). Pure over two trees.

mod same;
mod taking;

use crate::{About, SourceTree, TreeFile};

pub use same::Compared;

/// The share of the sdist's modules that must be the same in the repository, in percent.
const ENOUGH: u64 = 80;

/// What is taken of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How the modules of both compare.
    pub compared: Compared,
    /// Each file: where it lies in the repository, and where it belongs in the sdist. Sorted.
    pub files: Vec<(String, String)>,
}

/// Why nothing is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// How the modules of both compare, as far as they were compared.
    pub compared: Compared,
    /// A fragment.
    pub reason: String,
}

/// Finds in a repository's tree the tests of the release whose sdist's tree the other is.
///
/// # Errors
/// When the repository holds another state of the release's modules, or no tests.
pub fn from_repository(
    sdist: &dyn SourceTree,
    repository: &dyn SourceTree,
    about: &About,
) -> Result<Taken, NotTaken> {
    let compared = same::compare(sdist, repository, about);
    let refused = |reason: String| Err(NotTaken { compared: compared.clone(), reason });
    if compared.modules == 0 {
        return refused("the sdist holds no module to compare it by".to_owned());
    }
    if compared.same * 100 < compared.modules * ENOUGH {
        return refused(format!(
            "it is not what was released: {} of {} modules of the sdist are the same there ({})",
            compared.same,
            compared.modules,
            compared.shown()
        ));
    }
    let part = Part::of(repository, &compared.folder);
    let files = taking::take(sdist, &part, about, &compared);
    if files.is_empty() {
        return refused("it holds no tests that the sdist lacks".to_owned());
    }
    Ok(Taken { compared, files })
}

/// A folder of a tree, as a tree.
struct Part<'a> {
    tree: &'a dyn SourceTree,
    /// With its slash; empty for the whole.
    before: String,
    files: Vec<TreeFile>,
}

impl<'a> Part<'a> {
    fn of(tree: &'a dyn SourceTree, folder: &str) -> Part<'a> {
        let before = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let below = |file: &TreeFile| {
            let path = file.path.strip_prefix(&before)?.to_owned();
            Some(TreeFile { path, size: file.size })
        };
        Part { tree, files: tree.files().iter().filter_map(below).collect(), before }
    }
}

impl SourceTree for Part<'_> {
    fn files(&self) -> &[TreeFile] {
        &self.files
    }

    fn read(&self, path: &str, limit: u64) -> Option<Vec<u8>> {
        self.tree.read(&format!("{}{path}", self.before), limit)
    }
}

#[cfg(test)]
mod tests;
