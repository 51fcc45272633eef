//! What a fixture must come out as: the shape of `expected.toml`, and how a record differs from it. What the file
//! does not say is not compared.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use wheeltapper_core::{Artifact, Blame, CauseId, Limit, Outcome, Phase, Reason, Status};

use crate::WheelSpec;

/// A fixture's `expected.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What the package does, in a sentence.
    pub does: String,
    /// What `wheeltapper run` is asked for, where it is not the bare project.
    pub target: Option<String>,
    /// The one word.
    pub outcome: Outcome,
    /// Why it is `untested` or `unsupported`.
    pub reason: Option<Reason>,
    /// What a cell starts from when nothing else is asked for.
    #[serde(default = "from_sdist")]
    pub artifact: Artifact,
    /// Why it failed.
    pub cause: Option<ExpectedCause>,
    /// Phase by phase.
    #[serde(default)]
    pub phases: BTreeMap<Phase, ExpectedPhase>,
    /// What its tests count.
    pub tests: Option<ExpectedTests>,
    /// Files of the release that stay after it was removed; paths are compared by their ends.
    pub leftovers: Option<Vec<String>>,
    /// Files written outside the prefix; paths are compared by their ends.
    pub foreign_writes: Option<Vec<String>>,
    /// Ids of findings that some phase must have.
    #[serde(default)]
    pub findings: Vec<String>,
    /// Ids of findings that no phase may have.
    #[serde(default)]
    pub no_findings: Vec<String>,
    /// Limits to run it with. Without them the default ones do.
    pub limits: Option<ExpectedLimits>,
    /// Programs without which it cannot come out so.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Paths on the host that must not exist afterwards; `~/` is the home folder of the user who runs Wheeltapper.
    #[serde(default)]
    pub absent: Vec<String>,
    /// What the index holds of it.
    #[serde(default)]
    pub publish: Publish,
}

const fn from_sdist() -> Artifact {
    Artifact::Sdist
}

/// The cause that is expected.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCause {
    /// What went wrong; absent where it depends on how the sandbox is built.
    pub id: Option<CauseId>,
    /// Where.
    pub phase: Phase,
    /// Whose fault.
    pub blame: Option<Blame>,
    /// The project that a `dependency` blame names.
    pub dependency: Option<String>,
}

/// What is expected of one phase.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedPhase {
    /// How it ends.
    pub status: Status,
    /// The limit that ends it.
    pub limit: Option<Limit>,
    /// Why it is skipped.
    pub reason: Option<Reason>,
    /// The signal that ends it.
    pub signal: Option<i32>,
}

/// What the tests are expected to count.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedTests {
    /// Tests that pass.
    pub passed: Option<u64>,
    /// Tests that fail.
    pub failed: Option<u64>,
    /// Errors outside a test.
    pub errors: Option<u64>,
    /// Tests that are skipped.
    pub skipped: Option<u64>,
    /// Expected failures that fail.
    pub xfailed: Option<u64>,
    /// Expected failures that pass.
    pub xpassed: Option<u64>,
    /// Subtests that pass.
    pub subtests: Option<u64>,
    /// Ends of the ids of the failing tests.
    pub failing: Option<Vec<String>>,
}

/// Limits of one command of the fixture, small enough to be reached within seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedLimits {
    /// Wall time in seconds.
    pub wall_s: Option<u64>,
    /// Seconds without output or CPU use.
    pub inactivity_s: Option<u64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Disk in bytes.
    pub disk_bytes: Option<u64>,
    /// Files, folders and links.
    pub inodes: Option<u64>,
    /// Output in bytes.
    pub output_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
}

/// What the index holds of a fixture.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// Whether there is an sdist.
    pub sdist: bool,
    /// The wheels there are.
    pub wheels: Vec<WheelSpec>,
    /// When all of it was uploaded, as RFC 3339 in UTC.
    pub upload_time: String,
    /// Why it was yanked, if it was.
    pub yanked: Option<String>,
}

impl Default for Publish {
    fn default() -> Self {
        Publish {
            sdist: true,
            wheels: Vec::new(),
            upload_time: "2025-06-01T12:00:00Z".to_owned(),
            yanked: None,
        }
    }
}

impl Expected {
    /// How a record (one JSON line of `wheeltapper run --format json`) differs from what is expected, a sentence each;
    /// empty when it does not.
    pub fn differences(&self, record: &Value) -> Vec<String> {
        let mut found = Differences::default();
        found.same("outcome", self.outcome.as_str(), &record["outcome"]);
        if let Some(reason) = self.reason {
            found.same("reason", reason.as_str(), &record["reason"]);
        }
        match &self.cause {
            Some(cause) => found.cause(cause, &record["cause"]),
            // What failed in a release that is not for this environment may be told as well.
            None if self.outcome != Outcome::Unsupported && !record["cause"].is_null() => {
                found.0.push(format!("cause: expected none, is {}", record["cause"]));
            }
            None => {}
        }
        for (phase, expected) in &self.phases {
            found.phase(*phase, expected, &record["phases"][phase.as_str()]);
        }
        if let Some(tests) = &self.tests {
            found.tests(tests, &record["tests"]);
        }
        for (what, expected) in [("leftovers", &self.leftovers), ("foreign_writes", &self.foreign_writes)] {
            if let Some(expected) = expected {
                found.ends(what, expected, &strings(&record[what]));
            }
        }
        let findings: Vec<&Value> = record["phases"]
            .as_object()
            .into_iter()
            .flat_map(|phases| phases.values())
            .filter_map(|phase| phase["findings"].as_array())
            .flatten()
            .map(|finding| &finding["id"])
            .collect();
        for id in &self.findings {
            if !findings.iter().any(|found| *found == id) {
                found.0.push(format!("findings: `{id}` is missing among {findings:?}"));
            }
        }
        for id in self.no_findings.iter().filter(|id| findings.iter().any(|found| *found == *id)) {
            found.0.push(format!("findings: `{id}` is there, and must not be"));
        }
        found.0
    }
}

/// The strings of a JSON array.
fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn same(&mut self, what: &str, expected: impl Into<Value>, is: &Value) {
        let expected = expected.into();
        if expected != *is {
            self.0.push(format!("{what}: expected {expected}, is {is}"));
        }
    }

    /// Each expected path is the end of one that was found, and the other way round.
    fn ends(&mut self, what: &str, expected: &[String], are: &[String]) {
        let matches = expected.len() == are.len()
            && expected.iter().all(|end| are.iter().any(|path| path.ends_with(end.as_str())));
        if !matches {
            self.0.push(format!("{what}: expected {expected:?}, are {are:?}"));
        }
    }

    fn cause(&mut self, expected: &ExpectedCause, is: &Value) {
        if let Some(id) = expected.id {
            self.same("cause.id", id.as_str(), &is["id"]);
        }
        self.same("cause.phase", expected.phase.as_str(), &is["phase"]);
        if let Some(blame) = expected.blame {
            self.same("cause.blame", blame.as_str(), &is["blame"]);
        }
        if let Some(dependency) = &expected.dependency {
            self.same("cause.dependency.project", dependency.as_str(), &is["dependency"]["project"]);
        }
    }

    fn phase(&mut self, phase: Phase, expected: &ExpectedPhase, is: &Value) {
        self.same(&format!("phases.{phase}.status"), expected.status.as_str(), &is["status"]);
        if let Some(limit) = expected.limit {
            self.same(&format!("phases.{phase}.limit"), limit.as_str(), &is["limit"]);
        }
        if let Some(reason) = expected.reason {
            self.same(&format!("phases.{phase}.reason"), reason.as_str(), &is["reason"]);
        }
        if let Some(signal) = expected.signal {
            self.same(&format!("phases.{phase}.signal"), signal, &is["signal"]);
        }
    }

    fn tests(&mut self, expected: &ExpectedTests, are: &Value) {
        let counts = [
            ("passed", expected.passed),
            ("failed", expected.failed),
            ("errors", expected.errors),
            ("skipped", expected.skipped),
            ("xfailed", expected.xfailed),
            ("xpassed", expected.xpassed),
            ("subtests", expected.subtests),
        ];
        for (what, count) in counts {
            if let Some(count) = count {
                self.same(&format!("tests.{what}"), count, &are[what]);
            }
        }
        if let Some(failing) = &expected.failing {
            let ids: Vec<String> = are["failing"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|test| test["id"].as_str())
                .map(str::to_owned)
                .collect();
            self.ends("tests.failing", failing, &ids);
        }
    }
}
