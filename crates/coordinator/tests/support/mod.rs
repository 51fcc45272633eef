//! A made-up farm for the tests of its site.

#![allow(dead_code, clippy::unwrap_used)] // Each test binary compiles this module and uses a part of it.

use std::{collections::BTreeMap, path::PathBuf};

use tokio::runtime::Runtime;
use wheeltapper_coordinator::publish::{PublishOptions, Published, publish};
use wheeltapper_core::{
    Artifact, Outcome,
    cycle::{CellName, Due, People, State, standing},
};
use wheeltapper_store::{Decision, Settled, Store};
use wheeltapper_testkit::synthetic;

/// A store of made-up results, and the site made of it.
pub struct Farm {
    runtime: Runtime,
    store: Store,
    folder: tempfile::TempDir,
}

impl Farm {
    /// An empty farm.
    pub fn new() -> Farm {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = runtime.block_on(Store::open(folder.path())).unwrap();
        Farm { runtime, store, folder }
    }

    /// A cycle in which the projects of these numbers are run, and all others stand.
    pub fn cycle(&self, projects: usize, run: impl Fn(usize) -> bool) {
        self.runtime.block_on(async {
            let number = self.store.cycles(1).await.unwrap().first().map_or(1, |last| last.number + 1);
            let name = format!("cycle-{number}");
            let started = format!("2026-11-{number:02}T00:00:00Z");
            self.store.begin_cycle(&name, "made up", &started).await.unwrap();
            for project in 0..projects {
                for environment in 0..3 {
                    let cell = CellName {
                        project: synthetic::name(project),
                        environment: synthetic::environment(environment),
                        artifact: Artifact::Sdist,
                    };
                    let (record, logs) = synthetic::result(project, environment, &name, number as u32);
                    let outcome = record.verdict.outcome;
                    if !run(project) {
                        let stands = Decision::Stands(standing(None, outcome));
                        self.store.decide(number, &[(cell, stands)]).await.unwrap();
                        continue;
                    }
                    self.store.record(&record, &logs).await.unwrap();
                    self.store.decide(number, &[(cell.clone(), Decision::Due(Due::NeverRun))]).await.unwrap();
                    let state = match outcome {
                        Outcome::Passed => State::Passed,
                        Outcome::Untested => State::Untested,
                        _ if number == 1 => State::FailingAtFirst,
                        _ => State::NewlyFailing,
                    };
                    let settled = Settled { state, result: record.id, before: None, core_s: 1.0 };
                    self.store.settle(number, &cell, &settled).await.unwrap();
                }
                let people = People {
                    author: "A <script>alert(1)</script> & Co".to_owned(),
                    author_email: format!("Author {0} <a{0}@hidden.net>", project % 5),
                    ..People::default()
                };
                self.store.change_people(&synthetic::name(project), |known| *known = people).await.unwrap();
            }
            let gone = ("gone".parse().unwrap(), "<b>no such project</b>".to_owned());
            self.store.note_absent(number, &[gone]).await.unwrap();
            self.store.end_cycle(number, &format!("2026-11-{number:02}T01:00:00Z")).await.unwrap();
        });
    }

    /// A cycle that is held before this project's only cell has had its turn.
    pub fn held_before(&self, project: &str) {
        self.runtime.block_on(async {
            let cycle = self.store.begin_cycle("held", "made up", "2026-12-01T00:00:00Z").await.unwrap();
            let cell = CellName {
                project: project.parse().unwrap(),
                environment: synthetic::environment(0),
                artifact: Artifact::Sdist,
            };
            self.store.decide(cycle.number, &[(cell, Decision::Due(Due::NeverRun))]).await.unwrap();
            self.store.end_cycle(cycle.number, "2026-12-01T01:00:00Z").await.unwrap();
        });
    }

    /// Brings the site up to date.
    pub fn publish(&self) -> Published {
        let options = PublishOptions {
            site: self.site(),
            program: "wheeltapper test".to_owned(),
            address: Some("https://results.invalid".to_owned()),
            ranks: BTreeMap::from([(synthetic::name(3), 1)]),
            workers: 2,
        };
        publish(self.runtime.handle(), &self.store, &options).unwrap()
    }

    /// The site's folder.
    pub fn site(&self) -> PathBuf {
        self.folder.path().join("site")
    }
}
