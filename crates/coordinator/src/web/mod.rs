//! Shows the site over HTTP: files of one folder, read only, with headers that let browsers trust as little as they need
//! to. What is in the folder is made by `publish`; nothing is made here.

mod file;

use std::{convert::Infallible, net::TcpListener, path::PathBuf, sync::Arc, time::Duration};

use hyper::{Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use file::{Content, Found};

/// Connections at a time; more wait.
const CONNECTIONS: usize = 512;
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(20);
/// As the pages' own, with what only a header can say.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Serves this folder until the process ends.
///
/// # Errors
/// When the listener cannot be used.
pub async fn serve(listener: TcpListener, site: PathBuf) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let site = Arc::new(site);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: some time heals that.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let site = Arc::clone(&site);
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = answer(&site, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // A client that breaks off is no news.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

fn answer<B>(site: &std::path::Path, request: &Request<B>) -> Response<Content> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        refused.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let head = request.method() == Method::HEAD;
    match file::find(site, request.uri().path()) {
        Found::File { content, kind, tag, length, cache } => {
            let known = request.headers().get_all(header::IF_NONE_MATCH).iter().any(|value| {
                value
                    .to_str()
                    .is_ok_and(|value| value.split(',').any(|one| one.trim() == tag || one.trim() == "*"))
            });
            let status = if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
            let mut response = Response::builder()
                .status(status)
                .header(header::ETAG, tag)
                .header(header::CACHE_CONTROL, cache)
                .header(header::CONTENT_TYPE, kind);
            if !known {
                response = response.header(header::CONTENT_LENGTH, length);
            }
            let content = if known || head { Content::none() } else { content };
            guarded(response.body(content).unwrap_or_else(|_| Response::new(Content::none())))
        }
        Found::Folder(address) => {
            let moved =
                Response::builder().status(StatusCode::PERMANENT_REDIRECT).header(header::LOCATION, address);
            guarded(moved.body(Content::none()).unwrap_or_else(|_| Response::new(Content::none())))
        }
        Found::NotYet => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "No cycle has ended yet. `wheeltapper cycle` walks one.\n")
        }
        Found::Nothing => plain(StatusCode::NOT_FOUND, "There is no such page.\n"),
    }
}

fn plain(status: StatusCode, words: &'static str) -> Response<Content> {
    let response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "text/plain; charset=utf-8");
    guarded(response.body(Content::of(words.as_bytes())).unwrap_or_else(|_| Response::new(Content::none())))
}

/// The headers that every answer carries.
fn guarded(mut response: Response<Content>) -> Response<Content> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
