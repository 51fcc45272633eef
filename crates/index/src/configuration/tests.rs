//! Settings in files and variables of a made-up machine.

use std::fs;

use super::*;

struct Machine {
    folder: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let surroundings = Surroundings {
            variables: BTreeMap::new(),
            home: Some(root.join("home")),
            etc: root.join("etc"),
            wheel_folders: vec![root.join("wheels")],
        };
        Machine { surroundings, folder }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.surroundings.variables.insert(name.into(), value.into());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    async fn read(&self) -> Result<Configuration> {
        Configuration::read(&self.surroundings, None, &[]).await
    }

    async fn addresses(&self) -> Vec<String> {
        self.read().await.unwrap().indexes.iter().map(|index| index.url.to_string()).collect()
    }
}

#[tokio::test]
async fn nobody_knows() {
    let error = Machine::new().read().await.unwrap_err();
    assert!(matches!(error, Error::NoIndex));
    assert!(error.hint().unwrap().contains("UV_DEFAULT_INDEX"));
}

#[tokio::test]
async fn uv_comes_before_pip() {
    let machine = Machine::new().set("PIP_INDEX_URL", "http://pip.example/simple").file(
        "home/.config/uv/uv.toml",
        "[[index]]\nname = \"a\"\nurl = \"http://a.example/simple\"\n[[index]]\nname = \"x\"\nurl = \"http://x.example\"\nexplicit = true\n[[index]]\nurl = \"http://uv.example/simple\"\ndefault = true\n",
    );
    assert_eq!(machine.addresses().await, ["http://a.example/simple/", "http://uv.example/simple/"]);
    let machine = machine.set("UV_INDEX_URL", "http://var.example/simple");
    assert_eq!(machine.addresses().await, ["http://a.example/simple/", "http://var.example/simple/"]);
    assert!(machine.read().await.unwrap().notes.iter().any(|note| note.contains("`x`")));
}

#[tokio::test]
async fn pip_in_its_order() {
    let machine = Machine::new().file("etc/pip.conf", "[global]\nindex-url = http://etc.example/s\n");
    assert_eq!(machine.addresses().await, ["http://etc.example/s/"]);
    let machine = machine.file("home/.config/pip/pip.conf", "[global]\nindex-url = http://user.example/s\nextra-index-url =\n  http://one.example/\n  http://two.example/\n");
    assert_eq!(
        machine.addresses().await,
        ["http://one.example/", "http://two.example/", "http://user.example/s/"]
    );
    let own = machine.folder.path().join("own.conf");
    let machine = machine.file("own.conf", "[install]\nindex_url: http://own.example/s\n");
    let machine = machine.set("PIP_CONFIG_FILE", own.to_str().unwrap());
    assert_eq!(machine.addresses().await, ["http://own.example/s/"]);
    let machine = machine.set("PIP_INDEX_URL", "http://var.example/s");
    assert_eq!(machine.addresses().await, ["http://var.example/s/"]);
    assert!(matches!(Machine::new().set("PIP_CONFIG_FILE", "/dev/null").read().await, Err(Error::NoIndex)));
}

#[tokio::test]
async fn secrets_stay_inside() {
    let machine = Machine::new()
        .set("UV_INDEX", "my-own=http://private.example/simple")
        .set("UV_INDEX_MY_OWN_USERNAME", "me")
        .set("UV_INDEX_MY_OWN_PASSWORD", "s3cret")
        .set("UV_DEFAULT_INDEX", "https://u:pa55@other.example/simple")
        .file("home/.netrc", "machine third.example login n password netpass");
    let configuration = machine.read().await.unwrap();
    assert_eq!(configuration.indexes[0].credentials, Some(Credentials::new("me", "s3cret")));
    assert_eq!(configuration.indexes[1].credentials, Some(Credentials::new("u", "pa55")));
    let printed = format!("{configuration:?}");
    for secret in ["s3cret", "pa55", "netpass"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    let url = |text: &str| text.parse::<Url>().unwrap();
    assert!(configuration.credentials_for(&url("http://private.example/files/x")).is_some());
    assert!(configuration.credentials_for(&url("http://third.example/")).is_some());
    assert!(configuration.credentials_for(&url("https://files.example/x")).is_none());
    // The same host by plain http is another origin.
    assert!(configuration.credentials_for(&url("http://other.example/simple/")).is_none());
}

#[tokio::test]
async fn a_bad_setting_names_its_place() {
    let machine = Machine::new().set("UV_DEFAULT_INDEX", "https://u:hunter2@/:nonsense");
    let error = machine.read().await.unwrap_err();
    assert!(
        error.to_string().contains("UV_DEFAULT_INDEX") && !error.to_string().contains("hunter2"),
        "{error}"
    );
    let error = Machine::new().set("UV_DEFAULT_INDEX", "file:///srv/index").read().await.unwrap_err();
    assert!(error.to_string().contains("no http"), "{error}");
    let error = Machine::new().file("etc/pip.conf", "[global]\nnonsense\n").read().await.unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = Machine::new().file("etc/uv/uv.toml", "a = 1\nindex = 3\n").read().await.unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
}

#[tokio::test]
async fn the_default_comes_from_a_pip() {
    let text = "\nPyPI = PackageIndex(\"https://default.example/\", file_storage_domain=\"f\")\n";
    let machine = Machine::new().file("py/lib/python3.12/site-packages/pip/_internal/models/index.py", text);
    let interpreter = machine.folder.path().join("py/bin/python3");
    let configuration = Configuration::read(&machine.surroundings, None, &[interpreter]).await.unwrap();
    assert_eq!(configuration.indexes[0].url.as_str(), "https://default.example/simple/");
    assert!(configuration.indexes[0].from.contains("index.py"));

    // A distribution's wheel, read as the archive that it is.
    let machine = Machine::new();
    let folder = machine.folder.path().join("wheels");
    fs::create_dir_all(&folder).unwrap();
    let mut writer = zip::ZipWriter::new(fs::File::create(folder.join("pip-1-py3-none-any.whl")).unwrap());
    writer.start_file("pip/_internal/models/index.py", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
    writer.finish().unwrap();
    assert_eq!(machine.addresses().await, ["https://default.example/simple/"]);
}

/// A program that answers as uv does.
#[cfg(unix)]
fn pretend_uv(machine: &Machine, built_in: &str, emitted: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = machine.folder.path().join("uv");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*--help*) echo '--default-index <X> (by default: <{built_in}>)';;\n*) printf '%b' '{emitted}';;\nesac\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[tokio::test]
async fn uv_is_asked() {
    let machine = Machine::new()
        .set("PATH", "/usr/bin:/bin")
        .set("UV_INDEX", "own=http://a.example/simple")
        .set("UV_INDEX_OWN_PASSWORD", "s3cret")
        .set("PIP_INDEX_URL", "http://pip.example/simple");
    let uv = pretend_uv(
        &machine,
        "http://built-in.example/simple",
        "--index-url http://u:pa55@configured.example/simple\\n--extra-index-url http://a.example/simple\\n",
    );
    let read = Configuration::read(&machine.surroundings, Some(&uv), &[]).await.unwrap();
    let addresses: Vec<_> = read.indexes.iter().map(|index| index.url.as_str()).collect();
    assert_eq!(addresses, ["http://a.example/simple/", "http://configured.example/simple/"]);
    assert_eq!(read.indexes[0].credentials, Some(Credentials::new("", "s3cret")));
    assert_eq!(read.indexes[0].from, "UV_INDEX");
    assert_eq!(read.indexes[1].credentials, Some(Credentials::new("u", "pa55")));

    // What uv has built in is not configured: pip's setting comes first, and without one the built-in counts.
    let uv = pretend_uv(
        &machine,
        "http://built-in.example/simple",
        "--index-url http://built-in.example/simple\\n",
    );
    let read = Configuration::read(&machine.surroundings, Some(&uv), &[]).await.unwrap();
    assert_eq!(read.indexes[0].from, "PIP_INDEX_URL");
    let machine = Machine::new().set("PATH", "/usr/bin:/bin");
    let uv = pretend_uv(
        &machine,
        "http://built-in.example/simple",
        "--index-url http://built-in.example/simple\\n",
    );
    let read = Configuration::read(&machine.surroundings, Some(&uv), &[]).await.unwrap();
    assert_eq!(read.indexes[0].from, "uv's default");
}
