//! What a package's maintainers wish of those who would write to them. Kept with results; letters keep to it.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// Of what the maintainers want to hear.
    Notify: "wish" {
        /// Nothing, ever.
        Never = "never",
        /// What passed before and fails now.
        Regressions = "regressions",
        /// Every failure of theirs.
        Failures = "failures",
    }
}

/// A maintainer's wishes, from `[tool.wheeltapper] contact`. Hostile input: an address is written to only as the metadata's are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Of what they want to hear; null leaves it to the sender.
    pub notify: Option<Notify>,
    /// Where to, instead of the metadata's address.
    pub email: Option<String>,
    /// Where problems are reported instead.
    pub url: Option<String>,
}
