//! Pages of both forms, right and wrong.

use proptest::prelude::*;

use super::*;
use crate::{Error, Kind};

fn parse(content_type: &str, body: &str) -> Result<ProjectPage> {
    let base = "https://index.example/simple/six/".parse().unwrap();
    let name = "six".parse().unwrap();
    Raw {
        name: &name,
        index: "https://index.example/simple/",
        base: &base,
        content_type,
        body: body.as_bytes(),
    }
    .parse()
}

const JSON: &str = r#"{"meta": {"api-version": "1.4", "tracks": ["https://other.example/six"]}, "name": "Six",
 "versions": ["1.0", "1.1"], "project-status": {"status": "archived", "reason": "done"},
 "alternate-locations": ["https://alt.example/six"],
 "files": [
  {"filename": "six-1.0.tar.gz", "url": "../../f/six-1.0.tar.gz", "hashes": {"sha256": "AA00000000000000000000000000000000000000000000000000000000000000"},
   "requires-python": ">=3", "yanked": "broken", "size": 12, "upload-time": "2020-01-02T03:04:05.678901Z"},
  {"filename": "six-1.1-py3-none-any.whl", "url": "https://u:p@files.example/six-1.1-py3-none-any.whl#sha256=bb00000000000000000000000000000000000000000000000000000000000000",
   "hashes": {}, "requires-python": null, "yanked": false, "core-metadata": {"sha256": "cc00000000000000000000000000000000000000000000000000000000000000"}},
  {"filename": "seven-1.0.tar.gz", "url": "seven-1.0.tar.gz", "hashes": {}},
  {"filename": "six-1.0.exe", "url": "six-1.0.exe", "hashes": {}},
  {"filename": "six-1.2.tar.gz", "url": "file:///etc/passwd", "hashes": {}}]}"#;

const HTML: &str = r##"<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1">
<META NAME=pypi:project-status content='archived'></head><body>
<!-- <a href="six-9.tar.gz">six-9.tar.gz</a> -->
<a href="../../f/six-1.0.tar.gz#sha256=AA00000000000000000000000000000000000000000000000000000000000000"
   data-requires-python="&gt;=3" data-yanked="broken &amp; old">six-1.0.tar.gz</a><br/>
<A HREF='six-1.1-py3-none-any.whl' data-yanked data-core-metadata="true" >six-1.1-py3-none-any.whl</A>
<a href="../">up</a></body></html>"##;

#[test]
fn json_pages() {
    let page = parse("application/vnd.pypi.simple.v1+json; charset=utf-8", JSON).unwrap();
    assert_eq!(page.files.len(), 2);
    assert_eq!(page.ignored, 3);
    assert_eq!(page.status, ProjectStatus { status: "archived".into(), reason: Some("done".into()) });
    assert_eq!(page.versions, ["1.0", "1.1"]);
    assert_eq!((page.tracks.len(), page.alternate_locations.len()), (1, 1));
    let sdist = &page.files[0];
    assert_eq!(sdist.url.as_str(), "https://index.example/f/six-1.0.tar.gz");
    assert_eq!(sdist.yanked.as_deref(), Some("broken"));
    assert_eq!((sdist.size, sdist.requires_python.as_deref()), (Some(12), Some(">=3")));
    assert_eq!(sdist.upload_time.unwrap().to_string(), "2020-01-02T03:04:05.678901Z");
    assert!(sdist.sha256().unwrap().hex().starts_with("aa00"));
    let wheel = &page.files[1];
    assert_eq!(wheel.url.as_str(), "https://files.example/six-1.1-py3-none-any.whl");
    assert!(wheel.sha256().unwrap().hex().starts_with("bb00"));
    assert!(matches!(wheel.core_metadata, CoreMetadata::Hashed(_)));
    assert_eq!(wheel.yanked, None);
}

#[test]
fn html_pages() {
    let page = parse("text/html", HTML).unwrap();
    assert_eq!(page.files.len(), 2, "{page:?}");
    assert_eq!(page.status.status, "archived");
    assert_eq!(page.files[0].requires_python.as_deref(), Some(">=3"));
    assert_eq!(page.files[0].yanked.as_deref(), Some("broken & old"));
    assert_eq!(page.files[0].url.as_str(), "https://index.example/f/six-1.0.tar.gz");
    assert_eq!(page.files[1].yanked.as_deref(), Some(""));
    assert_eq!(page.files[1].core_metadata, CoreMetadata::Present);
    assert_eq!(page.files[1].url.as_str(), "https://index.example/simple/six/six-1.1-py3-none-any.whl");
}

#[test]
fn the_digest_is_of_the_meaning() {
    let page = parse("application/json", JSON).unwrap();
    let mut reversed = page.files.clone();
    reversed.reverse();
    assert_eq!(digest(&reversed, &page.status), page.digest);
    reversed[0].yanked = Some("now".into());
    assert_ne!(digest(&reversed, &page.status), page.digest);
}

#[test]
fn garbage_is_the_farms_error() {
    let cases = [
        ("application/json", "{"),
        ("application/json", r#"{"files": 1}"#),
        ("application/json", r#"{"name": "seven", "files": []}"#),
        ("application/json", r#"{"meta": {"api-version": "2.0"}, "files": []}"#),
        ("text/html", "not at all"),
        ("text/html", "<html><meta name='pypi:repository-version' content='2.0'>"),
        ("image/png", ""),
        ("", ""),
    ];
    for (content_type, body) in cases {
        let error = parse(content_type, body).unwrap_err();
        assert!(matches!(error, Error::Garbage { .. }), "{content_type} {body}");
        assert_eq!(error.kind(), Kind::Farm);
    }
}

proptest! {
    #[test]
    fn no_html_panics(body in ".*", inside in "[-a-z =\"'/<>&;#x0-9é]*") {
        let _ = parse("text/html", &body);
        let _ = parse("text/html", &format!("<html><a {inside}>{body}"));
    }
}
