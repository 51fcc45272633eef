//! Real packages, from the index that is really configured: pinned, so that what comes out is known.

use serde_json::Value;

use crate::support::{Run, configured, finish, newest_environment, provide_installer};

#[test]
fn real_packages_come_out_as_they_are() {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    if let Err(why) = provide_installer(data.path()) {
        wheeltapper_testkit::skip!("{why}");
    }
    let targets = [
        "six==1.17.0",
        "attrs==25.3.0",
        "markupsafe==3.0.2",
        // Ships no tests.
        "certifi==2025.1.31",
        // Published as wheels only.
        "nvidia-nvtx-cu12==12.4.127",
        // For Python 3.6 only.
        "dataclasses==0.8",
        // What their tests require is as old as they are: what comes out stays as it is.
        "--exclude-newer",
        "2025-04-01",
    ];
    let mut words = vec!["run", "--format", "json", "--env", newest_environment()];
    words.extend(targets);
    let run = finish(configured(data.path(), &words));
    run.ends_with(0);

    for project in ["six", "attrs"] {
        let record = the(&run, project, "sdist");
        assert_eq!(record["outcome"], "passed", "{project}: {}", record["cause"]);
        for phase in ["fetch", "build", "install", "import", "test", "uninstall"] {
            assert_eq!(record["phases"][phase]["status"], "passed", "{phase} of {project}");
        }
        assert!(record["tests"]["passed"].as_u64() > Some(100), "{project}: {}", record["tests"]);
        assert!(record["leftovers"].as_array().is_some_and(Vec::is_empty), "{project}");
    }
    // Native code: the sdist, compiled here, and the published wheel, each on its own.
    for artifact in ["sdist", "wheel"] {
        let record = the(&run, "markupsafe", artifact);
        assert_eq!(record["outcome"], "passed", "{artifact}: {}", record["cause"]);
        let speedups =
            |import: &Value| import["module"] == "markupsafe._speedups" && import["status"] == "passed";
        assert!(
            record["imports"].as_array().is_some_and(|imports| imports.iter().any(speedups)),
            "{artifact}"
        );
    }
    let certifi = the(&run, "certifi", "sdist");
    assert_eq!(
        (&certifi["outcome"], &certifi["phases"]["import"]["status"]),
        (&"untested".into(), &"passed".into())
    );
    let wheel_only = the(&run, "nvidia-nvtx-cu12", "wheel");
    assert_eq!(wheel_only["phases"]["build"]["reason"], "published-wheel");
    assert_eq!(wheel_only["outcome"], "untested", "{}", wheel_only["cause"]);
    let old = the(&run, "dataclasses", "sdist");
    assert_eq!((&old["outcome"], &old["reason"]), (&"unsupported".into(), &"requires-python".into()));
}

#[test]
fn old_pythons_get_what_is_for_them_and_run_every_phase() {
    let data = tempfile::tempdir().expect("a temporary folder can be made");
    if let Err(why) = provide_installer(data.path()) {
        wheeltapper_testkit::skip!("{why}");
    }
    for (python, markupsafe, installer) in [("2.7", "1.1.1", "pip 20.3.4"), ("3.6", "2.0.1", "uv ")] {
        let words = ["run", "--format", "json", "--from", "sdist", "--python", python, "six", "markupsafe"];
        let run = finish(configured(data.path(), &words));
        if run.stderr.contains(&format!("no Python {python} was found")) {
            wheeltapper_testkit::skip!("there is no Python {python} here");
        }
        run.ends_with(0);
        for (project, version) in [("six", None), ("markupsafe", Some(markupsafe))] {
            let record = the(&run, project, "sdist");
            assert_eq!(record["outcome"], "passed", "{project} on {python}: {}", record["cause"]);
            assert!(version.is_none_or(|version| record["version"] == version), "{}", record["version"]);
            assert!(record["leftovers"].as_array().is_some_and(Vec::is_empty), "{project}");
            let with = record["environment"]["installer"].as_str().unwrap_or_default();
            assert!(with.starts_with(installer), "{with}");
        }
    }
}

/// The record of this project and artifact.
fn the<'a>(run: &'a Run, project: &str, artifact: &str) -> &'a Value {
    let found =
        run.records.iter().find(|record| record["project"] == project && record["artifact"] == artifact);
    found.unwrap_or_else(|| panic!("no record of the {artifact} of {project}\n{}", run.stderr))
}
