//! Pages of the proxy, in both forms of the Simple API. Addresses of files are relative to the page, so that
//! they hold on whatever port the page was asked for.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use wheeltapper_core::Sha256;

use crate::{File, ProjectPage};

/// The segment that stands for a file's content: its SHA-256, or, where the index promises none, `u` and the
/// hash of its address, which tells nothing about the address.
pub(super) fn key(file: &File) -> String {
    match file.sha256() {
        Some(digest) => digest.hex(),
        None => format!("u{}", Sha256::of(file.url.as_str().as_bytes()).hex()),
    }
}

fn address(file: &File) -> String {
    // A file's name is one safe component of printable ASCII; what a URL needs escaped is escaped.
    let mut name = String::with_capacity(file.filename.len());
    for byte in file.filename.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'+' | b'!' => {
                name.push(byte as char)
            }
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    format!("../../files/{}/{name}", key(file))
}

/// PEP 691, with the fields of PEP 700 and 792. Version 1.1 promises sizes and versions: where the index does
/// not know all of them, the page says 1.0.
pub(super) fn json(page: &ProjectPage) -> Bytes {
    let sized = page.files.iter().all(|file| file.size.is_some());
    let mut versions: Vec<_> = page.files.iter().map(|file| file.distribution.version()).collect();
    versions.sort_unstable();
    versions.dedup();
    let versions: Vec<String> = versions.into_iter().map(ToString::to_string).collect();
    let files: Vec<Value> = page.files.iter().map(json_file).collect();
    let mut body = json!({
        "meta": {"api-version": if sized { "1.4" } else { "1.0" }},
        "name": page.name,
        "files": files,
        "versions": versions,
    });
    if page.status.status != "active" {
        let mut status = json!({"status": page.status.status});
        if let Some(reason) = &page.status.reason {
            status["reason"] = json!(reason);
        }
        body["project-status"] = status;
    }
    Bytes::from(serde_json::to_vec(&body).expect("texts and numbers are JSON"))
}

fn json_file(file: &File) -> Value {
    let mut row = Map::new();
    row.insert("filename".to_owned(), json!(file.filename));
    row.insert("url".to_owned(), json!(address(file)));
    row.insert("hashes".to_owned(), json!(file.hashes));
    row.insert("requires-python".to_owned(), json!(file.requires_python));
    row.insert(
        "yanked".to_owned(),
        match file.yanked.as_deref() {
            None => json!(false),
            Some("") => json!(true),
            Some(reason) => json!(reason),
        },
    );
    if let Some(size) = file.size {
        row.insert("size".to_owned(), json!(size));
    }
    if let Some(time) = file.upload_time {
        row.insert("upload-time".to_owned(), json!(format!("{time:.6}")));
    }
    // Served for every wheel, whether or not the index does (PEP 658, 714).
    let metadata = file.distribution.wheel().is_some();
    row.insert("core-metadata".to_owned(), json!(metadata));
    row.insert("dist-info-metadata".to_owned(), json!(metadata));
    Value::Object(row)
}

/// PEP 503, with the attributes of PEP 592, 658 and 714.
pub(super) fn html(page: &ProjectPage) -> Bytes {
    let mut text =
        String::from("<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.4\">");
    if page.status.status != "active" {
        text += &format!("<meta name=\"pypi:project-status\" content=\"{}\">", escaped(&page.status.status));
        if let Some(reason) = &page.status.reason {
            text += &format!("<meta name=\"pypi:project-status-reason\" content=\"{}\">", escaped(reason));
        }
    }
    text += &format!("<title>{0}</title></head><body><h1>{0}</h1>\n", page.name);
    for file in &page.files {
        let hash = ["sha256", "sha512"].into_iter().find_map(|name| Some((name, file.hashes.get(name)?)));
        let hash = hash.or_else(|| file.hashes.iter().next().map(|(name, digest)| (name.as_str(), digest)));
        let fragment = hash.map(|(name, digest)| format!("#{name}={digest}")).unwrap_or_default();
        text += &format!("<a href=\"{}\"", escaped(&format!("{}{fragment}", address(file))));
        if let Some(requires) = &file.requires_python {
            text += &format!(" data-requires-python=\"{}\"", escaped(requires));
        }
        if let Some(reason) = &file.yanked {
            text += &format!(" data-yanked=\"{}\"", escaped(reason));
        }
        if file.distribution.wheel().is_some() {
            text += " data-core-metadata=\"true\" data-dist-info-metadata=\"true\"";
        }
        text += &format!(">{}</a><br>\n", escaped(&file.filename));
    }
    text += "</body></html>\n";
    Bytes::from(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
