//! Made-up but realistic results for the tests of views: a passing one, failures of several kinds, a hostile one.

#![allow(dead_code, clippy::unwrap_used)] // Each test binary compiles this module and uses a part of it.

use std::collections::BTreeMap;

use wheeltapper_core::{
    Artifact, Blame, Cause, CauseId, Confidence, Environment, Evidence, EvidenceLine, FailingTest, Finding,
    Limit, Outcome, Phase, PhaseReport, Reason, Record, Runner, Sha256, Status, TestCounts, TestPlan,
    Verdict,
    cause::Dependency,
    environment::Containment,
    evidence::{Build, Distribution, ImportResult, Installed, Selected, WheelFile},
    plan::Working,
    record::SCHEMA,
};

/// A record and its logs.
pub type Logged = (Record, BTreeMap<Phase, Vec<u8>>);

/// What every test looks at: five projects on three environments.
pub fn sample() -> Vec<Logged> {
    let environments =
        [("debian12-cp312", "3.12.7"), ("debian12-cp313", "3.13.0"), ("debian12-cp314t", "3.14.0")];
    let mut cells = Vec::new();
    for (name, python) in environments {
        cells.push(passed("attrs", "25.4.0", name, python));
        cells.push(test_failed("requests", "2.32.5", name, python));
        cells.push(no_tests("six", "1.17.0", name, python));
    }
    cells.push(build_failed("cffi", "1.15.1", "debian12-cp313", "3.13.0"));
    cells.push(build_failed("cffi", "1.15.1", "debian12-cp314t", "3.14.0"));
    let mut wheel = passed("cffi", "1.15.1", "debian12-cp312", "3.12.7");
    wheel.0.evidence.artifact = Artifact::Wheel;
    wheel.0.id = "cffi-debian12-cp312-wheel".to_owned();
    cells.push(wheel);
    cells.push(unsupported("numpy", "1.26.4", "debian12-cp314t", "3.14.0"));
    cells.push(timed_out("numpy", "1.26.4", "debian12-cp313", "3.13.0"));
    cells.push(farm_error("numpy", "1.26.4", "debian12-cp312", "3.12.7"));
    cells.push(hostile());
    cells.sort_by(|left, right| left.0.evidence.project.cmp(&right.0.evidence.project));
    cells
}

/// The records of [`sample`].
pub fn records() -> Vec<Record> {
    sample().into_iter().map(|(record, _)| record).collect()
}

fn report(status: Status, wall_s: f64, peak_memory: u64) -> PhaseReport {
    PhaseReport {
        wall_s,
        cpu_s: Some(wall_s * 0.8),
        peak_memory: Some(peak_memory),
        peak_memory_source: Some("cgroup".to_owned()),
        exit: Some(i32::from(status == Status::Failed)),
        ..PhaseReport::bare(status)
    }
}

fn settled(project: &str, version: &str, environment: &str, python: &str, outcome: Outcome) -> Record {
    let filename = format!("{}-{version}", project.replace('-', "_"));
    let phases = [
        (Phase::Fetch, PhaseReport { wall_s: 0.02, ..PhaseReport::bare(Status::Passed) }),
        (Phase::Build, report(Status::Passed, 0.61, 61_000_000)),
        (Phase::Install, report(Status::Passed, 0.18, 34_000_000)),
        (Phase::Import, report(Status::Passed, 0.11, 18_500_000)),
        (Phase::Test, report(Status::Passed, 3.42, 96_400_000)),
        (Phase::Uninstall, report(Status::Passed, 0.09, 21_000_000)),
    ];
    Record {
        schema: SCHEMA,
        id: format!("{project}-{environment}-sdist"),
        run: "20261122-100300".to_owned(),
        evidence: Evidence {
            project: project.parse().unwrap(),
            version: version.to_owned(),
            artifact: Artifact::Sdist,
            selected: Selected { newest: Some(version.to_owned()), why: "newest".to_owned() },
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
                python: python.to_owned(),
                installer: "uv 0.13.9".to_owned(),
                digest: Sha256::of(environment.as_bytes()),
                limits: Containment {
                    sandbox: "full".to_owned(),
                    cgroup: "v2".to_owned(),
                    network: "index-only".to_owned(),
                    privileged: true,
                },
            },
            distribution: Some(Distribution {
                kind: Artifact::Sdist,
                filename: format!("{filename}.tar.gz"),
                sha256: Sha256::of(filename.as_bytes()),
            }),
            build: Some(Build {
                backend: Some("setuptools.build_meta".to_owned()),
                requires: vec!["setuptools>=61".to_owned(), "wheel".to_owned()],
                via: "pep517".to_owned(),
            }),
            wheel: Some(WheelFile {
                filename: format!("{filename}-py3-none-any.whl"),
                sha256: Sha256::of(b"wheel"),
            }),
            tested: None,
            phases: BTreeMap::from(phases),
            imports: vec![ImportResult {
                module: project.replace('-', "_"),
                status: Status::Passed,
                decides: true,
            }],
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
            installed: vec![Installed {
                project: "setuptools".parse().unwrap(),
                version: "80.9.0".to_owned(),
                sha256: Some(Sha256::of(b"setuptools")),
                purpose: "build".to_owned(),
            }],
            unsupported: None,
            untested: None,
            farm_error: None,
        },
        verdict: Verdict { rules: 3, outcome, reason: None, cause: None, signature: None },
        flaky: None,
        flaky_tests: Vec::new(),
        options: wheeltapper_core::Options {
            tests: true,
            setup_py: false,
            source: Default::default(),
            limits: wheeltapper_core::Limits::default(),
        },
        attempt: 1,
        request: Sha256::of(b"request"),
        index_answers: Vec::new(),
        inputs: Sha256::of(b"inputs"),
        reused_from: None,
        started: "2026-11-22T10:03:11Z".to_owned(),
        wall_s: 4.6,
    }
}

fn plan() -> TestPlan {
    TestPlan {
        runner: Runner::Pytest,
        command: ["python", "-m", "pytest", "-q", "tests"].map(str::to_owned).to_vec(),
        directory: ".".to_owned(),
        working: Working::SourceTree,
        environment: BTreeMap::new(),
        requirements: vec!["pytest>=8".to_owned(), "hypothesis".to_owned()],
        extras: Vec::new(),
        source: "sdist".to_owned(),
        expected_tests: Some(1312),
        deselected: Vec::new(),
        system_packages: Vec::new(),
        timeout_s: None,
        why: vec![
            "pyproject.toml: [tool.pytest.ini_options] testpaths = tests".to_owned(),
            "pyproject.toml: dependency group `tests`".to_owned(),
        ],
    }
}

fn build_log() -> Vec<u8> {
    "* Getting build dependencies for wheel...\n\u{1b}[1mrunning bdist_wheel\u{1b}[0m\nrunning build\n\
     \u{1b}[32mSuccessfully built the wheel\u{1b}[0m\n"
        .into()
}

/// Passed, with tests.
pub fn passed(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::Passed);
    record.evidence.test_plan = Some(plan());
    record.evidence.tests =
        Some(TestCounts { passed: 1309, skipped: 3, xfailed: 2, ..TestCounts::default() });
    let test = b"\x1b[1m============= test session starts =============\x1b[0m\n\x1b[32m1309 passed\x1b[0m, \x1b[33m3 skipped\x1b[0m in 3.20s\n";
    (record, BTreeMap::from([(Phase::Build, build_log()), (Phase::Test, test.to_vec())]))
}

fn no_tests(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::Untested);
    record.verdict.reason = Some(Reason::NoTestsShipped);
    record.evidence.untested = Some(Reason::NoTestsShipped);
    record.evidence.phases.insert(Phase::Test, PhaseReport::skipped("no-tests-shipped"));
    record.reused_from = Some("an-older-result".to_owned());
    (record, BTreeMap::new())
}

/// Two tests fail; a dependency is to blame.
pub fn test_failed(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::TestFailed);
    let test = report(Status::Failed, 71.3, 412_000_000);
    record.evidence.phases.insert(Phase::Test, test);
    record.evidence.test_plan = Some(plan());
    let failing = |id: &str, message: &str| FailingTest {
        id: id.to_owned(),
        message: message.to_owned(),
        seconds: Some(0.04),
        ..FailingTest::default()
    };
    record.evidence.tests = Some(TestCounts {
        passed: 583,
        failed: 2,
        skipped: 14,
        failing: vec![
            failing(
                "tests/test_requests.py::TestRequests::test_unicode_header_name",
                "AttributeError: module 'chardet' has no attribute '__version__'",
            ),
            failing("tests/test_utils.py::test_select_proxies[a|b]", "assert 'http://a' == 'http://b'"),
        ],
        ..TestCounts::default()
    });
    record.verdict.cause = Some(Cause {
        id: CauseId::RemovedApi,
        phase: Phase::Test,
        blame: Blame::Dependency,
        dependency: Some(Dependency { project: "chardet".to_owned(), version: Some("6.0.0".to_owned()) }),
        title: "chardet no longer offers `__version__`".to_owned(),
        detail: "2 of 599 tests fail because `chardet` 6.0.0 has no attribute `__version__`.".to_owned(),
        subject: None,
        evidence: vec![EvidenceLine {
            phase: Phase::Test,
            line: 2501,
            text: "E   AttributeError: module 'chardet' has no attribute '__version__'".to_owned(),
        }],
        confidence: Confidence::High,
    });
    record.verdict.signature = Some("9c1185a5c5e9fc54".to_owned());
    record.evidence.phases.entry(Phase::Uninstall).and_modify(|phase| {
        phase.findings.push(Finding::new(
            "unowned-files",
            "Running the tests wrote files into the environment.",
            vec!["lib/python3.13/site-packages/requests/cache.db".to_owned()],
        ));
    });
    record.evidence.foreign_writes = vec!["/home/tap/.netrc".to_owned()];
    let mut log = String::from("\u{1b}[1m============= test session starts =============\u{1b}[0m\n");
    for number in 2..=5000 {
        match number {
            2501 => log.push_str(
                "\u{1b}[1m\u{1b}[31mE   AttributeError: module 'chardet' has no attribute '__version__'\u{1b}[0m\n",
            ),
            _ => log.push_str(&format!("tests/test_requests.py::test_{number} \u{1b}[32mPASSED\u{1b}[0m\n")),
        }
    }
    (record, BTreeMap::from([(Phase::Build, build_log()), (Phase::Test, log.into_bytes())]))
}

/// A C header is missing.
pub fn build_failed(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::BuildFailed);
    record.evidence.phases.insert(Phase::Build, report(Status::Failed, 2.31, 143_000_000));
    for phase in [Phase::Install, Phase::Import, Phase::Test, Phase::Uninstall] {
        record.evidence.phases.insert(phase, PhaseReport::skipped("earlier-phase-failed"));
    }
    record.evidence.imports.clear();
    record.evidence.wheel = None;
    record.verdict.cause = Some(Cause {
        id: CauseId::MissingHeader,
        phase: Phase::Build,
        blame: Blame::Platform,
        dependency: None,
        title: "the header ffi.h is missing".to_owned(),
        detail: "The compiler does not find `ffi.h`; Debian has it in libffi-dev.".to_owned(),
        subject: None,
        evidence: vec![
            EvidenceLine {
                phase: Phase::Build,
                line: 4,
                text: "src/c/_cffi_backend.c:15:10: fatal error: ffi.h: No such file or directory".to_owned(),
            },
            EvidenceLine {
                phase: Phase::Build,
                line: 5,
                text: "error: command '/usr/bin/gcc' failed with exit code 1".to_owned(),
            },
        ],
        confidence: Confidence::High,
    });
    record.verdict.signature = Some("1f3870be274f6c49".to_owned());
    let log = "running bdist_wheel\nbuilding '_cffi_backend' extension\ngcc -pthread -fPIC -c src/c/_cffi_backend.c\n\
        \u{1b}[01m\u{1b}[Ksrc/c/_cffi_backend.c:15:10:\u{1b}[m\u{1b}[K \u{1b}[01;31m\u{1b}[Kfatal error: \u{1b}[m\u{1b}[Kffi.h: No such file or directory\n\
        error: command '/usr/bin/gcc' failed with exit code 1\n";
    (record, BTreeMap::from([(Phase::Build, log.into())]))
}

fn unsupported(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::Unsupported);
    record.verdict.reason = Some(Reason::RequiresPython);
    record.evidence.unsupported = Some(Reason::RequiresPython);
    record.evidence.phases.clear();
    record.evidence.imports.clear();
    (record, BTreeMap::new())
}

fn timed_out(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::UninstallFailed);
    let test = PhaseReport {
        limit: Some(Limit::Time),
        exit: None,
        signal: Some(9),
        ..report(Status::Skipped, 600.0, 1_900_000_000)
    };
    record
        .evidence
        .phases
        .insert(Phase::Test, PhaseReport { reason: Some("tests-could-not-run".to_owned()), ..test });
    record.evidence.phases.insert(Phase::Uninstall, report(Status::Failed, 0.2, 20_000_000));
    record.evidence.leftovers =
        vec!["bin/f2py".to_owned(), "lib/python3.13/site-packages/numpy/core/x.so".to_owned()];
    record.verdict.cause = Some(Cause {
        id: CauseId::LeftoverFiles,
        phase: Phase::Uninstall,
        blame: Blame::Package,
        dependency: None,
        title: "2 files stayed behind".to_owned(),
        detail: "Its RECORD does not list them.".to_owned(),
        subject: None,
        evidence: vec![EvidenceLine { phase: Phase::Uninstall, line: 0, text: "bin/f2py".to_owned() }],
        confidence: Confidence::High,
    });
    record.flaky = Some(0.25);
    (record, BTreeMap::new())
}

fn farm_error(project: &str, version: &str, environment: &str, python: &str) -> Logged {
    let mut record = settled(project, version, environment, python, Outcome::FarmError);
    record.evidence.phases.clear();
    record.evidence.farm_error = Some("the index did not answer within 30 s, three times".to_owned());
    (record, BTreeMap::new())
}

/// A package that tries to break out of every view.
pub fn hostile() -> Logged {
    let evil = "<script>alert(1)</script>\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}|`*[x](http://evil.example)";
    let mut record = settled("zzz-hostile", evil, "../../evil \"env\"", "3.13.0", Outcome::ImportFailed);
    record.evidence.phases.insert(Phase::Import, report(Status::Failed, 0.1, 10_000_000));
    record.evidence.imports =
        vec![ImportResult { module: evil.to_owned(), status: Status::Failed, decides: true }];
    record.evidence.leftovers = vec![evil.to_owned()];
    record.evidence.tests = Some(TestCounts {
        failed: 1,
        failing: vec![FailingTest {
            id: evil.to_owned(),
            message: evil.to_owned(),
            seconds: None,
            flaky: Some(true),
            raised_in: Some(evil.to_owned()),
        }],
        ..TestCounts::default()
    });
    record.verdict.cause = Some(Cause {
        id: CauseId::ExitsOnImport,
        phase: Phase::Import,
        blame: Blame::Package,
        dependency: None,
        title: evil.to_owned(),
        detail: evil.to_owned(),
        subject: None,
        evidence: vec![EvidenceLine { phase: Phase::Import, line: 1, text: evil.to_owned() }],
        confidence: Confidence::Low,
    });
    (record, BTreeMap::from([(Phase::Import, format!("{evil}\n").into_bytes())]))
}
