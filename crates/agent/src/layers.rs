//! Layers kept ready: folders of installed wheels and unpacked sources, made once, used only as read-only lowers of cells.
//! A layer's key holds all that it was made of. Beside each lies its lease: a small file that says how large the layer is,
//! when it was used last, and, by a lock, that it is in use. What nobody uses goes when there is too much.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use wheeltapper_core::Sha256;
use wheeltapper_index::is_at;

use crate::{error::Error, work::Work};

/// How many bytes of layers a data folder keeps; what is in use stays beyond it.
pub const LAYERS_LIMIT: u64 = 20 << 30;

/// How the name of a lease ends.
const LEASE: &str = "lease";

/// The layers of one data folder. Safe under several processes: a layer appears by renaming, whole or not at all, and is
/// removed only while no process holds its lease.
#[derive(Debug)]
pub struct Layers {
    folder: PathBuf,
    limit: u64,
    /// Where layers are made, to be renamed when they are done; what a killed process left half made goes with it.
    unfinished: Work,
    making: Mutex<HashMap<Sha256, Arc<Mutex<()>>>>,
    /// What each slot's cell uses.
    held: Mutex<HashMap<usize, HashMap<PathBuf, File>>>,
    /// Bytes in all layers as far as this process knows; counted anew at each eviction. `u64::MAX`: not yet counted.
    stored: AtomicU64,
}

impl Layers {
    /// Layers below this folder, at most `limit` bytes of them.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: &Path, limit: u64) -> Result<Self, Error> {
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let unfinished = Work::open(&folder.join(".unfinished"))?;
        Ok(Layers {
            folder: folder.to_path_buf(),
            limit,
            unfinished,
            making: Mutex::default(),
            held: Mutex::default(),
            stored: AtomicU64::new(u64::MAX),
        })
    }

    /// The layer of this key; `make` is called with the path to create when there is none. It stays until the slot calls
    /// [`Layers::release`]. Within the process each layer is made once however many slots ask for it; of two processes the
    /// first to finish wins.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E: From<Error>>(
        &self,
        slot: usize,
        key: &Sha256,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.folder.join(&key.hex()[..32]);
        if self.hold(slot, &path)? {
            return Ok(path);
        }
        let lock = Arc::clone(locked(&self.making).entry(*key).or_default());
        let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if self.hold(slot, &path)? {
            return Ok(path);
        }
        let unfinished = self.unfinished.join(&key.hex()[..32]);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
        }
        make(&unfinished)?;
        let size = size_of(&unfinished);
        match fs::rename(&unfinished, &path) {
            Ok(()) => {
                let _ = self.stored.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |stored| {
                    (stored != u64::MAX).then(|| stored + size)
                });
            }
            Err(_) if path.is_dir() => {
                fs::remove_dir_all(&unfinished).map_err(Error::file(&unfinished))?;
            }
            Err(error) => return Err(Error::File { path, source: error }.into()),
        }
        if !self.hold(slot, &path)? {
            // Made and evicted by another process between two lines: the disk is far too small for what runs.
            let source = std::io::Error::other("removed by another process as soon as it was made");
            return Err(Error::File { path, source }.into());
        }
        note_size(&path, size);
        drop(guard);
        locked(&self.making).remove(key);
        if self.stored.load(Ordering::Relaxed) > self.limit {
            self.evict(self.limit)?;
        }
        Ok(path)
    }

    /// The slot's cell is over: what it used may go.
    pub fn release(&self, slot: usize) {
        locked(&self.held).remove(&slot);
    }

    /// Removes the layers used longest ago, those in use excepted, until at most nine tenths of `limit` bytes are left.
    /// Returns how many bytes were freed.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn evict(&self, limit: u64) -> Result<u64, Error> {
        let mut layers = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(Error::file(&self.folder))?.flatten() {
            let path = entry.path();
            match path.extension() {
                Some(_) if path.with_extension("").is_dir() => {}
                // A lease whose layer was never finished, or is gone.
                Some(_) => self.remove(&path.with_extension("")).map_or((), drop),
                None if entry.file_name() == ".unfinished" => {}
                None => layers.push((used(&path), known_size(&path), path)),
            }
        }
        let before: u64 = layers.iter().map(|(_, size, _)| size).sum();
        let mut stored = before;
        if stored > limit {
            layers.sort();
            for (_, size, path) in layers {
                if stored <= limit / 10 * 9 {
                    break;
                }
                if self.remove(&path).is_some() {
                    stored -= size;
                }
            }
        }
        self.stored.store(stored, Ordering::Relaxed);
        Ok(before - stored)
    }

    /// Holds the layer for this slot; false where there is none.
    fn hold(&self, slot: usize, path: &Path) -> Result<bool, Error> {
        if locked(&self.held).get(&slot).is_some_and(|held| held.contains_key(path)) {
            return Ok(true);
        }
        while path.is_dir() {
            let place = path.with_extension(LEASE);
            let lease = open_lease(&place)?;
            lease.lock_shared().map_err(Error::file(&place))?;
            // One that was removed before it was locked keeps nothing.
            if is_at(&lease, &place) && path.is_dir() {
                let _ = lease.set_modified(SystemTime::now());
                locked(&self.held).entry(slot).or_default().insert(path.to_path_buf(), lease);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes a layer that nobody holds.
    fn remove(&self, path: &Path) -> Option<()> {
        let place = path.with_extension(LEASE);
        let lease = open_lease(&place).ok()?;
        lease.try_lock().ok()?;
        if !is_at(&lease, &place) {
            return None;
        }
        // Out of sight at once; however long the removing takes, nobody finds half a layer.
        let aside = self.unfinished.join(path.file_name()?).with_extension("evicted");
        let moved = fs::rename(path, &aside);
        fs::remove_file(&place).ok()?;
        moved.ok()?;
        fs::remove_dir_all(&aside).ok()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_lease(place: &Path) -> Result<File, Error> {
    File::options().create(true).read(true).append(true).open(place).map_err(Error::file(place))
}

/// When a layer was used last: one that nobody has used since leases exist, when it was made.
fn used(path: &Path) -> SystemTime {
    let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    time(&path.with_extension(LEASE)).or_else(|_| time(path)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The size that stands in the lease; measured where none does.
fn known_size(path: &Path) -> u64 {
    let noted = fs::read_to_string(path.with_extension(LEASE)).ok().and_then(|text| text.trim().parse().ok());
    noted.unwrap_or_else(|| size_of(path))
}

fn note_size(path: &Path, size: u64) {
    // Without it the size is measured anew.
    let _ = fs::write(path.with_extension(LEASE), size.to_string());
}

/// Bytes that a tree takes on the disk. No link is followed; a file with several names counts with each.
fn size_of(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| {
        entry.metadata().map_or(0, |found| {
            let below = if found.is_dir() { size_of(&entry.path()) } else { 0 };
            on_disk(&found) + below
        })
    };
    entries.map(size).sum()
}

#[cfg(unix)]
fn on_disk(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(found) * 512
}

#[cfg(not(unix))]
fn on_disk(found: &fs::Metadata) -> u64 {
    found.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layer with one file of this many bytes.
    fn make(path: &Path, bytes: usize) -> Result<(), Error> {
        fs::create_dir(path).map_err(Error::file(path))?;
        fs::write(path.join("file"), vec![1; bytes]).map_err(Error::file(path))
    }

    #[test]
    fn a_layer_is_made_once_and_never_half() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::open(folder.path(), u64::MAX).unwrap();
        let key = Sha256::of(b"x");
        let failed: Result<_, Error> = layers.get(0, &key, |path| {
            fs::create_dir(path).unwrap();
            Err(Error::Installer("no".into()))
        });
        assert!(failed.is_err());
        let made = layers.get(0, &key, |path| make(path, 1)).unwrap();
        let again = layers.get(0, &key, |_| -> Result<(), Error> { panic!("made twice") }).unwrap();
        assert_eq!(made, again);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::open(folder.path(), 1 << 20).unwrap();
        let keys = [b"a", b"b", b"c", b"d"].map(|name| Sha256::of(name));
        let get = |slot, key| layers.get(slot, key, |path| make(path, 300 << 10)).unwrap();
        let paths = [0, 1, 2].map(|at| get(at, &keys[at]));
        for (age, path) in [(30, &paths[0]), (20, &paths[1]), (10, &paths[2])] {
            let past = SystemTime::now() - std::time::Duration::from_secs(age);
            open_lease(&path.with_extension(LEASE)).unwrap().set_modified(past).unwrap();
        }
        // Another process holds the oldest still; this one's first slot and second are done.
        let other = Layers::open(folder.path(), u64::MAX).unwrap();
        other.hold(0, &paths[0]).unwrap();
        let past = SystemTime::now() - std::time::Duration::from_secs(30);
        open_lease(&paths[0].with_extension(LEASE)).unwrap().set_modified(past).unwrap();
        layers.release(0);
        layers.release(1);
        layers.evict(1 << 20).unwrap();
        assert!(paths.iter().all(|path| path.is_dir()), "there is room for three");
        let last = get(3, &keys[3]);
        assert_eq!(
            [&paths[0], &paths[1], &paths[2], &last].map(|path| path.is_dir()),
            [true, false, true, true]
        );
        assert!(!paths[1].with_extension(LEASE).exists());
        // What was evicted is made again.
        layers.release(2);
        assert!(get(1, &keys[1]).join("file").is_file());
    }

    #[test]
    fn everything_unused_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let layers = Layers::open(folder.path(), u64::MAX).unwrap();
        let path = layers.get(0, &Sha256::of(b"x"), |path| make(path, 5000)).unwrap();
        // One from before leases were.
        let old = folder.path().join("0123");
        make(&old, 5000).unwrap();
        assert!(layers.evict(0).unwrap() >= 5000);
        assert!(path.is_dir() && !old.exists());
        layers.release(0);
        layers.evict(0).unwrap();
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "only the folder of unfinished ones is left"
        );
    }
}
