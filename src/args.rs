//! The command line, declared. Every environment variable that the program itself reads stands here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use wheeltapper_core::Outcome;

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

/// What can be done with environments.
#[derive(Debug, Subcommand)]
pub enum EnvCommand {
    /// Every environment: version, place, and whether it can be used; and what platforms are built
    List {
        /// Also the platforms that are only defined.
        #[arg(long)]
        all: bool,
    },
    /// Define a platform in wheeltapper.toml, or add packages to one
    #[command(after_help = ENV_EXAMPLES)]
    Add(AddArguments),
    /// Make the root file systems of platforms, and ask the interpreters in them what they are
    Build {
        /// Platforms, or environments of theirs [default: those that are built of an older definition]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Also those that are built already: a suite may have newer packages
        #[arg(long)]
        again: bool,
    },
    /// Try a platform: its interpreters, a C extension, the limits
    Check {
        /// Platforms, or environments of theirs [default: all that are built]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Remove what was built of platforms; their definitions stay
    Remove {
        /// Platforms, or environments of theirs.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Name the packages of a platform's suite that have a file: what a release misses when it builds
    Provides {
        /// The platform, or an environment of it.
        name: String,
        /// The end of the file's path: lber.h, libxml/xpath.h, pg_config.
        file: String,
    },
    /// What a platform is made of, and what was built of it
    Show {
        /// The platform, or an environment of it.
        name: String,
        /// In what it differs: another platform, or the manifest of another machine's
        #[arg(long, value_name = "NAME|FILE")]
        diff: Option<String>,
    },
}

const ENV_EXAMPLES: &str = "Examples:
  wheeltapper env add mine --debian trixie --package libgeos-dev
  wheeltapper env add old --tarball ./rootfs.tar.gz --interpreter-inside /opt/python2.4/bin/python
  wheeltapper env add debian13 --package libgeos-dev    what a release lacks, added to one that ships
  wheeltapper env add fast --interpreter /opt/python/bin/python3";

/// Arguments of `env add`.
#[derive(Debug, Args)]
pub struct AddArguments {
    /// The platform's name: lowercase letters, digits, hyphens
    pub name: String,
    /// A suite of Debian or Ubuntu, by its code name
    #[arg(long, value_name = "SUITE", group = "source")]
    pub debian: Option<String>,
    /// A root file system in a .tar, .tar.gz, .tar.zst or .tar.xz
    #[arg(long, value_name = "FILE", group = "source")]
    pub tarball: Option<PathBuf>,
    /// An image of a registry
    #[arg(long, value_name = "REFERENCE", group = "source")]
    pub image: Option<String>,
    /// An interpreter of this machine
    #[arg(long, value_name = "PATH", group = "source")]
    pub interpreter: Option<PathBuf>,
    /// For which machine: i386, amd64, arm64
    #[arg(long, value_name = "NAME")]
    pub architecture: Option<String>,
    /// A Debian package to install in it
    #[arg(long = "package", value_name = "NAME")]
    pub packages: Vec<String>,
    /// An interpreter in it, by name or absolute path [default: whatever is found]
    #[arg(long = "interpreter-inside", value_name = "NAME")]
    pub interpreters: Vec<String>,
    /// Without the libraries that common packages build with
    #[arg(long)]
    pub minimal: bool,
}

const RUN_EXAMPLES: &str = "Examples:
  wheeltapper run six attrs                  the newest releases, on every supported Python found here
  wheeltapper run requests==2.32.0 --python 3.13
  wheeltapper run ./dist/mine-1.0.tar.gz     a release before it is published
  wheeltapper run --top 100 --format json    one record a line as cells settle
  wheeltapper run . --fail-on test-failed,build-failed    for CI: exit code 1 when one is found";

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

const CYCLE_EXAMPLES: &str = "Examples:
  wheeltapper cycle --top 100                the most downloaded projects, once
  wheeltapper cycle --all --every 24h        every project of the index, every day
  wheeltapper cycle --all --budget 8         for eight hours; the same command goes on where it stopped
  wheeltapper cycle pause                    begin no more cells, in this data folder, until `cycle resume`";

/// Arguments of `cycle`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CycleArguments {
    /// What to do with cycles instead of walking one.
    #[command(subcommand)]
    pub command: Option<CycleCommand>,
    /// The most downloaded projects, this many
    #[arg(long, value_name = "N", conflicts_with_all = ["file", "all"])]
    pub top: Option<usize>,
    /// Requirement specifiers, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub file: Option<PathBuf>,
    /// Every project that the index lists: the most downloaded first, the rest shuffled
    #[arg(long)]
    pub all: bool,
    /// Another list of the most downloaded: a name a line, most downloaded first
    #[arg(long, value_name = "FILE")]
    pub popularity: Option<PathBuf>,
    /// Where.
    #[command(flatten)]
    pub environments: EnvironmentArguments,
    /// Begin a cycle this often, one at a time: 24h, 90m, 7d
    #[arg(long, value_name = "TIME")]
    pub every: Option<Period>,
    /// Begin no more cells after so many hours; the same command goes on with the same cycle
    #[arg(long, value_name = "HOURS")]
    pub budget: Option<f64>,
    /// Have results again that are older than this
    #[arg(long, value_name = "TIME")]
    pub older_than: Option<Period>,
    /// Where the site is kept [default: `site` in the data folder]
    #[arg(long, value_name = "DIR")]
    pub site: Option<PathBuf>,
    /// Where letters are put [default: `outbox` in the data folder]
    #[arg(long, value_name = "DIR")]
    pub outbox: Option<PathBuf>,
    /// The site's public address, for links in letters and feeds
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
    /// Whom letters are from and replies and requests for no more letters go to
    #[arg(long, value_name = "ADDRESS")]
    pub from_address: Option<String>,
    /// Which cells, and how.
    #[command(flatten)]
    pub cells: CellArguments,
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

/// What can be done with cycles beside walking them.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum CycleCommand {
    /// Begin no more cells until `resume`; those that run go on to their end
    Pause,
    /// Go on after `pause`
    Resume,
}

/// Arguments of `gc`.
#[derive(Debug, Args)]
pub struct GcArguments {
    /// Keep logs of superseded results, and answers of the index, for so long. Results, newest logs and news are always kept
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub keep: Period,
    /// Remove all layers that are not in use, not only those beyond the limit (20 GiB)
    #[arg(long)]
    pub layers: bool,
    /// Say what would be freed, and free nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// A length of time: a number and `s`, `m`, `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub std::time::Duration);

impl std::str::FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no length of time; write 90m, 24h or 7d");
        let unit = match text.chars().last().ok_or_else(wrong)? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
        let seconds = count.checked_mul(unit).filter(|seconds| *seconds > 0).ok_or_else(wrong)?;
        Ok(Period(std::time::Duration::from_secs(seconds)))
    }
}

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
}

/// How commands are contained.
#[derive(Debug, Clone, Args)]
pub struct SandboxArguments {
    /// full; or, on your own risk, reduced (landlock, seccomp, limits) or none. Every result says which
    #[arg(long, value_name = "MODE", default_value = "full")]
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
