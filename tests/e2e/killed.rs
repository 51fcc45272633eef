//! Cycles that are killed with signal 9 at stages drawn by lot, again and again: nothing is lost, nothing is told twice.
//! Where a kill falls differs from run to run; what must hold afterwards does not.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Stdio},
    sync::mpsc,
    thread,
};

use wheeltapper_testkit::{Fixture, build_sdist_of_version};

use crate::{
    cycles::{broken_release, command, cycle, list},
    support::{Lab, lab},
};

/// How often a cycle is killed.
const KILLS: u32 = 54;

/// When the kill comes.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// After so many lines of what it says.
    Lines(u32),
    /// As soon as this is there, below the data folder.
    There(&'static str),
}

/// Numbers drawn by lot, the same ones every time.
struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn stage(&mut self) -> Stage {
        const PLACES: [&str; 4] = [
            "site/.wheeltapper/aside/index.html",
            "site/.wheeltapper/journal",
            "site/.wheeltapper/aside/cycle",
            "outbox",
        ];
        match self.draw(3) {
            0 => Stage::There(PLACES[self.draw(PLACES.len() as u64) as usize]),
            _ => Stage::Lines(self.draw(9) as u32),
        }
    }
}

/// Lets the cycle come to the stage and kills it; false when it ended before.
fn kill_at(lab: &Lab, mut child: Child, stage: Stage) -> bool {
    let (sender, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let reader =
        thread::spawn(move || stderr.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
    let reached = match stage {
        Stage::Lines(count) => (0..count).all(|_| lines.recv().is_ok()),
        Stage::There(path) => loop {
            if lab.data.path().join(path).exists() {
                break true;
            }
            if child.try_wait().expect("it can be asked after").is_some() {
                break false;
            }
            thread::yield_now();
        },
    };
    let alive = child.try_wait().expect("it can be asked after").is_none();
    let _ = child.kill();
    let _ = child.wait();
    drop(lines);
    let _ = reader.join();
    reached && alive
}

/// Everything that was told: each heading of each letter, and how often.
fn told(outbox: &PathBuf) -> BTreeMap<String, u32> {
    let mut told = BTreeMap::new();
    for entry in fs::read_dir(outbox).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name.ends_with(".md") || name.starts_with('.'), "{name}");
        if name.starts_with('.') {
            continue;
        }
        let text = fs::read_to_string(entry.path()).expect("a letter can be read");
        for line in text.lines().filter(|line| line.starts_with("tap-") && line.contains(": ")) {
            *told.entry(line.to_owned()).or_default() += 1;
        }
    }
    told
}

#[test]
fn killed_at_any_stage_nothing_is_lost_and_nothing_is_told_twice() {
    let lab = lab!();
    let list = list(&lab, &["tap-passes", "tap-build-fails", "tap-no-tests"]);
    let good = Fixture::named("passes").expect("there is such a fixture").folder;
    let mut lot = Lot(20_261_122);
    let (mut kills, mut version) = (0, 0);
    while kills < KILLS {
        if lot.draw(3) == 0 {
            version += 1;
            let release = match version % 2 {
                1 => broken_release(&format!("2.{version}")),
                _ => build_sdist_of_version(&good, &format!("2.{version}")).expect("it can be built"),
            };
            lab.index.publish(release).expect("it names its project");
        }
        let stage = lot.stage();
        let child =
            command(&lab, &list, &["--no-tests"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        kills += u32::from(kill_at(&lab, child.expect("the program starts"), stage));
    }
    version += 1 + version % 2;
    lab.index.publish(broken_release(&format!("2.{version}"))).expect("it names its project");
    // What was unfinished is finished, and then the last release has its cycle.
    for _ in 0..2 {
        let (code, said) = cycle(&lab, &list, &["--no-tests"]);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("0 left"), "{said}");
    }
    let outbox = lab.data.path().join("outbox");
    let before = told(&outbox);
    let (_, said) = cycle(&lab, &list, &["--no-tests"]);
    assert!(said.contains("3 cells of 3 projects: 3 reused, 0 run, 0 left"), "{said}");
    assert!(!said.contains("letters:"), "{said}");
    let after = told(&outbox);
    assert_eq!(before, after);
    assert!(after.values().all(|times| *times == 1), "told twice: {after:?}");
    for wanted in
        ["tap-build-fails 1.0: build-failed".to_owned(), format!("tap-passes 2.{version}: import-failed")]
    {
        assert!(after.contains_key(&wanted), "{wanted} was not told: {after:?}");
    }
    let site = lab.data.path().join("site");
    let page = fs::read_to_string(site.join("project/tap-passes.html")).expect("the page is there");
    assert!(page.contains(&format!("2.{version}")) && page.contains("import-failed"));
    assert!(!site.join(".wheeltapper/journal").exists());
}
