//! `cargo xtask corpus add` and `cargo xtask bench --classify`: both run an example of the testkit, which knows records and logs.

use std::{path::PathBuf, process::ExitCode};

use crate::command::{cargo, run};

/// What the command line says.
pub struct Options {
    data: PathBuf,
    project: String,
    environment: String,
}

impl Options {
    /// Reads the arguments behind `corpus`; the error is a sentence.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        if arguments.next().as_deref() != Some("add") {
            return Err("corpus knows `add` only".to_owned());
        }
        let (mut data, mut named) = (None, Vec::new());
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--data" => data = Some(arguments.next().ok_or("--data needs a folder")?.into()),
                _ => named.push(argument),
            }
        }
        let [project, environment] =
            <[String; 2]>::try_from(named).map_err(|_| "corpus add takes a project and an environment")?;
        let data = data.or_else(default_data).ok_or("where results are stored is not known: use --data")?;
        Ok(Options { data, project, environment })
    }
}

/// Where the program keeps its results when nothing is said.
fn default_data() -> Option<PathBuf> {
    let of = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    of("WHEELTAPPER_DATA")
        .or_else(|| Some(of("XDG_DATA_HOME")?.join("wheeltapper")))
        .or_else(|| Some(of("HOME")?.join(".local/share/wheeltapper")))
}

/// Adds a case.
pub fn add(options: &Options) -> ExitCode {
    let data = options.data.to_string_lossy();
    let mut command = cargo(&["run", "-q", "-p", "wheeltapper-testkit", "--example", "corpus", "--"]);
    command.args([data.as_ref(), &options.project, &options.environment]);
    if run(&mut command).success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures how fast logs are judged; fails below what is promised.
pub fn speed() -> ExitCode {
    let arguments = ["run", "-q", "--release", "-p", "wheeltapper-testkit", "--example", "classify_speed"];
    if run(&mut cargo(&arguments)).success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
