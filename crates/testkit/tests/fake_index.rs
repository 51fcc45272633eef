//! The fake index speaks the Simple API, and fails as it is told.

// Helpers of tests unwrap as tests do; the lint knows only functions that are marked as tests.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;
use wheeltapper_testkit::{FakeIndex, Fault, Fixture, Published, Style};

const JSON: &str = "Accept: application/vnd.pypi.simple.v1+json\r\n";

/// Sends one request on a connection of its own and returns status, head and body.
fn ask(index: &FakeIndex, method: &str, path: &str, headers: &str) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(index.address()).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: index\r\n{headers}\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Some((status, head, bytes[end + 4..].to_vec()))
}

fn get(index: &FakeIndex, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
    ask(index, "GET", path, headers).unwrap()
}

fn index() -> (FakeIndex, Published) {
    let index = FakeIndex::start().unwrap();
    let mut file = Published::from(Fixture::named("requires-python").unwrap().artifacts().unwrap().remove(0));
    file.serve_metadata = true;
    file.yanked = Some("a <bad> day".to_owned());
    index.publish(file.clone()).unwrap();
    (index, file)
}

const PAGE: &str = "/simple/tap-requires-python/";
const FILE: &str = "/files/tap_requires_python-1.0.tar.gz";

#[test]
fn json_says_all_there_is() {
    let (index, file) = index();
    let (status, head, body) = get(&index, PAGE, JSON);
    assert_eq!(status, 200);
    assert!(head.contains("Content-Type: application/vnd.pypi.simple.v1+json"));
    let page: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(page["versions"][0], "1.0");
    let listed = &page["files"][0];
    assert_eq!(listed["hashes"]["sha256"], file.artifact.sha256());
    assert_eq!(listed["size"], file.artifact.bytes.len());
    assert_eq!(listed["requires-python"], ">=4");
    assert_eq!(listed["upload-time"], "2025-06-01T12:00:00Z");
    assert_eq!(listed["yanked"], "a <bad> day");
    assert_eq!(listed["url"], "../../files/tap_requires_python-1.0.tar.gz");
    let metadata = get(&index, &format!("{FILE}.metadata"), "").2;
    assert!(String::from_utf8(metadata).unwrap().contains("Requires-Python: >=4\n"));
}

#[test]
fn html_is_what_old_clients_and_old_indexes_get() {
    let (index, file) = index();
    assert!(get(&index, PAGE, "").1.contains("Content-Type: text/html"));
    index.set_style(Style::Html);
    let body = String::from_utf8(get(&index, PAGE, JSON).2).unwrap();
    assert!(body.contains(&format!("tar.gz#sha256={}\"", file.artifact.sha256())), "{body}");
    assert!(body.contains("data-requires-python=\"&gt;=4\" data-yanked=\"a &lt;bad&gt; day\""), "{body}");
    assert!(body.contains("data-core-metadata=\"sha256="), "{body}");
}

#[test]
fn files_come_whole_in_ranges_and_by_head() {
    let (index, file) = index();
    let bytes = &file.artifact.bytes;
    assert_eq!(&get(&index, FILE, "").2, bytes);
    let (status, head, body) = get(&index, FILE, "Range: bytes=2-4\r\n");
    assert_eq!((status, body.as_slice()), (206, &bytes[2..5]));
    assert!(head.contains(&format!("Content-Range: bytes 2-4/{}", bytes.len())));
    assert_eq!(get(&index, FILE, "Range: bytes=-7\r\n").2, bytes[bytes.len() - 7..]);
    assert_eq!(get(&index, FILE, "Range: bytes=99999999-\r\n").0, 416);
    let (status, head, body) = ask(&index, "HEAD", FILE, "").unwrap();
    assert_eq!((status, body.len()), (200, 0));
    assert!(head.contains(&format!("Content-Length: {}", bytes.len())));
}

#[test]
fn pages_are_found_by_any_spelling_and_revalidated() {
    let (index, _) = index();
    let (status, head, _) = get(&index, "/simple/Tap_Requires.Python/", JSON);
    assert_eq!(status, 301);
    assert!(head.contains("Location: /simple/tap-requires-python/"));
    assert_eq!(get(&index, "/simple/tap-unknown/", JSON).0, 404);
    let head = get(&index, PAGE, JSON).1;
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned();
    assert_eq!(get(&index, PAGE, &format!("{JSON}If-None-Match: {tag}\r\n")).0, 304);
    assert_eq!(index.requests().len(), 4);
    assert_eq!(index.requests()[3].headers["if-none-match"], tag);
}

#[test]
fn credentials_are_asked_for() {
    let (index, _) = index();
    index.require_credentials("tapper", "s3cret");
    let (status, head, _) = get(&index, PAGE, JSON);
    assert_eq!(status, 401);
    assert!(head.contains("WWW-Authenticate: Basic"));
    assert_eq!(get(&index, PAGE, "Authorization: Basic dGFwcGVyOnMzY3JldA==\r\n").0, 200);
    assert!(index.url_with_credentials().starts_with("http://tapper:s3cret@127.0.0.1:"));
}

#[test]
fn faults_are_switched_on_and_off() {
    let (index, file) = index();
    let bytes = &file.artifact.bytes;
    index.set_fault(FILE, Fault::Status(500));
    assert_eq!(get(&index, FILE, "").0, 500);
    assert_eq!(get(&index, PAGE, "").0, 200);
    index.set_fault(FILE, Fault::StatusTimes(503, 2));
    assert_eq!([get(&index, FILE, "").0, get(&index, FILE, "").0, get(&index, FILE, "").0], [503, 503, 200]);
    index.set_fault(FILE, Fault::Garbage);
    let (status, _, body) = get(&index, FILE, "");
    assert_eq!((status, body.len()), (200, bytes.len()));
    assert_ne!(&body, bytes);
    index.set_fault(FILE, Fault::Half);
    assert_eq!(get(&index, FILE, "").2, bytes[..bytes.len() / 2]);
    index.set_fault(FILE, Fault::WrongHash);
    let body = get(&index, FILE, "").2;
    assert_eq!(body.iter().zip(bytes).filter(|(one, other)| one != other).count(), 1);
    index.set_fault(FILE, Fault::Close);
    assert_eq!(ask(&index, "GET", FILE, ""), None);
    index.clear_fault(FILE);
    index.set_fault("*", Fault::Status(404));
    assert_eq!(get(&index, PAGE, "").0, 404);
}

#[test]
fn a_hanging_index_says_nothing_until_it_is_dropped() {
    let (index, file) = index();
    index.set_fault(PAGE, Fault::Hang);
    index.set_fault(FILE, Fault::Stall);
    let mut stalled = TcpStream::connect(index.address()).unwrap();
    write!(stalled, "GET {FILE} HTTP/1.1\r\nHost: index\r\n\r\n").unwrap();
    let half = file.artifact.bytes.len() / 2;
    let mut read = Vec::new();
    while !read.ends_with(&file.artifact.bytes[half - 16..half]) {
        let mut byte = [0];
        stalled.read_exact(&mut byte).unwrap();
        read.extend(byte);
    }
    let mut stream = TcpStream::connect(index.address()).unwrap();
    write!(stream, "GET {PAGE} HTTP/1.1\r\nHost: index\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(stream.read(&mut [0; 1]).is_err(), "it answered");
    stream.set_read_timeout(None).unwrap();
    drop(index);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(stalled.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn one_connection_serves_many_requests() {
    let (index, _) = index();
    let mut stream = TcpStream::connect(index.address()).unwrap();
    for _ in 0..2 {
        write!(stream, "HEAD {FILE} HTTP/1.1\r\nHost: index\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn it_holds_every_fixture() {
    let index = FakeIndex::with_fixtures().unwrap();
    let page: Value = serde_json::from_slice(&get(&index, "/simple/", JSON).2).unwrap();
    assert_eq!(page["projects"].as_array().unwrap().len(), Fixture::all().unwrap().len());
}
