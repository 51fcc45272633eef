//! Projects' repositories, as this machine reaches them: its git, and the user's mirrors.

use std::path::Path;

use wheeltapper_core::TestSource;
use wheeltapper_repository::{Git, Repositories, Settings};

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
};

/// Repositories by the user's settings; `None` where there is no git. `work` is for temporary files.
pub fn open(paths: &Paths, work: &Path) -> Result<Option<Repositories>, Failure> {
    let settings = Settings::read(&paths.definitions)?;
    let Some(program) = Paths::program("git") else { return Ok(None) };
    let git = Git::new(program, work, Paths::variables())?;
    Ok(Some(Repositories::new(git, settings.mirrors)))
}

/// Where tests come from: as asked for, else as the user's settings say.
pub fn source(paths: &Paths, asked: Option<TestSource>) -> Result<TestSource, Failure> {
    let source = match asked {
        Some(source) => source,
        None => Settings::read(&paths.definitions)?.source,
    };
    if source != TestSource::Sdist && Paths::program("git").is_none() {
        return Err(Failure::new(
            Exit::Input,
            format!("--source {source} needs git, and there is none on PATH"),
        )
        .hint("install git, or take the tests that releases ship: --source sdist"));
    }
    Ok(source)
}
