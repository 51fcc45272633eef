//! Runs that are stopped, killed, or not alone: nothing that settled is lost, and nothing is left on the machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::support::{lab, provide_installer};

/// One cell that settles at once, then one that takes three seconds: a sign of life is waited for.
const TARGETS: [&str; 6] =
    ["--jobs", "1", "--limit-inactivity", "3", "tap-passes", "tap-test-sleeps-forever"];

#[test]
fn interrupted_runs_say_how_to_go_on_and_the_same_command_does() {
    let lab = lab!();
    for signal in ["INT", "TERM"] {
        let mut running = lab.start(&TARGETS);
        let settled = running.wait_for_record();
        running.signal(signal);
        let stopped = running.finish();
        stopped.ends_with(130).says("the same command goes on");
        assert_eq!(settled["project"], "tap-passes");
        assert_eq!(stopped.records.len(), 1, "the second cell was stopped");
    }
    let rest = lab.run(&TARGETS);
    assert!(!rest.ends_with(0).record("tap-passes")["reused_from"].is_null());
    let ran = rest.record("tap-test-sleeps-forever");
    assert_eq!(ran["outcome"], "test-failed");
    assert!(ran["reused_from"].is_null());
    nothing_is_left(lab.data.path());
}

#[test]
fn after_kill_9_nothing_is_left_and_what_settled_is_reused() {
    let lab = lab!();
    let mut running = lab.start(&TARGETS);
    running.wait_for_record();
    let supervisor = running.child.id();
    running.signal("KILL");
    assert_eq!(running.finish().code, 128 + 9);

    let next = lab.run(&TARGETS);
    assert!(!next.ends_with(0).record("tap-passes")["reused_from"].is_null());
    assert_eq!(next.record("tap-test-sleeps-forever")["outcome"], "test-failed");
    nothing_is_left(lab.data.path());
    let groups = groups_of(Path::new("/sys/fs/cgroup"), &format!("wheeltapper-{supervisor}-"), 0);
    assert!(groups.is_empty(), "cgroups are left: {groups:?}");
}

#[test]
fn two_runs_on_one_data_folder_do_not_harm_each_other() {
    let lab = lab!();
    let targets = ["tap-passes", "tap-test-fails", "tap-namespace-sibling", "tap-depends-on-sdist-only"];
    let runs = [lab.start(&targets), lab.start(&targets)].map(|running| running.finish());
    for run in &runs {
        run.ends_with(0);
        assert_eq!(run.records.len(), targets.len());
        for (project, outcome) in targets.iter().zip(["passed", "test-failed", "passed", "passed"]) {
            assert_eq!(run.record(project)["outcome"], outcome, "{project}");
        }
    }
    let again = lab.run(&targets);
    assert!(again.ends_with(0).records.iter().all(|record| !record["reused_from"].is_null()));
    nothing_is_left(lab.data.path());
}

#[test]
fn a_data_folder_on_a_full_disk_is_said_and_harms_nothing() {
    let lab = lab!();
    let data = lab.data.path();
    let Some(_mounted) = Mounted::tmpfs(data, "size=96m,mode=755") else {
        wheeltapper_testkit::skip!("a file system of 96 MiB cannot be mounted here");
    };
    provide_installer(data).expect("it was provided a moment ago");
    let ballast = data.join("ballast");
    fill(&ballast);
    let refused = lab.run(&["tap-passes"]);
    refused.ends_with(5).says("o space left");
    assert!(refused.records.iter().all(|record| record["outcome"] == "farm-error"), "{:?}", refused.records);

    fs::remove_file(&ballast).expect("it is there");
    assert_eq!(lab.run(&["tap-passes"]).ends_with(0).record("tap-passes")["outcome"], "passed");
}

/// Writes zeros until there is no space left.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).expect("an empty file can be made");
    while file.write_all(&[0; 4096]).is_ok() {}
}

/// A file system that is mounted as long as this lives.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(folder: &'a Path, options: &str) -> Option<Self> {
        let words = ["-t", "tmpfs", "-o", options, "tmpfs"];
        let output = std::process::Command::new("mount").args(words).arg(folder).output().ok()?;
        output.status.success().then_some(Mounted(folder))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

/// Cgroups whose name begins so.
fn groups_of(folder: &Path, name: &str, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(name) {
            found.push(entry.path());
        } else if depth < 6 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(groups_of(&entry.path(), name, depth + 1));
        }
    }
    found
}

/// Fails the test where a mount, a process, a cgroup or a file of a cell of this data folder is still there.
pub fn nothing_is_left(data: &Path) {
    let name = data.to_str().expect("a temporary folder's name is UTF-8");
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
    let mounts: Vec<&str> = mounts.lines().filter(|line| line.contains(name)).collect();
    assert!(mounts.is_empty(), "mounts are left: {mounts:?}");
    for process in fs::read_dir("/proc").expect("proc is mounted").flatten() {
        let path = process.path();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let root = fs::read_link(path.join("root")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        assert!(!words.contains(name) && !root.starts_with(data), "a process is left: {words}");
    }
    for folder in ["runtime/work", "layers/.unfinished"] {
        let entries =
            fs::read_dir(data.join(folder)).into_iter().flatten().flatten().map(|entry| entry.path());
        let left: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        assert!(left.is_empty(), "temporary folders are left: {left:?}");
    }
}
