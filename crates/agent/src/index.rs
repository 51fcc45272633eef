//! The index as a cell's sequential story sees it: blocking calls on the client that the whole run shares. A slot is an
//! ordinary thread, so waiting here holds up nothing else.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tokio::runtime::Handle;
use wheeltapper_core::Sha256;
use wheeltapper_index::{Client, Error, Files, Lease, Proxy, Serving};

use crate::{job::Origin, resolve::LockedWheel};

/// The client, the store of files, and the proxy.
#[derive(Clone)]
pub struct Index {
    /// Where asynchronous calls are run.
    pub handle: Handle,
    /// The client of whatever index is configured.
    pub client: Client,
    /// The store of files.
    pub files: Files,
    /// What sandboxes and the resolver see.
    pub proxy: Proxy,
}

/// A file at hand; a stored one is leased for as long as this lives.
#[derive(Debug)]
pub enum Fetched {
    /// In the store.
    Stored(Lease),
    /// The user's own.
    Local(PathBuf, Sha256),
}

impl Fetched {
    /// Where it is.
    pub fn path(&self) -> &Path {
        match self {
            Fetched::Stored(lease) => lease.path(),
            Fetched::Local(path, _) => path,
        }
    }

    /// What it holds.
    pub fn sha256(&self) -> Sha256 {
        match self {
            Fetched::Stored(lease) => lease.sha256(),
            Fetched::Local(_, sha256) => *sha256,
        }
    }
}

impl Index {
    /// Fetches a distribution, hash verified.
    ///
    /// # Errors
    /// When the file is gone, is not what its hash says, or the index is lost.
    pub fn fetch(&self, origin: &Origin) -> Result<Fetched, Error> {
        match origin {
            Origin::Local { path, sha256, .. } => Ok(Fetched::Local(path.clone(), *sha256)),
            Origin::Index(file) => {
                self.handle.block_on(self.files.fetch(&self.client, file)).map(Fetched::Stored)
            }
        }
    }

    /// Fetches a wheel that the resolver chose.
    ///
    /// # Errors
    /// As [`Index::fetch`]; also when the index no longer lists it.
    pub fn fetch_wheel(&self, wheel: &LockedWheel) -> Result<Fetched, Error> {
        self.handle.block_on(async {
            let page = self.proxy.page(&wheel.project).await?;
            let file =
                page.file(&wheel.filename).ok_or_else(|| Error::FileNotListed(wheel.filename.clone()))?;
            self.proxy.fetch(file).await.map(Fetched::Stored)
        })
    }

    /// The index as of a moment, given as RFC 3339: what was uploaded later is hidden.
    ///
    /// # Errors
    /// When it is no moment.
    pub(crate) fn as_of(&self, moment: &str) -> Result<Index, crate::error::Error> {
        let moment: Timestamp = moment
            .parse()
            .map_err(|error| crate::error::Error::Bug(format!("`{moment}` is no moment: {error}")))?;
        Ok(Index { proxy: self.proxy.as_of(moment), ..self.clone() })
    }

    /// Serves the proxy on a listener that a sandbox passed out.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> Result<Serving, Error> {
        let _inside = self.handle.enter();
        self.proxy.serve(listener)
    }
}
