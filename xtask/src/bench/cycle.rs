//! `cargo xtask bench --cycle`: how long a cycle decides, lists and publishes, on made-up projects; its section of the document.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{machine, output, succeed, usable};

/// Projects of a middling index, and environments.
const PROJECTS: usize = 10_000;
const ENVIRONMENTS: usize = 4;
/// Environments of the cycle: before nothing has changed, each of its cells must be run.
const WALKED: usize = 2;
/// Names of a whole index.
const NAMES: usize = 930_000;
/// Where the section begins.
const HEADING: &str = "## A cycle\n";

/// One line of the section: what, the aim, what came out.
struct Row(String, &'static str, String);

/// Measures, and writes the section into this document.
pub fn run(document: &Path) -> Result<(), String> {
    let section = measure()?;
    let before = std::fs::read_to_string(document).unwrap_or_default();
    let (head, rest) = before.split_once(HEADING).unwrap_or((before.as_str(), ""));
    let tail = rest.find("\n## ").map(|at| &rest[at + 1..]).unwrap_or_default();
    let text = format!("{}\n\n{section}{}{tail}", head.trim_end(), if tail.is_empty() { "" } else { "\n" });
    std::fs::write(document, text).map_err(|error| format!("{}: {error}", document.display()))?;
    println!("{section}\nwritten to {}", document.display());
    Ok(())
}

fn measure() -> Result<String, String> {
    println!("building");
    succeed(&mut crate::command::cargo(&["build", "--release", "--bin", "wheeltapper"]))?;
    let example = ["build", "--release", "-p", "wheeltapper-coordinator", "--example", "synthetic_farm"];
    succeed(&mut crate::command::cargo(&example))?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| crate::workspace().join("target"), PathBuf::from)
        .join("release");
    let folder = target.join("bench-cycle");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut rows = Vec::new();
    println!("a site of {PROJECTS} projects");
    let farm = target.join("examples/synthetic_farm");
    let sizes = [PROJECTS.to_string(), ENVIRONMENTS.to_string()];
    let printed = output(Command::new(&farm).arg("site").arg(folder.join("farm")).args(&sizes))?;
    let value = |name: &str| {
        let line = printed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or("?").to_owned()
    };
    let what = format!("site of {PROJECTS} projects on {ENVIRONMENTS} environments");
    rows.push(Row(
        format!("{what}, from nothing ({})", value("site-from-nothing-files")),
        "< 30 s",
        value("site-from-nothing"),
    ));
    rows.push(Row(
        format!("{what}, 50 projects changed ({})", value("site-50-changed-files")),
        "< 2 s",
        value("site-50-changed"),
    ));
    rows.push(Row(format!("{what}, nothing changed"), "", value("site-unchanged")));
    rows.push(Row("memory of all that".to_owned(), "< 500 MB", value("site-memory")));
    println!("an unchanged cycle over {PROJECTS} projects");
    let mut index = Index::start(&farm, PROJECTS)?;
    let (program, data) = (target.join("wheeltapper"), folder.join("data"));
    // From the index that is really configured: the made-up one has no installer.
    let set_up = ["run", "six", "--no-tests", "--from", "wheel", "--format", "json"];
    succeed(Command::new(&program).arg("--data").arg(&data).args(set_up))?;
    let table = output(Command::new(&program).arg("--data").arg(&data).args(["env", "list"]))?;
    let names: Vec<String> = usable(&table).into_iter().rev().take(WALKED).map(|row| row.0).collect();
    let (count, names) = (names.len(), names.join(","));
    let cycle = |url: &str, more: &[&str]| walked(&program, &data, &[&["--env", &names], more].concat(), url);
    cycle(&index.url, &[])?;
    let unchanged = cycle(&index.url, &[])?;
    rows.push(Row(
        format!(
            "unchanged cycle over {PROJECTS} projects on {count} environments, every page asked for: decided"
        ),
        "< 5 s",
        unchanged.said("walked in "),
    ));
    index.stop();
    println!("a list of {NAMES} names");
    let mut index = Index::start(&farm, NAMES)?;
    let listed = cycle(&index.url, &["--budget", "0"])?;
    rows.push(Row(format!("list and order of {NAMES} names"), "< 5 s", listed.said("listed in ")));
    rows.push(Row("memory of that".to_owned(), "< 500 MB", format!("{} MB", listed.memory / 1_000_000)));
    index.stop();
    let mut section = format!(
        "{HEADING}\nMade-up projects on the loopback (`cargo xtask bench --cycle`).\n\n| | aim | measured |\n| --- | --- | --- |\n"
    );
    for Row(what, aim, measured) in rows {
        writeln!(section, "| {what} | {aim} | {measured} |").map_err(|error| error.to_string())?;
    }
    Ok(section)
}

/// What a cycle said, and the most memory that it was seen to have.
struct Walked {
    said: String,
    memory: u64,
}

impl Walked {
    /// What it said behind these words.
    fn said(&self, words: &str) -> String {
        self.said.lines().find_map(|line| line.strip_prefix(words)).unwrap_or("?").to_owned()
    }
}

fn walked(program: &Path, data: &Path, how: &[&str], url: &str) -> Result<Walked, String> {
    let mut command = Command::new(program);
    command.arg("--data").arg(data).args(["cycle", "--all", "--no-tests"]).args(how);
    command.env("UV_DEFAULT_INDEX", url).env("PIP_INDEX_URL", url);
    let path = data.with_extension("said");
    let file = std::fs::File::create(&path).map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (mut memory, begun) = (0, Instant::now());
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None => memory = memory.max(machine::proportional_memory(child.id())),
        }
        if begun.elapsed() > Duration::from_secs(1800) {
            let _ = child.kill();
            return Err("a cycle did not end within half an hour".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let said = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(format!("{status}\n{said}"));
    }
    Ok(Walked { said, memory })
}

/// The index of made-up projects.
struct Index {
    child: Child,
    url: String,
}

impl Index {
    fn start(program: &Path, names: usize) -> Result<Index, String> {
        let mut command = Command::new(program);
        command.args(["index", &names.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let mut url = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut url).map_err(|error| error.to_string())?;
        }
        Ok(Index { child, url: url.trim().to_owned() })
    }

    /// The end of its standard input ends it.
    fn stop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
