//! What an ordinary package may rely on inside, and that phases are told apart exactly.

use std::{fs, path::PathBuf};

use wheeltapper_core::Exit;
use wheeltapper_sandbox::{Cancel, ChangeKind, Changes, CheckStatus, Error, ScratchLimits, World};

use crate::lab::{Attack, Lab};

pub const ALL: &[Attack] = &[
    ("the_world_is_ordinary", ordinary),
    ("phases_are_exact", phases),
    ("many_layers", many_layers),
    ("forks_share_what_is_sealed", forks),
    ("failures_to_start_are_told", start),
    ("cancelled", cancelled),
    ("slots_are_exclusive", slots),
    ("layers_are_never_written", layers),
    ("doctor_finds_nothing_refused", doctor),
];

fn ordinary(lab: &Lab) {
    let world = lab.world();
    lab.shell(
        &world,
        "[ \"$(id -un)\" = tap ] && [ \"$(id -gn)\" = tap ] && [ \"$(id -u)\" != 0 ] || exit 1
         [ \"$(hostname)\" = wheeltapper ] || exit 2
         [ \"$HOME\" = /cell/home ] && [ -w \"$HOME\" ] && [ -z \"$(ls -A $HOME)\" ] || exit 3
         [ \"$(date +%Z)\" = UTC ] || exit 4
         [ -f /usr/share/zoneinfo/Europe/Berlin ] || [ ! -d /usr/share/zoneinfo/Europe ] || exit 5
         [ -z \"$CI$FORCE_COLOR\" ] || exit 6
         read line && exit 7
         [ -t 0 ] || [ -t 1 ] && exit 8
         [ \"$(pwd)\" = /cell ] || exit 9
         [ \"$(umask)\" = 0022 ] || exit 10
         ! grep -q ' SigIgn:.*[1-9]' /proc/self/status || exit 11
         [ \"$(cut -d' ' -f19,41 /proc/self/stat)\" = '0 0' ] || exit 12
         exit 0",
    )
    .passed();
    if !lab.python {
        return lab.skip("multiprocessing, ptys: needs python3");
    }
    lab.python(
        &world,
        r#"
import multiprocessing, os, pty, getpass, pwd, subprocess, tempfile, signal, socket, mmap
assert getpass.getuser() == "tap" and pwd.getpwuid(os.getuid()).pw_dir == "/cell/home"
with multiprocessing.Pool(2) as pool: assert pool.map(abs, [-1, -2]) == [1, 2]
multiprocessing.Lock()
master, slave = pty.openpty()
assert os.isatty(slave)
assert tempfile.gettempdir() == "/tmp"
assert subprocess.run(["sh", "-c", "echo $PATH"], capture_output=True, text=True).stdout.startswith("/cell/env/bin:")
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
server = socket.create_server(("::1", 0), family=socket.AF_INET6)
assert os.cpu_count() >= 1 and open("/proc/meminfo").read()
"#,
    )
    .passed();
}

fn kinds(changes: Changes) -> Vec<(String, ChangeKind)> {
    assert!(!changes.cut);
    changes.list.into_iter().map(|change| (change.path.display().to_string(), change.kind)).collect()
}

fn expect(world: &World, wanted: &[(&str, ChangeKind)]) {
    let wanted: Vec<_> = wanted.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect();
    assert_eq!(kinds(world.changes().unwrap()), wanted);
}

pub fn phases(lab: &Lab) {
    use ChangeKind::{Created, Deleted, DirectoryReplaced, Replaced};
    let layer = lab.host_folder();
    for (path, text) in
        [("env/lib/a.py", "a"), ("env/lib/b.py", "b"), ("env/old/x", "x"), ("env/gone/y", "y")]
    {
        fs::create_dir_all(layer.join(path).parent().unwrap()).unwrap();
        fs::write(layer.join(path), text).unwrap();
    }
    let mut world = lab.world_on(&[layer], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    expect(&world, &[]);
    world.write("in.txt".as_ref(), b"input", 0o644).unwrap();
    expect(&world, &[("in.txt", Created)]);
    world.seal().unwrap();
    expect(&world, &[]);
    lab.shell(
        &world,
        "cat in.txt; echo more >> env/lib/a.py; rm env/lib/b.py; rm -r env/old && mkdir env/old && echo z > env/old/z
         rm -r env/gone; touch new; touch $TMPDIR/t; mkdir -p made/deep; echo q > q && rm q",
    )
    .passed();
    let first = [
        ("env/gone", Deleted),
        ("env/lib/a.py", Replaced),
        ("env/lib/b.py", Deleted),
        ("env/old", DirectoryReplaced),
        ("env/old/z", Created),
        ("made", Created),
        ("made/deep", Created),
        ("new", Created),
    ];
    expect(&world, &first);
    assert!(matches!(world.read("env/old/x".as_ref(), 10), Err(Error::NotFound(_))));
    assert!(matches!(world.read("env/lib/b.py".as_ref(), 10), Err(Error::NotFound(_))));
    assert_eq!(world.read("env/lib/a.py".as_ref(), 10).unwrap(), b"amore\n");
    // A second command in the same phase adds to it.
    lab.shell(&world, "[ -e $TMPDIR/t ] && rm new && ls env/gone 2>/dev/null && exit 1; exit 0").passed();
    expect(&world, &first[..7]);
    world.seal().unwrap();
    expect(&world, &[]);
    lab.shell(&world, "[ ! -e $TMPDIR/t ] && [ ! -e env/lib/b.py ] && [ ! -e env/old/x ] && rm -r made env/old && chmod 700 env")
        .passed();
    expect(&world, &[("env", Replaced), ("env/old", Deleted), ("made", Deleted)]);
}

fn many_layers(lab: &Lab) {
    let layers: Vec<PathBuf> = (0..120)
        .map(|number| {
            let folder =
                lab.host_folder().join("a-long-name-as-content-addresses-have-them-0123456789abcdef");
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join(format!("file-{number}")), "").unwrap();
            fs::write(folder.join("which"), number.to_string()).unwrap();
            folder
        })
        .collect();
    let world = lab.world_on(&layers, ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    let outcome = lab.shell(&world, "ls | wc -l; cat which").passed();
    assert_eq!(outcome.output, "122\n119");
    assert_eq!(world.read("which".as_ref(), 10).unwrap(), b"119");
}

pub fn forks(lab: &Lab) {
    let (base, extra) = (lab.host_folder(), lab.host_folder());
    fs::write(base.join("file"), "base").unwrap();
    fs::write(extra.join("file"), "extra").unwrap();
    fs::write(extra.join("other"), "extra").unwrap();
    let mut world = lab.world_on(&[base], ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    lab.shell(&world, "echo -n sealed > other; touch mine").passed();
    world.seal().unwrap();
    lab.shell(&world, "touch unsealed").passed();
    let fork = world.fork_with(&[extra]).unwrap();
    let outcome =
        lab.shell(&fork, "cat file other; [ -e mine ] && [ ! -e unsealed ] && rm mine file").passed();
    assert_eq!(outcome.output, "extrasealed");
    lab.shell(&world, "[ -e mine ] && [ -e unsealed ] && cat file").passed().says("base");
    drop(world);
    lab.shell(&fork, "[ ! -e mine ]").passed();
    assert_eq!(fork.fork().unwrap().changes().unwrap().list.len(), 0);
}

fn start(lab: &Lab) {
    let world = lab.world();
    for (program, code) in [("/cell/none", 127), ("none-such", 127), ("/cell", 126), ("/etc/passwd", 126)] {
        let outcome = lab.run(&world, &lab.command(&world, program, &[]));
        assert_eq!(outcome.execution.exit, Exit::Code(code), "{program}");
        assert!(outcome.execution.start_error.is_some(), "{program}");
        assert_eq!(outcome.execution.limit, None, "{program}");
    }
    let outcome = lab.run(&world, &lab.command(&world, "sh", &["-c", "exit 7"]));
    assert_eq!((outcome.execution.exit, outcome.execution.start_error), (Exit::Code(7), None));
    let mut command = lab.command(&world, "sh", &[]);
    command.binds = vec![crate::lab::bind("/no/such/place".as_ref())];
    let error = world.run(&command, &Cancel::new().unwrap(), None).unwrap_err();
    assert!(error.to_string().contains("/no/such/place"), "{error}");
}

pub fn cancelled(lab: &Lab) {
    let world = lab.world();
    let cancel = Cancel::new().unwrap();
    let mark = crate::lab::nonce();
    let command = lab.command(&world, "sleep", &[&mark]);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| world.run(&command, &cancel, None));
        while !crate::lab::runs(&mark) {
            std::thread::yield_now();
        }
        cancel.cancel();
        assert!(matches!(run.join().unwrap(), Err(Error::Cancelled)));
    });
    assert!(cancel.is_cancelled() && !crate::lab::runs(&mark));
    assert!(matches!(world.run(&command, &cancel, None), Err(Error::Cancelled)));
}

pub fn slots(lab: &Lab) {
    let limits = ScratchLimits { bytes: 1 << 20, inodes: 100 };
    let world = lab.host.world(250, &[], limits).unwrap();
    assert!(matches!(lab.host.world(250, &[], limits), Err(Error::SlotInUse(250))));
    let fork = world.fork().unwrap();
    drop(world);
    assert!(lab.host.world(250, &[], limits).is_err());
    drop(fork);
    lab.host.world(250, &[], limits).unwrap();
}

pub fn layers(lab: &Lab) {
    let layer = lab.host_folder();
    fs::write(layer.join("file"), "as it was").unwrap();
    let shared = layer.join("linked");
    fs::hard_link(layer.join("file"), &shared).unwrap();
    let world = lab.world_on(std::slice::from_ref(&layer), ScratchLimits { bytes: 8 << 20, inodes: 1000 });
    lab.shell(&world, "echo attack > file; echo attack >> linked; chmod 777 file; touch -d 2001-01-01 linked; rm file linked")
        .passed();
    assert_eq!(fs::read_to_string(&shared).unwrap(), "as it was");
    assert_eq!(fs::read_dir(&layer).unwrap().count(), 2);
}

fn doctor(lab: &Lab) {
    let checks = lab.host.check();
    for check in &checks {
        assert_ne!(check.status, CheckStatus::Refused, "{check:?}");
        assert_eq!(check.remedy.is_some(), check.status != CheckStatus::Ok, "{check:?}");
    }
    let names: Vec<_> = checks.iter().map(|check| check.name).collect();
    for name in
        ["user", "namespaces", "network", "mounts", "proc", "overlay", "seccomp", "complete run", "limits"]
    {
        assert!(names.contains(&name), "{names:?}");
    }
    let weak = checks.iter().any(|check| check.name == "limits" && check.status == CheckStatus::Weak);
    assert_eq!(weak, lab.host.containment().cgroup == "none");
}
