//! What the Simple API says: the list of projects and a project's files, as JSON and as HTML.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Project, Published, State};
use crate::synthetic;

/// Content type and body of a page.
pub(super) struct Page {
    pub content_type: &'static str,
    pub body: String,
}

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML: &str = "text/html; charset=utf-8";

impl State {
    /// The list of all projects.
    pub(super) fn list(&self, json: bool) -> Page {
        if json {
            let made_up = (0..self.synthetic).map(|number| json!({ "name": synthetic::name(number) }));
            let named = self.projects.keys().map(|name| json!({ "name": name }));
            let projects: Vec<Value> = named.chain(made_up).collect();
            let body = json!({ "meta": { "api-version": "1.4" }, "projects": projects }).to_string();
            return Page { content_type: JSON, body };
        }
        let links: Vec<String> =
            self.projects.keys().map(|name| format!("<a href=\"{name}/\">{name}</a><br>")).collect();
        Page { content_type: HTML, body: html("Simple index", &links.join("\n")) }
    }
}

/// One project's page.
pub(super) fn project(name: &str, project: &Project, json: bool) -> Page {
    if json {
        return Page { content_type: JSON, body: project_json(name, project) };
    }
    let links: Vec<String> = project.files.iter().map(link).collect();
    Page { content_type: HTML, body: html(&format!("Links for {name}"), &links.join("\n")) }
}

/// The page of a made-up project, if this is the name of one of so many.
pub(super) fn made_up(name: &str, json: bool, count: usize) -> Option<Page> {
    let number: usize = name.rsplit('-').next()?.parse().ok()?;
    (json && number < count && synthetic::name(number).as_str() == name).then(|| {
        let file = json!({
            "filename": format!("{}-1.0.tar.gz", name.replace('-', "_")),
            "url": format!("../../files/{name}-1.0.tar.gz"),
            "hashes": { "sha256": crate::archive::sha256(name.as_bytes()) },
            "requires-python": "<3",
            "upload-time": "2020-01-01T00:00:00Z",
        });
        let body =
            json!({ "meta": { "api-version": "1.4" }, "name": name, "versions": ["1.0"], "files": [file] });
        Page { content_type: JSON, body: body.to_string() }
    })
}

fn project_json(name: &str, project: &Project) -> String {
    let mut versions: Vec<&str> = Vec::new();
    for file in &project.files {
        let version = file.artifact.metadata.version.as_str();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let files: Vec<Value> = project.files.iter().map(file_json).collect();
    let mut page = json!({
        "meta": { "api-version": "1.4" }, "name": name, "versions": versions, "files": files,
    });
    if let Some(status) = &project.status {
        page["project-status"] = json!({ "status": status });
    }
    page.to_string()
}

/// What the page links to.
fn url(file: &Published) -> String {
    file.url.clone().unwrap_or_else(|| format!("../../files/{}", file.artifact.filename))
}

fn file_json(file: &Published) -> Value {
    let artifact = &file.artifact;
    let mut fields = Map::new();
    fields.insert("filename".into(), json!(artifact.filename));
    fields.insert("url".into(), json!(url(file)));
    let hashes = if file.hashed { json!({ "sha256": artifact.sha256() }) } else { json!({}) };
    fields.insert("hashes".into(), hashes);
    fields.insert("size".into(), json!(artifact.bytes.len()));
    if let Some(python) = &artifact.metadata.requires_python {
        fields.insert("requires-python".into(), json!(python));
    }
    if let Some(time) = &file.upload_time {
        fields.insert("upload-time".into(), json!(time));
    }
    let yanked = match file.yanked.as_deref() {
        None => json!(false),
        Some("") => json!(true),
        Some(reason) => json!(reason),
    };
    fields.insert("yanked".into(), yanked);
    if file.serve_metadata {
        let hash = crate::archive::sha256(artifact.metadata.text().as_bytes());
        fields.insert("core-metadata".into(), json!({ "sha256": hash }));
    }
    Value::Object(fields)
}

/// A file as an anchor of PEP 503, with what PEPs 592 and 714 add.
fn link(file: &Published) -> String {
    let artifact = &file.artifact;
    let mut anchor = format!("<a href=\"{}", escape(&url(file)));
    if file.hashed {
        write!(anchor, "#sha256={}", artifact.sha256()).expect("writing to a string cannot fail");
    }
    anchor.push('"');
    let mut attribute = |name: &str, value: &str| {
        write!(anchor, " {name}=\"{}\"", escape(value)).expect("writing to a string cannot fail");
    };
    if let Some(python) = &artifact.metadata.requires_python {
        attribute("data-requires-python", python);
    }
    if let Some(reason) = &file.yanked {
        attribute("data-yanked", reason);
    }
    if file.serve_metadata {
        let hash = crate::archive::sha256(artifact.metadata.text().as_bytes());
        attribute("data-core-metadata", &format!("sha256={hash}"));
        attribute("data-dist-info-metadata", &format!("sha256={hash}"));
    }
    format!("{anchor}>{}</a><br>", escape(&artifact.filename))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn html(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"pypi:repository-version\" content=\"1.0\">\n\
         <title>{title}</title>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
}
