//! The two fingerprints of a cell: `request`, what is known beforehand, and `inputs`, what was really used.

use wheeltapper_agent::Job;
use wheeltapper_core::{Evidence, Sha256, TestSource, TestsRepository};

/// Version of the way in which cells are run: raised when a change of the agent can alter what happens in them.
const AGENT: &str = "4";

/// The fingerprint of what is known before the cell runs. `index_date` is the `--exclude-newer` date, empty for none.
pub fn request(job: &Job, index_date: &str) -> Sha256 {
    let release = &job.release;
    let file = |origin: Option<&wheeltapper_agent::Origin>| {
        origin.map_or_else(String::new, |origin| {
            let digest = origin.sha256().map_or_else(String::new, |digest| digest.hex());
            format!("{} {digest}", origin.filename())
        })
    };
    let options = &job.options;
    let mut parts = vec![
        "request".to_owned(),
        AGENT.to_owned(),
        wheeltapper_agent::RECIPE_VERSION.to_string(),
        release.project.to_string(),
        release.version.to_string(),
        job.artifact.to_string(),
        file(release.sdist.as_ref()),
        file(release.wheel.as_ref()),
        job.environment.shown.name.clone(),
        job.environment.shown.digest.hex(),
        if options.tests { "tests" } else { "no-tests" }.to_owned(),
        if options.setup_py { "setup.py" } else { "" }.to_owned(),
        options.limits.fingerprint(),
        index_date.to_owned(),
    ];
    // What was not asked for leaves older fingerprints as they are.
    if options.source != TestSource::Sdist {
        parts.push(format!("tests from {}", options.source));
    }
    // The maintainers' own override is in the sdist.
    parts.extend(job.overrides.iter().map(|written| format!("override {}", written.digest.hex())));
    Sha256::of_parts(parts.iter().map(String::as_str))
}

/// The fingerprint of all that was used: the request, every installed distribution, the test plan, and the commit of a
/// repository that was looked into.
pub fn inputs(request: &Sha256, evidence: &Evidence) -> Sha256 {
    let mut parts = vec!["inputs".to_owned(), request.hex()];
    for installed in &evidence.installed {
        let digest = installed.sha256.map_or_else(String::new, |digest| digest.hex());
        parts.push(format!("{} {} {} {digest}", installed.purpose, installed.project, installed.version));
    }
    parts.push(format!("{:?}", evidence.test_plan));
    if let Some(repository) = &evidence.repository {
        let TestsRepository { address, commit, files, .. } = repository;
        parts.push(format!("{address:?} {commit:?} {files:?}"));
    }
    Sha256::of_parts(parts.iter().map(String::as_str))
}
