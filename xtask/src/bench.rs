//! `cargo xtask bench`: Wheeltapper beside uv, venv + pip and tox on this machine in one run; writes docs/BENCHMARKS.md.
//! What is measured is here; how the others are called is in `bench/peers.rs`, what is written in `bench/document.rs`.

mod cycle;
mod document;
mod farm;
mod machine;
mod peers;
mod recipe;
mod verdicts;

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use self::{farm::Record, machine::Machine, peers::Way};

/// Projects of pure Python, and such as compile C: those of the short list first.
const PURE: (&[&str], &[&str]) = (
    &["six", "attrs", "idna", "packaging", "click", "urllib3"],
    &[
        "certifi",
        "requests",
        "jinja2",
        "pygments",
        "tomli",
        "pluggy",
        "iniconfig",
        "h11",
        "sniffio",
        "typing-extensions",
        "python-dateutil",
        "pytz",
        "werkzeug",
    ],
);
const NATIVE: (&[&str], &[&str]) =
    (&["markupsafe", "simplejson"], &["wrapt", "multidict", "frozenlist", "kiwisolver"]);

/// What the command line says.
pub struct Options {
    full: bool,
    repetitions: usize,
    slow_repetitions: usize,
    out: PathBuf,
    /// Set when verdicts are compared instead of times.
    verdicts: Option<verdicts::Verdicts>,
    /// Unpacked sdists whose plans are timed, set when nothing else is measured.
    recipe: Option<Vec<PathBuf>>,
    /// Set when classification is measured, and nothing else.
    classify: bool,
    /// Set when a cycle is measured alone.
    cycle: bool,
}

impl Options {
    /// Reads the arguments behind `bench`; the error is a sentence.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            full: false,
            repetitions: 5,
            slow_repetitions: 3,
            out: crate::workspace().join("docs/BENCHMARKS.md"),
            verdicts: None,
            recipe: None,
            classify: false,
            cycle: false,
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--full" => options.full = true,
                "--quick" => (options.repetitions, options.slow_repetitions) = (3, 1),
                "--out" => options.out = arguments.next().ok_or("--out needs a file")?.into(),
                "--classify" => options.classify = true,
                "--cycle" => options.cycle = true,
                "--verdicts" => options.verdicts = Some(verdicts::Verdicts::default()),
                "--recipe" => options.recipe = Some(Vec::new()),
                other => match (&mut options.verdicts, &mut options.recipe) {
                    (Some(verdicts), _) => verdicts.read(other, &mut arguments)?,
                    (None, Some(folders)) if !other.starts_with('-') => folders.push(other.into()),
                    (None, _) => return Err(format!("bench does not know `{other}`")),
                },
            }
        }
        Ok(options)
    }

    fn subjects(&self) -> Vec<(&'static str, bool)> {
        let taken = |(short, more): (&'static [&'static str], &'static [&'static str]), native: bool| {
            let more = if self.full { more } else { &[] };
            short.iter().chain(more).map(move |name| (*name, native)).collect::<Vec<_>>()
        };
        [taken(PURE, false), taken(NATIVE, true)].concat()
    }
}

/// A release that every way builds, installs, imports and uninstalls.
pub struct Subject {
    /// Its project.
    pub name: String,
    /// Its version.
    pub version: String,
    /// True when it compiles C.
    pub native: bool,
    /// The file that every way starts from.
    pub sdist: PathBuf,
    /// What its build declares.
    pub requires: Vec<String>,
    /// What is imported.
    pub modules: Vec<String>,
}

/// The folder, programs and interpreter of a bench.
pub struct Bench {
    /// Everything that it makes.
    pub folder: PathBuf,
    /// The program under measurement.
    pub wheeltapper: PathBuf,
    /// The installer that it brought.
    pub uv: PathBuf,
    /// The environment's name, its Python's version and path.
    pub environment: (String, String, PathBuf),
}

/// All that was measured; seconds.
pub struct Measured {
    /// The releases.
    pub subjects: Vec<Subject>,
    /// Wheeltapper's records, a list a round with one job.
    pub rounds: Vec<Vec<Record>>,
    /// Whole commands with one job: wall and CPU time of each round.
    pub one: Vec<(Way, Vec<Took>)>,
    /// A round with two jobs.
    pub two: Vec<(Way, Vec<Took>)>,
    /// Times of each peer, subject by subject, round by round.
    pub peers: Vec<(Way, Vec<Vec<f64>>)>,
    /// Many cells on every supported Python, a job a core.
    pub throughput: farm::Throughput,
    /// Reused results.
    pub reuse: Option<farm::Throughput>,
    /// The sandbox's own cost: when, p50, p95 and the plain command, milliseconds.
    pub sandbox: Vec<(String, f64, f64, f64)>,
    /// Bytes of memory of the program itself with eight jobs.
    pub memory: u64,
}

/// What a command took, in seconds.
#[derive(Clone, Copy)]
pub struct Took {
    /// By the clock.
    pub wall: f64,
    /// Of the processors, children included.
    pub cpu: f64,
}

/// Runs the bench.
pub fn run(options: &Options) -> ExitCode {
    if options.classify {
        return crate::corpus::speed();
    }
    if let Some(verdicts) = &options.verdicts {
        return verdicts::run(verdicts);
    }
    if let Some(folders) = &options.recipe {
        return recipe::run(folders);
    }
    match if options.cycle { cycle::run(&options.out) } else { measure(options) } {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    let machine = Machine::look();
    let bench = Bench::prepare()?;
    let subjects = bench.subjects(&options.subjects())?;
    println!("warming caches");
    let all = [Way::UvIsolated, Way::UvReady, Way::Pip, Way::Tox];
    bench.prepare_peers(&subjects)?;
    for way in [Way::UvIsolated, Way::UvReady] {
        bench.peer_round(way, &subjects, 1)?;
    }
    bench.farm_round(&subjects, 1)?;

    let mut peers: Vec<_> = all.iter().map(|way| (*way, vec![Vec::new(); subjects.len()])).collect();
    let mut one: Vec<_> = [Way::Wheeltapper].iter().chain(&all).map(|way| (*way, Vec::new())).collect();
    let mut two = one.clone();
    let mut rounds = Vec::new();
    for round in 0..options.repetitions {
        println!("round {} of {}", round + 1, options.repetitions);
        let (records, took) = bench.farm_round(&subjects, 1)?;
        rounds.push(records);
        one[0].1.push(took);
        two[0].1.push(bench.farm_round(&subjects, 2)?.1);
        for (index, way) in all.iter().enumerate() {
            // The slow ones differ by so much that few rounds settle it.
            if way.is_slow() && round >= options.slow_repetitions {
                continue;
            }
            let (times, took) = bench.peer_round(*way, &subjects, 1)?;
            for (list, time) in peers[index].1.iter_mut().zip(times) {
                list.push(time);
            }
            one[index + 1].1.push(took);
            if !way.is_slow() || round == 0 {
                two[index + 1].1.push(bench.peer_round(*way, &subjects, 2)?.1);
            }
        }
    }
    println!("throughput");
    let throughput = bench.throughput(&subjects)?;
    println!("memory");
    let memory = bench.memory(&subjects)?;
    println!("the sandbox alone");
    let sandbox = farm::sandbox_cost()?;
    println!("reused results");
    let reuse = bench
        .reuse()
        .map_err(|wrong| {
            eprintln!("warning: reused results were not measured: {wrong}");
        })
        .ok();
    let measured = Measured { subjects, rounds, one, two, peers, throughput, reuse, sandbox, memory };
    let text = document::write(&machine, &bench, &measured);
    std::fs::write(&options.out, &text).map_err(|error| format!("{}: {error}", options.out.display()))?;
    println!("{text}\nwritten to {}", options.out.display());
    println!("a cycle");
    cycle::run(&options.out)
}

impl Bench {
    /// Builds what is measured, and lets it set itself up.
    fn prepare() -> Result<Self, String> {
        println!("building");
        let mut cargo = crate::command::cargo(&["build", "--release", "--bin", "wheeltapper"]);
        succeed(&mut cargo)?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| crate::workspace().join("target"), PathBuf::from);
        let folder = target.join("bench");
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let wheeltapper = target.join("release/wheeltapper");
        let mut list = Command::new(&wheeltapper);
        let table = output(list.arg("--data").arg(folder.join("data")).args(["env", "list"]))?;
        // The newest Python that can be used without further words.
        let environment = usable(&table).pop().ok_or("no supported Python was found")?;
        let mut bench = Bench { folder, wheeltapper, uv: PathBuf::new(), environment };
        println!("setting up");
        bench.farm(&["six", "--no-tests"], 1)?;
        bench.uv = bench.installer()?;
        Ok(bench)
    }

    fn installer(&self) -> Result<PathBuf, String> {
        let tools = self.folder.join("data/tools");
        let found = std::fs::read_dir(&tools)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path().join("uv"))
            .find(|path| path.is_file());
        found.or_else(|| crate::command::on_path("uv").then(|| "uv".into())).ok_or("no uv was found".into())
    }
}

/// The environments of `env list` that can be used without further words, oldest Python first: name, version, path.
pub fn usable(table: &str) -> Vec<(String, String, PathBuf)> {
    let rows = table.lines().filter(|line| line.ends_with(" yes"));
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(((*words.first()?).to_owned(), (*words.get(2)?).to_owned(), (*words.get(4)?).into()))
    };
    rows.filter_map(row).collect()
}

/// The name of a path's file.
pub fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs a command to its successful end; else the error holds what it said.
pub fn succeed(command: &mut Command) -> Result<(), String> {
    output(command).map(drop)
}

/// As [`succeed`]; its standard output.
pub fn output(command: &mut Command) -> Result<String, String> {
    let shown = || command_line(command);
    let line = shown();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{line}: cannot be started: {error}"))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(format!("{line}: {}\n{out}{err}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command_line(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    let program = command.get_program().to_string_lossy().into_owned();
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Times an action, children that it waited for included.
pub fn timed<T>(action: impl FnOnce() -> Result<T, String>) -> Result<(T, Took), String> {
    let (begun, cpu) = (Instant::now(), machine::cpu_of_children());
    let value = action()?;
    Ok((value, Took { wall: begun.elapsed().as_secs_f64(), cpu: machine::cpu_of_children() - cpu }))
}
