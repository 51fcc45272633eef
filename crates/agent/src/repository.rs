//! Tests out of a project's repository: looked for at the release's tag, believed only where the modules there are those of the
//! sdist, laid over the sdist's tree as a layer of their own. What is said of it goes into the record.

use std::{fmt::Write as _, fs, path::Path};

use wheeltapper_core::{ProjectName, Reason, Sha256, TestSource, TestsRepository, Version};
use wheeltapper_recipe::{About, Plans, Taken, from_repository};
use wheeltapper_repository::{
    Address, Chosen, Error as RepositoryError, Place, Repositories, Tag, choose, named,
};

use crate::{agent::Agent, error::Error, layers::Layers, recipe::Subject, source::Source};

/// The list of what was left out of a repository's layer.
const LEFT_OUT: &str = "left-out";

/// How many notes of one kind a record has.
const MOST_NOTES: usize = 5;

/// Where tests may be looked for.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Repositories; `None` where there is no git.
    pub repositories: Option<&'a Repositories>,
    /// Layers, and the slot that uses them.
    pub layers: &'a Layers,
    /// See [`Layers::get`].
    pub slot: usize,
    /// What the user asked for.
    pub source: TestSource,
    /// What a stored result found, when it is to be had again.
    pub then: Option<&'a TestsRepository>,
}

/// Plans, and the tree that they are for.
#[derive(Debug)]
pub struct Sourced {
    /// How the tests are run.
    pub plans: Plans,
    /// The sdist's tree with the repository's tests over it, where some were taken.
    pub source: Option<Source>,
    /// What was looked for; `None` where nothing was.
    pub told: Option<TestsRepository>,
}

/// Works out how a release's tests are run: those of its sdist, or, where that is asked for, those of its repository.
///
/// # Errors
/// When the repository cannot be reached, or this machine fails. That a repository has no tests to give is told, and no error.
pub fn sourced(look: Look<'_>, sdist: &Source, subject: &Subject<'_>) -> Result<Sourced, Error> {
    let plans = subject.plans(sdist);
    let asked = match look.source {
        TestSource::Sdist => false,
        TestSource::Auto => plans.none == Some(Reason::NoTestsShipped),
        TestSource::Repository => true,
    };
    if !asked {
        return Ok(Sourced { plans, source: None, told: None });
    }
    let mut told = TestsRepository::default();
    let source = match look.at_tag(subject, &mut told)? {
        Some((address, tag)) => look.take(sdist, &subject.about(), &address, &tag, &mut told)?,
        None => None,
    };
    let plans = match &source {
        None => plans,
        Some(source) => {
            let mut plans = subject.plans(source);
            for plan in &mut plans.plans {
                plan.source = TestSource::Repository.to_string();
                plan.why.push(format!("the tests: {}", told.told()));
            }
            plans
        }
    };
    Ok(Sourced { plans, source, told: Some(told) })
}

/// What is told of a release that has wheels only.
pub(crate) fn without_sdist() -> TestsRepository {
    let reason = "there is no sdist to compare it with".to_owned();
    TestsRepository { refused: Some(reason), ..TestsRepository::default() }
}

impl Look<'_> {
    fn repositories(&self) -> Result<&Repositories, Error> {
        let none = || RepositoryError::NoGit("there is none on PATH".to_owned());
        Ok(self.repositories.ok_or_else(none)?)
    }

    /// The repository and the tag of the release; where there is none, `told` says why.
    fn at_tag(
        &self,
        subject: &Subject<'_>,
        told: &mut TestsRepository,
    ) -> Result<Option<(Address, Tag)>, Error> {
        if let Some((then, address, tag)) = self.then.and_then(as_then) {
            told.named_by.clone_from(&then.named_by);
            self.tell(told, &address, &tag)?;
            return Ok(Some((address, tag)));
        }
        let named = named(&subject.installs.metadata.people.links);
        for (text, why) in named.refused.iter().take(MOST_NOTES) {
            told.notes.push(format!("`{text}` is never fetched: {why}"));
        }
        let Some((address, label)) = named.found else {
            told.refused = Some("its metadata names no repository that may be fetched".to_owned());
            return Ok(None);
        };
        told.named_by = Some(label);
        told.address = Some(address.to_string());
        told.mirror = is_mirror(&self.repositories()?.place(&address));
        let tags = match self.repositories()?.tags(&address) {
            Ok(tags) => tags,
            Err(error) => return told_by(error, told).map(|()| None),
        };
        match choose(&tags, subject.project, subject.version) {
            None => {
                let version = subject.version;
                told.refused = Some(match tags.len() {
                    0 => "it has no tags".to_owned(),
                    1 => format!("its tag is not that of {version}"),
                    count => format!("none of its {count} tags is that of {version}"),
                });
                Ok(None)
            }
            Some(Chosen { tag, others }) => {
                if !others.is_empty() {
                    told.notes.push(format!("other tags of that version: {}", others.join(", ")));
                }
                self.tell(told, &address, &tag)?;
                Ok(Some((address, tag)))
            }
        }
    }

    fn tell(&self, told: &mut TestsRepository, address: &Address, tag: &Tag) -> Result<(), Error> {
        told.address = Some(address.to_string());
        told.mirror = is_mirror(&self.repositories()?.place(address));
        told.tag = Some(tag.name.clone());
        told.commit = Some(tag.commit.clone());
        Ok(())
    }

    /// The sdist's tree with the tests over it; where none are taken, `told` says why.
    fn take(
        &self,
        sdist: &Source,
        about: &About<'_>,
        address: &Address,
        tag: &Tag,
        told: &mut TestsRepository,
    ) -> Result<Option<Source>, Error> {
        let repository = match self.tree(address, tag) {
            Ok(tree) => tree,
            Err(Error::Repository(error)) => return told_by(error, told).map(|()| None),
            Err(error) => return Err(error),
        };
        let left_out = fs::read_to_string(repository.layers[0].join(LEFT_OUT)).unwrap_or_default();
        told.notes.extend(left_out.lines().take(MOST_NOTES).map(|line| format!("left out: {line}")));
        let found = from_repository(sdist, &repository, about);
        let compared = match &found {
            Ok(taken) => &taken.compared,
            Err(not) => &not.compared,
        };
        told.folder.clone_from(&compared.folder);
        (told.compared, told.same) = (compared.modules, compared.same);
        let taken = match found {
            Ok(taken) => taken,
            Err(not) => {
                told.refused = Some(not.reason);
                return Ok(None);
            }
        };
        told.taken = taken.files.len() as u64;
        told.files = taken.files.iter().map(|(_, to)| to.clone()).take(TestsRepository::MOST_NAMED).collect();
        Ok(Some(self.over(sdist, &repository, &taken, tag)?))
    }

    /// The repository's files at the tag. Kept by address and commit.
    fn tree(&self, address: &Address, tag: &Tag) -> Result<Source, Error> {
        let key = Sha256::of_parts(["repository", "1", address.as_str(), &tag.commit]);
        let layer = self.layers.get::<Error>(self.slot, &key, |layer| {
            fs::create_dir_all(layer).map_err(Error::file(layer))?;
            let exported = self.repositories()?.export(address, tag, &layer.join("src"))?;
            let list = exported.left_out.iter().fold(String::new(), |mut list, (path, why)| {
                let _ = writeln!(list, "{path} ({why})");
                list
            });
            let file = layer.join(LEFT_OUT);
            fs::write(&file, list).map_err(Error::file(&file))
        })?;
        Ok(Source::in_layer(layer, "src".into()))
    }

    /// The sdist's tree, and over it a layer of what is taken.
    fn over(&self, sdist: &Source, repository: &Source, taken: &Taken, tag: &Tag) -> Result<Source, Error> {
        let inside = sdist.inside().to_string_lossy();
        let files = taken.files.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
        let key =
            Sha256::of_parts(["tests of a repository", "1", &inside, &tag.commit].into_iter().chain(files));
        let layer = self.layers.get::<Error>(self.slot, &key, |layer| {
            for (from, to) in &taken.files {
                copy(&repository.place(from), &layer.join(sdist.inside()).join(to))?;
            }
            Ok(())
        })?;
        Ok(sdist.under(layer))
    }
}

/// What a stored result took, as far as it can be had again.
fn as_then(then: &TestsRepository) -> Option<(&TestsRepository, Address, Tag)> {
    let address = Address::read(then.address.as_deref()?, true).ok()??;
    let tag = Tag::new(then.tag.as_deref()?, then.commit.as_deref()?)?;
    then.refused.is_none().then_some((then, address, tag))
}

const fn is_mirror(place: &Place) -> bool {
    matches!(place, Place::Mirror { .. })
}

/// What is the repository's own is told; what is the farm's is an error.
fn told_by(error: RepositoryError, told: &mut TestsRepository) -> Result<(), Error> {
    if error.is_farms() {
        return Err(error.into());
    }
    told.refused = Some(match error {
        RepositoryError::Absent { reason, .. } | RepositoryError::Refused { reason, .. } => reason,
        other => other.to_string(),
    });
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(Error::file(folder))?;
    fs::copy(from, to).map(|_| ()).map_err(Error::file(to))
}

impl Agent {
    /// True when the repository that a result rests on answers today as it did: the same tag, the same commit, or still none.
    pub fn repository_stands(
        &self,
        project: &ProjectName,
        version: &Version,
        then: &TestsRepository,
    ) -> bool {
        // Without an address the sdist alone has spoken, and the sdist does not change.
        let Some(address) = &then.address else { return true };
        let (Ok(Some(address)), Some(repositories)) = (Address::read(address, true), &self.repositories)
        else {
            return false;
        };
        let now = match repositories.tags(&address) {
            Ok(tags) => choose(&tags, project, version).map(|chosen| chosen.tag),
            Err(error) if error.is_farms() => return false,
            Err(_) => None,
        };
        let now = now.as_ref().map(|tag| (tag.name.as_str(), tag.commit.as_str()));
        now == then.tag.as_deref().zip(then.commit.as_deref())
    }
}
