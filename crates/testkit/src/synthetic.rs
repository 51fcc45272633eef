//! Made-up projects and results by the thousand: the same ones every time. For benches, and for tests of what is large.

use std::collections::BTreeMap;

use serde_json::json;
use wheeltapper_core::{
    Artifact, Blame, Cause, CauseId, Confidence, Evidence, EvidenceLine, Limits, Options, Outcome, Phase,
    PhaseReport, ProjectName, Reason, Record, Sha256, Status, TestCounts, Verdict,
};

/// The name of the project of this number: spread over the alphabet, as real ones are.
pub fn name(number: usize) -> ProjectName {
    const HEADS: [&str; 16] = [
        "aio", "django", "easy", "fast", "graph", "kube", "lib", "micro", "num", "open", "py", "quick",
        "simple", "torch", "web", "zope",
    ];
    let head = HEADS[number % HEADS.len()];
    let text = format!("{head}-{number:06}");
    text.parse().expect("letters, digits and a hyphen are a name")
}

/// The name of the environment of this number.
pub fn environment(number: usize) -> String {
    format!("debian12-cp3{}", 11 + number)
}

/// The result of a project in an environment, as `run` would have brought it in its `round`, with its logs. About one in
/// ten fails, always the same ones.
pub fn result(
    project: usize,
    environment_number: usize,
    run: &str,
    round: u32,
) -> (Record, BTreeMap<Phase, Vec<u8>>) {
    let name = name(project);
    let environment = environment(environment_number);
    let outcome = match (project % 20, environment_number) {
        (3, _) => Outcome::BuildFailed,
        (7, 2..) => Outcome::TestFailed,
        (11 | 12, _) => Outcome::Untested,
        _ => Outcome::Passed,
    };
    let version = format!("1.{round}");
    let id = Sha256::of_parts([run, name.as_str(), &environment]).hex()[..20].to_owned();
    let cause = outcome.is_failure().then(|| cause(outcome, project));
    let phase = |phase: Phase| {
        let failed = outcome == Outcome::failed_in(phase);
        let report = PhaseReport {
            wall_s: 0.4,
            cpu_s: Some(0.3),
            peak_memory: Some(40_000_000),
            exit: Some(i32::from(failed)),
            log: Some(format!("{id}/{phase}")),
            ..PhaseReport::bare(if failed { Status::Failed } else { Status::Passed })
        };
        (phase, report)
    };
    let evidence: Evidence = serde_json::from_value(json!({
        "project": name, "version": version, "artifact": Artifact::Sdist,
        "selected": {"newest": version, "why": "newest"}, "requires_python": ">=3.9", "yanked": false,
        "project_status": null,
        "environment": {"name": environment, "os": "linux", "platform": "debian 12", "arch": "x86_64",
            "libc": "glibc 2.36", "implementation": "cpython", "python": format!("3.{}.0", 11 + environment_number),
            "installer": "uv 0.9", "digest": Sha256::of(environment.as_bytes()),
            "limits": {"sandbox": "full", "cgroup": "v2", "network": "index-only", "privileged": true}},
        "distribution": null, "build": null, "wheel": null, "tested": null, "phases": {},
        "imports": [{"module": name.escaped(), "status": "passed", "decides": true}],
        "test_plan": null, "tests": null, "attempts": [], "leftovers": [], "foreign_writes": [], "installed": [],
        "classifiers": [], "unsupported": null, "untested": null, "farm_error": null,
    }))
    .expect("this is an evidence");
    let tests = TestCounts { passed: 100 + project as u64 % 900, ..TestCounts::default() };
    let record = Record {
        schema: wheeltapper_core::record::SCHEMA,
        id: id.clone(),
        run: run.to_owned(),
        evidence: Evidence {
            phases: Phase::ALL.iter().copied().map(phase).collect(),
            tests: (outcome == Outcome::Passed).then_some(tests),
            ..evidence
        },
        verdict: Verdict {
            rules: 1,
            outcome,
            reason: (outcome == Outcome::Untested).then_some(Reason::NoTestsShipped),
            signature: cause.as_ref().map(|cause| Sha256::of(cause.title.as_bytes()).short()),
            cause,
        },
        flaky: None,
        flaky_tests: Vec::new(),
        options: Options {
            tests: true,
            setup_py: false,
            source: Default::default(),
            limits: Limits::default(),
        },
        attempt: 1,
        request: Sha256::of_parts([name.as_str(), &environment, &version]),
        index_answers: Vec::new(),
        inputs: Sha256::of_parts([name.as_str(), &environment, &version, "inputs"]),
        reused_from: None,
        started: format!("2026-11-{:02}T{:02}:{:02}:00Z", 1 + round % 28, project / 60 % 24, project % 60),
        wall_s: 2.5,
    };
    let log = |words: &str| {
        (0..20).map(|line| format!("{words} line {line} of {name}\n")).collect::<String>().into_bytes()
    };
    (record, BTreeMap::from([(Phase::Build, log("building")), (Phase::Test, log("testing"))]))
}

fn cause(outcome: Outcome, project: usize) -> Cause {
    let kind = project / 20 % 40;
    let (id, phase) = match outcome {
        Outcome::BuildFailed => (CauseId::MissingHeader, Phase::Build),
        _ => (CauseId::TestFailures, Phase::Test),
    };
    Cause {
        id,
        phase,
        blame: Blame::Package,
        dependency: None,
        subject: None,
        title: format!("failure of kind {kind}"),
        detail: "a made-up failure".to_owned(),
        evidence: vec![EvidenceLine { phase, line: 7, text: format!("error: kind {kind}") }],
        confidence: Confidence::Medium,
    }
}
