//! git itself, on bare repositories on this disk: what comes over, and what hostile ones get.

use std::fs;

use wheeltapper_testkit::{GitRepository, TreeEntry, skip};

use super::*;
use crate::{Mirrors, Repositories};

/// Repositories behind a mirror on this disk.
struct Bench {
    folder: tempfile::TempDir,
    mirrored: GitRepository,
    repositories: Repositories,
}

impl Bench {
    fn new() -> Option<Bench> {
        let program = std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|folder| folder.join("git"))
            .find(|place| place.is_file())?;
        let folder = tempfile::tempdir().unwrap();
        let mirrored = GitRepository::new(&folder.path().join("mirrors/o/n.git")).unwrap();
        let mirrors = [("https://github.com/".to_owned(), folder.path().join("mirrors"))];
        let git = Git::new(program, folder.path(), std::iter::empty()).unwrap();
        let repositories = Repositories::new(git, Mirrors::new(mirrors.into()).unwrap());
        Some(Bench { folder, mirrored, repositories })
    }

    fn tagged(&self, name: &str, entries: &[TreeEntry]) -> Tag {
        let commit = self.mirrored.commit(entries).unwrap();
        self.mirrored.tag(name, &commit).unwrap();
        Tag::new(name, &commit).unwrap()
    }

    fn export(&self, tag: &Tag) -> Result<Exported, Error> {
        self.repositories.export(&address("https://github.com/o/n"), tag, &self.target())
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("into")
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.target().join(path)).ok()
    }
}

macro_rules! bench {
    () => {
        match Bench::new() {
            Some(bench) => bench,
            None => skip!("there is no git here"),
        }
    };
}

fn address(text: &str) -> Address {
    Address::read(text, true).unwrap().unwrap()
}

#[test]
fn the_files_of_a_tag_come_over_as_they_are() {
    let bench = bench!();
    let tag = bench.tagged(
        "v1.0",
        &[
            // What would be left out of an archive, changed on checkout, or run.
            TreeEntry::file(".gitattributes", "tests export-ignore\n*.txt filter=evil text eol=crlf ident\n"),
            TreeEntry::file(".gitmodules", "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c id\n"),
            TreeEntry::file("tests/a.txt", "$Id$\n"),
            TreeEntry { mode: "100755", ..TreeEntry::file("run.sh", "#!/bin/sh\n") },
            TreeEntry::submodule("s"),
            TreeEntry::link("out", "../../../../etc/passwd"),
            TreeEntry::file("large.bin", vec![7; (LARGEST_FILE + 1) as usize]),
        ],
    );
    let tags = bench.repositories.tags(&address("https://github.com/o/n")).unwrap();
    assert_eq!(*tags, std::slice::from_ref(&tag)[..]);
    let exported = bench.export(&tag).unwrap();
    assert_eq!(bench.read("tests/a.txt").as_deref(), Some("$Id$\n"));
    assert_eq!(exported.files, 4);
    let mut left_out: Vec<&str> = exported.left_out.iter().map(|(path, _)| path.as_str()).collect();
    left_out.sort_unstable();
    assert_eq!(left_out, ["large.bin", "out", "s"]);
    assert!(!bench.target().join("out").exists() && bench.read("run.sh").is_some());
    // Nothing of it stays but what was exported.
    let kept: Vec<_> = fs::read_dir(bench.folder.path().join("git")).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1, "the configuration alone: {kept:?}");
}

#[test]
fn paths_that_lead_out_are_refused() {
    let bench = bench!();
    for name in ["..", "../../escaped", "/etc/escaped", "a/../../b"] {
        let commit = bench.mirrored.commit_of_raw_name(name, "escaped").unwrap();
        bench.mirrored.tag("v1.0", &commit).unwrap();
        let refused = bench.export(&Tag::new("v1.0", &commit).unwrap()).unwrap_err();
        assert!(!refused.is_farms(), "{name}: {refused}");
        assert!(!bench.folder.path().join("escaped").exists());
        let _ = fs::remove_dir_all(bench.target());
    }
}

#[test]
fn nothing_that_a_repository_configures_is_run() {
    let bench = bench!();
    let tag = bench.tagged("v1.0", &[TreeEntry::file("a", "a")]);
    let (mirror, ran) = (bench.mirrored.folder(), bench.folder.path().join("ran"));
    let run = format!("touch {}", ran.display());
    let configured = format!(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsmonitor = {run}\n\tsshCommand = {run}\n\tpager = {run}\n\
         \thooksPath = {hooks}\n\talternateRefsCommand = {run}\n[uploadpack]\n\tpackObjectsHook = {run}\n\
         [filter \"evil\"]\n\tsmudge = {run}\n\tprocess = {run}\n[gc]\n\trecentObjectsHook = {run}\n",
        hooks = mirror.join("hooks").display()
    );
    fs::write(mirror.join("config"), configured).unwrap();
    fs::create_dir_all(mirror.join("hooks")).unwrap();
    for hook in ["pre-receive", "post-update", "reference-transaction", "post-checkout", "fsmonitor-watchman"]
    {
        let place = mirror.join("hooks").join(hook);
        fs::write(&place, format!("#!/bin/sh\n{run}\n")).unwrap();
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    assert_eq!(bench.export(&tag).unwrap().files, 1);
    assert!(!ran.exists());
}

#[test]
fn names_of_tags_that_look_like_options_are_not_tags() {
    let bench = bench!();
    let tag = bench.tagged("v1.0", &[TreeEntry::file("a", "a")]);
    bench.mirrored.tag_raw("--upload-pack=touch-x", &tag.commit).unwrap();
    bench.mirrored.tag_raw("-1.0", &tag.commit).unwrap();
    let tags = bench.repositories.tags(&address("https://github.com/o/n")).unwrap();
    assert_eq!(*tags, [tag]);
}

#[test]
fn what_is_not_there_is_told_without_the_mirrors_place() {
    let bench = bench!();
    let missing = bench.repositories.tags(&address("https://github.com/o/other")).unwrap_err();
    assert!(matches!(missing, Error::Absent { .. }));
    let text = missing.to_string();
    assert!(text.contains("https://github.com/o/other") && !text.contains("mirrors/"), "{text}");
    let gone = Tag::new("v9", &"0".repeat(40)).unwrap();
    assert!(!bench.export(&gone).unwrap_err().is_farms());
}

#[test]
fn a_tag_that_was_moved_is_not_what_was_asked_for() {
    let bench = bench!();
    let before = bench.tagged("v1.0", &[TreeEntry::file("a", "a")]);
    bench.tagged("v1.0", &[TreeEntry::file("a", "b")]);
    let refused = bench.export(&before).unwrap_err();
    assert!(refused.to_string().contains("marks another commit"), "{refused}");
}

#[test]
fn lists_are_read_whatever_is_in_them() {
    let (one, two) = ("1".repeat(40), "2".repeat(40));
    let list = format!(
        "{one}\trefs/tags/v1\n{two}\trefs/tags/v1^{{}}\n{one}\trefs/heads/x\nnonsense\n{one}\trefs/tags/a b\n{one}\trefs/tags/v2\n"
    );
    let tags = read_tags(&list);
    assert_eq!(tags, [Tag::new("v1", &two).unwrap(), Tag::new("v2", &one).unwrap()]);
}

#[test]
fn values_of_configuration_are_quoted() {
    assert_eq!(quoted("/a \"b\"\\c\nd".as_ref()), "\"/a \\\"b\\\"\\\\c\\nd\"");
}

#[test]
fn a_git_that_cannot_be_held_to_addresses_is_too_old() {
    for said in
        ["git version 2.37.0", "git version 2.47.3", "git version 2.39.5 (Apple Git-154)", "git version 3.0"]
    {
        assert!(is_new_enough(said), "{said}");
    }
    for said in ["git version 2.36.6", "git version 1.9", "", "git"] {
        assert!(!is_new_enough(said), "{said}");
    }
}
