//! A supervisor that is killed leaves nothing that runs, and what it leaves on disk is removed at the next start.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use wheeltapper_sandbox::{Cancel, Limits, Mode, Network, ScratchLimits, base_environment, enter};

use crate::lab::{Attack, Lab, nonce, runs, settings};

pub const ALL: &[Attack] = &[("killed_supervisor_leaves_nothing", killed)];

/// A supervisor of its own, with a cell in which something sleeps.
pub fn victim() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runtime, mark] = arguments.as_slice() else { return ExitCode::FAILURE };
    let host = enter(settings(Mode::Full, Path::new(runtime))).unwrap();
    let world = host.world(0, &[], ScratchLimits { bytes: 1 << 20, inodes: 100 }).unwrap();
    let command = wheeltapper_sandbox::Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), format!("setsid sleep {mark} & sleep {mark}; wait").into()],
        environment: base_environment(world.root(), world.temporary()),
        directory: world.root().to_owned(),
        binds: Vec::new(),
        network: Network::None,
        limits: Limits::default(),
        log: Path::new(runtime).join("log"),
    };
    println!("ready");
    let _ = world.run(&command, &Cancel::new().unwrap(), None);
    ExitCode::FAILURE
}

fn groups(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().contains(name) {
                    found.push(entry.path());
                }
                folders.push(entry.path());
            }
        }
    }
    found
}

fn killed(lab: &Lab) {
    let runtime = lab.host_folder();
    let mark = nonce();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([runtime.to_str().unwrap(), &mark])
        .env("WHEELTAPPER_ATTACKS_ROLE", "victim")
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let sleeping = format!("sleep\0{mark}");
    while !runs(&sleeping) {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let name = format!("wheeltapper-{}-", child.id());
    assert_eq!(groups(&name).is_empty(), lab.host.containment().cgroup == "none");
    child.kill().unwrap();
    child.wait().unwrap();
    // The launcher sees the socket's end, the kernel does the rest; the launcher's removal of the cgroup comes last.
    while runs(&mark) || !groups(&name).is_empty() {
        std::thread::yield_now();
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(runtime.to_str().unwrap()));
    // What is on disk is one empty folder; the next supervisor removes it.
    let left: Vec<_> = fs::read_dir(&runtime).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    for entry in fs::read_dir(&runtime).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        assert_eq!(fs::read_dir(entry.path()).unwrap().count(), 0);
    }
    let mut next = Command::new(std::env::current_exe().unwrap())
        .args([runtime.to_str().unwrap(), &nonce()])
        .env("WHEELTAPPER_ATTACKS_ROLE", "victim")
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(next.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let folders: Vec<String> = fs::read_dir(&runtime)
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert!(folders[0].starts_with(&format!("wheeltapper-{}-", next.id())), "{folders:?}");
    next.kill().unwrap();
    next.wait().unwrap();
    while !groups(&format!("wheeltapper-{}-", next.id())).is_empty() {
        std::thread::yield_now();
    }
}
