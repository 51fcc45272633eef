//! Bare git repositories, made by the git program of this machine: commits of any entries that a tree can hold, and of some
//! that none should.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

/// One entry of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its path; without blanks and quotes.
    pub path: String,
    /// Its mode: `100644`, `100755`, `120000` (a link), `160000` (a submodule).
    pub mode: &'static str,
    /// Its content, a link's target, or a submodule's commit.
    pub content: Vec<u8>,
}

impl TreeEntry {
    /// A regular file.
    pub fn file(path: impl Into<String>, content: impl Into<Vec<u8>>) -> TreeEntry {
        TreeEntry { path: path.into(), mode: "100644", content: content.into() }
    }

    /// A symbolic link.
    pub fn link(path: &str, target: &str) -> TreeEntry {
        TreeEntry { path: path.to_owned(), mode: "120000", content: target.into() }
    }

    /// A submodule at some commit.
    pub fn submodule(path: &str) -> TreeEntry {
        TreeEntry { path: path.to_owned(), mode: "160000", content: "1".repeat(40).into() }
    }

    /// Every file below a folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn below(folder: &Path) -> Result<Vec<TreeEntry>> {
        let entries = crate::archive::tree(folder)?.into_iter();
        Ok(entries.map(|entry| TreeEntry::file(entry.path, entry.bytes)).collect())
    }
}

/// A bare repository.
#[derive(Debug)]
pub struct GitRepository {
    folder: PathBuf,
}

impl GitRepository {
    /// Makes an empty one in a folder that does not exist yet.
    ///
    /// # Errors
    /// When there is no git, or it fails.
    pub fn new(folder: &Path) -> Result<GitRepository> {
        fs::create_dir_all(folder)?;
        let repository = GitRepository { folder: folder.to_path_buf() };
        repository.git(&["init", "--quiet", "--bare", "--template="], b"")?;
        Ok(repository)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A commit of these entries, without a parent; its object name.
    ///
    /// # Errors
    /// When git refuses them.
    pub fn commit(&self, entries: &[TreeEntry]) -> Result<String> {
        let mut stream =
            b"commit refs/heads/made\ncommitter T <t@example.org> 1700000000 +0000\ndata 1\nx\n".to_vec();
        stream.extend_from_slice(b"deleteall\n");
        for TreeEntry { path, mode, content } in entries {
            if *mode == "160000" {
                stream.extend(format!("M {mode} {} {path}\n", String::from_utf8_lossy(content)).bytes());
                continue;
            }
            stream.extend(format!("M {mode} inline {path}\ndata {}\n", content.len()).bytes());
            stream.extend_from_slice(content);
            stream.push(b'\n');
        }
        self.git(&["fast-import", "--quiet", "--force"], &stream)?;
        self.git(&["rev-parse", "refs/heads/made"], b"")
    }

    /// A commit whose tree has one file of this name, which may be one that git itself would refuse.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn commit_of_raw_name(&self, name: &str, content: &str) -> Result<String> {
        let blob = self.git(&["hash-object", "-w", "--stdin"], content.as_bytes())?;
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend(hex::decode(blob).context("an object name is hexadecimal")?);
        let tree = self.git(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &tree)?;
        self.git(&["commit-tree", &tree, "-m", "x"], b"")
    }

    /// Tags a commit, with an annotation: the tag is an object of its own.
    ///
    /// # Errors
    /// When git refuses the name.
    pub fn tag(&self, name: &str, commit: &str) -> Result<()> {
        self.git(&["tag", "--force", "--annotate", "-m", "x", "--", name, commit], b"").map(|_| ())
    }

    /// Writes a ref as it stands in the folder: of any name that a file can have.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tag_raw(&self, name: &str, commit: &str) -> Result<()> {
        let path = self.folder.join("refs/tags").join(name);
        fs::create_dir_all(path.parent().context("a tag lies in a folder")?)?;
        Ok(fs::write(path, format!("{commit}\n"))?)
    }

    /// Runs git in it; returns what it prints, trimmed.
    fn git(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let person = [("GIT_AUTHOR_NAME", "T"), ("GIT_AUTHOR_EMAIL", "t@example.org")];
        let committer = [("GIT_COMMITTER_NAME", "T"), ("GIT_COMMITTER_EMAIL", "t@example.org")];
        let mut command = Command::new("git");
        command.args(arguments).env("GIT_DIR", &self.folder).envs(person).envs(committer);
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", OsStr::new("/dev/null"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("git cannot be started")?;
        child.stdin.take().context("git has no input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        let complaints = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "git {}: {complaints}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
