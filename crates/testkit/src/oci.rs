//! Container images for tests: made of layers that tests give, written as files, or pushed to a real registry on the
//! loopback, which is Debian's `docker-registry`.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::{Value, json};
use wheeltapper_core::Sha256;

/// The program of the registry.
const PROGRAM: &str = "docker-registry";

/// An image: a manifest and what it points to.
#[derive(Debug, Clone)]
pub struct OciImage {
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The configuration, then the layers, the lowest first.
    pub blobs: Vec<Vec<u8>>,
}

impl OciImage {
    /// An image for Linux on a machine, by Go's name of it (`amd64`). Layers are tar archives, plain or compressed.
    pub fn new(architecture: &str, layers: Vec<Vec<u8>>) -> OciImage {
        let config = json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}});
        let config = config.to_string().into_bytes();
        let described: Vec<Value> = layers.iter().map(|layer| descriptor(layer_type(layer), layer)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": described,
        });
        let blobs = std::iter::once(config).chain(layers).collect();
        OciImage { manifest: manifest.to_string().into_bytes(), blobs }
    }

    /// An image for this machine.
    pub fn native(layers: Vec<Vec<u8>>) -> OciImage {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        OciImage::new(architecture, layers)
    }

    /// Digest of its manifest.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.manifest)
    }

    /// Adds it to an OCI image layout, which is made where there is none, under a name.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_layout(&self, folder: &Path, name: &str) -> io::Result<()> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        for blob in self.blobs.iter().chain([&self.manifest]) {
            fs::write(blobs.join(Sha256::of(blob).hex()), blob)?;
        }
        let index = folder.join("index.json");
        let written = fs::read(&index).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut list: Value = written.unwrap_or_else(|| json!({"schemaVersion": 2, "manifests": []}));
        let mut entry = descriptor(MANIFEST, &self.manifest);
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        list["manifests"].as_array_mut().ok_or(io::ErrorKind::InvalidData)?.push(entry);
        fs::write(index, list.to_string())
    }

    /// Writes it as `docker save` did before it wrote layouts, as a folder to be put into an archive.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_saved(&self, folder: &Path, tag: &str) -> io::Result<()> {
        let mut layers = Vec::new();
        for (number, layer) in self.blobs.iter().skip(1).enumerate() {
            let name = format!("{number}/layer.tar");
            fs::create_dir_all(folder.join(number.to_string()))?;
            fs::write(folder.join(&name), layer)?;
            layers.push(name);
        }
        fs::write(folder.join("config.json"), &self.blobs[0])?;
        let list = json!([{"Config": "config.json", "RepoTags": [tag], "Layers": layers}]);
        fs::write(folder.join("manifest.json"), list.to_string())
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A list of images for several machines, by Go's names of them.
pub fn oci_index(images: &[(&str, &OciImage)]) -> Vec<u8> {
    let entries = images.iter().map(|(architecture, image)| {
        let mut entry = descriptor(MANIFEST, &image.manifest);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entry
    });
    let entries: Vec<Value> = entries.collect();
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string().into_bytes()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": Sha256::of(bytes).to_string(), "size": bytes.len()})
}

fn layer_type(layer: &[u8]) -> &'static str {
    match layer {
        [0x1f, 0x8b, ..] => "application/vnd.oci.image.layer.v1.tar+gzip",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "application/vnd.oci.image.layer.v1.tar+zstd",
        _ => "application/vnd.oci.image.layer.v1.tar",
    }
}

/// A registry with a folder of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct OciRegistry {
    child: Child,
    address: SocketAddr,
    authorization: Option<String>,
}

impl OciRegistry {
    /// Starts one. `login` is the `Authorization` header of its one user, and the line of htpasswd(1) for that user; without it
    /// everybody may come.
    ///
    /// # Errors
    /// Why there is none here.
    pub fn start(folder: &Path, login: Option<(&str, &str)>) -> Result<OciRegistry, String> {
        let told = |error: io::Error| format!("{PROGRAM} cannot be started (Debian has it): {error}");
        let storage = folder.join("storage");
        let mut configuration = json!({
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": "127.0.0.1:0"},
        });
        if let Some((_, line)) = login {
            let path = folder.join("htpasswd");
            fs::write(&path, line).map_err(told)?;
            configuration["auth"] = json!({"htpasswd": {"realm": "tests", "path": path}});
        }
        // JSON is YAML.
        let path = folder.join("registry.yml");
        fs::write(&path, configuration.to_string()).map_err(told)?;
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(told)?;
        let said = child.stderr.take().ok_or("its standard error is a pipe")?;
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let address = lines.find_map(|line| {
            let (_, rest) = line.split_once("listening on ")?;
            rest.split(['"', ' ', ',']).next()?.parse().ok()
        });
        // Whoever does not read its words makes it wait.
        thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            // It ended, or will.
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{PROGRAM} does not listen"));
        };
        let authorization = login.map(|(header, _)| header.to_owned());
        Ok(OciRegistry { child, address, authorization })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Pushes an image under a tag.
    ///
    /// # Panics
    /// When the registry does not take it.
    pub fn push(&self, repository: &str, tag: &str, image: &OciImage) {
        for blob in &image.blobs {
            let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), "", b"", 202);
            let place =
                begun.lines().find_map(|line| line.strip_prefix("Location: ")).expect("it says where");
            let place = place.split_once("/v2/").map_or(place, |(_, rest)| rest);
            let digest = Sha256::of(blob);
            let path = format!("/v2/{place}&digest={digest}");
            self.ask("PUT", &path, "application/octet-stream", blob, 201);
        }
        self.put_manifest(repository, tag, MANIFEST, &image.manifest);
    }

    /// Pushes images for several machines under one tag.
    ///
    /// # Panics
    /// When the registry does not take them.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[(&str, &OciImage)]) {
        for (architecture, image) in images {
            self.push(repository, &format!("{tag}-{architecture}"), image);
        }
        self.put_manifest(repository, tag, INDEX, &oci_index(images));
    }

    fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, manifest: &[u8]) {
        self.ask("PUT", &format!("/v2/{repository}/manifests/{tag}"), media_type, manifest, 201);
    }

    /// One request on a connection of its own; the answer's head.
    fn ask(&self, method: &str, path: &str, media_type: &str, body: &[u8], wanted: u16) -> String {
        let mut stream = TcpStream::connect(self.address).expect("the registry listens");
        let authorization = self.authorization.as_ref().map(|value| format!("Authorization: {value}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {}\r\n{}\r\n",
            self.address,
            body.len(),
            authorization.unwrap_or_default(),
        );
        stream.write_all(head.as_bytes()).expect("the registry reads");
        stream.write_all(body).expect("the registry reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("the registry answers");
        let text = String::from_utf8_lossy(&answer).replace("\r\n", "\n");
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        assert_eq!(status, Some(wanted), "{method} {path}: {text}");
        text
    }
}

impl Drop for OciRegistry {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
