//! Many files changed as one: all are written aside, then a journal says so, then they are moved into place. Before the
//! journal nothing of the old site has changed; after it the change is carried to its end, by whoever comes next.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// The folder of our own below the site: what the web is not shown.
pub const OWN: &str = ".wheeltapper";

/// A change of a site in the making.
#[derive(Debug)]
pub(super) struct Stage {
    site: PathBuf,
    own: PathBuf,
    changed: Mutex<BTreeSet<String>>,
    removed: Mutex<BTreeSet<String>>,
}

impl Stage {
    /// Begins a change; one that was interrupted is carried to its end, or forgotten where it had not come to its journal.
    ///
    /// # Errors
    /// What the file system says; likewise below.
    pub(super) fn begin(site: &Path) -> io::Result<Stage> {
        let own = site.join(OWN);
        fs::create_dir_all(&own)?;
        if let Ok(journal) = fs::read_to_string(own.join("journal")) {
            carry_out(site, &own, &journal)?;
        }
        let aside = own.join("aside");
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&aside)?;
        Ok(Stage { site: site.to_owned(), own, changed: Mutex::default(), removed: Mutex::default() })
    }

    /// Writes a file aside, unless the site has the same already. `path` is relative, with `/` between its parts.
    pub(super) fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if is_same(&self.site.join(path), bytes) {
            return Ok(());
        }
        write_below(&self.own.join("aside").join(path), bytes)?;
        locked(&self.changed).insert(path.to_owned());
        Ok(())
    }

    /// A file to be written piece by piece, aside.
    pub(super) fn create(&self, path: &str) -> io::Result<fs::File> {
        let aside = self.own.join("aside").join(path);
        if let Some(folder) = aside.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = fs::File::create(aside)?;
        locked(&self.changed).insert(path.to_owned());
        Ok(file)
    }

    /// Takes a file away.
    pub(super) fn remove(&self, path: &str) {
        if self.site.join(path).exists() {
            locked(&self.removed).insert(path.to_owned());
        }
    }

    /// Makes the change; how many files were written and how many taken away.
    pub(super) fn commit(self) -> io::Result<(usize, usize)> {
        let changed = self.changed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let removed = self.removed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut journal = String::new();
        for path in moves(&self.site, &changed) {
            journal.push_str(&format!("+{path}\n"));
        }
        for path in &removed {
            journal.push_str(&format!("-{path}\n"));
        }
        journal.push_str(END);
        let unfinished = self.own.join("journal.new");
        let file = fs::File::create(&unfinished)?;
        io::Write::write_all(&mut &file, journal.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.own.join("journal"))?;
        carry_out(&self.site, &self.own, &journal)?;
        Ok((changed.len(), removed.len()))
    }
}

/// What is to be moved for these files to come into place: each of them, or the highest folder above it that the site has not
/// yet, as a whole. Nothing has to be made for that, which could fail for want of room.
fn moves<'a>(site: &Path, changed: &'a BTreeSet<String>) -> Vec<&'a str> {
    let (mut moves, mut there) = (Vec::<&str>::new(), BTreeSet::new());
    for path in changed {
        let below = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.starts_with('/'));
        if moves.last().is_some_and(below) {
            continue;
        }
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        let missing = folders
            .find(|folder| !(there.contains(folder) || site.join(folder).exists() && there.insert(*folder)));
        moves.push(missing.unwrap_or(path));
    }
    moves
}

/// The journal's last line: one without it is not whole.
const END: &str = "end\n";

/// Moves into place what the journal names. What has been moved already is passed over.
fn carry_out(site: &Path, own: &Path, journal: &str) -> io::Result<()> {
    if journal.ends_with(END) {
        for line in journal.lines() {
            let moved = match line.split_at_checked(1) {
                Some(("+", path)) => fs::rename(own.join("aside").join(path), site.join(path)),
                Some(("-", path)) => fs::remove_file(site.join(path)),
                _ => Ok(()),
            };
            match moved {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    fs::remove_file(own.join("journal"))
}

fn is_same(path: &Path, bytes: &[u8]) -> bool {
    let same_size =
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    same_size && fs::read(path).is_ok_and(|found| found == bytes)
}

fn write_below(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::write(path, bytes) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, bytes)
        }
        other => other,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(site: &Path, path: &str) -> Option<String> {
        fs::read_to_string(site.join(path)).ok()
    }

    #[test]
    fn only_what_changed_is_written_and_all_of_it_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path();
        let stage = Stage::begin(site).unwrap();
        stage.put("index.html", b"one").unwrap();
        stage.put("project/six.html", b"six").unwrap();
        assert_eq!(read(site, "index.html"), None, "nothing before the end");
        assert_eq!(stage.commit().unwrap(), (2, 0));
        let stage = Stage::begin(site).unwrap();
        stage.put("index.html", b"two").unwrap();
        stage.put("project/six.html", b"six").unwrap();
        stage.remove("project/gone.html");
        assert_eq!(stage.commit().unwrap(), (1, 0));
        assert_eq!(read(site, "index.html").as_deref(), Some("two"));
    }

    #[test]
    fn a_change_that_breaks_off_leaves_the_old_site_or_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path();
        let first = Stage::begin(site).unwrap();
        first.put("a", b"old").unwrap();
        first.put("b", b"old").unwrap();
        first.commit().unwrap();
        // Before the journal: nothing has happened.
        let broken = Stage::begin(site).unwrap();
        broken.put("a", b"new").unwrap();
        drop(broken);
        Stage::begin(site).unwrap();
        assert_eq!(read(site, "a").as_deref(), Some("old"));
        // After it, with one file moved and one not: it is carried to its end.
        let broken = Stage::begin(site).unwrap();
        broken.put("a", b"new").unwrap();
        broken.put("b", b"new").unwrap();
        fs::write(broken.own.join("journal"), "+a\n+b\nend\n").unwrap();
        fs::rename(broken.own.join("aside/a"), site.join("a")).unwrap();
        drop(broken);
        Stage::begin(site).unwrap();
        assert_eq!((read(site, "a"), read(site, "b")), (Some("new".to_owned()), Some("new".to_owned())));
        assert!(!site.join(OWN).join("journal").exists());
    }

    #[test]
    fn a_folder_that_is_new_is_moved_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let site = folder.path();
        fs::create_dir_all(site.join("log/old")).unwrap();
        let of = |paths: &[&str]| paths.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let changed = of(&["index.html", "log/a-b/x", "log/a/x", "log/a/y/z", "log/old/x", "project/a.html"]);
        assert_eq!(moves(site, &changed), ["index.html", "log/a-b", "log/a", "log/old/x", "project"]);
        let stage = Stage::begin(site).unwrap();
        for path in &changed {
            stage.put(path, path.as_bytes()).unwrap();
        }
        assert_eq!(stage.commit().unwrap(), (changed.len(), 0));
        assert!(changed.iter().all(|path| read(site, path).as_ref() == Some(path)));
    }

    /// A small disk of its own, where the one who runs the tests may mount one; it goes with the value.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn of_a_megabyte() -> Option<Disk> {
            let folder = tempfile::tempdir().unwrap();
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs"]).arg(folder.path());
            mount
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
                .then(|| Disk(folder))
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(self.0.path()).status();
        }
    }

    #[test]
    fn a_disk_that_fills_leaves_the_old_site_whole() {
        let Some(disk) = Disk::of_a_megabyte() else {
            wheeltapper_testkit::skip!("only root may mount a small disk");
        };
        let site = disk.0.path();
        let first = Stage::begin(site).unwrap();
        first.put("index.html", b"old").unwrap();
        first.commit().unwrap();
        let stage = Stage::begin(site).unwrap();
        stage.put("index.html", b"new").unwrap();
        let page = vec![b'x'; 64 << 10];
        let full = (0..100).find_map(|number| stage.put(&format!("project/{number}.html"), &page).err());
        assert_eq!(full.map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
        drop(stage);
        assert_eq!(read(site, "index.html").as_deref(), Some("old"));
        // The next change takes away what was written aside, and finds room.
        let again = Stage::begin(site).unwrap();
        again.put("index.html", b"new").unwrap();
        again.commit().unwrap();
        assert_eq!(read(site, "index.html").as_deref(), Some("new"));
    }
}
