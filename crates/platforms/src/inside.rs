//! Commands inside a root file system that is being built or checked. They see nothing but it, and have no network.

use std::path::PathBuf;

use wheeltapper_agent::interpreter::{self, Interpreter, is_python_name};
use wheeltapper_sandbox::{
    Cancel, Command, Execution, Host, Limits, Network, Root, ScratchLimits, World, base_environment,
};

use crate::{
    error::Error,
    images::Inside,
    tree::{Entry, Tree},
};

/// The slot in which they run: nothing else runs in this process meanwhile.
const SLOT: usize = 0;

/// Where programs are looked for, in the order of every cell's `PATH`.
const PROGRAMS: [&str; 3] = ["usr/local/bin", "usr/bin", "bin"];

/// Where images for building wheels have their interpreters.
const OPT: &str = "opt/python/";

/// What runs commands on one root file system.
pub(crate) struct Runner<'a> {
    pub(crate) host: &'a Host,
    pub(crate) root: Root,
    /// A folder for logs.
    pub(crate) folder: PathBuf,
}

impl Runner<'_> {
    /// A fresh world.
    pub(crate) fn world(&self) -> Result<World, Error> {
        let limits = ScratchLimits { bytes: 256 << 20, inodes: 20_000 };
        Ok(self.host.world_on(Some(&self.root), SLOT, &[], limits)?)
    }

    /// Runs a command to its end; what it printed comes with how it ended.
    pub(crate) fn run(
        &self,
        world: &World,
        program: &str,
        arguments: &[&str],
        limits: Limits,
    ) -> Result<(Execution, String), Error> {
        let log = self.folder.join("log");
        let command = Command {
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: base_environment(world.root(), world.temporary()),
            directory: world.root().to_path_buf(),
            binds: Vec::new(),
            network: Network::None,
            limits,
            log: log.clone(),
        };
        let execution = world.run(&command, &Cancel::new()?, None)?;
        let printed = std::fs::read(&log).map_err(Error::file(&log))?;
        Ok((execution, String::from_utf8_lossy(&printed).into_owned()))
    }

    /// Asks an interpreter what it is.
    pub(crate) fn ask(&self, program: &str) -> Result<Result<Interpreter, String>, Error> {
        let (execution, printed) =
            self.run(&self.world()?, program, &interpreter::QUESTION, Limits::default())?;
        if let Some(error) = execution.start_error {
            return Ok(Err(format!("it cannot be started: {error}")));
        }
        let answer = printed.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
        Ok(interpreter::answer(execution.exit.success(), answer, &printed))
    }
}

/// The interpreters of a tree: those that are named, or whatever is found. A name without a file is an error for whoever
/// gave it.
pub(crate) fn candidates(tree: &Tree, named: &[String]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for name in named {
        let places: Vec<String> = match name.strip_prefix('/') {
            Some(path) => vec![path.to_owned()],
            None => PROGRAMS.iter().map(|folder| format!("{folder}/{name}")).collect(),
        };
        let file = places.iter().find_map(|place| tree.find_file(place));
        found.push(file.ok_or_else(|| Error::Tool {
            message: format!("there is no interpreter `{name}` in it"),
            hint: Some(
                "`interpreters` says which are in there; without it, whatever is found is taken".to_owned(),
            ),
        })?);
    }
    if named.is_empty() {
        let names = tree.entries().iter().filter(|(path, entry)| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            !matches!(entry, Entry::Folder(_))
                && (PROGRAMS.contains(&folder) || folder.starts_with(OPT) && folder.ends_with("/bin"))
                && is_python_name(path.as_ref())
        });
        found.extend(names.filter_map(|(path, _)| tree.find_file(path)));
    }
    found.sort();
    found.dedup();
    Ok(found.into_iter().map(|path| format!("/{path}")).collect())
}

/// Asks all of them. One that cannot be used says why.
pub(crate) fn ask_all(runner: &Runner<'_>, candidates: &[String]) -> Result<Vec<Inside>, Error> {
    let ask = |path: &String| Ok(Inside { path: path.into(), answer: runner.ask(path)? });
    candidates.iter().map(ask).collect()
}
