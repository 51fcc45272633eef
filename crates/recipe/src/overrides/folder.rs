//! Folders of overrides, a file a project. Knows no file system: files are handed in with their names.

use std::{collections::BTreeMap, sync::LazyLock};

use wheeltapper_core::{ProjectName, Version};

use super::{Author, Override, Problem, read};

/// The files of the shipped folder: only what no rule can get, at most 20.
const SHIPPED: &[(&str, &str)] = &[];

/// Overrides by project, the strongest first.
#[derive(Debug, Clone, Default)]
pub struct Recipes {
    projects: BTreeMap<ProjectName, Vec<Override>>,
}

static OF_THIS_PROGRAM: LazyLock<Recipes> = LazyLock::new(|| {
    let mut recipes = Recipes::default();
    for (name, text) in SHIPPED {
        let added = recipes.add(Author::Shipped, name, &format!("recipes/{name}"), text);
        debug_assert!(added.is_ok(), "a test reads every shipped file");
    }
    recipes
});

impl Recipes {
    /// Those that the program carries.
    pub fn shipped() -> Recipes {
        OF_THIS_PROGRAM.clone()
    }

    /// Adds a file called `<project>.toml`; `shown` is how problems name it. The first of two of one author counts.
    ///
    /// # Errors
    /// Everything that is wrong with it, by line.
    pub fn add(&mut self, author: Author, name: &str, shown: &str, text: &str) -> Result<(), Vec<Problem>> {
        let problem = |message: String, near: Option<String>| {
            vec![Problem { file: shown.to_owned(), line: 1, key: String::new(), message, near }]
        };
        let stem = name.strip_suffix(".toml").unwrap_or(name);
        let project: ProjectName = stem.parse().map_err(|_| {
            problem(format!("`{stem}` is no project's name, and the file is called by it"), None)
        })?;
        if project.as_str() != stem {
            let near = Some(format!("{project}.toml"));
            return Err(problem(
                "the file is called by the project's normal name (PEP 503)".to_owned(),
                near,
            ));
        }
        match read::table(text, shown, &[], author) {
            Some(Ok(found)) => {
                // Results name it so; where the folder is, is the user's own business.
                let found = Override { file: format!("recipes/{name}"), ..found };
                let known = self.projects.entry(project).or_default();
                if !known.iter().any(|other| other.author == author) {
                    known.push(found);
                    known.sort_by_key(|one| one.author);
                }
                Ok(())
            }
            Some(Err(problems)) => Err(problems),
            None => Ok(()),
        }
    }

    /// Those for a release, strongest first.
    pub fn of(&self, project: &ProjectName, version: &Version) -> Vec<Override> {
        let all = self.projects.get(project).into_iter().flatten();
        all.filter(|one| one.versions.as_ref().is_none_or(|wanted| wanted.contains(version)))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_file_is_listed_reads_and_says_why() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".toml"))
            .collect();
        names.sort();
        assert_eq!(names, SHIPPED.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        assert!(names.len() <= 20, "rules get the rest");
        for (name, text) in SHIPPED {
            let mut recipes = Recipes::default();
            recipes.add(Author::Shipped, name, name, text).unwrap();
            assert!(recipes.projects.values().flatten().all(|one| one.why.is_some()), "{name} says why");
        }
    }

    #[test]
    fn the_users_comes_before_the_shipped_and_only_for_its_versions() {
        let mut recipes = Recipes::default();
        recipes.add(Author::Shipped, "a-b.toml", "recipes/a-b.toml", "command = 'pytest x'\n").unwrap();
        recipes
            .add(Author::User, "a-b.toml", "mine/a-b.toml", "versions = '<2'\nrunner = 'unittest'\n")
            .unwrap();
        let of = |version: &str| {
            let found = recipes.of(&"A.b".parse().unwrap(), &version.parse().unwrap());
            found.iter().map(|one| one.author).collect::<Vec<_>>()
        };
        assert_eq!(of("1.5"), [Author::User, Author::Shipped]);
        assert_eq!(of("2.0"), [Author::Shipped]);
        let wrong = recipes.add(Author::User, "A_B.toml", "mine/A_B.toml", "").unwrap_err();
        assert_eq!(wrong[0].near.as_deref(), Some("a-b.toml"));
        assert!(recipes.add(Author::User, "-.toml", "mine/-.toml", "").is_err());
    }
}
