//! The command line of `env`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

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
  wheeltapper env add alpine --image docker.io/library/python:3.13-alpine
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
    /// A container image, as REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST; or a file or folder that holds one
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
