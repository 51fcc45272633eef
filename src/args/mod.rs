//! The command line, declared: the program and its subcommands. Every environment variable that the program itself reads
//! stands in this folder.

mod cells;
mod cycle;
mod env;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wheeltapper_core::Outcome;

pub use cells::{
    BuildWith, CellArguments, EnvironmentArguments, Format, From, InstallWith, LimitArguments,
    SandboxArguments, SourceArguments,
};
pub use cycle::{CycleArguments, CycleCommand, GcArguments};
pub use env::{AddArguments, EnvCommand};

/// Taps every wheel of the Python Package Index and listens for cracks.
///
/// Fetches releases, builds them from source, installs them, imports them, runs the tests that they ship and uninstalls
/// them: each step in a sandbox, on every Python found on this machine.
#[derive(Debug, Parser)]
#[command(name = "wheeltapper", version, propagate_version = true, max_term_width = 110)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where results, files and layers are kept [default: $XDG_DATA_HOME/wheeltapper]
    #[arg(long, global = true, value_name = "DIR", env = "WHEELTAPPER_DATA", hide_env_values = true)]
    pub data: Option<PathBuf>,
    /// The file that defines platforms [default: $XDG_CONFIG_HOME/wheeltapper/wheeltapper.toml]
    #[arg(long, global = true, value_name = "FILE", env = "WHEELTAPPER_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

const EXIT_CODES: &str = "Exit codes: 0 done (a package that fails is a result, not an error) · 1 an outcome of --fail-on \
was found, or a repro came out otherwise · 2 wrong usage · 3 something named does not exist or cannot be read · 4 the \
sandbox is refused here · 5 the farm failed · 130 stopped; the same command goes on";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tap releases: fetch, build, install, import, test, uninstall
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Show what is stored of a project, environment by environment
    Show {
        /// The project.
        project: String,
    },
    /// Show how a release's tests would be run, and why, without running anything of it
    #[command(after_help = RECIPE_EXAMPLES)]
    Recipe(RecipeArguments),
    /// Print the log of a result, whole or one phase of it
    Log {
        /// The project.
        project: String,
        /// The environment, as `env list` names it.
        environment: String,
        /// fetch, build, install, import, test or uninstall.
        phase: Option<wheeltapper_core::Phase>,
    },
    /// The environments of this machine
    Env {
        /// What to do with them.
        #[command(subcommand)]
        command: EnvCommand,
    },
    /// Run a stored result again with the same files and plan, and say whether it comes out the same
    Repro {
        /// The project.
        project: String,
        /// The environment, as `env list` names it.
        environment: String,
        /// Which cell, where there are two: sdist or wheel.
        #[arg(long, value_name = "ARTIFACT")]
        from: Option<wheeltapper_core::Artifact>,
        /// How commands are contained.
        #[command(flatten)]
        sandbox: SandboxArguments,
    },
    /// Walk all projects in turn: run what is due, bring the site up to date, write letters
    #[command(after_help = CYCLE_EXAMPLES)]
    Cycle(Box<CycleArguments>),
    /// Explain a stored result in plain words: what happened, why, whose fault, and what can be done
    Explain {
        /// The project.
        project: String,
        /// The environment, as `env list` names it.
        environment: String,
        /// Which cell, where there are two: sdist or wheel.
        #[arg(long, value_name = "ARTIFACT")]
        from: Option<wheeltapper_core::Artifact>,
    },
    /// Failures that have the same cause, those that hold up most people first
    Clusters {
        /// Only those of this run, instead of the newest result of each cell.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// How many are shown.
        #[arg(long, value_name = "N", default_value_t = 25)]
        top: usize,
    },
    /// Judge stored results again by today's rules, and show what changes
    Reclassify {
        /// Only those of this run, instead of all.
        #[arg(long, value_name = "RUN")]
        run: Option<String>,
        /// Show what would change, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the site that cycles keep up to date
    Serve {
        /// The site's folder [default: `site` in the data folder]
        #[arg(long, value_name = "DIR")]
        site: Option<PathBuf>,
        /// Where to listen. Beyond this machine, put a server in front that speaks TLS
        #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8470")]
        listen: std::net::SocketAddr,
    },
    /// What the last cycles did, what is running, what is late, disk used and where
    Status,
    /// Free what policy no longer keeps
    Gc(GcArguments),
    /// Write a static site of what is stored
    Report {
        /// The folder to write; what is in it is replaced file by file.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Try the complete sandbox and everything else a run needs; change nothing
    Doctor {
        /// How commands are contained.
        #[command(flatten)]
        sandbox: SandboxArguments,
    },
    /// Pack cells and every file that they need, for a machine elsewhere: an archive on standard output
    Export(Box<crate::commands::elsewhere::ExportArguments>),
    /// Work that came from elsewhere
    Agent {
        /// What to do with it.
        #[command(subcommand)]
        command: crate::commands::elsewhere::AgentCommand,
    },
    /// Take home what `agent run` made of exported jobs
    Import {
        /// What `agent run` wrote.
        results: PathBuf,
    },
    /// Print completions for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const RUN_EXAMPLES: &str = "Examples:
  wheeltapper run six attrs                  the newest releases, on every supported Python found here
  wheeltapper run requests==2.32.0 --python 3.13
  wheeltapper run ./dist/mine-1.0.tar.gz     a release before it is published
  wheeltapper run --top 100 --format json    one record a line as cells settle
  wheeltapper run . --fail-on test-failed,build-failed    for CI: exit code 1 when one is found";

const CYCLE_EXAMPLES: &str = "Examples:
  wheeltapper cycle --top 100                the most downloaded projects, once
  wheeltapper cycle --all --every 24h        every project of the index, every day
  wheeltapper cycle --all --budget 8         for eight hours; the same command goes on where it stopped
  wheeltapper cycle pause                    begin no more cells, in this data folder, until `cycle resume`";

const RECIPE_EXAMPLES: &str = "Examples:
  wheeltapper recipe attrs                     the newest release, on the newest Python here
  wheeltapper recipe requests==2.32.0 --python 3.12
  wheeltapper recipe ./dist/mine-1.0.tar.gz    a release before it is published
  wheeltapper recipe . --format json           a checkout, for scripts";

/// Arguments of `recipe`.
#[derive(Debug, Args)]
pub struct RecipeArguments {
    /// A project, project==version, or the path of an sdist or a checkout
    #[arg(value_name = "TARGET")]
    pub target: String,
    /// The environment, as `env list` names it [default: the newest supported Python found]
    #[arg(long = "env", value_name = "NAME", conflicts_with = "python")]
    pub environment: Option<String>,
    /// A Python version, by prefix: 3.13 or 3.13.0
    #[arg(long, value_name = "VERSION")]
    pub python: Option<String>,
    /// Where tests come from.
    #[command(flatten)]
    pub source: SourceArguments,
    /// How tests are run.
    #[command(flatten)]
    pub recipes: RecipesArguments,
    /// How the plans are printed
    #[arg(long, value_enum, default_value_t = RecipeFormat::Text)]
    pub format: RecipeFormat,
}

/// Where overrides are.
#[derive(Debug, Clone, Args)]
pub struct RecipesArguments {
    /// A folder of overrides, PROJECT.toml each [default: $XDG_CONFIG_HOME/wheeltapper/recipes]
    #[arg(long, value_name = "DIR", env = "WHEELTAPPER_RECIPES", hide_env_values = true)]
    pub recipes: Option<PathBuf>,
}

/// How plans are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RecipeFormat {
    /// For people.
    Text,
    /// One object.
    Json,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// A project, project==version, or the path of an sdist, a wheel or a checkout
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// The most downloaded projects, this many
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,
    /// Another list for --top: a name a line, most downloaded first
    #[arg(long, value_name = "FILE", requires = "top")]
    pub popularity: Option<PathBuf>,
    /// Requirement specifiers, one a line
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub environments: EnvironmentArguments,
    /// Which cells, and how.
    #[command(flatten)]
    pub cells: CellArguments,
    /// Build by `setup.py bdist_wheel` wherever there is a setup.py
    #[arg(long, value_enum, value_name = "WAY")]
    pub build_with: Option<BuildWith>,
    /// Run again what is stored
    #[arg(long)]
    pub fresh: bool,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write a static report there at the end
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Exit with code 1 when a cell ends so
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    pub fail_on: Vec<Outcome>,
    /// How tests are run.
    #[command(flatten)]
    pub recipes: RecipesArguments,
    /// How commands are contained.
    #[command(flatten)]
    pub sandbox: SandboxArguments,
    /// Limits.
    #[command(flatten)]
    pub limits: LimitArguments,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{cycle::Period, *};

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
        assert_eq!("24h".parse(), Ok(Period(Duration::from_secs(86_400))));
        for wrong in ["", "h", "24", "-1h", "0s", "1é", "99999999999999999999d"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
