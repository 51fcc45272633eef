//! The command line of `cycle` and of `gc`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{CellArguments, EnvironmentArguments, LimitArguments, RecipesArguments, SandboxArguments};

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
