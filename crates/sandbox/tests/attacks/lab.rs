//! The bench on which attacks are tried: enters the sandbox, runs each attack in a world of its own, in two roles.

use std::{
    ffi::OsString,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use wheeltapper_sandbox::{
    Bind, Cancel, Command, Error, Execution, Host, Limits, Mode, Network, ScratchLimits, Settings, World,
    base_environment, enter, enter_with_scratch_on_disk,
};

pub type Attack = (&'static str, fn(&Lab));

/// The variable that tells a copy of this program what it is for.
const ROLE: &str = "WHEELTAPPER_ATTACKS_ROLE";
/// The uid of the plain user's pass: nobody has it.
const PLAIN: u32 = 60_123;
/// Where that pass runs its launcher from: the build folder may be closed to it.
const LAUNCHER: &str = "WHEELTAPPER_ATTACKS_LAUNCHER";

/// Where a pass tells its parent what it skipped.
const SKIPS: &str = "WHEELTAPPER_ATTACKS_SKIPS";

pub struct Lab {
    pub host: Host,
    pub mode: Mode,
    pub python: bool,
    pub folder: PathBuf,
    slots: AtomicUsize,
    pub skipped: Mutex<Vec<String>>,
}

pub struct Outcome {
    pub execution: Execution,
    pub output: String,
}

pub fn launcher() -> PathBuf {
    std::env::var_os(LAUNCHER)
        .unwrap_or_else(|| env!("CARGO_BIN_EXE_wheeltapper-sandbox-launcher").into())
        .into()
}

pub fn settings(mode: Mode, runtime: &Path) -> Settings {
    Settings { mode, runtime: runtime.to_owned(), launcher: (launcher(), Vec::new()) }
}

/// A number that no other process's command line holds.
pub fn nonce() -> String {
    static COUNTER: AtomicUsize = AtomicUsize::new(0);
    format!("86{}{:03}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// True when some process of the host has this in its command line.
pub fn runs(nonce: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(nonce)
    })
}

impl Lab {
    pub fn world(&self) -> World {
        self.world_on(&[], ScratchLimits { bytes: 64 << 20, inodes: 20_000 })
    }

    pub fn world_on(&self, layers: &[PathBuf], limits: ScratchLimits) -> World {
        self.host.world(self.slot(), layers, limits).unwrap()
    }

    /// A slot that nobody else has now.
    pub fn slot(&self) -> usize {
        self.slots.fetch_add(1, Ordering::Relaxed) % 256
    }

    pub fn command(&self, world: &World, program: &str, arguments: &[&str]) -> Command {
        Command {
            program: program.into(),
            arguments: arguments.iter().map(OsString::from).collect(),
            environment: base_environment(world.root(), world.temporary()),
            directory: world.root().to_owned(),
            binds: Vec::new(),
            network: Network::None,
            limits: Limits {
                wall: Duration::from_secs(60),
                inactivity: Duration::from_secs(60),
                memory: 256 << 20,
                ..Limits::default()
            },
            log: self.folder.join(nonce()),
        }
    }

    pub fn run(&self, world: &World, command: &Command) -> Outcome {
        let execution = world.run(command, &Cancel::new().unwrap(), None).unwrap();
        let output = String::from_utf8_lossy(&fs::read(&command.log).unwrap()).into_owned();
        Outcome { execution, output }
    }

    pub fn shell(&self, world: &World, script: &str) -> Outcome {
        self.run(world, &self.command(world, "/bin/sh", &["-c", script]))
    }

    /// Runs a Python script; `None`, loudly, where there is no Python.
    pub fn python(&self, world: &World, script: &str) -> Outcome {
        self.python_with(world, script, |_| {})
    }

    pub fn python_with(&self, world: &World, script: &str, change: impl FnOnce(&mut Command)) -> Outcome {
        let mut command = self.command(world, "/usr/bin/python3", &["-I", "-c", script]);
        change(&mut command);
        self.run(world, &command)
    }

    /// A folder of the host's, for layers and secrets.
    pub fn host_folder(&self) -> PathBuf {
        let folder = self.folder.join(format!("host-{}", nonce()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    pub fn skip(&self, why: &str) {
        self.skipped.lock().unwrap().push(why.to_owned());
    }
}

impl Outcome {
    #[track_caller]
    pub fn passed(self) -> Self {
        assert!(self.execution.exit.success(), "{:?}\n{}", self.execution, self.output);
        assert_eq!(self.execution.limit, None, "{:?}\n{}", self.execution, self.output);
        self
    }

    #[track_caller]
    pub fn says(self, wanted: &str) -> Self {
        assert!(self.output.contains(wanted), "`{wanted}` is not in:\n{}\n{:?}", self.output, self.execution);
        self
    }
}

pub fn bind(path: &Path) -> Bind {
    Bind::same(path)
}

/// One way to run the suite.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Full,
    /// As on a kernel whose tmpfs cannot carry a plain user's overlay.
    Disk,
    Reduced,
    None,
}

const PASSES: [(&str, Pass); 4] =
    [("full", Pass::Full), ("disk", Pass::Disk), ("reduced", Pass::Reduced), ("none", Pass::None)];

pub fn main(walls: &[&[Attack]], promises: &[Attack]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = std::env::var(ROLE).unwrap_or_default();
    if role == "victim" {
        return crate::supervisor::victim();
    }
    match PASSES.iter().find(|(name, _)| *name == role) {
        Some((_, Pass::Full)) => pass(Pass::Full, &arguments, walls),
        Some((_, Pass::Disk)) => pass(Pass::Disk, &arguments, walls),
        Some((_, mode)) => pass(*mode, &arguments, &[promises]),
        None => every_pass(&arguments),
    }
}

/// The passes by name, as test runners see them: each with its mode and whether it is a plain user's.
fn passes() -> impl Iterator<Item = (String, &'static str, bool)> {
    let both = PASSES.into_iter().flat_map(|(name, mode)| [(name, mode, true), (name, mode, false)]);
    // Scratch on disk is what a plain user gets on an old kernel; root never does.
    both.filter(|(_, mode, plain)| *plain || *mode != Pass::Disk).map(|(name, _, plain)| {
        (format!("{name}_as_{}", if plain { "plain_user" } else { "root" }), name, plain)
    })
}

/// Each pass in a process of its own, since a process enters once: as whoever this is, and for root also as a plain user.
/// Speaks as much of the standard test harness' language as runners need: `--list`, `--exact NAME`, its closing line.
fn every_pass(arguments: &[String]) -> ExitCode {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    if has("--list") {
        if !has("--ignored") {
            passes().for_each(|(name, ..)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let named: Vec<_> = passes().filter(|(name, ..)| has(name)).collect();
    let chosen = if named.is_empty() { passes().collect() } else { named };
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| *argument == "--bench" || !argument.starts_with('-'))
        .filter(|argument| !passes().any(|(name, ..)| name == **argument))
        .collect();
    let public = tempfile::Builder::new().prefix("wheeltapper-attacks-").tempdir_in("/tmp").unwrap();
    fs::set_permissions(public.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // The build folder may be closed to others.
    let program = public.path().join("attacks");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::copy(launcher(), public.path().join("launcher")).unwrap();
    let (mut held, mut failed) = (0, 0);
    for (name, role, plain) in chosen {
        let skips = public.path().join(format!("skips-{name}"));
        let passed = run_pass(&program, &filters, role, plain, &skips, public.path());
        for why in fs::read_to_string(&skips).unwrap_or_default().lines() {
            record_skip(&name, why);
        }
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        *(if passed { &mut held } else { &mut failed }) += 1;
    }
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {held} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_pass(
    program: &Path,
    filters: &[&String],
    role: &str,
    plain: bool,
    skips: &Path,
    public: &Path,
) -> bool {
    // SAFETY: a getter.
    let root = unsafe { libc::geteuid() } == 0;
    if !root && !plain {
        fs::write(skips, "this is not root\n").unwrap();
        return true;
    }
    let mut process = process::Command::new(program);
    process
        .args(filters)
        .env(ROLE, role)
        .env(LAUNCHER, public.join("launcher"))
        .env(SKIPS, skips)
        .env("TMPDIR", public)
        .current_dir("/");
    if root && plain {
        process.uid(PLAIN).gid(PLAIN);
    }
    process.status().unwrap().success()
}

/// Tells of a skip where `cargo xtask test` counts them.
fn record_skip(test: &str, why: &str) {
    use std::io::Write as _;
    println!("SKIPPED: {test}: {why}");
    if let Some(path) = std::env::var_os("WHEELTAPPER_SKIPS") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "wheeltapper-sandbox::attacks {test}: {why}").unwrap();
    }
}

/// Adds to what this pass tells its parent of skips.
fn tell_skip(why: &str) {
    use std::io::Write as _;
    if let Some(path) = std::env::var_os(SKIPS) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{}", why.replace('\n', " ")).unwrap();
    }
}

fn pass(pass: Pass, arguments: &[String], attacks: &[&[Attack]]) -> ExitCode {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mode = match pass {
        Pass::Full | Pass::Disk => Mode::Full,
        Pass::Reduced => Mode::Reduced,
        Pass::None => Mode::None,
    };
    let settings = settings(mode, &folder.path().join("runtime"));
    let entered = if pass == Pass::Disk { enter_with_scratch_on_disk(settings) } else { enter(settings) };
    let host = match entered {
        Ok(host) => host,
        Err(error @ Error::Refused { .. }) => {
            tell_skip(&format!("every attack in mode {mode}: {error}"));
            return ExitCode::SUCCESS;
        }
        Err(error) => panic!("{error}"),
    };
    let lab = Lab {
        host,
        mode,
        python: Path::new("/usr/bin/python3").exists(),
        folder: folder.path().to_owned(),
        slots: AtomicUsize::new(0),
        skipped: Mutex::default(),
    };
    let who = if lab.host.containment().privileged { "root" } else { "plain user" };
    let who = format!("{who}, {mode}{}", if pass == Pass::Disk { ", scratch on disk" } else { "" });
    println!("as {who}: {:?}", lab.host.containment());
    if arguments.iter().any(|argument| argument == "--bench") {
        bench(&lab);
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let chosen: Vec<&Attack> = attacks
        .iter()
        .flat_map(|list| list.iter())
        .filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str())))
        .collect();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((name, attack)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let held = catch_unwind(AssertUnwindSafe(|| attack(&lab))).is_ok();
                    let word = if held { "ok" } else { "FAILED" };
                    println!("attack {name} ({who}) ... {word} ({:.1} s)", begun.elapsed().as_secs_f64());
                    if !held {
                        failed.lock().unwrap().push(*name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    for why in lab.skipped.lock().unwrap().iter() {
        tell_skip(why);
    }
    println!("as {who}: {} attacks, {} failed {failed:?}", chosen.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// `/bin/true` inside and outside, in turn, so that both see the same machine.
fn bench(lab: &Lab) {
    let layer = lab.host_folder();
    let world = lab.world_on(&[layer], ScratchLimits { bytes: 64 << 20, inodes: 20_000 });
    let command = lab.command(&world, "/bin/true", &[]);
    let cancel = Cancel::new().unwrap();
    let cpu = || {
        // SAFETY: getrusage fills the structure it is given.
        let usage = unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
            usage
        };
        let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        micros(usage.ru_utime) + micros(usage.ru_stime)
    };
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    let (mut inside_cpu, mut outside_cpu) = (0, 0);
    for _ in 0..300 {
        let (begun, used) = (Instant::now(), cpu());
        process::Command::new("/bin/true").status().unwrap();
        outside.push(begun.elapsed());
        outside_cpu += cpu() - used;
        let (begun, used) = (Instant::now(), cpu());
        world.run(&command, &cancel, None).unwrap();
        inside.push(begun.elapsed());
        inside_cpu += cpu() - used;
    }
    inside.sort();
    outside.sort();
    let milliseconds =
        |times: &[Duration], part: usize| times[times.len() * part / 100].as_secs_f64() * 1000.0;
    for (name, times, cpu) in [("outside", &outside, outside_cpu), ("inside", &inside, inside_cpu)] {
        println!(
            "{name}: p50 {:.2} ms, p95 {:.2} ms, CPU {:.2} ms each",
            milliseconds(times, 50),
            milliseconds(times, 95),
            cpu as f64 / 300_000.0
        );
    }
}
