//! The corpus of causes: logs of real failures, trimmed, with the cause and the blame that an expert confirmed. One TOML file a
//! case in `tests/corpus/causes`; names and versions stand there as provenance.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use wheeltapper_core::{
    Artifact, Blame, CauseId, Evidence, FailingTest, Finding, Limit, Phase, PhaseReport, Record, Sha256,
    Status, TestCounts, evidence::ImportResult,
};

/// How many lines around the decisive one, and how many of the log's end, a new case keeps at first.
const AROUND: usize = 15;

/// What is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCause {
    /// The cause.
    pub cause: CauseId,
    /// Whose fault.
    pub blame: Blame,
    /// The project of the dependency, where it is one's fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependency: Option<String>,
    /// The particular thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// A failing test of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailingCase {
    /// Its identifier.
    pub id: String,
    /// The first line of its failure.
    pub message: String,
    /// The file that raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised_in: Option<String>,
}

/// One case of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Where it comes from: the project.
    pub project: String,
    /// The release.
    pub version: String,
    /// The interpreter's version.
    pub python: String,
    /// What the cell started from.
    pub artifact: Artifact,
    /// The phase that failed.
    pub phase: Phase,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The limit that it hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Modules that decide, and did not import.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_imported: Vec<String>,
    /// Top-level modules of the release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// What was installed, `build setuptools 80.9.0`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installed: Vec<String>,
    /// Tests that passed.
    #[serde(default)]
    pub passed: u64,
    /// Tests or modules that ended in an error, of those that failed.
    #[serde(default)]
    pub errors: u64,
    /// What is expected.
    pub expected: ExpectedCause,
    /// Tests that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingCase>,
    /// Findings whose id is a cause: id and sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<(String, String)>,
    /// The trimmed log.
    pub log: String,
}

/// The corpus's folder.
pub fn folder() -> PathBuf {
    crate::workspace().join("tests/corpus/causes")
}

/// Every case, by its file's name.
///
/// # Errors
/// When a file cannot be read or does not parse; its name is in the error.
pub fn cases() -> Result<BTreeMap<String, Case>> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            let text = std::fs::read_to_string(&path)?;
            let case = toml::from_str(&text).with_context(|| path.display().to_string())?;
            cases.insert(path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), case);
        }
    }
    Ok(cases)
}

impl Case {
    /// A case of a stored failure, its log trimmed around the decisive line so far as the verdict stays the same. What it is
    /// expected to be is what today's rules say: whoever adds it reads the log and corrects that.
    ///
    /// # Errors
    /// When the result is no failure with a cause.
    pub fn of(record: &Record, log: &str) -> Result<Case> {
        let evidence = &record.evidence;
        let cause = record.verdict.cause.as_ref().context("the result has no cause")?;
        let report = evidence.phases.get(&cause.phase).context("the phase that failed has no report")?;
        let failed = |import: &&ImportResult| import.decides && import.status == Status::Failed;
        let mut modules: Vec<String> = evidence
            .imports
            .iter()
            .filter_map(|import| import.module.split('.').next().map(str::to_owned))
            .collect();
        modules.sort();
        modules.dedup();
        let failing = evidence.tests.iter().flat_map(|tests| &tests.failing).take(40);
        let of_test = cause.phase == Phase::Test;
        let mut case = Case {
            project: evidence.project.to_string(),
            version: evidence.version.clone(),
            python: evidence.environment.python.clone(),
            artifact: evidence.artifact,
            phase: cause.phase,
            exit: report.exit,
            signal: report.signal,
            limit: report.limit,
            not_imported: evidence
                .imports
                .iter()
                .filter(failed)
                .map(|import| import.module.clone())
                .take(5)
                .collect(),
            modules: modules.into_iter().take(20).collect(),
            installed: evidence
                .installed
                .iter()
                .map(|installed| format!("{} {} {}", installed.purpose, installed.project, installed.version))
                .collect(),
            passed: evidence.tests.as_ref().map_or(0, |tests| tests.passed),
            errors: evidence.tests.as_ref().map_or(0, |tests| tests.errors),
            expected: ExpectedCause {
                cause: cause.id,
                blame: cause.blame,
                dependency: cause.dependency.as_ref().map(|dependency| dependency.project.clone()),
                subject: cause.subject.clone(),
            },
            failing: failing
                .filter(|_| of_test)
                .map(|test| FailingCase {
                    id: test.id.clone(),
                    message: test.message.clone(),
                    raised_in: test.raised_in.clone(),
                })
                .collect(),
            findings: report
                .findings
                .iter()
                .filter(|finding| finding.id.parse::<CauseId>().is_ok())
                .map(|finding| (finding.id.clone(), finding.text.clone()))
                .collect(),
            log: String::new(),
        };
        let decisive = cause.evidence.first().map_or(0, |line| line.line);
        let mut around = AROUND;
        loop {
            case.log = trimmed(log, decisive, around);
            if around > log.lines().count() || case.judged() == case.expected {
                return Ok(case);
            }
            around *= 2;
        }
    }

    /// What today's rules say of it.
    pub fn judged(&self) -> ExpectedCause {
        let logs = BTreeMap::from([(self.phase, self.log.clone())]);
        let cause = wheeltapper_core::classify::classify(&self.evidence(), &logs).cause;
        ExpectedCause {
            cause: cause.as_ref().map_or(CauseId::Unclassified, |cause| cause.id),
            blame: cause.as_ref().map_or(Blame::Farm, |cause| cause.blame),
            dependency: cause
                .as_ref()
                .and_then(|cause| cause.dependency.as_ref().map(|dependency| dependency.project.clone())),
            subject: cause.and_then(|cause| cause.subject),
        }
    }

    /// The evidence of a cell that ended so. Made by way of its JSON, as a stored record is read: fields that come later have
    /// their defaults.
    pub fn evidence(&self) -> Evidence {
        let mut modules: Vec<&String> = self.not_imported.iter().chain(&self.modules).collect();
        modules.dedup();
        let imports: Vec<_> = modules
            .into_iter()
            .map(|module| {
                let status = if self.not_imported.contains(module) { Status::Failed } else { Status::Passed };
                json!({"module": module, "status": status, "decides": true})
            })
            .collect();
        let installed: Vec<_> = self
            .installed
            .iter()
            .filter_map(|text| match text.split(' ').collect::<Vec<_>>()[..] {
                [purpose, project, version] => {
                    Some(json!({"project": project, "version": version, "sha256": null, "for": purpose}))
                }
                _ => None,
            })
            .collect();
        let failing: Vec<FailingTest> = self
            .failing
            .iter()
            .map(|test| FailingTest {
                id: test.id.clone(),
                message: test.message.clone(),
                raised_in: test.raised_in.clone(),
                ..FailingTest::default()
            })
            .collect();
        let tests = (self.phase == Phase::Test && !failing.is_empty()).then(|| TestCounts {
            passed: self.passed,
            failed: (failing.len() as u64).saturating_sub(self.errors),
            errors: self.errors,
            failing,
            ..TestCounts::default()
        });
        let report = PhaseReport {
            exit: self.exit,
            signal: self.signal,
            limit: self.limit,
            findings: self
                .findings
                .iter()
                .map(|(id, text)| Finding::new(id, text.clone(), Vec::new()))
                .collect(),
            ..PhaseReport::bare(Status::Failed)
        };
        let digest = Sha256::of(b"corpus");
        let evidence = json!({
            "project": self.project, "version": self.version, "artifact": self.artifact,
            "selected": {"newest": null, "why": "pinned"}, "requires_python": null, "yanked": false,
            "project_status": null,
            "environment": {
                "name": "corpus", "os": "linux", "platform": "debian 12", "arch": "x86_64", "libc": null,
                "implementation": "cpython", "python": self.python, "installer": "uv", "digest": digest,
                "limits": {"sandbox": "full", "cgroup": "v2", "network": "index-only", "privileged": false},
            },
            "distribution": null, "build": null, "wheel": null, "tested": null,
            "phases": {self.phase.as_str(): report}, "imports": imports, "test_plan": null, "tests": tests,
            "leftovers": [], "foreign_writes": [], "installed": installed, "classifiers": [],
            "unsupported": null, "untested": null, "farm_error": null,
        });
        serde_json::from_value(evidence).expect("evidence of the first schema is read for good")
    }
}

/// The lines around the decisive one, headings of imports, and the log's end; `[…]` stands for what was left out.
fn trimmed(log: &str, decisive: usize, around: usize) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let mut text = String::new();
    let mut left_out = false;
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        let near = decisive > 0 && number + around > decisive && number < decisive + around;
        let kept = index < 2 || near || number + around > lines.len() || line.starts_with("==> ");
        if !kept {
            left_out = true;
            continue;
        }
        if left_out {
            text.push_str("[…]\n");
            left_out = false;
        }
        let plain = wheeltapper_core::classify::strip_colours(line);
        text.extend(plain.chars().take(600).filter(|each| !each.is_control() || *each == '\t'));
        text.push('\n');
    }
    text
}
