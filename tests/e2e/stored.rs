//! What is stored can be shown, read, had again and reported; and no secret of a private index is in it.

use std::{fs, path::Path, process::Output};

use crate::support::{Lab, lab};

fn said(lab: &Lab, arguments: &[&str]) -> (Output, String) {
    let output = lab.command(arguments).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

#[test]
fn a_stored_result_is_shown_read_reported_and_had_again() {
    let lab = lab!();
    let environment = lab.environment.clone();
    let targets = ["tap-passes", "tap-test-fails", "tap-depends-on-sdist-only", "tap-build-fails"];
    lab.run(&targets).ends_with(0);

    let (_, shown) = said(&lab, &["show", "tap-test-fails"]);
    assert!(shown.contains("test-failed") && shown.contains(&environment), "{shown}");
    let (_, log) = said(&lab, &["log", "tap-test-fails", &environment, "test"]);
    assert!(log.contains("unittest"), "{log}");
    let (missing, _) = said(&lab, &["show", "tap-never-run"]);
    assert_eq!(missing.status.code(), Some(3));

    let out = lab.data.path().join("site");
    let (report, _) = said(&lab, &["report", "--out", out.to_str().expect("a plain path")]);
    assert!(report.status.success());
    assert!(fs::read_to_string(out.join("index.html")).expect("a front page").contains("tap-test-fails"));

    for project in targets {
        let (again, text) = said(&lab, &["repro", project, &environment]);
        assert_eq!(
            again.status.code(),
            Some(0),
            "{project}: {text}{}",
            String::from_utf8_lossy(&again.stderr)
        );
        assert!(text.starts_with("the same"), "{project}: {text}");
    }
}

#[test]
fn a_private_index_is_used_and_its_secret_stays_here() {
    const SECRET: &str = "tongs-and-hammer-4711";
    let lab = lab!();
    lab.index.require_credentials("tapper", SECRET);
    let environment = lab.environment.clone();
    let arguments =
        ["run", "--format", "json", "--env", &environment, "tap-passes", "tap-depends-on-sdist-only"];
    let mut command = lab.command(&arguments);
    let output =
        command.env("UV_DEFAULT_INDEX", lab.index.url_with_credentials()).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{complaint}");
    assert_eq!(text.matches("\"outcome\":\"passed\"").count(), 2, "{text}{complaint}");
    assert!(!text.contains(SECRET) && !complaint.contains(SECRET));
    assert_eq!(holding(lab.data.path(), SECRET.as_bytes()), Vec::<String>::new());

    let refused =
        lab.command(&["run", "--env", &environment, "tap-passes", "--fresh"]).output().expect("it starts");
    assert_eq!(refused.status.code(), Some(3), "{}", String::from_utf8_lossy(&refused.stderr));
}

/// The files below a folder that hold these bytes.
fn holding(folder: &Path, secret: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            found.extend(holding(&entry.path(), secret));
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).unwrap_or_default();
            if bytes.windows(secret.len()).any(|window| window == secret) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}
