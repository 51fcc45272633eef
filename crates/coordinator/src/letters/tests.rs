//! Who is told what: a maintainer of what fails, the dependency to blame, nobody twice.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;
use wheeltapper_core::{
    Artifact, Blame, Cause, CauseId, Confidence, Evidence, EvidenceLine, Outcome, Phase, ProjectName, Record,
    Sha256, Verdict,
    cause::Dependency,
    cycle::{CellName, Cycle, Due, People, State},
    evidence::Installed,
};
use wheeltapper_store::{Decision, Settled, Store};

use super::*;

const ENVIRONMENT: &str = "debian12-cp313";

struct World {
    runtime: Runtime,
    store: Store,
    folder: tempfile::TempDir,
    serial: u32,
}

impl World {
    fn new() -> World {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = runtime.block_on(Store::open(folder.path())).unwrap();
        World { runtime, store, folder, serial: 0 }
    }

    fn people(&self, project: &str, author: &str, address: &str) {
        let people = People {
            author: author.to_owned(),
            author_email: address.to_owned(),
            links: vec![("Issue Tracker".to_owned(), "https://host.org/issues".to_owned())],
            ..People::default()
        };
        self.runtime.block_on(self.store.change_people(&name(project), |known| *known = people)).unwrap();
    }

    fn wish(&self, project: &str, wish: impl FnOnce(&mut wheeltapper_core::Contact)) {
        let change = |people: &mut People| wish(people.wishes.get_or_insert_default());
        self.runtime.block_on(self.store.change_people(&name(project), change)).unwrap();
    }

    fn begin(&self) -> Cycle {
        let number =
            self.runtime.block_on(self.store.cycles(1)).unwrap().first().map_or(1, |last| last.number + 1);
        let run = format!("cycle-{number}");
        self.runtime
            .block_on(self.store.begin_cycle(&run, "test", &format!("2026-11-{number:02}T10:00:00Z")))
            .unwrap()
    }

    /// A cell comes out so in this cycle. `blamed` is the dependency to blame, if one is.
    fn settle(&mut self, cycle: &Cycle, project: &str, version: &str, state: State, blamed: Option<&str>) {
        self.serial += 1;
        let id = format!("r{}", self.serial);
        let outcome = if state.is_failing() { Outcome::ImportFailed } else { Outcome::Passed };
        let mut record = record(&id, &cycle.run, project, version, outcome, blamed);
        record.started = format!("2026-11-{:02}T10:{:02}:00Z", cycle.number, self.serial % 60);
        let cell = CellName {
            project: name(project),
            environment: ENVIRONMENT.to_owned(),
            artifact: Artifact::Sdist,
        };
        let settled = Settled { state, result: id, before: None, core_s: 1.0 };
        self.runtime
            .block_on(async {
                self.store.record(&record, &BTreeMap::new()).await?;
                self.store.decide(cycle.number, &[(cell.clone(), Decision::Due(Due::NewerRelease))]).await?;
                self.store.settle(cycle.number, &cell, &settled).await
            })
            .unwrap();
    }

    /// The new files of the outbox, by name.
    fn write(&self, cycle: &Cycle) -> BTreeMap<String, String> {
        let outbox = self.folder.path().join("outbox");
        let _ = std::fs::remove_dir_all(&outbox);
        let options = LetterOptions {
            outbox: outbox.clone(),
            from: "farm@farm.invalid".to_owned(),
            address: Some("https://results.invalid".to_owned()),
        };
        write(self.runtime.handle(), &self.store, cycle, &options).unwrap();
        let files = std::fs::read_dir(&outbox).into_iter().flatten().flatten();
        files
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect()
    }
}

fn name(project: &str) -> ProjectName {
    project.parse().unwrap()
}

fn record(
    id: &str,
    run: &str,
    project: &str,
    version: &str,
    outcome: Outcome,
    blamed: Option<&str>,
) -> Record {
    let cause = outcome.is_failure().then(|| Cause {
        id: CauseId::RemovedApi,
        phase: Phase::Import,
        blame: if blamed.is_some() { Blame::Dependency } else { Blame::Package },
        dependency: blamed
            .map(|project| Dependency { project: project.to_owned(), version: Some("2.0".to_owned()) }),
        subject: None,
        title: "an API is gone".to_owned(),
        detail: "it says <b>hello</b>\r\nBcc: everybody@x.org".to_owned(),
        evidence: vec![EvidenceLine {
            phase: Phase::Import,
            line: 7,
            text: "ImportError: <script>".to_owned(),
        }],
        confidence: Confidence::High,
    });
    let evidence: Evidence = serde_json::from_value(serde_json::json!({
        "project": project, "version": version, "artifact": "sdist", "selected": {"newest": null, "why": "newest"},
        "requires_python": null, "yanked": false, "project_status": null,
        "environment": {"name": ENVIRONMENT, "os": "linux", "platform": "debian 12", "arch": "x86_64", "libc": null,
            "implementation": "cpython", "python": "3.13.0", "installer": "uv", "digest": Sha256::of(b"e"),
            "limits": {"sandbox": "full", "cgroup": "v2", "network": "index-only", "privileged": true}},
        "distribution": null, "build": null, "wheel": null, "tested": null, "phases": {}, "imports": [],
        "test_plan": null, "tests": null, "attempts": [], "leftovers": [], "foreign_writes": [], "installed": [],
        "classifiers": [], "unsupported": null, "untested": null, "farm_error": null
    }))
    .unwrap();
    let installed = blamed.map(|project| Installed {
        project: name(project),
        version: "2.0".to_owned(),
        sha256: None,
        purpose: "runtime".to_owned(),
    });
    Record {
        schema: 1,
        id: id.to_owned(),
        run: run.to_owned(),
        evidence: Evidence { installed: installed.into_iter().collect(), ..evidence },
        verdict: Verdict {
            rules: 1,
            outcome,
            reason: None,
            signature: cause.as_ref().map(|_| "sig".to_owned()),
            cause,
        },
        flaky: None,
        flaky_tests: Vec::new(),
        options: serde_json::from_value(serde_json::json!({
            "tests": true, "setup_py": false, "limits": wheeltapper_core::Limits::default()
        }))
        .unwrap(),
        attempt: 1,
        request: Sha256::of_parts([project, version]),
        index_answers: Vec::new(),
        inputs: Sha256::of_parts([project, version, id]),
        reused_from: None,
        started: String::new(),
        wall_s: 1.0,
    }
}

/// The plain text of a message whose parts may be in quoted-printable.
fn unfolded(message: &str) -> String {
    message.replace("=\r\n", "").replace("=3D", "=").replace("\r\n", "\n")
}

#[test]
fn a_maintainer_is_told_of_what_fails_and_of_what_is_mended_and_nothing_twice() {
    let mut world = World::new();
    world.people("mine", "Jane \"J\" Doe", "Jane Doe <jane@doe.net>");
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.0", State::FailingAtFirst, None);
    let letters = world.write(&cycle);
    assert_eq!(letters.len(), 1);
    let (file, message) = letters.first_key_value().unwrap();
    assert!(file.ends_with(".eml"), "{file}");
    let head = message.split("\r\n\r\n").next().unwrap();
    for header in [
        "To: ",
        "<jane@doe.net>",
        "Subject: Wheeltapper: mine fails here",
        "List-Unsubscribe: <https://",
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
        "Message-ID: <00001-",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(head.contains(header), "{header} is not in\n{head}");
    }
    assert!(!head.contains("Bcc"), "{head}");
    let body = unfolded(message);
    for told in [
        "This is the first letter",
        "mine 1.0: import-failed",
        "Where:  debian12-cp313 (sdist)",
        "an API is gone",
        "wheeltapper repro mine debian12-cp313",
        "https://results.invalid/project/mine.html",
    ] {
        assert!(body.contains(told), "{told} is not in\n{body}");
    }
    assert!(
        !body.contains("<script>")
            || !body.split("text/html").nth(1).unwrap_or_default().contains("<script>")
    );
    assert!(!body.split("text/html").nth(1).unwrap_or_default().contains("<b>hello"));

    // The same again: nothing. The next cycle, failing on: nothing.
    assert!(world.write(&cycle).is_empty());
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.1", State::StillFailing, None);
    assert!(world.write(&cycle).is_empty());
    // Mended: one letter; and nothing more.
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.2", State::Fixed, None);
    let letters = world.write(&cycle);
    assert_eq!(letters.len(), 1);
    let body = unfolded(letters.values().next().unwrap());
    assert!(
        body.contains("Subject: Wheeltapper: mine is fixed") && body.contains("mine 1.2: no longer fails"),
        "{body}"
    );
    assert!(world.write(&cycle).is_empty());
    // Failing anew is news again.
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.3", State::NewlyFailing, None);
    assert_eq!(world.write(&cycle).len(), 1);
}

#[test]
fn the_dependency_to_blame_is_told_once_and_its_dependants_not_at_all() {
    let mut world = World::new();
    world.people("guilty", "Guy", "guy@guilty.net");
    world.people("one", "One", "one@one.net");
    world.people("two", "Two", "two@two.net");
    let cycle = world.begin();
    world.settle(&cycle, "guilty", "2.0", State::Passed, None);
    world.settle(&cycle, "one", "1.0", State::NewlyFailing, Some("guilty"));
    world.settle(&cycle, "two", "1.0", State::NewlyFailing, Some("guilty"));
    let letters = world.write(&cycle);
    assert_eq!(letters.len(), 1, "{:?}", letters.keys());
    let body = unfolded(letters.values().next().unwrap());
    assert!(body.contains("<guy@guilty.net>"), "{body}");
    assert!(body.contains("guilty: one 1.0 fails because of it") && body.contains("Holds up: two"), "{body}");
}

#[test]
fn without_an_address_there_is_an_issue_text_and_an_unconfirmed_failure_is_told_nobody() {
    let mut world = World::new();
    world.people("mine", "Jane", "UNKNOWN");
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.0", State::Unconfirmed, None);
    assert!(world.write(&cycle).is_empty());
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.0", State::NewlyFailing, None);
    let letters = world.write(&cycle);
    let (file, text) = letters.first_key_value().unwrap();
    assert!(
        file.ends_with(".md") && text.contains("the issue tracker of mine, <https://host.org/issues>"),
        "{text}"
    );
}

#[test]
fn what_maintainers_wish_of_mail_is_kept_to() {
    use wheeltapper_core::Notify;
    let mut world = World::new();
    let projects = ["never", "regressions", "elsewhere", "issues", "roles"];
    for project in projects {
        world.people(project, "Jane", if project == "roles" { "" } else { "jane@doe.net" });
    }
    world.wish("never", |wishes| wishes.notify = Some(Notify::Never));
    world.wish("regressions", |wishes| wishes.notify = Some(Notify::Regressions));
    world.wish("elsewhere", |wishes| wishes.email = Some("list@doe.net".to_owned()));
    world.wish("issues", |wishes| wishes.url = Some("https://doe.net/bugs".to_owned()));
    let roles = vec![("Owner".to_owned(), "jane-doe".to_owned())];
    world.runtime.block_on(world.store.change_people(&name("roles"), |one| one.roles = roles)).unwrap();
    let cycle = world.begin();
    for project in projects {
        world.settle(&cycle, project, "1.0", State::FailingAtFirst, None);
    }
    let told = world.write(&cycle).into_values().map(|text| unfolded(&text)).collect::<Vec<_>>().join("\n");
    for (project, wanted) in projects.iter().zip([false, false, true, true, true]) {
        assert_eq!(told.contains(&format!("{project} 1.0: import-failed")), wanted, "{project}:\n{told}");
    }
    for wanted in ["<list@doe.net>", "issues, <https://doe.net/bugs>", "On the index: jane-doe (Owner)"] {
        assert!(told.contains(wanted), "{wanted}:\n{told}");
    }
    assert!(!told.contains("jane@doe.net"), "{told}");
    // What passed and fails now is told whoever wishes for regressions, also when the cycle's letters were not written.
    for project in ["regressions", "never"] {
        let cycle = world.begin();
        world.settle(&cycle, project, "1.1", State::Fixed, None);
        let cycle = world.begin();
        world.settle(&cycle, project, "1.2", State::NewlyFailing, None);
    }
    let cycle = world.begin();
    world.settle(&cycle, "regressions", "1.3", State::StillFailing, None);
    let letters = world.write(&cycle);
    let told = unfolded(letters.values().next().unwrap());
    assert!(letters.len() == 1 && told.contains("regressions 1.3: import-failed"), "{told}");
}

#[test]
fn a_kill_between_the_store_and_the_file_loses_no_letter() {
    let mut world = World::new();
    world.people("mine", "Jane", "jane@doe.net");
    let cycle = world.begin();
    world.settle(&cycle, "mine", "1.0", State::NewlyFailing, None);
    let letters = world.write(&cycle);
    // As if the file had not come to be: the letter is in the store, and not noted as written.
    let stored = StoredLetter {
        id: "00009-x-y.eml".to_owned(),
        cycle: 1,
        contact: "x".to_owned(),
        message: b"kept".to_vec(),
        told: Vec::new(),
    };
    world.runtime.block_on(world.store.put_letter(&stored)).unwrap();
    let again = world.write(&cycle);
    assert_eq!(again, BTreeMap::from([("00009-x-y.eml".to_owned(), "kept".to_owned())]));
    assert_eq!(letters.len(), 1);
}
