//! The store of files by what they hold, whoever brings them: `files/ab/cdef…`, named by SHA-256, verified while
//! they come in, whole or not there, shared by many processes. A lease (a shared lock on the file) keeps it from
//! eviction; the least recently used ones go first.

mod incoming;

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use sha2::Digest as _;
use wheeltapper_core::Sha256;

use crate::{
    Client, Error, File, Result,
    credentials::shown,
    transport::{Failure, Want, failure},
};

pub use incoming::Incoming;

/// How long a part is left alone, locked or not.
const YOUNG: Duration = Duration::from_secs(60);

/// Limits of the store.
#[derive(Debug, Clone)]
pub struct FilesOptions {
    /// Bytes that are kept; leased files are kept beyond it.
    pub limit: u64,
    /// Bytes of the largest file that is taken.
    pub largest: u64,
    /// Whether a file is forced to disk before it appears. Without it a power cut may leave a damaged file,
    /// which is found by its size or by `verify` and fetched again.
    pub durable: bool,
}

impl Default for FilesOptions {
    fn default() -> Self {
        FilesOptions { limit: 20 << 30, largest: 1 << 30, durable: false }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    inner: Arc<Inner>,
}

struct Inner {
    root: PathBuf,
    options: FilesOptions,
    /// Fetches under way in this process, so that one file is fetched once.
    fetching: Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>,
    /// Bytes stored as far as this process knows; counted anew at each eviction. `u64::MAX`: not yet counted.
    stored: AtomicU64,
}

/// A stored file that stays as long as this lives.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    sha256: Sha256,
    size: u64,
    /// Holds the shared lock.
    _locked: fs::File,
}

impl Lease {
    /// Where the file is: read-only, and not to be written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Files {
    /// Opens the store in a data folder, makes it if need be, and sweeps out what killed processes left.
    ///
    /// # Errors
    /// `Io` where the folder cannot be written.
    pub fn open(data: &Path, options: FilesOptions) -> Result<Self> {
        let root = data.join("files");
        for folder in [root.clone(), root.join("partial"), root.join("known")] {
            fs::create_dir_all(&folder).map_err(Error::io("create", folder))?;
        }
        for entry in fs::read_dir(root.join("partial")).into_iter().flatten().flatten() {
            // A part that nobody has locked belongs to nobody who lives; a very young one may be about to be.
            let old = entry.metadata().and_then(|found| found.modified()).ok();
            let old = old.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > YOUNG);
            if old && fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
                let _ = fs::remove_file(entry.path());
            }
        }
        let stored = AtomicU64::new(u64::MAX);
        Ok(Files { inner: Arc::new(Inner { root, options, fetching: Mutex::default(), stored }) })
    }

    /// A listed file: from the store, else from the index, verified by the hash that the index promises. A file
    /// without a promised SHA-256 is hashed when it first comes in and must be the same ever after.
    ///
    /// # Errors
    /// `FileGone` where the index has it no more, `TooLarge`, `HashMismatch`, `Refused`, `Lost`, `Garbage`, `Io`.
    pub async fn fetch(&self, client: &Client, file: &File) -> Result<Lease> {
        let digest = file.sha256().or_else(|| self.known(file));
        if let Some(lease) = digest.and_then(|digest| self.lease_sized(digest, file.size)) {
            return Ok(lease);
        }
        let key = digest.map_or_else(|| file.url.to_string(), |digest| digest.hex());
        let gate = self.gate(&key);
        let _passed = gate.lock().await;
        let digest = file.sha256().or_else(|| self.known(file));
        if let Some(lease) = digest.and_then(|digest| self.lease_sized(digest, file.size)) {
            return Ok(lease);
        }
        self.download(client, file, digest).await
    }

    fn gate(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut fetching = self.inner.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        if fetching.len() > 1024 {
            fetching.retain(|_, gate| gate.strong_count() > 0);
        }
        if let Some(gate) = fetching.get(key).and_then(Weak::upgrade) {
            return gate;
        }
        let gate = Arc::new(tokio::sync::Mutex::new(()));
        fetching.insert(key.to_owned(), Arc::downgrade(&gate));
        gate
    }

    async fn download(&self, client: &Client, file: &File, digest: Option<Sha256>) -> Result<Lease> {
        let limit = self.inner.options.largest;
        let too_large = || Error::TooLarge { filename: file.filename.clone(), limit };
        if file.size.is_some_and(|size| size > limit) {
            return Err(too_large());
        }
        if client.is_offline() {
            let reason = format!("`{}` is not stored here, and no network is wanted", file.filename);
            return Err(Error::Lost { index: shown(&file.url), reason, retry_after: None });
        }
        let mut retries = client.transport().retries(&file.url);
        let mut mismatches = 0;
        loop {
            let failure = match self.download_once(client, file).await {
                Ok(part) => match self.check(file, digest, &part) {
                    // Evicted by another process between two locks, or found damaged beside it: once more.
                    Ok(()) => match self.settle(file, part) {
                        Err(Error::NotStored(_)) => Failure::Again {
                            reason: "the store had no room for it".to_owned(),
                            after: Some(0),
                        },
                        settled => return settled,
                    },
                    // A broken cache on the way may send other bytes once; twice is the index's word.
                    Err(error) if mismatches > 0 => return Err(error),
                    Err(error) => {
                        mismatches += 1;
                        Failure::Again { reason: error.to_string(), after: None }
                    }
                },
                Err(failure) => failure,
            };
            retries
                .again(failure, |status| Error::FileGone { filename: file.filename.clone(), status })
                .await?;
        }
    }

    async fn download_once(&self, client: &Client, file: &File) -> Result<Incoming, Failure> {
        let limit = self.inner.options.largest;
        let too_large = || Failure::from(Error::TooLarge { filename: file.filename.clone(), limit });
        let _slot = client.transport().slot().await;
        let mut response = client.transport().send(&file.url, &Want::File { range: None }).await?;
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut part = Incoming::new(&self.inner.root)?;
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(&file.url, error))? {
            if part.size + chunk.len() as u64 > limit {
                return Err(too_large());
            }
            part.write(&chunk)?;
        }
        Ok(part)
    }

    fn check(&self, file: &File, digest: Option<Sha256>, part: &Incoming) -> Result<()> {
        let mismatch = |expected: String, found: String| {
            Err(Error::HashMismatch { filename: file.filename.clone(), expected, found })
        };
        let found = part.digest();
        if let Some(expected) = digest.filter(|expected| *expected != found) {
            return mismatch(expected.to_string(), found.to_string());
        }
        if let Some(expected) = file.hashes.get("sha512").filter(|_| file.sha256().is_none()) {
            let bytes = fs::read(&part.path).map_err(Error::io("read", &part.path))?;
            let found: String =
                sha2::Sha512::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            if *expected != found {
                return mismatch(format!("sha512:{expected}"), format!("sha512:{found}"));
            }
        }
        match file.size {
            Some(size) if digest.is_none() && size != part.size => {
                mismatch(format!("{size} bytes"), format!("{} bytes", part.size))
            }
            _ => Ok(()),
        }
    }

    fn settle(&self, file: &File, part: Incoming) -> Result<Lease> {
        if file.sha256().is_none() {
            let place = self.known_place(file);
            fs::write(&place, part.digest().hex()).map_err(Error::io("write", &place))?;
        }
        self.keep(part)
    }

    /// Takes in a file from elsewhere, by copying it.
    ///
    /// # Errors
    /// `TooLarge`, `Io`.
    pub fn insert(&self, path: &Path) -> Result<Lease> {
        let mut from = fs::File::open(path).map_err(Error::io("open", path))?;
        let mut part = Incoming::new(&self.inner.root)?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            let length = io::Read::read(&mut from, &mut buffer).map_err(Error::io("read", path))?;
            if length == 0 {
                return self.keep(part);
            }
            if part.size + length as u64 > self.inner.options.largest {
                let filename = crate::unpack::file_name(path);
                return Err(Error::TooLarge { filename, limit: self.inner.options.largest });
            }
            part.write(&buffer[..length])?;
        }
    }

    /// A file of another origin than the index begins to come in.
    ///
    /// # Errors
    /// `Io`.
    pub fn incoming(&self) -> Result<Incoming> {
        Incoming::new(&self.inner.root)
    }

    /// Stores what has come in, as it is: whether it is what was wanted, the caller has looked.
    ///
    /// # Errors
    /// `NotStored` where another process evicted it at once, `Io`.
    pub fn keep(&self, part: Incoming) -> Result<Lease> {
        let (digest, size) = (part.digest(), part.size);
        let place = self.place(digest);
        if self.inner.options.durable {
            part.file.sync_all().map_err(Error::io("write", &part.path))?;
        }
        let mut permissions = part.file.metadata().map_err(Error::io("read", &part.path))?.permissions();
        permissions.set_readonly(true);
        part.file.set_permissions(permissions).map_err(Error::io("write", &part.path))?;
        let folder = place.parent().expect("a stored file is in a folder");
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        // A link rather than a rename: a file that somebody has leased is never replaced by another of the same
        // content, whose eviction that lease would not prevent.
        match fs::hard_link(&part.path, &place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return self.lease_sized(digest, Some(size)).ok_or(Error::NotStored(digest));
            }
            // A file system without hard links.
            Err(_) => fs::rename(&part.path, &place).map_err(Error::io("write", &place))?,
        }
        let locked = fs::File::open(&place).map_err(Error::io("open", &place))?;
        part.file.unlock().map_err(Error::io("unlock", &place))?;
        locked.lock_shared().map_err(Error::io("lock", &place))?;
        drop(part);
        let known = self.inner.stored.load(Ordering::Relaxed);
        if known != u64::MAX {
            self.inner.stored.fetch_add(size, Ordering::Relaxed);
        }
        let lease = match is_at(&locked, &place) {
            true => Lease { path: place, sha256: digest, size, _locked: locked },
            // Evicted between the two locks by another process: as if it never came.
            false => return Err(Error::NotStored(digest)),
        };
        self.make_room()?;
        Ok(lease)
    }

    /// A stored file, if it is here and not damaged as far as a look at its size tells.
    pub fn lease(&self, digest: Sha256) -> Option<Lease> {
        self.lease_sized(digest, None)
    }

    fn lease_sized(&self, digest: Sha256, size: Option<u64>) -> Option<Lease> {
        let place = self.place(digest);
        let locked = fs::File::open(&place).ok()?;
        locked.lock_shared().ok()?;
        let found = locked.metadata().ok()?;
        if !is_at(&locked, &place) || !found.is_file() {
            return None;
        }
        if found.len() == 0 && digest != Sha256::of(b"") || size.is_some_and(|size| size != found.len()) {
            tracing::warn!(%digest, "a stored file is damaged and is fetched again");
            drop(locked);
            let _ = fs::remove_file(&place);
            return None;
        }
        // The time of change is the time of last use; what is stored never changes.
        let _ = locked.set_modified(SystemTime::now());
        Some(Lease { path: place, sha256: digest, size: found.len(), _locked: locked })
    }

    /// Reads the whole file and compares. A damaged one is removed, so that the next fetch brings it anew.
    ///
    /// # Errors
    /// `NotStored` where it is not here; `Io`.
    pub fn verify(&self, digest: Sha256) -> Result<bool> {
        let lease = self.lease(digest).ok_or(Error::NotStored(digest))?;
        let sound = digest_of(lease.path())? == digest;
        if !sound {
            fs::remove_file(lease.path()).map_err(Error::io("remove", lease.path()))?;
        }
        Ok(sound)
    }

    /// Bytes in the store, counted now.
    pub fn stored(&self) -> u64 {
        self.listing().iter().map(|(_, size, _)| size).sum()
    }

    /// Every stored file: path, bytes, time of last use.
    fn listing(&self) -> Vec<(PathBuf, u64, SystemTime)> {
        let folders = fs::read_dir(&self.inner.root).into_iter().flatten().flatten();
        let folders = folders.filter(|folder| folder.file_name().len() == 2);
        folders
            .flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten())
            .filter_map(|entry| {
                let found = entry.metadata().ok()?;
                Some((entry.path(), found.len(), found.modified().ok()?))
            })
            .collect()
    }

    /// Evicts the least recently used files that nobody has leased, down to nine tenths of the limit.
    fn make_room(&self) -> Result<()> {
        let limit = self.inner.options.limit;
        let known = self.inner.stored.load(Ordering::Relaxed);
        if known != u64::MAX && known <= limit {
            return Ok(());
        }
        let mut listing = self.listing();
        let mut stored: u64 = listing.iter().map(|(_, size, _)| size).sum();
        if stored > limit {
            listing.sort_by_key(|(_, _, used)| *used);
            for (path, size, _) in listing {
                if stored <= limit / 10 * 9 {
                    break;
                }
                if fs::File::open(&path)
                    .is_ok_and(|file| file.try_lock().is_ok() && fs::remove_file(&path).is_ok())
                {
                    stored -= size;
                }
            }
        }
        self.inner.stored.store(stored, Ordering::Relaxed);
        Ok(())
    }

    fn place(&self, digest: Sha256) -> PathBuf {
        let hex = digest.hex();
        self.inner.root.join(&hex[..2]).join(&hex[2..])
    }

    fn known_place(&self, file: &File) -> PathBuf {
        self.inner.root.join("known").join(Sha256::of(file.url.as_str().as_bytes()).hex())
    }

    /// The digest that a file without a promised one had when it first came in.
    pub(crate) fn known(&self, file: &File) -> Option<Sha256> {
        fs::read_to_string(self.known_place(file)).ok()?.trim().parse().ok()
    }
}

/// The digest of a whole file.
///
/// # Errors
/// `Io`.
pub fn digest_of(path: &Path) -> Result<Sha256> {
    let mut file = fs::File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    loop {
        match io::Read::read(&mut file, &mut buffer).map_err(Error::io("read", path))? {
            0 => return Ok(Sha256(hasher.finalize().into())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// Whether the open file is still the one at this path: one that was evicted before it was locked is not.
pub fn is_at(file: &fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |found: io::Result<fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        identity(file.metadata()).is_some_and(|open| identity(fs::symlink_metadata(path)) == Some(open))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

#[cfg(test)]
mod tests;
