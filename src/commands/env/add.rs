//! `wheeltapper env add`.

use wheeltapper_platforms::{Addition, add as write};

use crate::{
    args::AddArguments,
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Defines a platform, or adds to one that is defined.
pub(super) fn add(paths: &Paths, arguments: &AddArguments) -> Result<Exit, Failure> {
    let absolute =
        |path: &std::path::PathBuf| std::path::absolute(path).map(|path| path.display().to_string());
    let source = match arguments {
        AddArguments { debian: Some(suite), .. } => Some(("debian", suite.clone())),
        AddArguments { tarball: Some(path), .. } => Some(("tarball", absolute(path)?)),
        AddArguments { image: Some(path), .. } if path.starts_with('.') => {
            Some(("image", absolute(&path.into())?))
        }
        AddArguments { image: Some(reference), .. } => Some(("image", reference.clone())),
        AddArguments { interpreter: Some(path), .. } => Some(("interpreter", absolute(path)?)),
        AddArguments { debian: None, tarball: None, image: None, interpreter: None, .. } => None,
    };
    let definition = write(
        &paths.definitions,
        &Addition {
            name: &arguments.name,
            source,
            architecture: arguments.architecture.as_deref(),
            packages: &arguments.packages,
            interpreters: &arguments.interpreters,
            minimal: arguments.minimal,
        },
    )?;
    view::remark(&format!("{}: {} ({})", definition.name, definition.source, paths.definitions.display()));
    if !matches!(definition.source, wheeltapper_platforms::Source::Host { .. }) {
        view::remark(&format!("`wheeltapper env build {}` makes it", definition.name));
    }
    Ok(Exit::Success)
}
