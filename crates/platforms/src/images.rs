//! What was built, in the data folder: images by what they hold, and for each platform the one that stands for it. An image
//! appears whole or not at all, and stays as long as somebody's cells stand on it.

use std::{
    fs::{self, File, TryLockError},
    io::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wheeltapper_agent::{Work, environment::Platform, interpreter};
use wheeltapper_core::Sha256;
use wheeltapper_index::{Files, FilesOptions};
use wheeltapper_sandbox::Root;

use crate::error::Error;

/// A platform that was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Its name.
    pub name: String,
    /// Digest of its definition as it was then.
    pub definition: Sha256,
    /// What the definition led to then, exactly, where it may lead to another thing tomorrow: an image with its digest.
    #[serde(default)]
    pub pinned: Option<String>,
    /// Digest of all that cells can see in it.
    pub contents: Sha256,
    /// When it was built, RFC 3339.
    pub at: String,
    /// How long that took, in seconds.
    pub seconds: u64,
    /// Bytes of its files.
    pub bytes: u64,
    /// Its `os-release`.
    pub os_release: String,
    /// Its programs have 32 bits.
    pub narrow: bool,
    /// It is no root file system, but an interpreter that runs on this machine's own system.
    #[serde(default)]
    pub on_host: bool,
    /// The interpreters in it.
    pub interpreters: Vec<Inside>,
    /// What is weak, for people.
    pub remarks: Vec<String>,
}

/// An interpreter in a root file system, and what it said of itself when it was asked inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its path inside.
    pub path: PathBuf,
    /// What it is, or why it cannot be used.
    pub answer: Result<interpreter::Interpreter, String>,
}

impl Built {
    /// What its environments stand on.
    pub fn platform(&self, lease: &Lease) -> Platform {
        match self.on_host {
            true => Platform::of_folder(&self.name, self.contents),
            false => Platform::of_root(&self.name, &self.os_release, self.contents, lease.root.clone()),
        }
    }

    /// Its interpreters, in the form in which those of the host are found.
    pub fn found(&self, lease: &Lease) -> Vec<interpreter::Found> {
        let found = |inside: &Inside| {
            let (mut path, mut interpreter) = (inside.path.clone(), inside.answer.clone());
            if self.on_host {
                // It was asked before it was put in its place.
                path = lease.root.path.join(path);
                if let Ok(answer) = &mut interpreter {
                    answer.executable.clone_from(&path);
                    answer.prefix.clone_from(&lease.root.path);
                    answer.library = None;
                }
            }
            interpreter::Found { path, source: "image", interpreter }
        };
        self.interpreters.iter().map(found).collect()
    }
}

/// An image in use: it is not removed while this lives.
#[derive(Debug)]
pub struct Lease {
    /// The root file system.
    pub root: Root,
    _lock: File,
}

/// The folder of what was built.
#[derive(Debug)]
pub struct Images {
    data: PathBuf,
    folder: PathBuf,
}

/// A platform being built. Nobody else builds it meanwhile; if this is dropped, nothing of it stays.
#[derive(Debug)]
pub struct Building {
    name: String,
    data: PathBuf,
    folder: Work,
    _lock: File,
}

impl Images {
    /// Those below this data folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(data: &Path) -> Result<Images, Error> {
        let folder = data.join("platforms");
        for path in [folder.join("images"), folder.join("locks")] {
            fs::create_dir_all(&path).map_err(Error::file(&path))?;
        }
        Ok(Images { data: data.to_path_buf(), folder })
    }

    /// What stands for a platform; `None` when it was never built.
    ///
    /// # Errors
    /// When what is noted of it cannot be read.
    pub fn built(&self, name: &str) -> Result<Option<Built>, Error> {
        let path = self.note(name);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| Error::Tool {
                message: format!("{} is not understood: {error}", path.display()),
                hint: Some(format!("`wheeltapper env build {name} --again` makes it anew")),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file(&path)(error)),
        }
    }

    /// The names of all that were built, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let entries = fs::read_dir(&self.folder).map_err(Error::file(&self.folder))?;
        let names = entries
            .flatten()
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// The file with the lines for all that cells can see of it.
    pub fn manifest(&self, built: &Built) -> PathBuf {
        self.image(&built.contents).join("manifest.txt")
    }

    /// When somebody last had it.
    pub fn last_use(&self, built: &Built) -> Option<Timestamp> {
        let modified = fs::metadata(self.lock_of(&built.contents)).ok()?.modified().ok()?;
        Timestamp::try_from(modified).ok()
    }

    /// Keeps an image from being removed.
    ///
    /// # Errors
    /// When it is gone.
    pub fn lease(&self, built: &Built) -> Result<Lease, Error> {
        let path = self.image(&built.contents);
        let lock = lock_file(&self.lock_of(&built.contents))?;
        lock.lock_shared().map_err(Error::file(&path))?;
        // Its time is that of the last use. Whoever may not write there uses it all the same.
        let _ = lock.set_modified(SystemTime::now());
        if !path.join("root").is_dir() {
            return Err(Error::Tool {
                message: format!("the image of {} is gone", built.name),
                hint: Some(format!("`wheeltapper env build {}` makes it anew", built.name)),
            });
        }
        Ok(Lease { root: Root { path: path.join("root"), narrow: built.narrow }, _lock: lock })
    }

    /// Begins to build a platform.
    ///
    /// # Errors
    /// [`Error::Busy`] while another process does.
    pub fn begin(&self, name: &str) -> Result<Building, Error> {
        let path = self.folder.join("locks").join(format!("{name}.lock"));
        let lock = lock_file(&path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy { name: name.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(Error::file(&path)(error)),
        }
        let folder = Work::open(&self.folder.join(".unfinished")).map_err(Error::work)?;
        Ok(Building { name: name.to_owned(), data: self.data.clone(), folder, _lock: lock })
    }

    /// Makes what was built stand for its platform. An image that nobody needs any more goes.
    ///
    /// # Errors
    /// When it cannot be put in its place; what stood there before still does.
    pub fn finish(&self, building: Building, built: &Built, manifest: &str) -> Result<(), Error> {
        let place = self.image(&built.contents);
        let lock = lock_file(&self.lock_of(&built.contents))?;
        lock.lock_shared().map_err(Error::file(&place))?;
        if !place.join("root").is_dir() {
            let ready = building.folder.join("image");
            fs::create_dir_all(&ready).map_err(Error::file(&ready))?;
            let path = ready.join("manifest.txt");
            fs::write(&path, manifest).map_err(Error::file(&path))?;
            fs::rename(building.root(), ready.join("root")).map_err(Error::file(&ready))?;
            fs::rename(&ready, &place).map_err(Error::file(&place))?;
        }
        let path = self.note(&building.name);
        let text = serde_json::to_string_pretty(built).map_err(|error| Error::file(&path)(error.into()))?;
        let mut note = tempfile::NamedTempFile::new_in(&self.folder).map_err(Error::file(&path))?;
        note.write_all(text.as_bytes()).map_err(Error::file(&path))?;
        note.persist(&path).map_err(|error| Error::file(&path)(error.error))?;
        drop(lock);
        self.sweep()
    }

    /// Forgets what stands for a platform; true when there was something. Cells that stand on it go on.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<bool, Error> {
        let path = self.note(name);
        match fs::remove_file(&path) {
            Ok(()) => self.sweep().map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::file(&path)(error)),
        }
    }

    /// Removes images that stand for no platform, and that no cell stands on.
    fn sweep(&self) -> Result<(), Error> {
        // What is noted in words of another version cannot be used, and so its image is needed by nobody.
        let built = self.names()?.into_iter().filter_map(|name| self.built(&name).ok().flatten());
        let needed: Vec<PathBuf> = built.map(|built| self.image(&built.contents)).collect();
        let images = self.folder.join("images");
        for entry in fs::read_dir(&images).map_err(Error::file(&images))?.flatten() {
            let path = entry.path();
            if needed.contains(&path) {
                continue;
            }
            let lock = lock_file(&self.folder.join("locks").join(entry.file_name()))?;
            if lock.try_lock().is_ok() {
                // What cannot be removed now is tried again the next time.
                let _ = fs::remove_dir_all(&path);
            }
        }
        Ok(())
    }

    fn note(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn image(&self, contents: &Sha256) -> PathBuf {
        self.folder.join("images").join(&contents.hex()[..32])
    }

    fn lock_of(&self, contents: &Sha256) -> PathBuf {
        self.folder.join("locks").join(&contents.hex()[..32])
    }
}

impl Building {
    /// Where its root file system is made.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// The store of files of the same data folder, where layers are kept for whoever needs them next.
    pub(crate) fn files(&self) -> Result<Files, Error> {
        Ok(Files::open(&self.data, FilesOptions::default())?)
    }

    /// A folder for what is needed meanwhile.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn lock_file(path: &Path) -> Result<File, Error> {
    File::options().create(true).read(true).append(true).open(path).map_err(Error::file(path))
}
