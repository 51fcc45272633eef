//! Decides what is run, hands it out to slots, and stores what comes back. The store is the truth: results are written as
//! each cell settles, and the same command again reuses those whose inputs are unchanged.

mod catalog;
mod cells;
mod checkout;
mod comparing;
pub mod cycle;
pub mod elsewhere;
mod error;
mod fingerprint;
pub mod letters;
pub mod publish;
mod run;
mod runner;
mod target;
pub mod web;

pub use catalog::{Catalog, Found, local};
pub use cells::{Artifacts, Cell, plan};
pub use error::Error;
pub use fingerprint::request;
pub use run::{Event, RunOptions, Summary, run};
pub use target::{Target, TargetError, requirements_file};
