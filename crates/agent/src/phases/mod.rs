//! The six phases, one file each. A phase leaves its report in the cell; an `Err` is the farm's own failure.

pub(crate) mod again;
pub(crate) mod build;
mod consistency;
pub(crate) mod fairly;
pub(crate) mod fetch;
pub(crate) mod import;
pub(crate) mod install;
pub(crate) mod requirements;
pub(crate) mod running;
mod stable_abi;
pub(crate) mod test;
pub(crate) mod trials;
pub(crate) mod uninstall;
