//! What several commands take: which cells there are, and how they are run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Which environments.
#[derive(Debug, Clone, Default, Args)]
pub struct EnvironmentArguments {
    /// Environments by name, or `all`: every one of this machine, and of every platform that is built
    #[arg(long = "env", value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Python versions of this machine, by prefix: 3.13 or 3.13.0 [default: every one found that its makers still support]
    #[arg(long, value_name = "VERSION", value_delimiter = ',')]
    pub python: Vec<String>,
    /// An interpreter, any build, tapped as it stands
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    pub interpreter: Vec<PathBuf>,
    /// What installs: uv where it speaks to the interpreter, else pip; or pip everywhere, in environments NAME-pip
    #[arg(long, value_enum, value_name = "INSTALLER", default_value_t = InstallWith::Usual)]
    pub installer: InstallWith,
}

/// What installs into environments and removes from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum InstallWith {
    /// uv; pip where uv does not speak to the interpreter.
    #[default]
    #[value(name = "uv")]
    Usual,
    /// The newest pip that the interpreter takes.
    Pip,
}

/// Which cells there are, and how they are run.
#[derive(Debug, Args)]
pub struct CellArguments {
    /// Which distributions: the sdist and, where it says more, the published wheel (auto); or as named
    #[arg(long, value_enum, default_value_t = From::Auto)]
    pub from: From,
    /// Cells at a time [default: from the cores and memory there are]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub jobs: Option<u32>,
    /// See the index as it was on this date (2026-01-31, or RFC 3339)
    #[arg(long, value_name = "DATE")]
    pub exclude_newer: Option<String>,
    /// Do not run tests
    #[arg(long)]
    pub no_tests: bool,
    /// Where tests come from.
    #[command(flatten)]
    pub source: SourceArguments,
}

/// Where tests come from.
#[derive(Debug, Clone, Copy, Args)]
pub struct SourceArguments {
    /// Tests from the sdist; from the project's repository where the sdist ships none (auto); or always from there (repository)
    /// [default: as wheeltapper.toml says, else sdist]
    #[arg(long, value_name = "FROM")]
    pub source: Option<wheeltapper_core::TestSource>,
}

/// How commands are contained.
#[derive(Debug, Clone, Args)]
pub struct SandboxArguments {
    /// full; or, on your own risk, reduced (landlock, seccomp, limits) or none. Every result says which. Outside of Linux there is
    /// nothing better than reduced, which is the default there
    #[arg(long, value_name = "MODE", default_value_t)]
    pub sandbox: wheeltapper_sandbox::Mode,
}

/// Limits of each phase.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArguments {
    /// Seconds for a build
    #[arg(long, value_name = "S", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_build: u64,
    /// Seconds for the tests
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_test: u64,
    /// Seconds for each other phase
    #[arg(long, value_name = "S", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_step: u64,
    /// Seconds without output or CPU use
    #[arg(long, value_name = "S", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_inactivity: u64,
    /// MiB of memory
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(16..))]
    pub limit_memory: u64,
    /// MiB written
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(16..))]
    pub limit_disk: u64,
    /// Processes and threads
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(8..))]
    pub limit_processes: u64,
    /// MiB printed in a phase
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit_output: u64,
}

/// Which distributions of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum From {
    /// The sdist, and the wheel too where that says more.
    Auto,
    /// The sdist.
    Sdist,
    /// The published wheel.
    Wheel,
    /// Both.
    Both,
}

impl std::convert::From<From> for wheeltapper_coordinator::Artifacts {
    fn from(from: From) -> Self {
        match from {
            From::Auto => Self::Auto,
            From::Sdist => Self::Sdist,
            From::Wheel => Self::Wheel,
            From::Both => Self::Both,
        }
    }
}

/// By which door wheels are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildWith {
    /// `setup.py bdist_wheel`.
    #[value(name = "setup.py")]
    SetupPy,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A live view and a matrix, for people.
    Text,
    /// One record a line.
    Json,
    /// JUnit XML.
    Junit,
    /// A table for a CI summary.
    Markdown,
}
