//! Runs of Wheeltapper itself, and what its records say.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use super::{Bench, Subject, Took, file_name, machine, output, timed};

/// The phases that run something, in order.
pub const PHASES: &[&str] = &["build", "install", "import", "uninstall"];

/// How many projects the synthetic index of the reuse measurement has; each is a cell on every supported Python.
const MANY: usize = 150;

/// What a record says of a cell. Seconds.
pub struct Record {
    /// The project.
    pub project: String,
    /// The version.
    pub version: String,
    /// From the cell's first step to its last.
    pub wall: f64,
    /// Wall and CPU time of each of [`PHASES`].
    pub phases: Vec<(f64, f64)>,
    sdist: String,
    sha256: String,
    requires: Vec<String>,
    modules: Vec<String>,
}

/// Cells in a command's time.
pub struct Throughput {
    /// How many.
    pub cells: usize,
    /// The command's time.
    pub took: Took,
}

impl Throughput {
    /// Cells in a second.
    pub fn per_second(&self) -> f64 {
        self.cells as f64 / self.took.wall
    }
}

/// Turns JSON records into lines of fields: the standard library reads no JSON, and there is a Python.
const FIELDS: &str = r#"
import json, sys
for line in sys.stdin:
    r = json.loads(line)
    if r["outcome"] != "untested" or r["reason"] != "tests-disabled":
        sys.exit("%s: %s: %s" % (r["project"], r["outcome"], r["cause"]))
    phases = [r["phases"].get(name) or {} for name in sys.argv[1].split()]
    times = " ".join("%s %s" % (p.get("wall_s") or 0, p.get("cpu_s") or 0) for p in phases)
    file, build = r["distribution"], r["build"] or {}
    modules = [i["module"] for i in r["imports"] if i["decides"]]
    print("\t".join([r["project"], r["version"], str(r["wall_s"]), times, file["filename"], file["sha256"],
                     "\x1f".join(build.get("requires") or []), "\x1f".join(modules)]))
"#;

impl Bench {
    fn command(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.wheeltapper);
        command.arg("--data").arg(data).arg("run").args(arguments);
        command
    }

    /// A run on the bench's environment, from sdists, nothing reused.
    pub fn farm(&self, arguments: &[&str], jobs: usize) -> Result<Vec<Record>, String> {
        let mut command = self.command(&self.folder.join("data"), arguments);
        command.args(["--from", "sdist", "--fresh", "--format", "json", "--env", &self.environment.0]);
        let records = output(command.arg("--jobs").arg(jobs.to_string()))?;
        self.records(&records)
    }

    fn records(&self, json: &str) -> Result<Vec<Record>, String> {
        let mut reader = Command::new(&self.environment.2);
        reader.args(["-c", FIELDS, &PHASES.join(" ")]);
        let mut child = reader
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python: {error}"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(json.as_bytes()).map_err(|error| error.to_string())?;
        }
        let read = child.wait_with_output().map_err(|error| error.to_string())?;
        if !read.status.success() {
            return Err("a cell did not end as it should".to_owned());
        }
        let text = String::from_utf8_lossy(&read.stdout);
        text.lines().map(|line| record(line).ok_or_else(|| format!("not understood: {line}"))).collect()
    }

    /// Settles which releases are measured, and puts their sdists where everybody finds them.
    pub fn subjects(&self, names: &[(&'static str, bool)]) -> Result<Vec<Subject>, String> {
        let mut arguments: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        arguments.push("--no-tests");
        let records = self.farm(&arguments, 2)?;
        let folder = self.folder.join("sdists");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let subject = |(name, native): &(&'static str, bool)| {
            let record = records.iter().find(|record| record.project == *name)?;
            let stored = stored(&self.folder.join("data/files"), &record.sha256)?;
            let sdist = folder.join(&record.sdist);
            std::fs::copy(stored, &sdist).ok()?;
            Some(Subject {
                name: record.project.clone(),
                version: record.version.clone(),
                native: *native,
                sdist,
                requires: record.requires.clone(),
                modules: record.modules.clone(),
            })
        };
        names.iter().map(|name| subject(name).ok_or_else(|| format!("{} was not stored", name.0))).collect()
    }

    /// One round through all subjects.
    pub fn farm_round(&self, subjects: &[Subject], jobs: usize) -> Result<(Vec<Record>, Took), String> {
        let mut arguments: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        arguments.push("--no-tests");
        timed(|| self.farm(&arguments, jobs))
    }

    fn everywhere(&self, subjects: &[Subject], jobs: usize) -> Command {
        let names: Vec<&str> = subjects.iter().map(|subject| subject.name.as_str()).collect();
        let mut command = self.command(&self.folder.join("data"), &names);
        command.args(["--no-tests", "--from", "sdist", "--fresh", "--format", "json", "--jobs"]);
        command.arg(jobs.to_string());
        command
    }

    /// All subjects on every supported Python, a job a core; once before to make layers ready.
    pub fn throughput(&self, subjects: &[Subject]) -> Result<Throughput, String> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        output(&mut self.everywhere(subjects, cores))?;
        let (text, took) = timed(|| output(&mut self.everywhere(subjects, cores)))?;
        Ok(Throughput { cells: self.records(&text)?.len(), took })
    }

    /// The most memory that the program itself had with eight jobs, in bytes.
    pub fn memory(&self, subjects: &[Subject]) -> Result<u64, String> {
        let mut command = self.everywhere(subjects, 8);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut most = 0;
        while child.try_wait().map_err(|error| error.to_string())?.is_none() {
            most = most.max(machine::proportional_memory(child.id()));
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(most)
    }

    /// Results of many tiny wheels on a synthetic index: tapped once, then asked for again.
    pub fn reuse(&self) -> Result<Throughput, String> {
        let mut serve = crate::command::cargo(&[
            "run",
            "--release",
            "-q",
            "-p",
            "wheeltapper-testkit",
            "--example",
            "many",
        ]);
        let mut index = serve
            .args(["--", &MANY.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut url = String::new();
        if let Some(out) = index.stdout.take() {
            BufReader::new(out).read_line(&mut url).map_err(|error| error.to_string())?;
        }
        let measured = self.reuse_of(url.trim());
        // The end of its standard input ends it.
        drop(index.stdin.take());
        let _ = index.wait();
        measured
    }

    fn reuse_of(&self, url: &str) -> Result<Throughput, String> {
        let data = self.folder.join("many-data");
        let _ = std::fs::remove_dir_all(&data);
        let list = self.folder.join("many.txt");
        let names: Vec<String> = (0..MANY).map(|number| format!("many-{number}")).collect();
        std::fs::write(&list, names.join("\n")).map_err(|error| error.to_string())?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let uv = self.uv.parent().map(Path::to_path_buf).into_iter();
        let path = std::env::join_paths(uv.chain(std::env::split_paths(&path)))
            .map_err(|error| error.to_string())?;
        let run = || {
            let mut command = self.command(&data, &["--no-tests", "--from", "wheel", "--format", "json"]);
            command.arg("--top").arg(MANY.to_string()).arg("--popularity").arg(&list);
            command.env("UV_DEFAULT_INDEX", url).env("PATH", &path);
            output(&mut command)
        };
        let first = run()?;
        let (again, took) = timed(run)?;
        let cells = again.lines().filter(|line| !line.contains("\"reused_from\":null")).count();
        if cells != first.lines().count() {
            return Err(format!("{cells} of {} results were reused", first.lines().count()));
        }
        Ok(Throughput { cells, took })
    }
}

/// The sandbox's own cost: when, p50, p95 and the plain command, in milliseconds.
pub fn sandbox_cost() -> Result<Vec<(String, f64, f64, f64)>, String> {
    let arguments = ["run", "--release", "-q", "-p", "wheeltapper-sandbox", "--example", "cost"];
    // Built before it is measured.
    let mut build = arguments;
    build[0] = "build";
    output(&mut crate::command::cargo(&build))?;
    let text = output(&mut crate::command::cargo(&arguments))?;
    let line = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words.get(index)?.parse::<f64>().ok();
        Some((words[0].to_owned(), number(1)?, number(2)?, number(3)?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn record(line: &str) -> Option<Record> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [project, version, wall, phases, sdist, sha256, requires, modules] = fields[..] else { return None };
    let list = |text: &str| text.split('\u{1f}').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let times: Vec<f64> = phases.split(' ').filter_map(|time| time.parse().ok()).collect();
    Some(Record {
        project: project.to_owned(),
        version: version.to_owned(),
        wall: wall.parse().ok()?,
        phases: times.chunks(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect(),
        sdist: sdist.to_owned(),
        sha256: sha256.to_owned(),
        requires: list(requires),
        modules: list(modules),
    })
}

/// The stored file of this hash: its name ends as the hash does.
fn stored(folder: &Path, sha256: &str) -> Option<PathBuf> {
    let hex = sha256.trim_start_matches("sha256:");
    let below = std::fs::read_dir(folder.join(hex.get(..2)?)).ok()?;
    below.flatten().map(|entry| entry.path()).find(|path| {
        let name = file_name(path);
        hex == name || hex.ends_with(&name)
    })
}
