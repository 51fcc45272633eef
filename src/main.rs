//! The one binary: a table of contents. The sandbox's launcher comes first, before there is a thread or an allocation.

mod args;
mod commands;
mod exit;
mod farm;
mod paths;
mod platforms;
mod repositories;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    args::{Arguments, Command},
    exit::{Exit, Failure},
};

/// The first argument by which the program starts itself as the sandbox's launcher.
const LAUNCHER: &str = "__launcher";

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == LAUNCHER) {
        wheeltapper_sandbox::launcher_main();
    }
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => {
            if failure.exit != Exit::Success {
                view::failure(&failure);
            }
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<Exit, Failure> {
    let paths = || paths::Paths::find(arguments.data.as_deref(), arguments.config.as_deref());
    match arguments.command {
        Command::Run(run) => commands::run::run(&paths()?, &run),
        Command::Show { project } => commands::show::show(&paths()?, &project),
        Command::Recipe(recipe) => commands::recipe::recipe(&paths()?, &recipe),
        Command::Log { project, environment, phase } => {
            commands::log::log(&paths()?, &project, &environment, phase)
        }
        Command::Env { command } => commands::env::env(&paths()?, &command),
        Command::Repro { project, environment, from, sandbox } => {
            commands::repro::repro(&paths()?, &project, &environment, from, &sandbox)
        }
        Command::Cycle(cycle) => commands::cycle::cycle(&paths()?, &cycle),
        Command::Explain { project, environment, from } => {
            commands::explain::explain(&paths()?, &project, &environment, from)
        }
        Command::Clusters { run, top } => commands::clusters::clusters(&paths()?, run.as_deref(), top),
        Command::Reclassify { run, dry_run } => {
            commands::reclassify::reclassify(&paths()?, run.as_deref(), dry_run)
        }
        Command::Serve { site, listen } => commands::serve::serve(&paths()?, site, listen),
        Command::Status => commands::status::status(&paths()?),
        Command::Gc(gc) => commands::gc::gc(&paths()?, &gc),
        Command::Report { out } => commands::report::report(&paths()?, &out),
        Command::Doctor { sandbox } => commands::doctor::doctor(&paths()?, &sandbox),
        Command::Export(export) => commands::elsewhere::export(&paths()?, &export),
        Command::Agent { command } => commands::elsewhere::agent(&paths()?, &command),
        Command::Import { results } => commands::elsewhere::import(&paths()?, &results),
        Command::Completions { shell } => commands::completions::completions(shell),
    }
}
