//! `wheeltapper completions SHELL`.

use clap::CommandFactory as _;

use crate::{
    args::Arguments,
    exit::{Exit, Failure},
};

/// Prints the completions of a shell.
pub fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    clap_complete::generate(shell, &mut Arguments::command(), "wheeltapper", &mut std::io::stdout());
    Ok(Exit::Success)
}
