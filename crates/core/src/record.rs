//! The machine-readable record of a settled cell: one JSON object, the same in the store, on standard output and in
//! exports. A field that does not apply is null, never absent.

use serde::{Deserialize, Serialize};

use crate::{
    cause::Cause,
    digest::Sha256,
    evidence::Evidence,
    flaky::FlakyTest,
    options::Options,
    outcome::{Outcome, Reason},
};

/// The version of the record's schema. Raised when a reader of the old one would misread the new one.
pub const SCHEMA: u32 = 1;

/// What the evidence means, by the rules of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Version of the rules that decided.
    pub rules: u32,
    /// The one word.
    pub outcome: Outcome,
    /// Why it is `untested` or `unsupported`.
    pub reason: Option<Reason>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// Hash of the normalised decisive line: cells that share it form a cluster.
    pub signature: Option<String>,
}

/// One settled cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Identifies this result.
    pub id: String,
    /// The run that brought it.
    pub run: String,
    /// What happened.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// What it means.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Set once a cell both failed and passed on identical inputs: the share of failures.
    pub flaky: Option<f64>,
    /// Tests that failed in some runs and passed in others on the same `inputs`, over all results of them so far.
    #[serde(default)]
    pub flaky_tests: Vec<FlakyTest>,
    /// How it was run.
    pub options: Options,
    /// Which attempt of the run settled it, from 1.
    pub attempt: u32,
    /// Fingerprint of what was known before the cell ran; equal requests with unchanged index answers reuse a result.
    pub request: Sha256,
    /// The index answers that the result rests on: normalised project name and the answer's digest.
    pub index_answers: Vec<IndexAnswer>,
    /// Fingerprint of all that was really used.
    pub inputs: Sha256,
    /// The result that this one repeats, when nothing was run.
    pub reused_from: Option<String>,
    /// RFC 3339, UTC.
    pub started: String,
    /// Wall time of the whole cell.
    pub wall_s: f64,
}

/// One answer of the index that a result rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexAnswer {
    /// The project that was asked for.
    pub project: String,
    /// Digest of the answer.
    pub digest: Sha256,
}
