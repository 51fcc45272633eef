//! What the sandbox of Windows holds, with real processes: on a machine of that system, and under wine as far as that goes. Each
//! test's commands are copies of this program, which the variable `TAP_CHILD` tells what to do.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use wheeltapper_core::phase::{Exit, Limit};
use wheeltapper_sandbox::{
    Cancel, ChangeKind, CheckStatus, Command, Error, Execution, Host, Limits, Mode, Network, ScratchLimits,
    Settings, World, base_environment, enter,
};

/// The variable that tells a copy of this program what it is for.
const CHILD: &str = "TAP_CHILD";
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The role of a copy; as a test of its own it does nothing.
#[test]
fn child() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let (role, rest) = role.split_once(' ').unwrap_or((&role, ""));
    match role {
        "environment" => {
            for (name, value) in std::env::vars() {
                println!("{name}={value}");
            }
        }
        "arguments" => println!("{:?}", std::env::args().skip(4).collect::<Vec<_>>()),
        "exit" => std::process::exit(rest.parse().unwrap()),
        "hog" => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 8 << 20]);
            }
        }
        "loop" => loop {
            std::hint::black_box(0);
        },
        "sleep" => std::thread::sleep(PATIENCE),
        "flood" => loop {
            println!("{}", "x".repeat(1000));
        },
        "swarm" => {
            let children: Vec<_> = (0..40).map(|_| copy("sleep").spawn()).collect();
            let denied = children.iter().filter(|child| child.is_err()).count();
            println!("{denied} denied");
            std::thread::sleep(PATIENCE);
            drop(children);
        }
        "leave" => {
            copy(&format!("hold {rest}")).spawn().unwrap();
            while !Path::new(rest).exists() {
                std::thread::yield_now();
            }
        }
        "hold" => {
            let file = File::create(rest).unwrap();
            file.lock().unwrap();
            std::thread::sleep(PATIENCE);
        }
        "write" => {
            for path in rest.split('|') {
                match fs::write(path, "written") {
                    Ok(()) => println!("written {path}"),
                    Err(error) => println!("refused {path}: {error}"),
                }
            }
        }
        "change" => {
            fs::write("kept/changed.txt", "longer than before").unwrap();
            fs::remove_file("kept/removed.txt").unwrap();
            fs::create_dir("made").unwrap();
            fs::write("made/new.txt", "new").unwrap();
        }
        "supervise" => {
            let lab = Lab::at(Path::new(rest));
            let world = lab.world();
            let held = world.root().join("held");
            let _ = lab.run(&world, &format!("hold {}", held.display()), |_| {});
        }
        other => panic!("no role is called {other}"),
    }
}

/// A copy of this program with a role.
fn copy(role: &str) -> Process {
    let mut process = Process::new(std::env::current_exe().unwrap());
    process.args(ARGUMENTS).env(CHILD, role).stdin(Stdio::null());
    process
}

const ARGUMENTS: [&str; 3] = ["child", "--exact", "--nocapture"];

/// A supervisor in a folder of its own.
struct Lab {
    folder: PathBuf,
    host: Host,
    _temporary: Option<tempfile::TempDir>,
}

impl Lab {
    fn new() -> Lab {
        let temporary = tempfile::tempdir().unwrap();
        let lab = Lab::at(temporary.path());
        Lab { _temporary: Some(temporary), ..lab }
    }

    fn at(folder: &Path) -> Lab {
        let settings =
            Settings { mode: Mode::Reduced, runtime: folder.join("runtime"), launcher: Default::default() };
        Lab { folder: folder.to_owned(), host: enter(settings).unwrap(), _temporary: None }
    }

    fn world(&self) -> World {
        self.host.world(0, &[], ScratchLimits { bytes: 64 << 20, inodes: 10_000 }).unwrap()
    }

    fn run(&self, world: &World, role: &str, change: impl FnOnce(&mut Command)) -> (Execution, String) {
        let mut environment = base_environment(world.root(), world.temporary());
        environment.push((CHILD.into(), role.into()));
        let mut command = Command {
            program: std::env::current_exe().unwrap().into(),
            arguments: ARGUMENTS.iter().map(OsString::from).collect(),
            environment,
            directory: world.root().to_owned(),
            binds: Vec::new(),
            network: Network::None,
            limits: Limits { wall: PATIENCE, inactivity: PATIENCE, memory: 256 << 20, ..Limits::default() },
            log: self.folder.join("log"),
        };
        change(&mut command);
        let execution = world.run(&command, &Cancel::new().unwrap(), None).unwrap();
        let output = fs::read(&command.log).unwrap();
        (execution, String::from_utf8_lossy(&output).into_owned())
    }

    /// Runs a role that is to hit a limit, and says which it hit.
    #[track_caller]
    fn limit(&self, role: &str, change: impl FnOnce(&mut Limits)) -> Execution {
        let world = self.world();
        let (execution, output) = self.run(&world, role, |command| change(&mut command.limits));
        assert_eq!(execution.exit, Exit::Signal(9), "{execution:?}\n{output}");
        execution
    }
}

/// True under wine, which does not enforce everything: what a real machine alone can show is looked at there alone.
fn on_wine() -> bool {
    std::env::var_os("WINEPREFIX").is_some() || std::env::var_os("WINELOADERNOEXEC").is_some()
}

#[test]
fn what_is_run_sees_what_it_is_given_and_nothing_else() {
    let lab = Lab::new();
    let world = lab.world();
    let (execution, output) = lab.run(&world, "environment", |_| {});
    assert_eq!((execution.exit, execution.limit), (Exit::Code(0), None), "{output}");
    let root = world.root().display().to_string();
    assert!(output.contains(&format!("USERPROFILE={root}")), "{output}");
    assert!(output.contains("SystemRoot="), "{output}");
    assert!(!output.contains("CARGO"), "{output}");
    let (execution, _) = lab.run(&world, "exit 7", |_| {});
    assert_eq!(execution.exit, Exit::Code(7));
}

#[test]
fn arguments_arrive_as_they_were_given() {
    let lab = Lab::new();
    let world = lab.world();
    let odd = ["a b", "say \"hi\"", "back\\", "x\\\"y", "ü"];
    let (_, output) = lab.run(&world, "arguments", |command| {
        command.arguments.push("--".into());
        command.arguments.extend(odd.map(OsString::from));
    });
    let shown = format!("{:?}", odd.map(str::to_owned).to_vec());
    assert!(output.contains(&shown[1..]), "{output}");
}

#[test]
fn programs_are_found_as_an_environment_has_them() {
    let lab = Lab::new();
    let world = lab.world();
    let own = fs::read(std::env::current_exe().unwrap()).unwrap();
    world.write(Path::new("env/Scripts/python.exe"), &own, 0o755).unwrap();
    for program in ["python", "python.exe"] {
        let (execution, _) = lab.run(&world, "exit 3", |command| command.program = program.into());
        assert_eq!(execution.exit, Exit::Code(3), "{execution:?}");
    }
    world.write(Path::new("env/Scripts/tool.bat"), b"@exit 0", 0o755).unwrap();
    for program in ["nothing", "tool.bat"] {
        let (execution, _) = lab.run(&world, "exit 3", |command| command.program = program.into());
        assert!(execution.start_error.is_some(), "{execution:?}");
    }
}

#[test]
fn limits_hold() {
    let lab = Lab::new();
    let hog = lab.limit("hog", |limits| limits.memory = 128 << 20);
    assert_eq!(hog.limit, Some(Limit::Memory), "{hog:?}");
    let swarm = lab.limit("swarm", |limits| limits.processes = 10);
    assert_eq!(swarm.limit, Some(Limit::Processes), "{swarm:?}");
    let looping = lab.limit("loop", |limits| limits.wall = Duration::from_secs(2));
    assert_eq!(looping.limit, Some(Limit::Time), "{looping:?}");
    // Wine tells whoever asks his own time for that of another process.
    assert!(on_wine() || looping.cpu > Duration::from_millis(200), "{looping:?}");
    let silent = lab.limit("sleep", |limits| {
        (limits.inactivity, limits.wall) = (Duration::from_secs(2), Duration::from_secs(20));
    });
    // So what is silent seems to work there.
    let ends = if on_wine() { [Limit::Inactivity, Limit::Time] } else { [Limit::Inactivity; 2] };
    assert!(silent.limit.is_some_and(|limit| ends.contains(&limit)), "{silent:?}");
    let flood = lab.limit("flood", |limits| limits.output = 100_000);
    assert_eq!((flood.limit, flood.output_bytes), (Some(Limit::Output), 100_000), "{flood:?}");
}

#[test]
fn what_is_left_behind_is_ended() {
    let lab = Lab::new();
    let world = lab.world();
    let held = world.root().join("held");
    let (execution, output) = lab.run(&world, &format!("leave {}", held.display()), |_| {});
    assert_eq!(execution.exit, Exit::Code(0), "{output}");
    assert_eq!(execution.left_processes, 1, "{execution:?}");
    assert!(is_free(&held), "the process that held it is still there");
}

#[test]
fn a_supervisor_that_is_killed_takes_everything_with_it() {
    let temporary = tempfile::tempdir().unwrap();
    let mut supervisor: Child =
        copy(&format!("supervise {}", temporary.path().display())).stdout(Stdio::null()).spawn().unwrap();
    let held = temporary.path().join("runtime").join("cells").join("cell").join("held");
    wait_until(|| held.exists() && !is_free(&held));
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    wait_until(|| is_free(&held));
    // Its place is taken over by the next one.
    let lab = Lab::at(temporary.path());
    assert_eq!(lab.run(&lab.world(), "exit 0", |_| {}).0.exit, Exit::Code(0));
}

#[test]
fn two_supervisors_have_no_place_in_common() {
    let temporary = tempfile::tempdir().unwrap();
    let (one, other) = (Lab::at(temporary.path()), Lab::at(temporary.path()));
    let world = one.world();
    let refused = other.host.world(0, &[], ScratchLimits::default());
    assert!(matches!(refused, Err(Error::Refused { .. })), "{refused:?}");
    drop(world);
}

#[test]
fn what_is_written_is_known_and_told_apart() {
    let lab = Lab::new();
    let layer = lab.folder.join("layer");
    fs::create_dir_all(layer.join("kept")).unwrap();
    for name in ["changed.txt", "removed.txt", "same.txt"] {
        fs::write(layer.join("kept").join(name), "before").unwrap();
    }
    let mut world = lab.host.world(0, std::slice::from_ref(&layer), ScratchLimits::default()).unwrap();
    assert_eq!(world.changes().unwrap().list, []);
    let (execution, output) = lab.run(&world, "change", |_| {});
    assert_eq!(execution.exit, Exit::Code(0), "{output}");
    let told = |world: &World| -> Vec<(String, ChangeKind)> {
        let list = world.changes().unwrap().list;
        list.into_iter().map(|one| (one.path.to_string_lossy().replace('\\', "/"), one.kind)).collect()
    };
    let expected = [
        ("kept/changed.txt", ChangeKind::Replaced),
        ("kept/removed.txt", ChangeKind::Deleted),
        ("made", ChangeKind::Created),
        ("made/new.txt", ChangeKind::Created),
    ];
    assert_eq!(told(&world), expected.map(|(path, kind)| (path.to_owned(), kind)));
    let exported = world.export(&lab.folder.join("exported"), ScratchLimits::default()).unwrap();
    assert_eq!((exported.files, exported.refused), (2, 0));
    assert!(lab.folder.join("exported/made/new.txt").is_file());
    world.seal().unwrap();
    assert_eq!(told(&world), []);
    // A fork has what was sealed, and not what its sister writes.
    let fork = world.fork().unwrap();
    world.write(Path::new("made/later.txt"), b"later", 0o644).unwrap();
    assert_eq!(fork.read(Path::new("made/new.txt"), 10).unwrap(), b"new");
    assert!(matches!(fork.read(Path::new("kept/removed.txt"), 10), Err(Error::NotFound(_))));
    assert!(matches!(fork.read(Path::new("made/later.txt"), 10), Err(Error::NotFound(_))));
    assert_eq!(fs::read(layer.join("kept/changed.txt")).unwrap(), b"before", "a layer stays what it is");
}

#[test]
fn no_path_leads_out() {
    let lab = Lab::new();
    let world = lab.world();
    for path in ["../out", r"C:\out", r"\out", "a/../../out", "file:stream"] {
        let read = world.read(Path::new(path), 10);
        assert!(matches!(read, Err(Error::NotBeneath(_) | Error::NotFound(_))), "{path}: {read:?}");
        assert!(world.write(Path::new(path), b"", 0o644).is_err(), "{path}");
    }
    assert!(matches!(world.read(Path::new("home"), 10), Err(Error::WrongType { .. })));
}

#[test]
fn writes_stay_in_the_cell() {
    let lab = Lab::new();
    let world = lab.world();
    let (inside, temporary) = (world.root().join("inside"), world.temporary().join("inside"));
    let outside = lab.folder.join("outside");
    let paths = [&inside, &temporary, &outside].map(|path| path.display().to_string()).join("|");
    let (execution, output) = lab.run(&world, &format!("write {paths}"), |_| {});
    assert_eq!(execution.exit, Exit::Code(0), "{output}");
    assert!(inside.exists() && temporary.exists(), "{output}");
    if !on_wine() {
        assert!(!outside.exists(), "{output}");
    }
}

#[test]
fn what_is_weak_is_said() {
    let lab = Lab::new();
    let (limits, checks) = (lab.host.containment(), lab.host.check());
    let said = [limits.sandbox, limits.cgroup, limits.network];
    assert_eq!(said, ["reduced", "job", "host"].map(str::to_owned));
    assert!(checks.iter().any(|check| check.name == "network" && check.status == CheckStatus::Weak));
    assert!(checks.iter().all(|check| check.status != CheckStatus::Refused), "{checks:?}");
    let full = Settings { mode: Mode::Full, runtime: lab.folder.clone(), launcher: Default::default() };
    assert!(matches!(enter(full), Err(Error::Refused { remedy: Some(_), .. })));
}

/// True when nobody holds the file's lock.
fn is_free(path: &Path) -> bool {
    File::options().read(true).write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn wait_until(holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "it never came to that");
        std::io::stdout().flush().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}
