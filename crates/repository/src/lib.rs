//! Room `repository`: the tree of a release in its project's repository. Which address the metadata names (`address`), which
//! tag is the release's (`tag`), where an address is to be had here (`mirrors`), and how its files come over (`git`, in a
//! `limited` process of its own). Runs nothing of a repository, checks nothing out, and knows nothing of tests.

mod address;
mod error;
mod git;
mod limited;
mod mirrors;
mod network;
mod settings;
mod tag;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

pub use address::{Address, Named, named};
pub use error::Error;
pub use git::{Exported, Git};
pub use mirrors::{Mirrors, Place};
pub use settings::Settings;
pub use tag::{Chosen, Tag, choose};

/// Lists of tags that are kept while the program runs: the environments of a release ask one after the other.
const MOST_LISTS: usize = 64;

/// Repositories as they can be reached from here.
#[derive(Debug)]
pub struct Repositories {
    git: Git,
    mirrors: Mirrors,
    lists: Mutex<HashMap<Address, Arc<[Tag]>>>,
}

impl Repositories {
    /// Repositories behind these mirrors, and on the network where none stands for them.
    pub fn new(git: Git, mirrors: Mirrors) -> Repositories {
        Repositories { git, mirrors, lists: Mutex::default() }
    }

    /// Where an address is to be had.
    pub fn place(&self, address: &Address) -> Place {
        self.mirrors.place(address)
    }

    /// The tags of a repository. Asked once, and then known for some time.
    ///
    /// # Errors
    /// When there is no such repository, or it cannot be reached.
    pub fn tags(&self, address: &Address) -> Result<Arc<[Tag]>, Error> {
        let lists = || self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lists().get(address) {
            return Ok(Arc::clone(known));
        }
        let tags: Arc<[Tag]> = self.git.tags(&self.place(address))?.into();
        let mut lists = lists();
        if lists.len() >= MOST_LISTS {
            lists.clear();
        }
        lists.insert(address.clone(), Arc::clone(&tags));
        Ok(tags)
    }

    /// Writes the files of a tag's commit into `into`, which is empty or does not exist.
    ///
    /// # Errors
    /// When the tag is another commit than that by now, its tree is hostile or beyond the limits, or it cannot be reached.
    pub fn export(&self, address: &Address, tag: &Tag, into: &Path) -> Result<Exported, Error> {
        self.git.export(&self.place(address), tag, into)
    }
}
