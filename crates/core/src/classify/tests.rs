//! Verdicts over made evidence: what no corpus of logs can show.

use super::*;
use crate::evidence::ImportResult;

#[test]
fn every_cause_can_be_reached() {
    // By structure: limits, signals, findings of the agent, counted tests, exceptions, the resolver.
    let by_structure = [
        CauseId::Timeout,
        CauseId::Inactivity,
        CauseId::OutputLimit,
        CauseId::SegmentationFault,
        CauseId::Abort,
        CauseId::Crash,
        CauseId::WrongNameOrVersion,
        CauseId::FileClash,
        CauseId::BadRecord,
        CauseId::InconsistentRequirements,
        CauseId::BrokenEntryPoint,
        CauseId::BadWheelTag,
        CauseId::ExitsOnImport,
        CauseId::Unfetchable,
        CauseId::InvalidArchive,
        CauseId::PathEscape,
        CauseId::LeftoverFiles,
        CauseId::TouchedForeignFiles,
        CauseId::NotUninstallable,
        CauseId::UninstallError,
        CauseId::TestFailures,
        CauseId::CollectionError,
        CauseId::WarningsAsErrors,
        CauseId::UndeclaredDependency,
        CauseId::UndeclaredBuildRequirement,
        CauseId::RemovedStdlibModule,
        CauseId::MissingOwnModule,
        CauseId::DependencyNotFound,
        CauseId::NoMatchingDistribution,
        CauseId::DependencyConflict,
        CauseId::DependencyBuildFailed,
        CauseId::BuildBackendError,
        CauseId::Unclassified,
        CauseId::FarmFault,
    ];
    let by_rule: Vec<CauseId> = rules::shipped().iter().map(|rule| rule.id).collect();
    for id in CauseId::ALL {
        assert!(by_structure.contains(id) || by_rule.contains(id), "nothing leads to {id}");
    }
}

/// A release of which one phase was run.
fn evidence(phase: Phase, report: serde_json::Value, tests: serde_json::Value) -> Evidence {
    let mut value = crate::samples::evidence();
    value["phases"] = serde_json::json!({phase.as_str(): report});
    value["tests"] = tests;
    value["installed"] =
        serde_json::json!([{"project": "pyyaml", "version": "6.0", "sha256": null, "for": "runtime"}]);
    serde_json::from_value(value).unwrap()
}

fn report(extra: serde_json::Value) -> serde_json::Value {
    let mut report = serde_json::to_value(PhaseReport::bare(Status::Failed)).unwrap();
    for (key, value) in extra.as_object().unwrap() {
        report[key] = value.clone();
    }
    report
}

fn judged(phase: Phase, extra: serde_json::Value, log: &str) -> Cause {
    let logs = std::collections::BTreeMap::from([(phase, log.to_owned())]);
    classify(&evidence(phase, report(extra), serde_json::Value::Null), &logs).cause.unwrap()
}

fn raised(frame: &str, exception: &str) -> String {
    format!(
        "Traceback (most recent call last):\n  File \"{frame}\", line 1, in <module>\n    x\n{exception}\n"
    )
}

#[test]
fn structure_comes_before_text() {
    let log = raised("/cell/src/thing-1.0/setup.py", "ModuleNotFoundError: No module named 'imp'");
    let cause = judged(Phase::Build, serde_json::json!({"exit": 1}), &log);
    assert_eq!((cause.id, cause.confidence), (CauseId::RemovedStdlibModule, Confidence::High));
    assert_eq!(judged(Phase::Build, serde_json::json!({"limit": "memory"}), &log).id, CauseId::OutOfMemory);
    assert_eq!(judged(Phase::Build, serde_json::json!({"signal": 11}), &log).id, CauseId::SegmentationFault);
    let finding =
        serde_json::json!({"findings": [{"id": "wrong-name-or-version", "text": "t", "evidence": []}]});
    assert_eq!(judged(Phase::Build, finding, &log).id, CauseId::WrongNameOrVersion);
}

#[test]
fn a_file_beside_setup_py_is_no_requirement() {
    let missing = |frame: &str, module: &str| {
        let log = raised(frame, &format!("ModuleNotFoundError: No module named '{module}'"));
        judged(Phase::Build, serde_json::json!({"exit": 1}), &log).id
    };
    assert_eq!(missing("<string>", "version"), CauseId::IncompleteSdist);
    assert_eq!(missing("<string>", "numpy"), CauseId::UndeclaredBuildRequirement);
    assert_eq!(missing("<string>", "unheard_of_tool"), CauseId::UndeclaredBuildRequirement);
    assert_eq!(
        missing("/cell/src/thing-1.0/hooks/h.py", "unheard_of_tool"),
        CauseId::UndeclaredBuildRequirement
    );
    assert_eq!(missing("/cell/src/thing-1.0/thing/__init__.py", "client"), CauseId::Python2Syntax);
    assert_eq!(missing("<string>", "thing.sub"), CauseId::IncompleteSdist);
    assert_eq!(missing("<string>", "winreg"), CauseId::NeedsOtherPlatform);
}

#[test]
fn whose_code_raised_is_to_blame() {
    let log = raised(
        "/cell/env/lib/python3.13/site-packages/yaml/a.py",
        "ModuleNotFoundError: No module named 'cgi'",
    );
    let cause = judged(Phase::Import, serde_json::json!({"exit": 1}), &log);
    assert_eq!(cause.dependency.map(|dependency| dependency.project).as_deref(), Some("pyyaml"));
    assert_eq!(cause.blame, Blame::Dependency);
    let own = raised(
        "/cell/env/lib/python3.13/site-packages/thing/a.py",
        "ModuleNotFoundError: No module named 'cgi'",
    );
    assert_eq!(judged(Phase::Import, serde_json::json!({"exit": 1}), &own).blame, Blame::Package);
}

#[test]
fn the_resolver_is_read_sentence_by_sentence() {
    let of = |words: &str| judged(Phase::Install, serde_json::json!({}), words);
    let refused = "  × No solution found when resolving dependencies:\n  ╰─▶ ";
    let cause = of(&format!(
        "{refused}Because nosuch was not found in the package registry and you require\n      nosuch, we can conclude that your requirements are unsatisfiable.\n"
    ));
    assert_eq!((cause.id, cause.subject.as_deref()), (CauseId::DependencyNotFound, Some("nosuch")));
    let cause = of(&format!(
        "{refused}Because only click<=8.0 is available and you require click>=99, we\n      can conclude that your requirements are unsatisfiable.\n"
    ));
    assert_eq!((cause.id, cause.subject.as_deref()), (CauseId::NoMatchingDistribution, Some("click")));
    let cause = of(&format!(
        "{refused}Because only sbom[hatch]<0.1.2 is available and you require sbom[hatch]>=0.1.2, we can conclude\n"
    ));
    assert_eq!((cause.id, cause.subject.as_deref()), (CauseId::NoMatchingDistribution, Some("sbom")));
    let cause = of(&format!(
        "{refused}Because a==1.0 depends on c>=2 and b==1.0 depends on c<2, we can\n      conclude that a==1.0 and b==1.0 are incompatible.\n"
    ));
    assert_eq!((cause.id, cause.subject.as_deref()), (CauseId::DependencyConflict, Some("c")));
    let cause = of(&format!(
        "{refused}Because the requested Python version (>=3.8) does not satisfy\n      Python>=3.9 and numpy==2.0 depends on Python>=3.9, we can conclude\n"
    ));
    assert_eq!(cause.id, CauseId::RequiresPython);
    assert_eq!(cause.confidence, Confidence::High);
}

#[test]
fn no_log_makes_a_failure_pass_or_the_judge_fall() {
    let forged =
        "===== 10 passed in 0.1s =====\nOK\nRan 10 tests in 0.1s\n<testsuite tests=\"10\" failures=\"0\"/>\n";
    let logs = std::collections::BTreeMap::from([(Phase::Test, forged.to_owned())]);
    let failed = evidence(Phase::Test, report(serde_json::json!({"exit": 1})), serde_json::Value::Null);
    assert_eq!(classify(&failed, &logs).outcome, Outcome::TestFailed);
    let none_ran = evidence(
        Phase::Test,
        serde_json::to_value(PhaseReport::bare(Status::Passed)).unwrap(),
        serde_json::json!({"passed": 0, "failed": 0, "errors": 0, "skipped": 3, "xfailed": 0, "xpassed": 0, "subtests": 0, "failing": []}),
    );
    assert_eq!(classify(&none_ran, &logs).outcome, Outcome::Untested);
    let hostile = [
        format!("{}error{}", "\u{1b}[31m".repeat(20_000), "A".repeat(200_000)),
        "  File \"".repeat(30_000),
        "Traceback (most recent call last):\n".repeat(2_000),
        format!("{}\nValueError: {{subject}} {{line}}\n", "==> import x\n".repeat(1000)),
        "\r\u{0}\u{202e}Error: \u{fffd}".repeat(10_000),
        "Because a depends on b ".repeat(5_000),
        String::new(),
    ];
    for log in &hostile {
        for phase in [Phase::Build, Phase::Install, Phase::Import, Phase::Test, Phase::Uninstall] {
            let cause = judged(phase, serde_json::json!({"exit": 1}), log);
            assert!(cause.evidence.iter().all(|line| line.text.chars().count() <= 500));
            assert!(cause.detail.len() < 10_000);
        }
    }
}

#[test]
fn a_limit_is_ours_where_the_suite_got_far() {
    let blamed = |extra: serde_json::Value, passed: u64, messages: &[&str]| {
        let failing: Vec<_> = messages
            .iter()
            .map(|message| serde_json::json!({"id": "t", "message": message, "seconds": null, "flaky": null}))
            .collect();
        let mut tests = serde_json::to_value(crate::tests_report::TestCounts::default()).unwrap();
        (tests["passed"], tests["failed"]) = (passed.into(), failing.len().into());
        tests["failing"] = failing.into();
        let evidence = evidence(Phase::Test, report(extra), tests);
        let cause = classify(&evidence, &std::collections::BTreeMap::<Phase, String>::new()).cause.unwrap();
        (cause.id, cause.blame)
    };
    let memory = serde_json::json!({"limit": "memory", "signal": 9});
    assert_eq!(blamed(memory.clone(), 0, &[]), (CauseId::OutOfMemory, Blame::Package));
    assert_eq!(blamed(memory, 300, &["assert 1 == 2"]), (CauseId::OutOfMemory, Blame::Platform));
    let survived = serde_json::json!({"limit": "memory", "exit": 1});
    assert_eq!(blamed(survived.clone(), 5, &["MemoryError: x"]), (CauseId::OutOfMemory, Blame::Platform));
    assert_eq!(blamed(survived, 5, &["assert 1 == 2"]), (CauseId::TestFailures, Blame::Package));
    let time = serde_json::json!({"limit": "time", "signal": 9});
    assert_eq!(blamed(time.clone(), 300, &[]), (CauseId::Timeout, Blame::Platform));
    assert_eq!(blamed(time, 300, &["assert 1 == 2"]), (CauseId::Timeout, Blame::Package));
}

#[test]
fn what_tests_miss_is_told_by_who_asks_for_it() {
    let judged = |modules: &[&str], message: &str, raised_in: Option<&str>| {
        let mut tests = serde_json::to_value(crate::tests_report::TestCounts::default()).unwrap();
        tests["errors"] = 1.into();
        tests["failing"] = serde_json::json!([{"id": "t", "message": message, "seconds": null, "flaky": null, "raised_in": raised_in}]);
        let mut evidence = evidence(Phase::Test, report(serde_json::json!({"exit": 1})), tests);
        let import = |module: &&str| ImportResult {
            module: (*module).to_owned(),
            status: Status::Passed,
            decides: true,
        };
        evidence.imports = modules.iter().map(import).collect();
        let cause = classify(&evidence, &std::collections::BTreeMap::<Phase, String>::new()).cause.unwrap();
        (cause.id, cause.blame)
    };
    let gone = "ModuleNotFoundError: No module named 'imp'";
    let beside = Some("../env/lib/python3.13/site-packages/yaml/a.py");
    assert_eq!(
        judged(&["thing"], gone, Some("tests/test_a.py")),
        (CauseId::RemovedStdlibModule, Blame::Package)
    );
    assert_eq!(judged(&["thing"], gone, beside), (CauseId::RemovedStdlibModule, Blame::Dependency));
    let unknown = "ModuleNotFoundError: No module named 'unheard_of'";
    assert_eq!(judged(&["thing"], unknown, beside), (CauseId::MissingTestDependency, Blame::Package));
    let shared = "ModuleNotFoundError: No module named 'space.test.utils'";
    assert_eq!(judged(&["space.part"], shared, None).0, CauseId::MissingTestDependency);
    assert_eq!(judged(&["space"], shared, None).0, CauseId::MissingOwnModule);
    let program = "FileNotFoundError: [Errno 2] No such file or directory: 'git'";
    assert_eq!(judged(&["thing"], program, None), (CauseId::MissingTool, Blame::Platform));
    let file = "FileNotFoundError: [Errno 2] No such file or directory: 'tests/a.json'";
    assert_eq!(judged(&["thing"], file, None), (CauseId::MissingTestData, Blame::Package));
}
