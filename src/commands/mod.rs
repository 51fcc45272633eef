//! One file a subcommand.

pub mod completions;
pub mod doctor;
pub mod env;
pub mod log;
pub mod recipe;
pub mod report;
pub mod repro;
pub mod run;
pub mod show;
