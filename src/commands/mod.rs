//! One file a subcommand.

pub mod again;
pub mod clusters;
pub mod completions;
pub mod cycle;
pub mod doctor;
pub mod elsewhere;
pub mod env;
pub mod explain;
pub mod gc;
pub mod log;
pub mod overrides;
pub mod recipe;
pub mod reclassify;
pub mod report;
pub mod repro;
pub mod run;
pub mod serve;
pub mod show;
pub mod status;
