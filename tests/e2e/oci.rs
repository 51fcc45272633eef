//! Container images for real: a Debian made by mmdebstrap is pushed to a registry on the loopback, pulled as platforms, and
//! real packages run in it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wheeltapper_testkit::{OciImage, OciRegistry};

use crate::{
    platforms::{Machine, the},
    support::{Lab, Running, finish, has_program, is_root, lab, provide_installer},
};

/// The suite of which the images are made.
const BASE: &str = "[platform.oci-base]\ndebian = 'trixie'\nminimal = true\ninterpreters = ['python3']\n";

/// What stays from one run of the tests to the next: a Debian, and a layer made of it.
struct Bench {
    data: PathBuf,
    /// A gzipped tar archive of a root file system.
    layer: Vec<u8>,
    /// The names of its C compilers.
    compilers: Vec<String>,
}

impl Bench {
    /// Makes the root file system, or says why there is none.
    fn new() -> Result<Bench, String> {
        if !has_program("mmdebstrap") {
            return Err("mmdebstrap is needed to make an image".to_owned());
        }
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e-oci");
        fs::create_dir_all(&data).expect("the build folder can be written to");
        provide_installer(&data)?;
        let definitions = data.join("wheeltapper.toml");
        fs::write(&definitions, BASE).expect("it can be written");
        let machine = Machine { data: &data, definitions: &definitions };
        machine.builds("oci-base")?;
        let (_, said) = machine.says(&["env", "show", "oci-base"]);
        let manifest =
            said.lines().find_map(|line| line.strip_prefix("manifest")).expect("it is shown").trim();
        let root = Path::new(manifest).with_file_name("root");
        let layer = data.join("layer.tar.gz");
        let made = Command::new("tar")
            .args(["--use-compress-program=gzip -1", "--numeric-owner", "--create", "--file"])
            .arg(&layer)
            .arg("--directory")
            .arg(&root)
            .arg(".")
            .status();
        assert!(made.expect("tar starts").success());
        let programs = fs::read_dir(root.join("usr/bin")).expect("it has programs").flatten();
        let names = programs.filter_map(|entry| entry.file_name().into_string().ok());
        let is_compiler =
            |name: &String| name.contains("gcc") || ["cc", "c89", "c99"].contains(&name.as_str());
        let compilers = names.filter(is_compiler).collect();
        let layer = fs::read(&layer).expect("it is there");
        Ok(Bench { data, layer, compilers })
    }
}

/// A layer of empty files, which take away where they are called so.
fn marks(names: &[String]) -> Vec<u8> {
    let mut archive = Vec::new();
    for name in names {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..135].copy_from_slice(b"00000000000");
        header[136..147].copy_from_slice(b"00000000000");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
    }
    archive.extend([0; 1024]);
    archive
}

#[test]
fn real_packages_run_on_an_image_of_a_registry() {
    let bench = match Bench::new() {
        Ok(bench) => bench,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let registry = match OciRegistry::start(folder.path(), None) {
        Ok(registry) => registry,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    let image =
        OciImage::native(vec![bench.layer.clone(), marks(&[".wh.tmp".to_owned(), "etc/mark".to_owned()])]);
    registry.push("team/python", "3", &image);
    let without: Vec<String> = bench.compilers.iter().map(|name| format!("usr/bin/.wh.{name}")).collect();
    registry.push("team/bare", "1", &OciImage::native(vec![bench.layer.clone(), marks(&without)]));
    let (here, digest) = (registry.address(), image.digest());
    let text = format!(
        "{BASE}[platform.tagged]\nimage = '{here}/team/python:3'\n\
         [platform.exact]\nimage = '{here}/team/python@{digest}'\n\
         [platform.bare]\nimage = '{here}/team/bare:1'\n"
    );
    let definitions = folder.path().join("w.toml");
    fs::write(&definitions, &text).expect("it can be written");
    let machine = Machine { data: &bench.data, definitions: &definitions };
    let (code, said) = machine.says(&["env", "build", "--again", "tagged", "exact", "bare"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("tagged-cp313") && said.contains("weak: no C compiler"), "{said}");
    let shown = |name: &str, key: &str| {
        let (_, said) = machine.says(&["env", "show", name]);
        let line = said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        line.trim().to_owned()
    };
    assert_eq!(shown("tagged", "image"), format!("{here}/team/python:3@{digest}"));
    // What is the same stands once, whoever calls it what.
    assert_eq!(shown("tagged", "manifest"), shown("exact", "manifest"));
    assert_ne!(shown("tagged", "manifest"), shown("bare", "manifest"));
    let blobs = Command::new("find").arg(bench.data.join("files")).args(["-size", "+10M"]).output();
    let blobs = String::from_utf8_lossy(&blobs.expect("find starts").stdout).lines().count();
    assert_eq!(blobs, 1, "the one large layer is stored once");
    releases_come_out_right(&machine);
    without_a_compiler_it_is_said(&machine);
    what_runs_keeps_what_it_stands_on(&machine, &text);
    let (code, said) = machine.says(&["env", "remove", "tagged", "exact", "bare"]);
    assert_eq!(code, 0, "{said}");
}

/// On a root file system without `/tmp`, too.
fn releases_come_out_right(machine: &Machine<'_>) {
    let words =
        ["run", "--fresh", "--format", "json", "--from", "sdist", "--jobs", "1", "--env", "tagged-cp313"];
    let run =
        machine.run(&[words.as_slice(), &["six", "markupsafe", "--exclude-newer", "2026-06-01"]].concat());
    run.ends_with(0);
    assert_eq!(the(&run, "six", "tagged-cp313")["outcome"], "passed", "{}", run.stderr);
    let tapped = the(&run, "markupsafe", "tagged-cp313");
    let imports = tapped["imports"].as_array().cloned().unwrap_or_default();
    assert!(imports.iter().any(|import| import["module"] == "markupsafe._speedups"), "{imports:?}");
}

fn without_a_compiler_it_is_said(machine: &Machine<'_>) {
    let (code, said) = machine.says(&["env", "check", "bare"]);
    assert!(code == 0 && said.contains("bare-cp313: ") && said.contains("C extension"), "{said}");
    let index = wheeltapper_testkit::FakeIndex::with_fixtures().expect("the fixtures can be built");
    let words = ["run", "--fresh", "--format", "json", "--from", "sdist", "--env", "bare-cp313"];
    let mut command = machine.command(&[words.as_slice(), &["tap-native-extension"]].concat());
    command.env("UV_DEFAULT_INDEX", index.url()).env("PIP_INDEX_URL", index.url());
    let run = finish(command);
    let record = the(&run, "tap-native-extension", "bare-cp313");
    assert_eq!(record["cause"]["id"], "missing-tool", "{record}");
    assert_eq!(record["cause"]["blame"], "platform", "{record}");
}

/// A definition that changes, and is built anew, while cells run.
fn what_runs_keeps_what_it_stands_on(machine: &Machine<'_>, text: &str) {
    let words =
        ["run", "--fresh", "--format", "json", "--from", "sdist", "--jobs", "1", "--env", "tagged-cp313"];
    let targets = ["six", "markupsafe", "--exclude-newer", "2026-06-01"];
    let mut running = Running::start(machine.command(&[words.as_slice(), &targets].concat()));
    let first = running.wait_for_record();
    fs::write(machine.definitions, text.replace("/team/python:3", "/team/bare:1"))
        .expect("it can be written");
    let (_, said) = machine.says(&["env", "list"]);
    assert!(said.contains("built of an older definition"), "{said}");
    let (code, said) = machine.says(&["env", "build", "tagged"]);
    assert_eq!(code, 0, "{said}");
    let run = running.finish();
    run.ends_with(0);
    assert_eq!(run.records.len(), 2);
    let digests = run.records.iter().map(|record| &record["environment"]["digest"]);
    assert!(digests.clone().all(|digest| *digest == first["environment"]["digest"]));
    assert_eq!(the(&run, "markupsafe", "tagged-cp313")["phases"]["import"]["status"], "passed");
    fs::write(machine.definitions, text).expect("it can be written");
}

#[test]
fn a_full_disk_leaves_no_half_image() {
    let lab: Lab = lab!();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let registry = match OciRegistry::start(folder.path(), None) {
        Ok(registry) => registry,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    let may_mount =
        Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !is_root() || !may_mount {
        wheeltapper_testkit::skip!("a small file system is mounted as root only");
    }
    let large = folder.path().join("large");
    fs::create_dir(&large).expect("a folder can be made");
    let made = Command::new("dd")
        .args(["if=/dev/urandom", "bs=1M", "count=12", "status=none"])
        .arg(format!("of={}", large.join("noise").display()))
        .status();
    assert!(made.expect("dd starts").success());
    let layer = Command::new("tar").args(["--create", "--directory"]).arg(&large).arg("noise").output();
    registry.push("team/large", "1", &OciImage::native(vec![layer.expect("tar starts").stdout]));
    let definitions = folder.path().join("w.toml");
    let text = format!("[platform.large]\nimage = '{}/team/large:1'\n", registry.address());
    fs::write(&definitions, text).expect("it can be written");
    // Too little for the layer; and enough for it, but not for what is in it.
    for size in ["8m", "20m"] {
        let data = lab.data.path().join(size);
        fs::create_dir(&data).expect("a folder can be made");
        let script = "mount -t tmpfs -o size=$0 none $1 && { \"$2\" --data $1 --config $3 env build large; code=$?; \
                      find $1/platforms $1/files/partial -size +100k; exit $code; }";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script, size]).arg(&data);
        command.arg(env!("CARGO_BIN_EXE_wheeltapper")).arg(&definitions);
        let output = command.output().expect("unshare starts");
        let [printed, said] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert_eq!(output.status.code(), Some(5), "{size}: {said}");
        assert!(said.contains("No space left") && said.contains("the disk is full"), "{size}: {said}");
        assert_eq!(printed, "", "{size}: nothing of it is left");
    }
}
