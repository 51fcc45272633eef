//! The proxy as a client sees it, a hostile one included.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::testing::{Reply, Server, files, page_of, wheel_of};

/// An index, the proxy of it, and a listener.
struct Stage {
    upstream: Server,
    proxy: Proxy,
    serving: Serving,
    folder: tempfile::TempDir,
}

const WHEEL: &str = "six-1.0-py3-none-any.whl";

fn sdist_bytes() -> Vec<u8> {
    (0..1_000_000_u32).map(|number| (number % 251) as u8).collect()
}

impl Stage {
    async fn new(options: impl FnOnce(&tempfile::TempDir) -> ProxyOptions) -> Stage {
        let (wheel, sdist) = (wheel_of("six", "1.0", &[("six.py", b"x = 1\n")]), sdist_bytes());
        let upstream = Server::start(move |asked| match asked.path.as_str() {
            "/simple/six/" => Reply::json(page_of(
                "six",
                &[
                    ("six-0.9.tar.gz", Some(Sha256::of(&sdist)), Some("2020-01-01T00:00:00Z")),
                    (WHEEL, Some(Sha256::of(&wheel)), Some("2021-01-01T00:00:00Z")),
                    ("six-0.8.tar.gz", None, None),
                ],
            )),
            "/f/six-0.9.tar.gz" => Reply::Whole(200, vec![], sdist.clone()),
            "/f/six-0.8.tar.gz" => Reply::Whole(200, vec![], b"old".to_vec()),
            path if path == format!("/f/{WHEEL}") => Reply::file(asked, &wheel),
            "/simple/lost/" => Reply::status(500),
            _ => Reply::status(404),
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let proxy = Proxy::new(upstream.client(), files(folder.path()), options(&folder));
        let serving = proxy.serve(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        Stage { upstream, proxy, serving, folder }
    }

    async fn plain() -> Stage {
        Stage::new(|_| ProxyOptions::default()).await
    }

    /// One request; status, headers and body.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String, Vec<u8>) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            text += &format!("{name}: {value}\r\n");
        }
        self.send(format!("{text}\r\n").into_bytes()).await
    }

    async fn send(&self, request: Vec<u8>) -> (u16, String, Vec<u8>) {
        let address = self.serving.address();
        let bytes = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(&request);
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes);
            bytes
        });
        let bytes = bytes.await.unwrap();
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // Neither where the index is, nor where anything is here, is ever told.
        let all = String::from_utf8_lossy(&bytes);
        assert!(!all.contains(&self.upstream.url.authority().to_string()), "{all}");
        assert!(!all.contains(self.folder.path().to_str().unwrap()), "{all}");
        (status, head, bytes.get(end + 4..).unwrap_or_default().to_vec())
    }

    async fn page(&self) -> serde_json::Value {
        let (status, _, body) =
            self.ask("GET", "/simple/six/", &[("Accept", "application/vnd.pypi.simple.v1+json")]).await;
        assert_eq!(status, 200);
        serde_json::from_slice(&body).unwrap()
    }

    async fn address(&self, filename: &str) -> String {
        let page = self.page().await;
        let files = page["files"].as_array().unwrap();
        let file = files.iter().find(|file| file["filename"] == filename).unwrap();
        file["url"].as_str().unwrap().replace("../../", "/")
    }
}

#[tokio::test]
async fn pages_in_both_forms() {
    let stage = Stage::plain().await;
    let page = stage.page().await;
    assert_eq!(page["files"].as_array().unwrap().len(), 3);
    assert_eq!(page["files"][1]["core-metadata"], true);
    assert_eq!(page["files"][0]["core-metadata"], false);
    assert_eq!(page["files"][0]["upload-time"], "2020-01-01T00:00:00.000000Z");
    for accept in ["text/html", "*/*", "application/vnd.pypi.simple.v1+json;q=0.1, text/html"] {
        let (status, head, body) = stage.ask("GET", "/simple/six/", &[("Accept", accept)]).await;
        assert_eq!(status, 200);
        assert!(head.contains("content-type: text/html"), "{head}");
        // What we write, our own client reads the same.
        let (name, base) = ("six".parse().unwrap(), "http://h/simple/six/".parse().unwrap());
        let raw =
            crate::page::Raw { name: &name, index: "i", base: &base, content_type: "text/html", body: &body };
        let read = raw.parse().unwrap();
        assert_eq!(read.digest, stage.proxy.page(&name).await.unwrap().digest);
    }
    assert_eq!(stage.ask("GET", "/simple/six/", &[("Accept", "image/png")]).await.0, 406);
    let (status, head, _) = stage.ask("GET", "/simple/SIX", &[]).await;
    assert_eq!(status, 301);
    assert!(head.contains("location: /simple/six/"));
    let (_, head, _) = stage.ask("HEAD", "/simple/six/", &[]).await;
    let tag = head.split("etag: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    assert_eq!(stage.ask("GET", "/simple/six/", &[("If-None-Match", &tag)]).await.0, 304);
}

#[tokio::test]
async fn files_whole_and_in_parts() {
    let stage = Stage::plain().await;
    let (path, bytes) = (stage.address("six-0.9.tar.gz").await, sdist_bytes());
    let (status, _, body) = stage.ask("GET", &path, &[]).await;
    assert_eq!((status, body.len()), (200, bytes.len()));
    assert!(body == bytes);
    let (status, head, body) = stage.ask("HEAD", &path, &[]).await;
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains("content-length: 1000000") && head.contains("accept-ranges: bytes"), "{head}");
    let (status, head, body) = stage.ask("GET", &path, &[("Range", "bytes=10-19")]).await;
    assert_eq!((status, body.as_slice()), (206, &bytes[10..20]));
    assert!(head.contains("content-range: bytes 10-19/1000000"), "{head}");
    let (status, _, body) = stage.ask("GET", &path, &[("Range", "bytes=-600000")]).await;
    assert!(status == 206 && body == bytes[400_000..]);
    let (status, head, _) = stage.ask("GET", &path, &[("Range", "bytes=1000000-")]).await;
    assert_eq!(status, 416);
    assert!(head.contains("content-range: bytes */1000000"));
    // A file without a promised hash has an address too.
    let path = stage.address("six-0.8.tar.gz").await;
    assert_eq!(stage.ask("GET", &path, &[]).await.2, b"old");
    let recording = stage.serving.recording();
    assert_eq!(recording.files["six-0.9.tar.gz"], Sha256::of(&bytes));
    assert_eq!(recording.files["six-0.8.tar.gz"], Sha256::of(b"old"));
    assert!(recording.projects[&"six".parse().unwrap()].is_some());
}

#[tokio::test]
async fn metadata_where_the_index_has_none() {
    let stage = Stage::plain().await;
    let path = format!("{}.metadata", stage.address(WHEEL).await);
    let (status, _, body) = stage.ask("GET", &path, &[]).await;
    assert_eq!(status, 200);
    assert!(body.starts_with(b"Metadata-Version: 2.1\nName: six\n"));
    // Read by ranges: the wheel itself was not stored.
    assert_eq!(stage.proxy.inner.files.stored(), 0);
    assert_eq!(stage.serving.recording().metadata.len(), 1);
    let path = format!("{}.metadata", stage.address("six-0.9.tar.gz").await);
    assert_eq!(stage.ask("GET", &path, &[]).await.0, 404);
}

#[tokio::test]
async fn a_restarted_proxy_knows_its_addresses() {
    let stage = Stage::plain().await;
    let path = stage.address(WHEEL).await;
    let other = Stage::plain().await;
    assert_eq!(other.ask("GET", &path, &[]).await.0, 200);
}

#[tokio::test]
async fn what_is_newer_or_undated_is_hidden() {
    let date = "2020-06-01T00:00:00Z".parse().unwrap();
    let stage = Stage::new(|_| ProxyOptions { exclude_newer: Some(date), ..ProxyOptions::default() }).await;
    let page = stage.page().await;
    let names: Vec<_> =
        page["files"].as_array().unwrap().iter().map(|file| file["filename"].clone()).collect();
    assert_eq!(names, ["six-0.9.tar.gz"]);
    assert_eq!(page["versions"], serde_json::json!(["0.9"]));
    let notes = stage.proxy.notes();
    assert!(notes.iter().any(|note| note.contains("no date")), "{notes:?}");
    // Hidden is hidden, even by its address.
    let open = Stage::plain().await;
    let path = open.address(WHEEL).await;
    assert_eq!(stage.ask("GET", &path, &[]).await.0, 404);
}

#[tokio::test]
async fn local_files_are_as_if_published() {
    let date = "2020-06-01T00:00:00Z".parse().unwrap();
    let stage = Stage::new(|folder| {
        let local = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            LocalFile::read(&folder.path().join(name)).unwrap()
        };
        let local = vec![
            local("six-2.0-py3-none-any.whl", &wheel_of("six", "2.0", &[])),
            local("six-0.9.tar.gz", b"mine"),
            local("mine-1.0.tar.gz", b"only here"),
        ];
        ProxyOptions { exclude_newer: Some(date), local, ..ProxyOptions::default() }
    })
    .await;
    let page = stage.page().await;
    assert_eq!(page["files"].as_array().unwrap().len(), 2);
    assert_eq!(page["files"][1]["requires-python"], serde_json::Value::Null);
    assert_eq!(page["files"][0]["requires-python"], ">=3.8");
    assert!(page["files"][0]["upload-time"].as_str().unwrap() < "2020-06-01");
    let path = stage.address("six-2.0-py3-none-any.whl").await;
    assert!(stage.ask("GET", &format!("{path}.metadata"), &[]).await.2.starts_with(b"Metadata-Version"));
    assert_eq!(stage.ask("GET", &path, &[]).await.0, 200);
    let path = stage.address("six-0.9.tar.gz").await;
    assert_eq!(stage.ask("GET", &path, &[]).await.2, b"mine");
    // A project that the index does not have.
    let (status, _, body) = stage.ask("GET", "/simple/mine/", &[]).await;
    assert_eq!(status, 200);
    assert!(String::from_utf8(body).unwrap().contains("mine-1.0.tar.gz"));
}

#[tokio::test]
async fn everything_else_is_refused() {
    let stage = Stage::plain().await;
    let key = Sha256::of(b"nothing").hex();
    for path in [
        "/",
        "/simple/",
        "/simple/../etc/passwd",
        "/simple/%2e%2e/",
        "/simple/no%00name/",
        "/files/../../etc/passwd",
        "/files/x/..%2f..%2fetc%2fpasswd",
        &format!("/files/{key}/six-0.9.tar.gz"),
        &format!("/files/{key}/six-7.tar.gz"),
        "/pypi/six/json",
        "/simple/unknown/",
    ] {
        assert_eq!(stage.ask("GET", path, &[]).await.0, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "NONSENSE"] {
        let path = if method == "CONNECT" { "x:1" } else { "/simple/six/" };
        assert!(matches!(stage.ask(method, path, &[]).await.0, 400 | 405), "{method}");
    }
    assert_eq!(stage.serving.recording().projects[&"unknown".parse().unwrap()], None);
    assert!(!stage.serving.recording().refused.is_empty());
    assert_eq!(stage.serving.recording().failures, Vec::<String>::new());
}

#[tokio::test]
async fn a_lost_index_is_written_down() {
    let stage = Stage::plain().await;
    assert_eq!(stage.ask("GET", "/simple/lost/", &[]).await.0, 502);
    let failures = stage.serving.recording().failures;
    assert!(failures.len() == 1 && failures[0].contains("is lost"), "{failures:?}");
}

#[tokio::test]
async fn hostile_bytes() {
    let stage = Stage::plain().await;
    let huge = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(stage.send(huge.into_bytes()).await.0, 0 | 431));
    assert!(matches!(stage.send(b"\x16\x03\x01\xff\xff\r\n\r\n".to_vec()).await.0, 0 | 400));
    assert_eq!(stage.ask("GET", "/simple/six/", &[]).await.0, 200);
}

#[tokio::test]
async fn a_client_cannot_make_us_read_the_whole_index() {
    let rate = Rate { projects: 1, ..Rate::default() };
    let stage = Stage::new(|_| ProxyOptions { rate, ..ProxyOptions::default() }).await;
    assert_eq!(stage.ask("GET", "/simple/six/", &[]).await.0, 200);
    assert_eq!(stage.ask("GET", "/simple/seven/", &[]).await.0, 429);
    // Nor by way of files: one project more is looked up for a file, and no second.
    for number in 0..4 {
        assert_eq!(stage.ask("GET", &format!("/files/x/p{number}-1.0.tar.gz"), &[]).await.0, 404);
    }
    assert_eq!(stage.upstream.asked().len(), 2);
    assert_eq!(stage.ask("GET", "/simple/six/", &[]).await.0, 200);
}

#[tokio::test]
async fn dropped_is_closed() {
    let stage = Stage::plain().await;
    let address = stage.serving.address();
    drop(stage);
    while TcpStream::connect(address).is_ok() {
        tokio::task::yield_now().await;
    }
}
