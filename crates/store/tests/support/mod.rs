//! Records for the store's tests, complete and of realistic size.

use std::collections::BTreeMap;

use wheeltapper_core::{
    Artifact, Blame, Cause, CauseId, Confidence, Environment, Evidence, EvidenceLine, Outcome, Phase,
    PhaseReport, Record, Sha256, Status, Verdict,
    environment::Containment,
    evidence::{Installed, Selected},
    record::{IndexAnswer, SCHEMA},
};

/// A result of `project` in `environment` with this outcome, started at `second` past ten.
pub fn record(id: &str, project: &str, environment: &str, outcome: Outcome, second: u32) -> Record {
    let cause = outcome.is_failure().then(|| Cause {
        id: CauseId::MissingHeader,
        phase: Phase::Build,
        blame: Blame::Platform,
        dependency: None,
        title: "missing header ffi.h".to_owned(),
        detail: "the compiler does not find `ffi.h`".to_owned(),
        subject: None,
        evidence: vec![EvidenceLine { phase: Phase::Build, line: 88, text: "fatal error: ffi.h".to_owned() }],
        confidence: Confidence::High,
    });
    let report =
        PhaseReport { wall_s: 0.5, cpu_s: Some(0.4), exit: Some(0), ..PhaseReport::bare(Status::Passed) };
    let installed = (0..20).map(|number| Installed {
        project: format!("dependency-{number}").parse().unwrap(),
        version: "1.0".to_owned(),
        sha256: Some(Sha256::of(&[number])),
        purpose: "runtime".to_owned(),
    });
    Record {
        schema: SCHEMA,
        id: id.to_owned(),
        run: "run-1".to_owned(),
        evidence: Evidence {
            project: project.parse().unwrap(),
            version: "1.0".to_owned(),
            artifact: Artifact::Sdist,
            selected: Selected { newest: Some("1.0".to_owned()), why: "newest".to_owned() },
            requires_python: Some(">=3.9".to_owned()),
            classifiers: Vec::new(),
            yanked: false,
            project_status: None,
            environment: Environment {
                name: environment.to_owned(),
                os: "linux".to_owned(),
                platform: "debian 12".to_owned(),
                arch: "x86_64".to_owned(),
                libc: Some("glibc 2.36".to_owned()),
                implementation: "cpython".to_owned(),
                python: "3.13.0".to_owned(),
                installer: "uv 0.13.9".to_owned(),
                digest: Sha256::of(environment.as_bytes()),
                limits: Containment {
                    sandbox: "full".to_owned(),
                    cgroup: "v2".to_owned(),
                    network: "index-only".to_owned(),
                    privileged: true,
                },
            },
            distribution: None,
            build: None,
            wheel: None,
            tested: None,
            phases: Phase::ALL.iter().map(|phase| (*phase, report.clone())).collect(),
            imports: Vec::new(),
            test_plan: None,
            tests: None,
            leftovers: Vec::new(),
            attempts: Vec::new(),
            elsewhere: None,
            fix: None,
            foreign_writes: Vec::new(),
            tried_plans: Vec::new(),
            repository: None,
            contact: None,
            installed: installed.collect(),
            unsupported: None,
            untested: None,
            farm_error: None,
        },
        verdict: Verdict {
            rules: 1,
            outcome,
            reason: None,
            signature: cause.as_ref().map(|_| "5f1c".to_owned()),
            cause,
        },
        flaky: None,
        flaky_tests: Vec::new(),
        options: wheeltapper_core::Options {
            tests: true,
            setup_py: false,
            source: Default::default(),
            limits: wheeltapper_core::Limits::default(),
        },
        attempt: 1,
        request: Sha256::of_parts([project, environment]),
        index_answers: vec![IndexAnswer { project: project.to_owned(), digest: Sha256::of(b"answer") }],
        inputs: Sha256::of_parts([project, environment, "inputs"]),
        reused_from: None,
        started: format!("2026-11-22T10:{:02}:{:02}Z", second / 60, second % 60),
        wall_s: 4.25,
    }
}

/// One small log.
#[allow(dead_code)] // Each test binary compiles this module; not each of them writes logs.
pub fn build_log(text: &str) -> BTreeMap<Phase, Vec<u8>> {
    BTreeMap::from([(Phase::Build, text.as_bytes().to_vec())])
}
