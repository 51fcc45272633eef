//! What is said to `export` and `agent` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::args::{From, LimitArguments, RecipesArguments, SandboxArguments};

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// A project, or project==version
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// Requirement specifiers, one a line
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where it is to be run: an environment of this machine, or one that is elsewhere, such as windows11-cp313 and
    /// macos15-arm64-cp313
    #[arg(long = "env", value_name = "NAME")]
    pub environment: String,
    /// Which distributions
    #[arg(long, value_enum, default_value_t = From::Auto)]
    pub from: From,
    /// Do not run tests
    #[arg(long)]
    pub no_tests: bool,
    /// How tests are run.
    #[command(flatten)]
    pub recipes: RecipesArguments,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArguments,
}

/// What an agent can be told.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Run exported jobs, without any network
    Run {
        /// What `wheeltapper export` wrote.
        jobs: PathBuf,
        /// Where the results are written
        #[arg(long, value_name = "FILE", default_value = "results.tar")]
        out: PathBuf,
        /// How tests are run.
        #[command(flatten)]
        recipes: RecipesArguments,
        /// How commands are contained.
        #[command(flatten)]
        sandbox: SandboxArguments,
    },
}
