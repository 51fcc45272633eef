//! The files of a commit, read object by object. `git archive` would heed `export-ignore`, by which tests are left out of sdists,
//! and a checkout would heed filters; objects are what they are. Paths are checked as those of archives are.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::Path,
    process::ChildStdout,
};

use wheeltapper_index::{Kind, unpack};

use super::{Git, LARGEST_FILE, LIST_TIME, TRANSFER_TIME, text};
use crate::{error::Error, mirrors::Place};

/// How long a listing of files may be, in bytes, and how many files there may be.
const LONGEST_LISTING: u64 = 64 << 20;
const MOST_FILES: usize = 100_000;

/// How large all files may be together, in bytes.
const LARGEST_TREE: u64 = 512 << 20;

/// How many of the files that are left out are named.
const MOST_NAMED: usize = 50;

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many files.
    pub files: usize,
    /// Some of what was left out, with why: links, submodules, large files.
    pub left_out: Vec<(String, &'static str)>,
}

impl Exported {
    fn leave_out(&mut self, path: &[u8], why: &'static str) {
        if self.left_out.len() < MOST_NAMED {
            let shown = String::from_utf8_lossy(path).chars().filter(|c| !c.is_control()).take(200).collect();
            self.left_out.push((shown, why));
        }
    }
}

/// A regular file of a tree.
struct Blob {
    object: String,
    path: Vec<u8>,
    executable: bool,
    size: u64,
}

impl Git {
    /// Writes the regular files of a commit into a folder.
    pub(super) fn read_tree(
        &self,
        place: &Place,
        bare: &Path,
        commit: &str,
        into: &Path,
    ) -> Result<Exported, Error> {
        let mut exported = Exported::default();
        let mut command = self.command(bare, place)?;
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let listing = self.run(&mut command, place, LIST_TIME, |stdout| bytes(stdout, LONGEST_LISTING))?;
        let refused = |reason: String| Error::Refused { place: place.address().to_string(), reason };
        let mut blobs = blobs(&listing, &mut exported).map_err(refused)?;
        let asked = bare.join("asked");
        ask(&asked, &blobs)?;
        let mut command = self.command(bare, place)?;
        command.args(["cat-file", "--batch-check"]).stdin(File::open(&asked).map_err(Error::file(&asked))?);
        let sizes = self.run(&mut command, place, LIST_TIME, |stdout| text(stdout, LONGEST_LISTING))?;
        take_sizes(&mut blobs, &sizes, &mut exported).map_err(refused)?;
        ask(&asked, &blobs)?;
        let mut command = self.command(bare, place)?;
        command.args(["cat-file", "--batch"]).stdin(File::open(&asked).map_err(Error::file(&asked))?);
        let mut written = Ok(());
        let ran = self.run(&mut command, place, TRANSFER_TIME, |stdout| {
            written = write(stdout, &blobs, into);
            Ok(())
        });
        written.map_err(|error| match error.kind() {
            Kind::Local => {
                Error::File { path: into.to_path_buf(), source: io::Error::other(error.to_string()) }
            }
            Kind::User | Kind::Absent | Kind::Farm | Kind::Package => refused(error.to_string()),
        })?;
        ran?;
        exported.files = blobs.len();
        Ok(exported)
    }
}

/// All of an output that is at most so many bytes long.
fn bytes(stdout: &mut ChildStdout, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stdout.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("its files' names are more than {most} bytes")));
    }
    Ok(bytes)
}

/// The regular files of a listing by `git ls-tree -z`: mode, type and object, a tab, the path.
fn blobs(listing: &[u8], exported: &mut Exported) -> Result<Vec<Blob>, String> {
    let mut blobs = Vec::new();
    for row in listing.split(|byte| *byte == 0).filter(|row| !row.is_empty()) {
        let tab = row.iter().position(|byte| *byte == b'\t').ok_or("its listing cannot be read")?;
        let (fields, path) = (String::from_utf8_lossy(&row[..tab]), &row[tab + 1..]);
        let fields: Vec<&str> = fields.split(' ').collect();
        let [mode, kind, object] = fields.as_slice() else {
            return Err("its listing cannot be read".to_owned());
        };
        let executable = match (*mode, *kind) {
            ("100644" | "100664", "blob") => false,
            ("100755", "blob") => true,
            ("120000", _) => {
                exported.leave_out(path, "a link");
                continue;
            }
            (_, "commit") => {
                exported.leave_out(path, "a submodule");
                continue;
            }
            (mode, kind) => return Err(format!("its listing has a {kind} of mode {mode}")),
        };
        if blobs.len() == MOST_FILES {
            return Err(format!("it has more than {MOST_FILES} files"));
        }
        blobs.push(Blob { object: (*object).to_owned(), path: path.to_vec(), executable, size: 0 });
    }
    Ok(blobs)
}

/// Writes down the objects that git is asked for, one a line.
fn ask(place: &Path, blobs: &[Blob]) -> Result<(), Error> {
    let objects: String = blobs.iter().flat_map(|blob| [blob.object.as_str(), "\n"]).collect();
    File::create(place).and_then(|mut file| file.write_all(objects.as_bytes())).map_err(Error::file(place))
}

/// Takes over what `git cat-file --batch-check` says of each, and drops what is too large or was not transferred.
fn take_sizes(blobs: &mut Vec<Blob>, sizes: &str, exported: &mut Exported) -> Result<(), String> {
    let mut lines = sizes.lines();
    let (mut total, mut unread) = (0_u64, false);
    blobs.retain_mut(|blob| {
        let fields: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let size = match fields.as_slice() {
            [object, "blob", size] if *object == blob.object => size.parse().ok(),
            [object, "missing"] if *object == blob.object => Some(u64::MAX),
            _ => None,
        };
        let Some(size) = size else {
            unread = true;
            return false;
        };
        if size > LARGEST_FILE {
            exported.leave_out(&blob.path, "a file of more than 8 MiB");
            return false;
        }
        blob.size = size;
        total += size;
        true
    });
    if unread {
        return Err("its objects cannot be read".to_owned());
    }
    if total > LARGEST_TREE {
        return Err(format!("its files are more than {LARGEST_TREE} bytes together"));
    }
    Ok(())
}

/// Writes what `git cat-file --batch` prints: for each object a line with its type and size, its content, a line's end.
fn write(stdout: &mut ChildStdout, blobs: &[Blob], into: &Path) -> wheeltapper_index::Result<()> {
    let mut tree = unpack::Tree::new(into, "its tree", unpack::Limits::default())?;
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    for blob in blobs {
        let cut = || tree_fault("it ends before its last file");
        let mut head = Vec::new();
        (&mut reader).take(200).read_until(b'\n', &mut head).map_err(|_| cut())?;
        if String::from_utf8_lossy(&head).trim_end() != format!("{} blob {}", blob.object, blob.size) {
            return Err(cut());
        }
        let mut content = (&mut reader).take(blob.size);
        tree.file(&blob.path, blob.executable, None, &mut content)?;
        let mut end = [0];
        if content.limit() > 0 || reader.read_exact(&mut end).is_err() || end != *b"\n" {
            return Err(cut());
        }
    }
    if blobs.is_empty() {
        return Err(tree_fault("it holds no file"));
    }
    tree.finish(false).map(|_| ())
}

fn tree_fault(reason: &str) -> wheeltapper_index::Error {
    wheeltapper_index::Error::Archive { archive: "its tree".to_owned(), reason: reason.to_owned() }
}
