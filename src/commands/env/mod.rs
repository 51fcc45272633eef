//! `wheeltapper env`: the environments of this machine, and the platforms that they stand on.

mod add;
mod build;
mod list;
mod show;

use wheeltapper_platforms::Images;

use crate::{
    args::EnvCommand,
    exit::{Exit, Failure},
    paths::Paths,
    platforms::Platforms,
    view,
};

/// Does what is asked with environments.
pub fn env(paths: &Paths, command: &EnvCommand) -> Result<Exit, Failure> {
    match command {
        EnvCommand::List { all } => list::list(paths, *all),
        EnvCommand::Add(arguments) => add::add(paths, arguments),
        EnvCommand::Build { names, again } => build::build(paths, names, *again),
        EnvCommand::Check { names } => build::check(paths, names),
        EnvCommand::Remove { names } => remove(paths, names),
        EnvCommand::Provides { name, file } => show::provides(paths, name, file),
        EnvCommand::Show { name, diff } => show::show(paths, name, diff.as_deref()),
    }
}

fn remove(paths: &Paths, names: &[String]) -> Result<Exit, Failure> {
    let catalogue = wheeltapper_platforms::Catalogue::read(&paths.definitions)?;
    let images = Images::open(&paths.data)?;
    for name in names {
        // What was built may be of a definition that is gone.
        let platform = match images.built(name) {
            Ok(Some(built)) => built.name,
            Ok(None) => catalogue.find(name)?.name.clone(),
            Err(_) => name.clone(),
        };
        match images.remove(&platform)? {
            true => view::remark(&format!("{platform}: removed")),
            false => view::remark(&format!("{platform}: nothing was built of it")),
        }
    }
    Ok(Exit::Success)
}

/// The platforms that are meant; those that were built, where nothing is named.
fn meant(platforms: &Platforms, names: &[String]) -> Result<Vec<String>, Failure> {
    if names.is_empty() {
        return Ok(platforms.built.iter().map(|(built, _)| built.name.clone()).collect());
    }
    let mut meant = Vec::new();
    for name in names {
        let platform = platforms.catalogue.find(name)?.name.clone();
        if !meant.contains(&platform) {
            meant.push(platform);
        }
    }
    Ok(meant)
}
