//! The fixture packages of `fixtures/packages`, each named by the one thing it does.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use wheeltapper_core::ProjectName;

use crate::{Artifact, CoreMetadata, Expected, build_sdist, build_wheel};

/// One fixture package.
#[derive(Debug, Clone)]
pub struct Fixture {
    /// What it does: the name of its folder, e.g. `build-sleeps-forever`.
    pub behaviour: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What it must come out as.
    pub expected: Expected,
    /// What it says of itself. Its name is `tap-` and the behaviour: no project of that kind is on PyPI, so that a
    /// test that asks the wrong index fails rather than runs a stranger's code.
    pub metadata: CoreMetadata,
}

impl Fixture {
    /// The folder that holds them all.
    pub fn folder() -> PathBuf {
        crate::workspace().join("fixtures/packages")
    }

    /// Every fixture, sorted by name.
    ///
    /// # Errors
    /// When one of them cannot be read; the message names the file.
    pub fn all() -> Result<Vec<Fixture>> {
        let mut fixtures = Vec::new();
        for item in fs::read_dir(Self::folder()).context("cannot list fixtures/packages")? {
            let item = item?;
            if item.path().is_dir() {
                fixtures.push(Self::named(item.file_name().to_str().context("a name is not UTF-8")?)?);
            }
        }
        fixtures.sort_by(|one, other| one.behaviour.cmp(&other.behaviour));
        Ok(fixtures)
    }

    /// The fixture of this behaviour.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn named(behaviour: &str) -> Result<Fixture> {
        let folder = Self::folder().join(behaviour);
        let path = folder.join("expected.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let expected = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        let metadata = CoreMetadata::read(&folder)?;
        ensure!(
            metadata.name == format!("tap-{behaviour}"),
            "{}: the project is called `{}`, not `tap-{behaviour}`",
            path.display(),
            metadata.name
        );
        Ok(Fixture { behaviour: behaviour.to_owned(), folder, expected, metadata })
    }

    /// Its project name.
    pub fn project(&self) -> ProjectName {
        self.metadata.project().expect("`tap-` and a folder's name is a project name")
    }

    /// What `wheeltapper run` is asked for.
    pub fn target(&self) -> &str {
        self.expected.target.as_deref().unwrap_or(&self.metadata.name)
    }

    /// The files that an index holds of it: the sdist first, then its wheels.
    ///
    /// # Errors
    /// When one cannot be built.
    pub fn artifacts(&self) -> Result<Vec<Artifact>> {
        let mut artifacts = Vec::new();
        if self.expected.publish.sdist {
            artifacts.push(build_sdist(&self.folder)?);
        }
        for spec in &self.expected.publish.wheels {
            artifacts.push(build_wheel(&self.folder, spec)?);
        }
        Ok(artifacts)
    }
}
