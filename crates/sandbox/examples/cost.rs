//! What the sandbox itself costs: `/bin/true` in a fresh world minus `/bin/true` without one, on an idle machine and beside
//! one endless loop a core. `cargo run --release -p wheeltapper-sandbox --example cost` prints a line each:
//! `idle|load P50_MS P95_MS PLAIN_P50_MS`.

#[cfg(target_os = "linux")]
fn main() {
    if std::env::args_os().nth(1).is_some_and(|first| first == "launcher") {
        wheeltapper_sandbox::launcher_main();
    }
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
#[allow(clippy::print_stdout, clippy::unwrap_used)] // a tool for developers
mod linux {
    use std::{
        path::Path,
        process::{Child, Command as Process, Stdio},
        time::{Duration, Instant},
    };

    use wheeltapper_sandbox::{
        Cancel, Command, Host, Limits, Mode, Network, ScratchLimits, Settings, base_environment, enter,
    };

    const ROUNDS: usize = 200;

    pub fn main() {
        let folder = std::env::temp_dir().join(format!("wheeltapper-cost-{}", std::process::id()));
        let layer = folder.join("layer");
        std::fs::create_dir_all(&layer).unwrap();
        let launcher = (std::env::current_exe().unwrap(), vec!["launcher".into()]);
        let host = enter(Settings { mode: Mode::Full, runtime: folder.join("runtime"), launcher }).unwrap();
        measure("idle", &host, &layer, &folder);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut loops: Vec<Child> = (0..cores).map(|_| endless()).collect();
        measure("load", &host, &layer, &folder);
        for process in &mut loops {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        drop(host);
        let _ = std::fs::remove_dir_all(&folder);
    }

    fn measure(name: &str, host: &Host, layer: &Path, folder: &Path) {
        let (mut plain, mut contained) = (Vec::new(), Vec::new());
        // Taken in turns, so that what else the machine does falls on both.
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            assert!(Process::new("/bin/true").env_clear().stdin(Stdio::null()).status().unwrap().success());
            plain.push(begun.elapsed());
            let begun = Instant::now();
            within(host, layer, folder);
            contained.push(begun.elapsed());
        }
        let without = percentile(&mut plain, 50);
        let cost = |time: Duration| time.saturating_sub(without).as_secs_f64() * 1e3;
        println!(
            "{name} {:.2} {:.2} {:.2}",
            cost(percentile(&mut contained, 50)),
            cost(percentile(&mut contained, 95)),
            without.as_secs_f64() * 1e3,
        );
    }

    /// All that a command costs: the world with its layer and fresh upper, the run, the look at what it wrote, the end.
    fn within(host: &Host, layer: &Path, folder: &Path) {
        let limits = ScratchLimits { bytes: 64 << 20, inodes: 10_000 };
        let world = host.world(0, &[layer.to_path_buf()], limits).unwrap();
        let command = Command {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            environment: base_environment(world.root(), world.temporary()),
            directory: world.root().to_path_buf(),
            binds: Vec::new(),
            network: Network::None,
            limits: Limits::default(),
            log: folder.join("log"),
        };
        let execution = world.run(&command, &Cancel::new().unwrap(), None).unwrap();
        assert!(execution.exit.success(), "{execution:?}");
        assert!(world.changes().unwrap().list.is_empty());
    }

    fn endless() -> Child {
        // Ends with this process, however that ends.
        let script = format!("while [ -d /proc/{} ]; do :; done", std::process::id());
        Process::new("/usr/bin/setsid").args(["sh", "-c", &script]).stdin(Stdio::null()).spawn().unwrap()
    }

    fn percentile(times: &mut [Duration], percent: usize) -> Duration {
        times.sort();
        times[(times.len() - 1) * percent / 100]
    }
}
