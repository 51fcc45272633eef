//! Results of somebody who is not to be trusted: each thing that must be what it is, changed.

use std::{collections::BTreeMap, fs, path::Path};

use jiff::Timestamp;
use serde_json::{Value, json};
use wheeltapper_core::{Evidence, Outcome, Phase, Sha256};

use super::{
    Answered, ExportedCell, ExportedFile, ExportedResult, Imported, Jobs, SCHEMA, Wanted, import,
    write_results,
};

const FILE: &str = "thing-1.0.tar.gz";

fn jobs() -> Jobs {
    Jobs {
        schema: SCHEMA,
        exported: Timestamp::now().to_string(),
        environment: Wanted {
            name: "windows11-cp313".into(),
            os: "windows".into(),
            arch: "x86_64".into(),
            implementation: "cpython".into(),
            python: "3.13".into(),
            tag: "cp313".into(),
        },
        options: wheeltapper_core::Options {
            tests: true,
            setup_py: false,
            source: Default::default(),
            limits: Default::default(),
        },
        cells: vec![ExportedCell {
            project: "thing".parse().unwrap(),
            version: "1.0".into(),
            artifact: wheeltapper_core::Artifact::Sdist,
            selected: wheeltapper_core::evidence::Selected { newest: None, why: "pinned".into() },
            requires_python: None,
            yanked: false,
            project_status: None,
            sdist: Some(FILE.into()),
            wheel: None,
            after_failed_build: false,
        }],
        files: vec![ExportedFile { filename: FILE.into(), sha256: Sha256::of(b"sdist") }],
        absent: Vec::new(),
        answers: Vec::new(),
    }
}

fn evidence() -> Value {
    json!({
        "project": "thing", "version": "1.0", "artifact": "sdist",
        "selected": {"newest": null, "why": "pinned"}, "requires_python": null, "yanked": false,
        "project_status": null,
        "environment": {
            "name": "windows11-cp313", "os": "windows", "platform": "Windows 11", "arch": "x86_64", "libc": null,
            "implementation": "cpython", "python": "3.13.4", "installer": "uv 0.13.9", "digest": Sha256::of(b"x"),
            "limits": {"sandbox": "full", "cgroup": "none", "network": "index-only", "privileged": false},
        },
        "distribution": {"kind": "sdist", "filename": FILE, "sha256": Sha256::of(b"sdist")},
        "build": null, "wheel": null, "tested": null, "phases": {}, "imports": [], "test_plan": null,
        "tests": null, "leftovers": [], "foreign_writes": [], "installed": [], "classifiers": [],
        "unsupported": null, "untested": null, "farm_error": null,
    })
}

/// What comes of results of this evidence; `change` does something to the result.
fn imported(evidence: Value, change: impl Fn(&mut Vec<Answered>)) -> Result<Vec<Imported>, String> {
    let folder = tempfile::tempdir().unwrap();
    let evidence: Evidence = serde_json::from_value(evidence).unwrap();
    let result = ExportedResult {
        cell: 0,
        started: Timestamp::now().to_string(),
        wall_s: 1.0,
        evidence: Box::new(evidence),
        logs: vec![Phase::Build],
    };
    let mut answered = vec![Answered { result, logs: BTreeMap::from([(Phase::Build, b"log".to_vec())]) }];
    change(&mut answered);
    let archive = folder.path().join("results.tar");
    let digest = Sha256::of(b"jobs");
    write_results(digest, &answered, fs::File::create(&archive).unwrap()).unwrap();
    taken(&archive, &folder.path().join("into"))
}

fn taken(archive: &Path, into: &Path) -> Result<Vec<Imported>, String> {
    let known = |digest: &Sha256| (*digest == Sha256::of(b"jobs")).then(jobs);
    import(archive, into, "run", 1 << 20, known).map_err(|error| error.to_string())
}

#[test]
fn what_answers_the_jobs_is_taken_and_judged_here() {
    let found = imported(evidence(), |_| {}).unwrap();
    let record = &found[0].record;
    assert_eq!((record.run.as_str(), record.evidence.environment.name.as_str()), ("run", "windows11-cp313"));
    assert_eq!(record.verdict.outcome, Outcome::Untested);
    assert_eq!(found[0].logs[&Phase::Build], b"log");
}

#[test]
fn what_answers_something_else_is_refused() {
    for (pointer, value, why) in [
        ("/project", json!("other"), "it is of other"),
        ("/version", json!("1.1"), "it is of thing 1.1"),
        ("/artifact", json!("wheel"), "it is of thing"),
        ("/environment/name", json!("windows11-cp312"), "not made on"),
        ("/environment/os", json!("linux"), "not made on"),
        ("/environment/python", json!("3.131.0"), "not made on"),
        ("/environment/platform", json!("\u{1b}[2J"), "no text for people"),
        ("/environment/installer", json!("x".repeat(500)), "no text for people"),
        ("/distribution/sha256", json!(Sha256::of(b"other")), "was not exported"),
        ("/distribution/filename", json!("../thing-1.0.tar.gz"), "was not exported"),
    ] {
        let mut evidence = evidence();
        *evidence.pointer_mut(pointer).unwrap() = value;
        let error = imported(evidence, |_| {}).unwrap_err();
        assert!(error.contains(why), "{pointer}: {error}");
    }
    let mut installed = evidence();
    installed["installed"] =
        json!([{"project": "six", "version": "1", "sha256": Sha256::of(b"evil"), "for": "runtime"}]);
    assert!(imported(installed, |_| {}).unwrap_err().contains("installed a file of six"));
}

#[test]
fn a_result_that_cannot_be_is_refused() {
    type Change = fn(&mut Vec<Answered>);
    let changes: [(Change, &str); 5] = [
        (|all| all[0].result.cell = 7, "no such cell"),
        (|all| all[0].result.started = "2001-01-01T00:00:00Z".into(), "before it was exported"),
        (|all| all[0].result.started = "2999-01-01T00:00:00Z".into(), "has yet to be"),
        (|all| all[0].result.wall_s = -1.0, "its time is none"),
        (|all| all[0].result.logs.push(Phase::Test), "its log of test is missing"),
    ];
    for (change, why) in changes {
        let error = imported(evidence(), change).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let twice = imported(evidence(), |all| {
        let result = all[0].result.clone();
        all.push(Answered { result, logs: BTreeMap::new() });
    });
    assert!(twice.unwrap_err().contains("twice"));
}

#[test]
fn a_log_that_is_a_link_or_an_archive_that_leads_out_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let document = || {
        let result = json!({"cell": 0, "started": Timestamp::now().to_string(), "wall_s": 1.0,
            "evidence": evidence(), "logs": ["build"]});
        serde_json::to_vec(&json!({"schema": SCHEMA, "jobs": Sha256::of(b"jobs"), "results": [result]}))
            .unwrap()
    };
    let packed = |name: &str, with: &dyn Fn(&mut tar::Builder<fs::File>)| {
        let archive = folder.path().join(name);
        let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
        let bytes = document();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, "results.json", bytes.as_slice()).unwrap();
        with(&mut tar);
        tar.into_inner().unwrap();
        taken(&archive, &folder.path().join(format!("into-{name}"))).unwrap_err()
    };
    let link = packed("link", &|tar| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "logs/0-build", "../results.json").unwrap();
    });
    assert!(link.contains("its log of build is missing"), "{link}");
    let outside = packed("outside", &|tar| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "logs/0-build", "/etc/passwd").unwrap();
    });
    assert!(outside.contains("link"), "{outside}");
}
