//! `wheeltapper repro PROJECT ENV`.
use crate::{
    args::SandboxArguments,
    exit::{Exit, Failure},
    paths::Paths,
};
/// Runs a stored result again.
pub fn repro(
    _: &Paths,
    _: &str,
    _: &str,
    _: Option<wheeltapper_core::Artifact>,
    _: &SandboxArguments,
) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Farm, "not yet"))
}
