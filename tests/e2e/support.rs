//! A laboratory: the real binary with a data folder of its own, and an index on the loopback. The installer, which no
//! fake index holds, is fetched once from the index that is really configured.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use serde_json::Value;
use wheeltapper_testkit::FakeIndex;

/// Longer than any run here; a run that hangs fails its test instead of all of them.
const PATIENCE: Duration = Duration::from_secs(400);

/// The laboratory, or the end of the calling test as skipped.
macro_rules! lab {
    () => {
        match $crate::support::Lab::new() {
            Ok(lab) => lab,
            Err(why) => wheeltapper_testkit::skip!("{why}"),
        }
    };
}
pub(crate) use lab;

/// A data folder, and an index that holds the fixtures.
pub struct Lab {
    /// The data folder.
    pub data: tempfile::TempDir,
    /// The index.
    pub index: FakeIndex,
    /// The home folder of whoever runs the program.
    pub home: PathBuf,
    /// The newest usable CPython of whoever runs the program, by its environment's name.
    pub environment: String,
    /// The plain user that runs it, where that is not who runs the tests: a uid, and a copy that the user may execute.
    user: Option<(u32, PathBuf)>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; 128 and the signal's number where one ended it.
    pub code: i32,
    /// The records that it printed.
    pub records: Vec<Value>,
    /// What it said on standard error.
    pub stderr: String,
}

impl Lab {
    /// A laboratory whose index holds every fixture.
    pub fn new() -> Result<Lab, String> {
        Lab::with_index(FakeIndex::with_fixtures().expect("the fixtures can be built"))
    }

    /// A laboratory with this index.
    pub fn with_index(index: FakeIndex) -> Result<Lab, String> {
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        provide_installer(data.path())?;
        let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
        Ok(Lab { data, index, home, environment: newest_environment().to_owned(), user: None })
    }

    /// A laboratory of a user without any privilege, of whom this machine has never heard.
    pub fn of_plain_user(uid: u32) -> Result<Lab, String> {
        let lab = Lab::new()?;
        if !has_program("setpriv") {
            return Err("setpriv is needed to become another user".to_owned());
        }
        let (copy, home) = (lab.data.path().join("wheeltapper"), lab.data.path().join("home"));
        fs::copy(env!("CARGO_BIN_EXE_wheeltapper"), &copy).expect("the program can be copied");
        fs::create_dir(&home).expect("a folder can be made");
        let owner = format!("{uid}:{uid}");
        let status = Command::new("chown").args(["-R", &owner]).arg(lab.data.path()).status();
        assert!(status.expect("chown starts").success());
        let mut lab = Lab { home, user: Some((uid, copy)), ..lab };
        let doctor = lab.command(&["doctor"]).output().expect("setpriv starts");
        if doctor.status.code() == Some(4) {
            return Err(format!(
                "a plain user's sandbox is refused: {}",
                String::from_utf8_lossy(&doctor.stdout)
            ));
        }
        lab.environment = newest(lab.command(&["env", "list"]));
        Ok(lab)
    }

    /// The program with this data folder and index.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.user {
            None => program(self.data.path(), arguments),
            Some((uid, copy)) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", &uid.to_string(), "--regid", &uid.to_string(), "--clear-groups"]);
                command.arg(copy).arg("--data").arg(self.data.path()).args(arguments);
                command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &self.home);
                command.current_dir("/");
                command
            }
        };
        command.env("UV_DEFAULT_INDEX", self.index.url()).env("PIP_INDEX_URL", self.index.url());
        command
    }

    /// `wheeltapper run --format json` with these arguments, on the newest interpreter.
    pub fn run(&self, arguments: &[&str]) -> Run {
        finish(self.command(&self.arguments(arguments)))
    }

    /// As `run`, with the process in hand.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(&self.arguments(arguments)))
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let chosen = ["--env", "--python", "--interpreter"].iter().any(|option| arguments.contains(option));
        let mut all = vec!["run", "--format", "json"];
        if !chosen {
            all.extend(["--env", self.environment.as_str()]);
        }
        all.extend(arguments);
        all
    }
}

impl Run {
    /// The one record of this project.
    pub fn record(&self, project: &str) -> &Value {
        let mut of_project = self.records.iter().filter(|record| record["project"] == project);
        let record = of_project.next().unwrap_or_else(|| panic!("no record of {project}\n{}", self.stderr));
        assert!(of_project.next().is_none(), "several records of {project}");
        record
    }

    /// Fails the test unless the run ended with this exit code.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Run {
        assert_eq!(self.code, code, "the exit code; it said:\n{}", self.stderr);
        self
    }

    /// Fails the test unless the run said this.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Run {
        assert!(self.stderr.contains(text), "`{text}` is not in what it said:\n{}", self.stderr);
        self
    }
}

/// A run in progress.
pub struct Running {
    /// The process.
    pub child: Child,
    lines: mpsc::Receiver<String>,
    stderr: thread::JoinHandle<String>,
    records: Vec<Value>,
}

impl Running {
    /// Starts a command.
    pub fn start(mut command: Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut pipe = child.stderr.take().expect("standard error is a pipe");
        let stderr = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Running { child, lines, stderr, records: Vec::new() }
    }

    /// Waits until one more cell has settled.
    pub fn wait_for_record(&mut self) -> Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("a cell settles before the run ends");
        let record: Value = serde_json::from_str(&line).expect("standard output holds records only");
        self.records.push(record.clone());
        record
    }

    /// Sends a signal, by the name that `kill` knows it by.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill starts").success());
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Run {
        use std::os::unix::process::ExitStatusExt as _;
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.records
                        .push(serde_json::from_str(&line).expect("standard output holds records only"));
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    panic!("the run hangs; it said:\n{}", self.stderr.join().unwrap_or_default());
                }
            }
        }
        let status = self.child.wait().expect("the process can be waited for");
        let stderr = self.stderr.join().expect("the reader does not panic");
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Run { code, records: self.records, stderr }
    }
}

/// Runs a command to its end.
pub fn finish(command: Command) -> Run {
    Running::start(command).finish()
}

/// The program with this data folder, and nothing of the user's installer configuration.
pub fn program(data: &Path, arguments: &[&str]) -> Command {
    let mut command = configured(data, arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| ["UV_", "PIP_"].iter().any(|start| name.starts_with(start))) {
            command.env_remove(name);
        }
    }
    command
}

/// The program with this data folder, and the index that is really configured.
pub fn configured(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wheeltapper"));
    command.arg("--data").arg(data).args(arguments);
    command.env_remove("WHEELTAPPER_DATA");
    command
}

/// The newest usable CPython of this machine, by its environment's name.
pub fn newest_environment() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let data = tempfile::tempdir().expect("a temporary folder can be made");
        newest(program(data.path(), &["env", "list"]))
    })
}

fn newest(mut list: Command) -> String {
    let output = list.output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, "cpython", version, .., "yes"] = words.as_slice() else { return None };
        let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
        Some((numbers, (*name).to_owned()))
    });
    rows.max().unwrap_or_else(|| panic!("no usable Python here:\n{text}")).1
}

/// Puts the installer into a data folder. It is fetched once, from the index that is really configured.
pub fn provide_installer(data: &Path) -> Result<(), String> {
    static TOOLS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let tools = TOOLS.get_or_init(fetch_installer).as_ref().map_err(Clone::clone)?;
    // Where a fitting uv is on PATH, none is fetched.
    if tools.is_dir() {
        copy(tools, &data.join("tools"));
    }
    Ok(())
}

fn fetch_installer() -> Result<PathBuf, String> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-tools");
    if kept.is_dir() {
        return Ok(kept);
    }
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder can be made");
    // Whatever comes of this target, the installer is provided before it is looked for.
    let run = finish(configured(data.path(), &["run", "--format", "json", "tap-installer-only"]));
    match run.code {
        3 => {}
        4 => return Err(format!("the sandbox is refused here: {}", run.stderr.trim())),
        _ => return Err(format!("no index is reachable: {}", run.stderr.trim())),
    }
    let tools = data.path().join("tools");
    if tools.is_dir() && fs::rename(&tools, &kept).is_err() && !kept.is_dir() {
        panic!("{} cannot be made", kept.display());
    }
    Ok(kept)
}

/// Copies a folder with its modes.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(status.expect("cp starts").success(), "{} cannot be copied", from.display());
}

/// True for the superuser.
pub fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// True when a program of this name is on PATH.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
