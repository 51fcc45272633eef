//! The user's folder of overrides, read before anything is done: all that is wrong in it is told at once.

use std::path::Path;

use wheeltapper_recipe::{Author, Problem, Recipes};

use crate::{
    args::RecipesArguments,
    exit::{Exit, Failure},
    paths::Paths,
};

/// The most bytes of a file; a person writes some hundred.
const LARGEST: u64 = 256 << 10;

/// The overrides of the user's folder, and those that the program carries.
pub fn read(arguments: &RecipesArguments) -> Result<Recipes, Failure> {
    let mut recipes = Recipes::shipped();
    let Some(folder) = arguments.recipes.clone().or_else(Paths::recipes) else { return Ok(recipes) };
    let wrong = |what: &Path, error: std::io::Error| {
        Failure::new(Exit::Input, format!("{}: {error}", what.display()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| wrong(&folder, error))? {
        files.push(entry.map_err(|error| wrong(&folder, error))?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut problems: Vec<Problem> = Vec::new();
    for path in files {
        let size = std::fs::metadata(&path).map_err(|error| wrong(&path, error))?.len();
        if size > LARGEST {
            return Err(Failure::new(Exit::Input, format!("{}: larger than any override", path.display())));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, error))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let added = recipes.add(Author::User, &name, &path.display().to_string(), &text);
        problems.extend(added.err().unwrap_or_default());
    }
    if problems.is_empty() {
        return Ok(recipes);
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(Failure::new(Exit::Input, lines.join("\n")).hint("docs/recipes.md has every key"))
}
