//! Tests from a project's repository: whether they are asked for, and what the record says of where they were looked for.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// Where a release's tests may come from.
    TestSource: "source of tests" {
        /// The sdist only.
        Sdist = "sdist",
        /// The repository where the sdist ships none.
        Auto = "auto",
        /// The repository, always.
        Repository = "repository",
    }
}

impl Default for TestSource {
    /// What the release itself ships, unless more is asked for.
    fn default() -> Self {
        TestSource::Sdist
    }
}

/// Where tests were looked for beside the sdist: the project's repository, at the release's tag.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestsRepository {
    /// Its address, `https://host/path`; null where the metadata names none that may be fetched from.
    pub address: Option<String>,
    /// The label of the link that names it, as the metadata spells it.
    pub named_by: Option<String>,
    /// True where a mirror on this machine stood for the address.
    pub mirror: bool,
    /// The release's tag.
    pub tag: Option<String>,
    /// The commit that it marks: 40 hexadecimal digits.
    pub commit: Option<String>,
    /// The folder of the repository that is the sdist's root; empty where that is the repository's own.
    pub folder: String,
    /// How many of the sdist's modules were compared with the repository's.
    pub compared: u64,
    /// How many of them were the same.
    pub same: u64,
    /// How many files were taken.
    pub taken: u64,
    /// Which, relative to the sdist's root; the first [`TestsRepository::MOST_NAMED`].
    pub files: Vec<String>,
    /// Why none was taken; null where some were.
    pub refused: Option<String>,
    /// What else is to be said: other tags that fit, files that were left out.
    pub notes: Vec<String>,
}

impl TestsRepository {
    /// How many files a record names.
    pub const MOST_NAMED: usize = 200;

    /// Where tests were taken from, or why not, in a sentence without its full stop.
    pub fn told(&self) -> String {
        let address = self.address.as_deref().unwrap_or("no repository");
        let mirror = if self.mirror { " (a mirror)" } else { "" };
        match (&self.refused, &self.tag, &self.commit) {
            (None, Some(tag), Some(commit)) => {
                let files = if self.taken == 1 { "1 file" } else { &format!("{} files", self.taken) };
                let short = commit.get(..12).unwrap_or(commit);
                format!(
                    "{files} from {address}{mirror} at {tag} ({short}); {} of {} modules of the sdist are the same there",
                    self.same, self.compared
                )
            }
            (Some(reason), Some(tag), _) => format!("none from {address}{mirror} at {tag}: {reason}"),
            (Some(reason), None, _) if self.address.is_some() => {
                format!("none from {address}{mirror}: {reason}")
            }
            (Some(reason), ..) => format!("none: {reason}"),
            (None, ..) => "none".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_in_a_sentence() {
        let mut taken = TestsRepository {
            address: Some("https://github.com/o/n".into()),
            tag: Some("v1".into()),
            commit: Some("0123456789abcdef".repeat(2) + "01234567"),
            compared: 3,
            same: 3,
            taken: 1,
            ..TestsRepository::default()
        };
        assert_eq!(
            taken.told(),
            "1 file from https://github.com/o/n at v1 (0123456789ab); 3 of 3 modules of the sdist are the same there"
        );
        taken.refused = Some("it holds no tests".into());
        assert_eq!(taken.told(), "none from https://github.com/o/n at v1: it holds no tests");
        let unknown =
            TestsRepository { refused: Some("no repository is known".into()), ..Default::default() };
        assert_eq!(unknown.told(), "none: no repository is known");
    }
}
