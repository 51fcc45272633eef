//! What is asked for and what is answered, without a socket.

use hyper::{Method, Request, StatusCode, header};

use super::answer;

fn ask(
    site: &std::path::Path,
    method: Method,
    path: &str,
    tag: Option<&str>,
) -> (StatusCode, hyper::HeaderMap) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    let response = answer(site, &request.body(()).unwrap());
    (response.status(), response.headers().clone())
}

#[test]
fn files_have_types_tags_and_a_policy() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path();
    assert_eq!(ask(site, Method::GET, "/", None).0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(site, Method::GET, "/style.css", None).0, StatusCode::OK, "assets are in the program");
    std::fs::create_dir_all(site.join("badge")).unwrap();
    std::fs::write(site.join("index.html"), "<!doctype html>").unwrap();
    std::fs::write(site.join("badge/six.svg"), "<svg/>").unwrap();
    let (status, headers) = ask(site, Method::GET, "/", None);
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"));
    let tag = headers[header::ETAG].to_str().unwrap();
    let (status, again) = ask(site, Method::GET, "/", Some(tag));
    assert_eq!((status, again.get(header::CONTENT_LENGTH)), (StatusCode::NOT_MODIFIED, None));
    let (_, badge) = ask(site, Method::HEAD, "/badge/six.svg", None);
    assert_eq!(badge[header::CACHE_CONTROL], "public, max-age=300");
    assert_eq!(badge[header::CONTENT_LENGTH], "6");
    let (status, moved) = ask(site, Method::GET, "/badge", None);
    assert_eq!(
        (status, &moved[header::LOCATION]),
        (StatusCode::PERMANENT_REDIRECT, &"/badge/".parse().unwrap())
    );
    assert_eq!(ask(site, Method::POST, "/", None).0, StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn nothing_outside_the_site_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    std::fs::create_dir_all(site.join(".wheeltapper")).unwrap();
    std::fs::write(site.join(".wheeltapper/stamps.json"), "{}").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), site.join("link")).unwrap();
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/a/../../secret",
        "/.wheeltapper/stamps.json",
        "//secret",
        "/./secret",
        "/link",
        "/index.html%00",
        "/nothing",
    ] {
        assert_eq!(ask(&site, Method::GET, path, None).0, StatusCode::NOT_FOUND, "{path}");
    }
}
