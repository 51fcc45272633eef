//! Images pulled from a real registry on the loopback, from registries that misbehave, and out of files. Nothing in them is
//! run: that is for the program's own tests.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod line;
mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use line::{Answer, Scripted, cut};
use support::{Entry, gzip, program, tar};
use tar::EntryType::{self, Directory, Link, Regular, Symlink};
use wheeltapper_core::Sha256;
use wheeltapper_index::Surroundings;
use wheeltapper_platforms::{Built, Catalogue, Error, Images, unpack};
use wheeltapper_testkit::{OciImage, OciRegistry, oci_index, skip};

/// The header and the htpasswd line of the user `tap` with the password `sesame`.
const LOGIN: (&str, &str) =
    ("Basic dGFwOnNlc2FtZQ==", "tap:$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O\n");

/// The registry, or the end of the calling test as skipped.
macro_rules! registry {
    ($folder:expr, $login:expr) => {
        match OciRegistry::start($folder, $login) {
            Ok(registry) => registry,
            Err(why) => skip!("{why}"),
        }
    };
}

/// A machine that pulls.
struct Machine {
    folder: tempfile::TempDir,
    images: Images,
    surroundings: Surroundings,
}

impl Machine {
    fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(folder.path()).unwrap();
        Machine { folder, images, surroundings: Surroundings::default() }
    }

    /// Pulls an image; what comes of it, by path: text of files, `/` for folders, `-> x` for links.
    fn pull(&self, image: &str) -> Result<BTreeMap<String, String>, Error> {
        self.build(&format!("image = '{image}'"))
    }

    fn build(&self, keys: &str) -> Result<BTreeMap<String, String>, Error> {
        let file = self.folder.path().join("w.toml");
        fs::write(&file, format!("[platform.mine]\n{keys}\n")).unwrap();
        let catalogue = Catalogue::read(&file)?;
        let building = self.images.begin("mine")?;
        unpack(catalogue.find("mine")?, &building, &self.surroundings)?;
        let mut found = BTreeMap::new();
        list(&building.root(), "", &mut found);
        Ok(found)
    }

    /// What `docker login` would leave.
    fn log_in(&mut self, text: &str) {
        fs::write(self.folder.path().join("config.json"), text).unwrap();
        let folder = self.folder.path().display().to_string();
        self.surroundings.variables.insert("DOCKER_CONFIG".to_owned(), folder);
    }

    /// Files in the store, and parts of such.
    fn stored(&self) -> Vec<PathBuf> {
        let files = self.folder.path().join("files");
        let folders = fs::read_dir(files).into_iter().flatten().flatten();
        let folders = folders.filter(|folder| folder.file_name() != "known");
        folders
            .flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten())
            .map(|file| file.path())
            .collect()
    }

    /// What is left of anything that was begun.
    fn unfinished(&self) -> usize {
        let folders = fs::read_dir(self.folder.path().join("platforms/.unfinished")).unwrap().flatten();
        folders.filter(|entry| entry.path().is_dir()).count()
    }
}

fn list(folder: &Path, name: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = format!("{name}{}", entry.file_name().to_str().unwrap());
        let kind = entry.file_type().unwrap();
        let what = if kind.is_dir() {
            list(&entry.path(), &format!("{path}/"), found);
            "/".to_owned()
        } else if kind.is_symlink() {
            format!("-> {}", fs::read_link(entry.path()).unwrap().display())
        } else {
            String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).chars().take(20).collect()
        };
        found.insert(path, what);
    }
}

/// A layer with a shell, without which nothing is a root file system.
fn base(extra: &[Entry<'_>]) -> Vec<u8> {
    let shell = program();
    let mut entries: Vec<Entry<'_>> = vec![(Regular, "bin/sh", &shell)];
    entries.extend(extra);
    tar(&entries)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// Bytes that nothing makes shorter, of some length.
fn noise(length: usize) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|number| Sha256::of(&number.to_le_bytes()).0);
    blocks.take(length).collect()
}

#[test]
fn layers_lie_above_each_other_and_take_away_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    let low = base(&[
        (Directory, "gone", b""),
        (Regular, "gone/a", b"low"),
        (Regular, "kept/a", b"low"),
        (Regular, "emptied/a", b"low"),
        (Regular, "emptied/deep/b", b"low"),
        (Regular, "replaced", b"low"),
        (Regular, "twin", b"low"),
        (Link, "twins", b"twin"),
        (Regular, "usr/lib/x", b"low"),
        (Symlink, "lib", b"usr/lib"),
        (Link, "library", b"lib"),
    ]);
    let middle = tar(&[
        (Regular, "emptied/new/c", b"middle"),
        (Regular, ".wh.gone", b""),
        (Regular, "emptied/.wh..wh..opq", b""),
        (Regular, "emptied/a", b"middle"),
        (Regular, "lib/.wh.x", b""),
        (Regular, "twins", b"middle"),
        (Regular, "kept/.wh.never", b""),
        (Regular, "kept/.wh..wh.plnk", b""),
    ]);
    let high = tar(&[
        (Regular, ".wh.replaced", b""),
        (Regular, "replaced/now/a/folder", b"high"),
        (Regular, "gone", b"high"),
    ]);
    let image = OciImage::native(vec![gzip(&low), zstd(&middle), vec![0; 1024], high]);
    registry.push("team/layers", "1", &image);
    let machine = Machine::new();
    let found = machine.pull(&format!("{}/team/layers:1", registry.address())).unwrap();
    let is = |path: &str| found.get(path).map(String::as_str);
    for (path, what) in [
        ("gone", Some("high")),
        ("gone/a", None),
        ("kept/a", Some("low")),
        ("emptied/a", Some("middle")),
        ("emptied/deep", None),
        ("emptied/new/c", Some("middle")),
        ("replaced/now/a/folder", Some("high")),
        ("twin", Some("low")),
        ("twins", Some("middle")),
        ("usr/lib/x", None),
        ("lib", Some("-> usr/lib")),
        ("library", Some("-> usr/lib")),
    ] {
        assert_eq!(is(path), what, "{path}");
    }
    assert!(found.keys().all(|path| !path.contains(".wh.")), "{found:?}");
}

#[test]
fn an_image_is_had_by_tag_by_digest_and_for_this_machine_and_each_blob_once() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    let shared = gzip(&base(&[(Regular, "which", b"both")]));
    let one = OciImage::native(vec![shared.clone(), tar(&[(Regular, "which", b"one")])]);
    let two = OciImage::new("s390x", vec![shared.clone()]);
    let native = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    registry.push_index("python", "3", &[("s390x", &two), (native, &one)]);
    let machine = Machine::new();
    let name = format!("{}/python", registry.address());
    assert_eq!(machine.pull(&format!("{name}:3")).unwrap()["which"], "one");
    let stored = machine.stored().len();
    // Its configuration and its layers; nothing of the other machine's.
    assert_eq!(stored, 3);
    assert_eq!(machine.pull(&format!("{name}@{}", one.digest())).unwrap()["which"], "one");
    let list = Sha256::of(&oci_index(&[("s390x", &two), (native, &one)]));
    assert_eq!(machine.pull(&format!("{name}:3@{list}")).unwrap()["which"], "one");
    registry.push("other", "latest", &OciImage::native(vec![shared, tar(&[(Regular, "which", b"other")])]));
    assert_eq!(machine.pull(&format!("{}/other", registry.address())).unwrap()["which"], "other");
    assert_eq!(machine.stored().len(), stored + 1, "the layer and the configuration are stored already");
    let error = machine.pull(&format!("{name}@{}", two.digest())).unwrap_err();
    assert!(error.to_string().contains("is for linux/s390x, and linux/"), "{error}");
}

#[test]
fn what_is_not_there_is_said_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    registry.push("python", "3.13", &OciImage::native(vec![base(&[])]));
    let foreign = OciImage::new("riscv64", vec![base(&[])]);
    registry.push_index("foreign", "1", &[("riscv64", &foreign)]);
    let here = registry.address();
    let machine = Machine::new();
    for (image, told, hint) in [
        (format!("{here}/python:3.31"), "has no `3.31`", "it has 3.13"),
        (format!("{here}/pyhton:3.13"), "has no image pyhton", "whole name"),
        (format!("{here}/python@{}", Sha256::of(b"?")), "has no `sha256:", "it has 3.13"),
        (format!("{here}/foreign:1"), "is for linux/riscv64, and linux/", "made for this machine"),
        ("/no/such/image.tar".to_owned(), "/no/such/image.tar", ""),
    ] {
        let error = machine.pull(&image).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{:?}", error.hint());
        assert_eq!((machine.unfinished(), machine.stored().len()), (0, 0), "{image}");
    }
}

#[test]
fn a_registry_that_wants_credentials_gets_them_and_nobody_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), Some(LOGIN));
    registry.push("python", "3", &OciImage::native(vec![base(&[(Regular, "which", b"mine")])]));
    let here = registry.address();
    let mut machine = Machine::new();
    let image = format!("{here}/python:3");
    let error = machine.pull(&image).unwrap_err();
    assert!(error.to_string().contains("without credentials"), "{error}");
    assert!(error.hint().unwrap().contains(&format!("docker login {here}")));
    machine.log_in(&format!(r#"{{"auths": {{"{here}": {{"auth": "dGFwOndyb25n"}}}}}}"#));
    let error = machine.pull(&image).unwrap_err();
    assert!(error.to_string().contains("to the credentials that are kept"), "{error}");
    machine.log_in(&format!(r#"{{"auths": {{"{here}": {{"auth": "dGFwOnNlc2FtZQ=="}}}}}}"#));
    assert_eq!(machine.pull(&image).unwrap()["which"], "mine");
}

#[test]
fn a_token_is_fetched_with_the_login_and_is_all_that_the_registry_sees() {
    let image = OciImage::native(vec![base(&[(Regular, "which", b"tokens")])]);
    let files = served("team/python", &image);
    let scripted = Scripted::start(move |request, here| {
        if let Some(query) = request.path().strip_prefix("/token?") {
            let asked = query == "service=tests&scope=repository%3Ateam%2Fpython%3Apull";
            return match request.header("authorization") == Some(LOGIN.0) && asked {
                true => Answer::new(200, br#"{"token": "opensesame"}"#),
                false => Answer::new(403, b"{}"),
            };
        }
        match request.header("authorization") {
            Some("Bearer opensesame") => files(request.path()),
            _ => Answer::new(401, b"{}").with(
                "WWW-Authenticate",
                &format!("Bearer realm=\"http://{here}/token\",service=\"tests\",scope=\"x:y:pull,push\""),
            ),
        }
    });
    let mut machine = Machine::new();
    let name = format!("{}/team/python:1", scripted.address);
    let error = machine.pull(&name).unwrap_err();
    assert!(error.to_string().contains("without credentials"), "{error}");
    machine.log_in(&format!(
        r#"{{"auths": {{"http://{}/v2/": {{"username": "tap", "password": "sesame"}}}}}}"#,
        scripted.address
    ));
    assert_eq!(machine.pull(&name).unwrap()["which"], "tokens");
    let seen = scripted.seen();
    let registry = seen.iter().filter(|request| request.path().starts_with("/v2/"));
    assert!(registry.clone().all(|request| request.header("authorization") != Some(LOGIN.0)));
}

#[test]
fn a_download_that_is_cut_off_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    let noise = noise(600_000);
    registry.push("python", "3", &OciImage::native(vec![gzip(&base(&[(Regular, "noise", &noise)]))]));
    let line = cut(registry.address(), 200_000, 2);
    let machine = Machine::new();
    machine.pull(&format!("{}/python:3", line.address)).unwrap();
    assert_eq!(line.ranges().len(), 2, "each cut, and the rest was asked for: {:?}", line.ranges());
    // One that never ends well is given up, and nothing of it stays.
    let machine = Machine::new();
    let line = cut(registry.address(), 50_000, usize::MAX);
    let error = machine.pull(&format!("{}/python:3", line.address)).unwrap_err();
    assert!(matches!(error, Error::Lost { .. }) && error.hint().unwrap().contains("goes on"), "{error}");
    assert_eq!(machine.unfinished(), 0);
    assert_eq!(machine.stored().len(), 1, "the configuration came whole");
    machine.pull(&format!("{}/python:3", registry.address())).unwrap();
}

#[test]
fn a_registry_that_knows_no_ranges_or_lies_once_is_asked_for_the_whole_again() {
    let image = OciImage::native(vec![base(&[(Regular, "which", b"whole")])]);
    let files = served("python", &image);
    let layer = Sha256::of(&image.blobs[1]).to_string();
    let mut asked = 0;
    let scripted = Scripted::start(move |request, _| {
        let answer = files(request.path());
        if !request.path().ends_with(&layer) {
            return answer;
        }
        asked += 1;
        match asked {
            1 => answer.cut_after(100),
            2 => Answer::new(200, &vec![7; answer.length()]),
            _ => answer,
        }
    });
    let machine = Machine::new();
    assert_eq!(machine.pull(&format!("{}/python:1", scripted.address)).unwrap()["which"], "whole");
}

#[test]
fn a_registry_that_sends_other_things_than_it_promises_is_not_believed() {
    let image = OciImage::native(vec![base(&[])]);
    let layer = Sha256::of(&image.blobs[1]).to_string();
    let manifest = format!("manifests/{}", image.digest());
    let native = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let list = oci_index(&[(native, &image)]);
    let cases: Vec<(&str, Answer, &str)> = vec![
        (layer.as_str(), Answer::new(200, &vec![7; image.blobs[1].len()]), "other bytes than it promises"),
        (layer.as_str(), Answer::new(200, &vec![7; image.blobs[1].len() + 1]), "has more bytes"),
        (layer.as_str(), Answer::new(404, b"{}"), "does not have"),
        (layer.as_str(), Answer::new(503, b"{}").with("Retry-After", "0"), "503"),
        (manifest.as_str(), Answer::new(200, b"{}"), "another document"),
        ("manifests/1", Answer::new(200, b"<html>"), "no image that is understood"),
        ("manifests/1", Answer::new(200, &vec![b' '; 5 << 20]), "an answer of more than"),
        ("manifests/1", Answer::new(418, b""), "status 418"),
        ("manifests/1", Answer::new(307, b"").with("Location", "/v2/python/manifests/1"), "redirect"),
        (
            "manifests/1",
            Answer::new(401, b"").with("WWW-Authenticate", "Negotiate"),
            "kind of authentication",
        ),
        (
            "manifests/1",
            Answer::new(401, b"").with("WWW-Authenticate", "Bearer realm=\"ftp://x/\""),
            "names no address",
        ),
    ];
    for (path, answer, told) in cases {
        let (files, list, path) = (served("python", &image), list.clone(), path.to_owned());
        let scripted = Scripted::start(move |request, _| match request.path() {
            asked if asked.ends_with(&path) => answer.clone(),
            asked if asked.ends_with("manifests/1") => Answer::new(200, &list),
            asked => files(asked),
        });
        let machine = Machine::new();
        let error = machine.pull(&format!("{}/python:1", scripted.address)).unwrap_err();
        assert!(error.to_string().contains(told), "{told}: {error}");
        assert_eq!(machine.unfinished(), 0, "{told}");
    }
}

#[test]
fn a_stored_layer_that_was_damaged_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    let image = OciImage::native(vec![base(&[(Regular, "which", b"sound")])]);
    registry.push("python", "3", &image);
    let machine = Machine::new();
    let name = format!("{}/python:3", registry.address());
    machine.pull(&name).unwrap();
    let hex = Sha256::of(&image.blobs[1]).hex();
    let place = machine.folder.path().join("files").join(&hex[..2]).join(&hex[2..]);
    fs::remove_file(&place).unwrap();
    fs::write(&place, vec![7; image.blobs[1].len()]).unwrap();
    assert_eq!(machine.pull(&name).unwrap()["which"], "sound");
}

#[test]
fn layers_that_lead_out_are_refused_and_nothing_of_them_stays() {
    let outside = tempfile::tempdir().unwrap();
    let away = outside.path().to_str().unwrap().as_bytes().to_vec();
    let folder = tempfile::tempdir().unwrap();
    let registry = registry!(folder.path(), None);
    let cases: [(Entry<'_>, &str); 8] = [
        ((Regular, "/etc/passwd", b"x"), "is an absolute path"),
        ((Regular, "a/../../.wh.x", b""), "leads out of the root file system"),
        ((Link, "x", b"../../etc/passwd"), "leads out of the root file system"),
        ((EntryType::Block, "usr/disk", b""), "is a device outside of /dev"),
        ((Regular, ".wh.", b""), "takes nothing away"),
        ((Regular, ".wh...", b""), "takes nothing away"),
        ((Regular, "etc/.wh..", b""), "takes nothing away"),
        ((EntryType::Fifo, "usr/pipe", b""), "is a FIFO"),
    ];
    let machine = Machine::new();
    for (number, (entry, told)) in cases.into_iter().enumerate() {
        let tag = number.to_string();
        registry.push("hostile", &tag, &OciImage::native(vec![base(&[]), gzip(&tar(&[entry]))]));
        let error = machine.pull(&format!("{}/hostile:{tag}", registry.address())).unwrap_err();
        assert!(error.to_string().contains(told) && error.to_string().contains("layer 2 of 2"), "{error}");
        assert_eq!(machine.unfinished(), 0, "{error}");
    }
    // Links may say what they like: what goes through them stays inside, and so does what is taken away.
    fs::write(outside.path().join("file"), "x").unwrap();
    let links = base(&[(Symlink, "away", &away)]);
    let through = tar(&[(Regular, "away/.wh.file", b""), (Regular, "away/.wh..wh..opq", b"")]);
    registry.push("hostile", "links", &OciImage::native(vec![links, through]));
    machine.pull(&format!("{}/hostile:links", registry.address())).unwrap();
    assert!(outside.path().join("file").is_file());
}

#[test]
fn images_in_files_and_folders_of_this_machine_do_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let image = |which: &[u8]| OciImage::native(vec![gzip(&base(&[(Regular, "which", which)]))]);
    let layout = folder.path().join("layout");
    image(b"one").write_layout(&layout, "one").unwrap();
    let machine = Machine::new();
    assert_eq!(machine.pull(layout.to_str().unwrap()).unwrap()["which"], "one");
    image(b"two").write_layout(&layout, "two").unwrap();
    let error = machine.pull(layout.to_str().unwrap()).unwrap_err();
    assert!(error.hint().unwrap().contains(":NAME` names one of one, two"), "{:?}", error.hint());
    for (name, archive) in [("layout", false), ("layout.tar", true)] {
        let path = folder.path().join(name);
        if archive {
            fs::write(&path, archived(&layout)).unwrap();
        }
        assert_eq!(machine.pull(&format!("{}:two", path.display())).unwrap()["which"], "two");
        let error = machine.pull(&format!("{}:three", path.display())).unwrap_err();
        assert!(error.to_string().contains("has not one image `three`"), "{error}");
    }
    let saved = folder.path().join("saved");
    image(b"saved").write_saved(&saved, "tests/saved:1").unwrap();
    let path = folder.path().join("saved.tar.gz");
    fs::write(&path, gzip(&archived(&saved))).unwrap();
    assert_eq!(machine.pull(path.to_str().unwrap()).unwrap()["which"], "saved");
    // A blob that is not what its name says.
    let digest = Sha256::of(&image(b"one").blobs[1]).hex();
    fs::write(layout.join("blobs/sha256").join(digest), "damaged").unwrap();
    let error = machine.pull(&format!("{}:one", layout.display())).unwrap_err();
    assert!(error.to_string().contains("is damaged"), "{error}");
    // A plain root file system is none.
    let path = folder.path().join("root.tar");
    fs::write(&path, base(&[])).unwrap();
    let error = machine.pull(path.to_str().unwrap()).unwrap_err();
    assert!(error.hint().unwrap().contains("`tarball`"), "{error}");
}

#[test]
fn links_in_a_saved_image_are_followed_inside_only() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.tar");
    fs::write(&secret, base(&[(Regular, "secret", b"x")])).unwrap();
    let config = OciImage::native(Vec::new()).blobs.remove(0);
    let list = br#"[{"Config": "c.json", "Layers": ["layer.tar"]}]"#;
    let entries: [Entry<'_>; 3] = [
        (Regular, "manifest.json", list),
        (Regular, "c.json", &config),
        (Symlink, "layer.tar", secret.to_str().unwrap().as_bytes()),
    ];
    let path = folder.path().join("saved.tar");
    fs::write(&path, tar(&entries)).unwrap();
    let error = Machine::new().pull(path.to_str().unwrap()).unwrap_err();
    assert!(error.to_string().contains("layer.tar is not in it"), "{error}");
}

#[test]
fn what_was_noted_before_images_were_pulled_is_still_read() {
    let text = r#"{"name":"x","definition":"HASH","contents":"HASH","at":"","seconds":1,"bytes":1,"os_release":"",
        "narrow":false,"interpreters":[],"remarks":[]}"#;
    let text = text.replace("HASH", &Sha256::of(b"").to_string());
    let built: Built = serde_json::from_str(&text).unwrap();
    assert_eq!(built.pinned, None);
}

/// The regular files of a folder as a tar archive.
fn archived(folder: &Path) -> Vec<u8> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => files.push(path),
            }
        }
    }
    let files: Vec<(String, Vec<u8>)> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            (name.to_owned(), fs::read(path).unwrap())
        })
        .collect();
    let entries: Vec<Entry<'_>> =
        files.iter().map(|(name, bytes)| (Regular, name.as_str(), bytes.as_slice())).collect();
    tar(&entries)
}

/// The answers of a registry that has one image under the tag `1`.
fn served(repository: &str, image: &OciImage) -> impl Fn(&str) -> Answer + Send + 'static {
    let mut files = BTreeMap::new();
    for tag in ["1".to_owned(), image.digest().to_string()] {
        files.insert(format!("/v2/{repository}/manifests/{tag}"), image.manifest.clone());
    }
    for blob in &image.blobs {
        files.insert(format!("/v2/{repository}/blobs/{}", Sha256::of(blob)), blob.clone());
    }
    move |path| match files.get(path) {
        Some(bytes) => Answer::new(200, bytes),
        None => Answer::new(404, br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#),
    }
}
