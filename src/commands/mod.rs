//! One file a subcommand.

pub mod again;
pub mod completions;
pub mod cycle;
pub mod doctor;
pub mod env;
pub mod log;
pub mod overrides;
pub mod recipe;
pub mod report;
pub mod repro;
pub mod run;
pub mod show;
