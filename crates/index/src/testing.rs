//! For tests: a tiny HTTP server that answers as it is told, broken answers included, and packed wheels.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;
use wheeltapper_core::Sha256;

use crate::{Client, ClientOptions, Configuration, Files, FilesOptions, Index, Patience};

/// A request as it came.
pub struct Asked {
    pub method: String,
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// How many came before.
    pub number: usize,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// An answer.
#[derive(Clone)]
pub enum Reply {
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Promises the whole body and breaks off in its middle.
    Half(Vec<u8>),
    /// Never answers.
    Silence,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Whole(status, Vec::new(), Vec::new())
    }

    pub fn json(body: impl Into<String>) -> Reply {
        let kind = ("Content-Type", "application/vnd.pypi.simple.v1+json".to_owned());
        Reply::Whole(200, vec![kind], body.into().into_bytes())
    }

    pub fn html(body: impl Into<String>) -> Reply {
        Reply::Whole(200, vec![("Content-Type", "text/html".to_owned())], body.into().into_bytes())
    }

    /// Bytes, by range where one is asked for.
    pub fn file(asked: &Asked, bytes: &[u8]) -> Reply {
        let Some((first, last)) =
            asked.header("range").strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Reply::Whole(200, Vec::new(), bytes.to_vec());
        };
        let size = bytes.len();
        let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, last.min(size - 1)),
            (Err(_), Ok(length)) => (size.saturating_sub(length), size - 1),
            _ => (first.parse().unwrap(), size - 1),
        };
        let range = ("Content-Range", format!("bytes {first}-{last}/{size}"));
        Reply::Whole(206, vec![range], bytes[first..=last].to_vec())
    }
}

/// The server; stops when dropped.
pub struct Server {
    pub url: Url,
    asked: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/simple/", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, number, answer) = (asked.clone(), Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, number, answer) = (log.clone(), number.clone(), answer.clone());
                tokio::spawn(async move {
                    let _ = talk(stream, &log, &number, &*answer).await;
                });
            }
        });
        Server { url, asked, task }
    }

    /// Method and path of each request.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn configuration(&self) -> Configuration {
        Configuration::of(Index::parse(self.url.as_str(), "the test").unwrap())
    }

    pub fn client(&self) -> Client {
        self.client_with(None)
    }

    pub fn client_with(&self, cache: Option<&Path>) -> Client {
        client_of(self.configuration(), cache)
    }
}

pub fn client_of(configuration: Configuration, cache: Option<&Path>) -> Client {
    patient_client(configuration, cache, patience())
}

pub fn patience() -> Patience {
    Patience { silence: Duration::from_secs(20), pause: Duration::ZERO, attempts: 3, ..Patience::default() }
}

pub fn patient_client(configuration: Configuration, cache: Option<&Path>, patience: Patience) -> Client {
    let cache = cache.map(Path::to_owned);
    Client::new(configuration, ClientOptions { cache, patience, ..ClientOptions::default() }).unwrap()
}

pub fn files(folder: &Path) -> Files {
    Files::open(folder, FilesOptions { largest: 1 << 20, ..FilesOptions::default() }).unwrap()
}

async fn talk(
    stream: TcpStream,
    log: &Mutex<Vec<String>>,
    number: &AtomicUsize,
    answer: &(dyn Fn(&Asked) -> Reply + Send + Sync),
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines[0].split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let headers = lines[1..].iter().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    log.lock().unwrap().push(format!("{method} {path}"));
    let asked = Asked { method, path, headers, number: number.fetch_add(1, Ordering::SeqCst) };
    let (status, headers, body, sent) = match answer(&asked) {
        Reply::Whole(status, headers, body) => (status, headers, body.clone(), body.len()),
        Reply::Half(body) => (200, Vec::new(), body.clone(), body.len() / 2),
        Reply::Silence => {
            // Until the client goes away.
            let _ = stream.read_to_end(&mut Vec::new()).await;
            return Ok(());
        }
    };
    let mut head = format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    if asked.method != "HEAD" {
        stream.write_all(&body[..sent]).await?;
    }
    stream.flush().await?;
    stream.shutdown().await
}

/// A zip archive of these members: path, Unix mode (0: a plain file), bytes.
pub fn zip_of(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, mode, bytes) in members {
        let options = zip::write::SimpleFileOptions::default().large_file(false);
        if mode & 0o170000 == 0o120000 {
            writer.add_symlink(*path, String::from_utf8_lossy(bytes), options).unwrap();
            continue;
        }
        let options = if *mode == 0 { options } else { options.unix_permissions(*mode) };
        writer.start_file(*path, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A sound pure wheel of this project and version, with more members before its metadata.
pub fn wheel_of(name: &str, version: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let info = format!("{name}-{version}.dist-info");
    let metadata =
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8\n\ntext\n");
    let wheel = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let mut members: Vec<(String, Vec<u8>)> =
        more.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect();
    members.push((format!("{info}/METADATA"), metadata.into_bytes()));
    members.push((format!("{info}/WHEEL"), wheel.into()));
    let mut record = String::new();
    for (path, bytes) in &members {
        use base64::Engine as _;
        let digest = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::of(bytes).0);
        record += &format!("{path},sha256={digest},{}\n", bytes.len());
    }
    record += &format!("{info}/RECORD,,\n");
    members.push((format!("{info}/RECORD"), record.into_bytes()));
    let members: Vec<(&str, u32, &[u8])> =
        members.iter().map(|(path, bytes)| (path.as_str(), 0, bytes.as_slice())).collect();
    zip_of(&members)
}

/// A JSON page listing files: name, SHA-256 if promised, and an upload time.
pub fn page_of(name: &str, files: &[(&str, Option<Sha256>, Option<&str>)]) -> String {
    let files: Vec<_> = files
        .iter()
        .map(|(filename, hash, time)| {
            let hashes = hash.map_or(serde_json::json!({}), |hash| serde_json::json!({"sha256": hash.hex()}));
            let url = format!("../../f/{filename}");
            serde_json::json!({"filename": filename, "url": url, "hashes": hashes, "upload-time": time})
        })
        .collect();
    serde_json::json!({"meta": {"api-version": "1.0"}, "name": name, "files": files}).to_string()
}
