//! The one-line change that makes a failing release work here: a requirement, a bound, a setting. Whether it was run again
//! and seen to pass is said with it.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// What is to be changed.
    FixKind: "fix" {
        /// A requirement is added to the release's dependencies.
        Requirement = "requirement",
        /// A requirement is added to those of its build.
        BuildRequirement = "build-requirement",
        /// A requirement is added to those of its tests.
        TestRequirement = "test-requirement",
        /// A runtime requirement gets an upper bound.
        Bound = "bound",
        /// A build requirement gets an upper bound.
        BuildBound = "build-bound",
        /// A requirement of the tests gets an upper bound.
        TestBound = "test-bound",
        /// A setting of the test runner.
        Setting = "setting",
        /// A package of the operating system is installed.
        SystemPackage = "system-package",
    }
}

impl FixKind {
    /// Where the line goes, as a sentence continues after it: `add `x` …`.
    pub const fn place(self) -> &'static str {
        match self {
            FixKind::Requirement | FixKind::Bound => "to the project's dependencies",
            FixKind::BuildRequirement | FixKind::BuildBound => "to `requires` of `[build-system]`",
            FixKind::TestRequirement | FixKind::TestBound => "to the requirements of the tests",
            FixKind::Setting => "to the settings of the test runner",
            FixKind::SystemPackage => "to the system",
        }
    }
}

/// A change of one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fix {
    /// What is changed.
    pub kind: FixKind,
    /// The line: a requirement specifier (PEP 508), a setting, a package's name.
    pub line: String,
    /// True when it was run with this change, and passed.
    pub verified: bool,
}

impl std::fmt::Display for Fix {
    /// `add `six` to the project's dependencies (run again so: it passes)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = if self.verified { "run again so: it passes" } else { "not tried" };
        write!(f, "add `{}` {} ({seen})", self.line, self.kind.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_line_goes_and_whether_it_was_tried() {
        let fix = Fix { kind: FixKind::TestBound, line: "pytest<9".to_owned(), verified: true };
        assert_eq!(
            fix.to_string(),
            "add `pytest<9` to the requirements of the tests (run again so: it passes)"
        );
    }
}
