//! Attacks on what is finite: processes, memory, disk, output, time; and on whoever waits for the end.

use std::time::Duration;

use wheeltapper_core::{Exit, Limit};
use wheeltapper_sandbox::{MemorySource, ScratchLimits};

use crate::lab::{Attack, Lab, nonce, runs};

pub const ALL: &[Attack] = &[
    ("fork_bomb", fork_bomb),
    ("thread_bomb", thread_bomb),
    ("memory_hog", memory_hog),
    ("memory_of_many", memory_of_many),
    ("disk_filler", disk_filler),
    ("inode_filler", inode_filler),
    ("output_flood", output_flood),
    ("busy_forever", busy),
    ("asleep_forever", asleep),
    ("termination_ignored", termination_ignored),
    ("daemon_left_behind", daemon),
    ("kills_its_parent", kills_parent),
    ("removes_its_directory", removes_directory),
    ("descriptors_are_limited", descriptors),
    ("figures_are_taken", figures),
];

fn fork_bomb(lab: &Lab) {
    if !lab.python {
        return lab.skip("fork bomb: needs python3");
    }
    let world = lab.world();
    let mark = nonce();
    let script = format!(
        r#"
import os, time
"{mark}"
while True:
    try:
        if os.fork() == 0:
            while True:
                try: os.fork()
                except OSError: time.sleep(0.01)
    except OSError: raise SystemExit(3)
"#
    );
    let outcome = lab.python_with(&world, &script, |command| command.limits.processes = 32);
    assert_eq!(outcome.execution.exit, Exit::Code(3), "{}", outcome.output);
    if lab.host.containment().cgroup != "none" {
        assert_eq!(outcome.execution.limit, Some(Limit::Processes));
        assert!(outcome.execution.processes_denied > 0);
    }
    assert!(outcome.execution.left_processes <= 33, "{:?}", outcome.execution);
    assert!(!runs(&mark));
}

fn thread_bomb(lab: &Lab) {
    if !lab.python {
        return lab.skip("thread bomb: needs python3");
    }
    let world = lab.world();
    let script = r#"
import threading, time
count = 0
try:
    while True:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        count += 1
except RuntimeError:
    print(count, flush=True)
    import os; os._exit(4)
"#;
    let outcome = lab.python_with(&world, script, |command| command.limits.processes = 40);
    assert_eq!(outcome.execution.exit, Exit::Code(4), "{}", outcome.output);
    assert!(outcome.output.trim().parse::<u32>().unwrap() <= 40);
}

const HOG: &str = r#"
hoard = []
while True:
    hoard.append(bytearray(b"x") * (1 << 20))
"#;

pub fn memory_hog(lab: &Lab) {
    if !lab.python {
        return lab.skip("memory hog: needs python3");
    }
    let world = lab.world_on(&[], ScratchLimits { bytes: 16 << 20, inodes: 1000 });
    let outcome = lab.python_with(&world, HOG, |command| command.limits.memory = 96 << 20);
    assert_eq!(outcome.execution.limit, Some(Limit::Memory), "{:?} {}", outcome.execution, outcome.output);
    assert_eq!(outcome.execution.exit, Exit::Signal(9));
}

fn memory_of_many(lab: &Lab) {
    if !lab.python {
        return lab.skip("memory of many: needs python3");
    }
    let world = lab.world_on(&[], ScratchLimits { bytes: 16 << 20, inodes: 1000 });
    // Each is small; together they are not.
    let script = r#"
import os, time
for _ in range(16):
    if os.fork() == 0:
        hoard = bytearray(b"x") * (24 << 20)
        time.sleep(600)
time.sleep(600)
"#;
    let outcome = lab.python_with(&world, script, |command| command.limits.memory = 160 << 20);
    assert_eq!(outcome.execution.limit, Some(Limit::Memory), "{:?} {}", outcome.execution, outcome.output);
}

fn disk_filler(lab: &Lab) {
    for target in ["/cell/file", "/tmp/file", "/dev/shm/file"] {
        let world = lab.world_on(&[], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
        let outcome = lab.shell(&world, &format!("head -c 1G /dev/zero > {target}"));
        assert_eq!(outcome.execution.limit, Some(Limit::Disk), "{:?} {}", outcome.execution, outcome.output);
        // The next world of the slot is as good as new.
        drop(world);
    }
    let world = lab.world_on(&[], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    assert_ne!(lab.shell(&world, "head -c 8M /dev/zero > /usr/x 2>&1").execution.exit, Exit::Code(0));
}

/// Without walls: the tree is watched.
pub fn disk_filler_in_tree(lab: &Lab) {
    let world = lab.world_on(&[], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    let outcome = lab.shell(&world, "while :; do head -c 4M /dev/zero >> file; done");
    assert_eq!(outcome.execution.limit, Some(Limit::Disk), "{:?} {}", outcome.execution, outcome.output);
}

fn inode_filler(lab: &Lab) {
    let world = lab.world_on(&[], ScratchLimits { bytes: 8 << 20, inodes: 200 });
    let outcome = lab.shell(&world, "i=0; while : > /cell/$i; do i=$((i+1)); done; exit 1");
    assert_eq!(outcome.execution.limit, Some(Limit::Disk), "{:?} {}", outcome.execution, outcome.output);
    assert!(!world.changes().unwrap().list.is_empty());
}

pub fn output_flood(lab: &Lab) {
    let world = lab.world();
    let mut command = lab.command(&world, "/bin/sh", &["-c", "yes & yes >&2"]);
    command.limits.output = 1 << 20;
    let outcome = lab.run(&world, &command);
    assert_eq!(outcome.execution.limit, Some(Limit::Output));
    assert_eq!(outcome.execution.output_bytes, 1 << 20);
    assert_eq!(outcome.output.len(), 1 << 20);
}

pub fn busy(lab: &Lab) {
    let world = lab.world();
    let mut command = lab.command(&world, "/bin/sh", &["-c", "while :; do :; done"]);
    command.limits.wall = Duration::from_millis(700);
    command.limits.inactivity = Duration::from_millis(400);
    let outcome = lab.run(&world, &command);
    assert_eq!(outcome.execution.limit, Some(Limit::Time), "{:?}", outcome.execution);
}

pub fn asleep(lab: &Lab) {
    let world = lab.world();
    let mark = nonce();
    let mut command = lab.command(&world, "/bin/sh", &["-c", &format!("echo before; sleep {mark}")]);
    command.limits.inactivity = Duration::from_millis(300);
    let outcome = lab.run(&world, &command);
    assert_eq!(outcome.execution.limit, Some(Limit::Inactivity), "{:?}", outcome.execution);
    assert_eq!(outcome.output, "before\n");
    assert!(!runs(&mark));
}

pub fn termination_ignored(lab: &Lab) {
    let world = lab.world();
    let mark = nonce();
    let script = format!("trap '' TERM INT HUP QUIT; while :; do sleep {mark}; done");
    let mut command = lab.command(&world, "/bin/sh", &["-c", &script]);
    command.limits.wall = Duration::from_millis(300);
    assert_eq!(lab.run(&world, &command).execution.limit, Some(Limit::Time));
    assert!(!runs(&mark));
}

pub fn daemon(lab: &Lab) {
    let world = lab.world();
    let mark = nonce();
    let outcome = lab
        .shell(
            &world,
            &format!("trap '' TERM HUP; setsid sh -c 'setsid sleep {mark} & exit 0' & wait; exit 0"),
        )
        .passed();
    assert_eq!(outcome.execution.left_processes, 1, "{:?}", outcome.execution);
    assert!(!runs(&mark));
    assert_eq!(lab.shell(&world, "true").passed().execution.left_processes, 0);
}

fn kills_parent(lab: &Lab) {
    let world = lab.world();
    lab.shell(&world, "kill -9 $PPID; kill -9 1; kill -STOP 1; kill -9 -1; echo alive")
        .passed()
        .says("alive");
    let outcome = lab.shell(&world, "kill -9 $$");
    assert_eq!(outcome.execution.exit, Exit::Signal(9));
    assert_eq!(outcome.execution.limit, None);
}

fn removes_directory(lab: &Lab) {
    let world = lab.world();
    world.write("desk/file".as_ref(), b"x", 0o644).unwrap();
    let mut command =
        lab.command(&world, "/bin/sh", &["-c", "rm -rf /cell/* /tmp /dev/shm /; cd /; rmdir /cell; exit 0"]);
    command.directory = "/cell/desk".into();
    lab.run(&world, &command);
    let outcome = lab.run(&world, &command);
    assert_eq!(outcome.execution.exit, Exit::Code(126));
    assert!(outcome.execution.start_error.unwrap().contains("/cell/desk"));
    assert!(world.read("desk/file".as_ref(), 10).is_err());
    // The world goes on.
    world.write("desk/file".as_ref(), b"y", 0o644).unwrap();
    lab.shell(&world, "cat /cell/desk/file").passed().says("y");
}

fn descriptors(lab: &Lab) {
    let world = lab.world();
    let outcome = lab.shell(&world, "ulimit -n; ls /proc/self/fd | wc -w; readlink /proc/self/fd/0").passed();
    // The three standard ones and ls's own.
    assert_eq!(outcome.output, "1024\n4\n/dev/null\n");
}

pub fn figures(lab: &Lab) {
    if !lab.python {
        return lab.skip("figures: needs python3");
    }
    let world = lab.world();
    let script = "import time\nhoard = bytearray(b'x') * (40 << 20)\nwhile time.process_time() < 0.2: pass";
    let execution = lab.python(&world, script).passed().execution;
    assert!(execution.cpu >= Duration::from_millis(150), "{execution:?}");
    assert!(execution.wall >= execution.cpu / 2);
    assert!(execution.peak_memory.unwrap() > 40 << 20, "{execution:?}");
    let cgroup = lab.host.containment().cgroup != "none";
    assert_eq!(execution.peak_memory_source == MemorySource::Cgroup, cgroup);
}
