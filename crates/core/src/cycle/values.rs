//! What is remembered of cycles, as values: cells and where they stand, what changed, who is concerned.

use serde::{Deserialize, Serialize};

use super::{CycleSummary, Due, State};
use crate::{contact::Contact, evidence::Artifact, outcome::Outcome, project::ProjectName};

/// A cell's name: project, environment, artifact.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellName {
    /// The project.
    pub project: ProjectName,
    /// The environment's name.
    pub environment: String,
    /// What it starts from.
    pub artifact: Artifact,
}

/// One cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle {
    /// From 1.
    pub number: i64,
    /// The run that its results name.
    pub run: String,
    /// What it walks and how, in words.
    pub scope: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC; none while it is unfinished.
    pub ended: Option<String>,
    /// The place in the order up to which all projects have settled.
    pub cursor: String,
    /// How many projects it walks.
    pub listed: u64,
    /// What it came to, once it ended.
    pub summary: Option<CycleSummary>,
}

impl Cycle {
    /// True when it has ended and has something to tell: one that was broken off before its first cell has not.
    pub fn is_telling(&self) -> bool {
        self.ended.is_some() && self.summary.as_ref().is_some_and(|summary| summary.wanted() > 0)
    }
}

/// Where a cell stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The cell.
    pub cell: CellName,
    /// The newest cycle that wanted it.
    pub cycle: i64,
    /// Why it was to be run in that cycle; none: its result stood.
    pub due: Option<Due>,
    /// The state.
    pub state: State,
    /// The result that it stands at.
    pub result: Option<StandingResult>,
    /// Of a failing cell: when it was first seen to fail, and in which release.
    pub since: Option<(String, String)>,
}

impl Standing {
    /// True when the package fails as far as is known: a cell that the cycle has not come to stands at the result it has.
    pub fn is_failing(&self) -> bool {
        match self.state {
            State::Left => self.result.as_ref().is_some_and(|result| result.outcome.is_failure()),
            state => state.is_failing(),
        }
    }
}

/// The columns of the result that a cell stands at.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingResult {
    /// Its id.
    pub id: String,
    /// Its release.
    pub version: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Why it failed, as its id is spelled.
    pub cause: Option<String>,
    /// The cluster it belongs to.
    pub signature: Option<String>,
    /// RFC 3339, UTC, nine digits of a second.
    pub started: String,
}

/// A cell's change in a cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The cycle.
    pub cycle: i64,
    /// The cell.
    pub cell: CellName,
    /// `newly-failing`, `failing-at-first` or `fixed`.
    pub state: State,
    /// The id of the result that shows it.
    pub result: String,
    /// That result's release.
    pub version: String,
    /// That result's outcome.
    pub outcome: Outcome,
    /// When that result began.
    pub started: String,
    /// The id and release of the newest verdict before.
    pub before: Option<(String, String)>,
}

/// One line of a project's history.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The result.
    pub id: String,
    /// The environment's name.
    pub environment: String,
    /// What it started from.
    pub artifact: Artifact,
    /// The release.
    pub version: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Why it failed, as its id is spelled.
    pub cause: Option<String>,
    /// RFC 3339, UTC.
    pub started: String,
}

/// Who is concerned with a project, as its metadata has it: untrusted texts, some of them addresses that are shown nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct People {
    /// `Author`.
    pub author: String,
    /// `Author-email`.
    pub author_email: String,
    /// `Maintainer`.
    pub maintainer: String,
    /// `Maintainer-email`.
    pub maintainer_email: String,
    /// `Home-page` and `Project-URL`, label and address.
    pub links: Vec<(String, String)>,
    /// What the maintainers wish of mail, as `[tool.wheeltapper]` of the newest tapped sdist has it.
    #[serde(default)]
    pub wishes: Option<Contact>,
    /// Who has which role on the index, role and user name, where it publishes that.
    #[serde(default)]
    pub roles: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cycle_came_to_stands_at_its_result() {
        let cell = CellName {
            project: "six".parse().unwrap(),
            environment: "cp313".to_owned(),
            artifact: Artifact::Sdist,
        };
        let of = |state, outcome: Option<Outcome>| {
            let result = outcome.map(|outcome| StandingResult {
                id: "1".to_owned(),
                version: "1".to_owned(),
                outcome,
                cause: None,
                signature: None,
                started: String::new(),
            });
            Standing { cell: cell.clone(), cycle: 1, due: None, state, result, since: None }.is_failing()
        };
        assert!(of(State::Left, Some(Outcome::TestFailed)));
        assert!(!of(State::Left, Some(Outcome::Passed)) && !of(State::Left, None));
        assert!(!of(State::Flaky, Some(Outcome::TestFailed)));
    }
}
