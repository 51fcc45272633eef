//! What is true: the words in which results are told, and the rules that turn evidence into verdicts.
//! No I/O, no async, no clock: everything here is decided from values.

#[cfg(test)]
mod samples;
mod words;

pub mod advice;
pub mod build_system;
pub mod cause;
pub mod classify;
pub mod cluster;
pub mod consistency;
pub mod contact;
pub mod cycle;
pub mod difference;
pub mod digest;
pub mod elsewhere;
pub mod environment;
pub mod evidence;
pub mod fix;
pub mod flaky;
pub mod incomplete;
pub mod metadata;
pub mod modules;
pub mod next_step;
pub mod options;
pub mod outcome;
pub mod phase;
pub mod plan;
pub mod popularity;
pub mod project;
pub mod record;
pub mod repository;
pub mod selection;
pub mod stable_abi;
pub mod starved;
pub mod tests_report;
pub mod wheel;

pub use pep440_rs::{Version, VersionSpecifiers};
pub use pep508_rs;

pub use cause::{Blame, Cause, CauseId, Confidence, EvidenceLine};
pub use contact::{Contact, Notify};
pub use digest::Sha256;
pub use environment::Environment;
pub use evidence::{Artifact, Evidence, Logs};
pub use fix::{Fix, FixKind};
pub use flaky::FlakyTest;
pub use options::{Limits, Options};
pub use outcome::{Outcome, Reason};
pub use phase::{Exit, Finding, Limit, Phase, PhaseReport, Status};
pub use plan::{Became, Runner, TestPlan, TriedPlan};
pub use popularity::Popularity;
pub use project::ProjectName;
pub use record::{Record, Verdict};
pub use repository::{TestSource, TestsRepository};
pub use tests_report::{FailingTest, TestCounts};
pub use words::UnknownWord;
