//! The proxy's HTTP: which requests there are, what each is answered with, and what is written down. Requests
//! come from strangers' code. Answers to failures are fixed words: no upstream address can slip out.

use std::{
    convert::Infallible,
    io::{self, Read as _, Seek as _},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{self, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::AsyncReadExt as _,
    sync::{Semaphore, mpsc},
    task::{JoinHandle, JoinSet},
};
use wheeltapper_core::{ProjectName, Sha256};

use super::{
    Proxy, Rate, Recording, lock,
    range::{Wanted, wanted},
};
use crate::{Error, Kind, Lease, Result, credentials::percent_decode};

const JSON: &str = "application/vnd.pypi.simple.v1+json";
const HTML: &str = "application/vnd.pypi.simple.v1+html";
/// What is read into memory at once rather than streamed, in bytes.
const AT_ONCE: u64 = 256 << 10;
/// Rows of a recording that a hostile client could otherwise fill for ever.
const MOST_ROWS: usize = 200;

/// One listener being served. Dropping it closes the listener and every connection.
pub struct Serving {
    address: SocketAddr,
    recording: Arc<Mutex<Recording>>,
    task: JoinHandle<()>,
}

impl Serving {
    /// Where it listens, as seen from the listener's own network namespace.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address to give to an installer as its index.
    pub fn url(&self) -> String {
        format!("http://{}/simple/", self.address)
    }

    /// What was asked for until now.
    pub fn recording(&self) -> Recording {
        lock(&self.recording).clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Serves a listener, which may be in another network namespace. Called within a tokio runtime.
    ///
    /// # Errors
    /// `Io` where the listener is not usable.
    pub fn serve(&self, listener: std::net::TcpListener) -> Result<Serving> {
        let address = listener.local_addr().map_err(Error::io("listen on", "the proxy's socket"))?;
        listener.set_nonblocking(true).map_err(Error::io("listen on", "the proxy's socket"))?;
        let listener = tokio::net::TcpListener::from_std(listener)
            .map_err(Error::io("listen on", "the proxy's socket"))?;
        let recording = Arc::new(Mutex::new(Recording::default()));
        let rate = self.inner.options.rate;
        let desk = Arc::new(Desk {
            proxy: self.clone(),
            recording: recording.clone(),
            rate,
            bucket: Mutex::new((Instant::now(), f64::from(rate.requests))),
            lookups: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, desk));
        Ok(Serving { address, recording, task })
    }
}

async fn accept(listener: tokio::net::TcpListener, desk: Arc<Desk>) {
    let slots = Arc::new(Semaphore::new(desk.rate.connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, or a connection that was gone at once: wait rather than spin.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let desk = desk.clone();
        connections.spawn(async move {
            let _slot = slot;
            let service = service_fn(move |request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(desk.answer(request).await) }
            });
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(60))
                .max_buf_size(32 << 10);
            // A client that breaks off breaks off.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Answers the requests of one listener.
struct Desk {
    proxy: Proxy,
    recording: Arc<Mutex<Recording>>,
    rate: Rate,
    /// Time of the last request and what was left of the allowance.
    bucket: Mutex<(Instant, f64)>,
    /// Projects looked up for the sake of a file.
    lookups: AtomicUsize,
}

type Answer = Response<Content>;

impl Desk {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        self.wait_for_turn().await;
        let (parts, _body) = request.into_parts();
        let head = parts.method == Method::HEAD;
        if !head && parts.method != Method::GET {
            let mut answer = self.refuse(
                &parts.method,
                parts.uri.path(),
                StatusCode::METHOD_NOT_ALLOWED,
                "GET and HEAD only",
            );
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            // The body is not read: the connection cannot go on.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return answer;
        }
        let path = parts.uri.path();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["simple", name] | ["simple", name, ""] if !name.is_empty() => {
                let Ok(normal) = percent_decode(name).parse::<ProjectName>() else {
                    return self.refuse(&parts.method, path, StatusCode::NOT_FOUND, "no name of a project");
                };
                if segments.len() == 2 || normal.as_str() != *name {
                    return redirect(&format!("/simple/{normal}/"));
                }
                self.page(&normal, &parts.headers, head).await
            }
            ["files", key, filename] => {
                let filename = percent_decode(filename);
                match filename.strip_suffix(".metadata") {
                    Some(wheel) => self.metadata(key, wheel, &parts.headers, head).await,
                    None => self.file(key, &filename, &parts.headers, head).await,
                }
            }
            _ => self.refuse(&parts.method, path, StatusCode::NOT_FOUND, "project pages and files only"),
        }
    }

    /// Slows a client down that asks faster than it may.
    async fn wait_for_turn(&self) {
        let pause = {
            let mut bucket = lock(&self.bucket);
            let rate = f64::from(self.rate.requests.max(1));
            let now = Instant::now();
            let earned = now.duration_since(bucket.0).as_secs_f64() * rate;
            *bucket = (now, (bucket.1 + earned).min(rate) - 1.0);
            (bucket.1 < 0.0).then(|| Duration::from_secs_f64((-bucket.1 / rate).min(5.0)))
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }

    async fn page(&self, name: &ProjectName, headers: &HeaderMap, head: bool) -> Answer {
        let Some(json) = prefers_json(headers) else {
            return plain(StatusCode::NOT_ACCEPTABLE, "JSON or HTML of the Simple API");
        };
        {
            let recording = lock(&self.recording);
            if recording.projects.len() >= self.rate.projects && !recording.projects.contains_key(name) {
                return plain(StatusCode::TOO_MANY_REQUESTS, "too many different projects");
            }
        }
        let shown = match self.proxy.shown(name).await {
            Ok(shown) => shown,
            Err(error) => {
                if let Error::ProjectNotFound(_) = error {
                    lock(&self.recording).projects.insert(name.clone(), None);
                }
                return self.fail(&error);
            }
        };
        lock(&self.recording).projects.insert(name.clone(), Some(shown.page.digest));
        let vendor = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("");
        let (content_type, body) = match json {
            true => (JSON, shown.json.clone()),
            false if vendor.contains(HTML) => (HTML, shown.html.clone()),
            false => ("text/html; charset=utf-8", shown.html.clone()),
        };
        // Pages differ between proxies with other dates: a client that keeps them must ask again each time.
        let tag = format!("\"{}{}\"", Sha256::of(&body).short(), if json { "j" } else { "h" });
        let mut answer = whole(content_type, body, &tag, "no-cache", headers, head);
        answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        answer
    }

    async fn metadata(&self, key: &str, filename: &str, headers: &HeaderMap, head: bool) -> Answer {
        let found = match self.proxy.find(key, filename, &self.lookups).await {
            Ok(file) => self.proxy.metadata(&file).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => {
                lock(&self.recording).metadata.insert(filename.to_owned());
                let tag = format!("\"{}m\"", Sha256::of(&bytes).short());
                whole("text/plain; charset=utf-8", bytes, &tag, "max-age=31536000, immutable", headers, head)
            }
            Err(error) => self.fail(&error),
        }
    }

    async fn file(&self, key: &str, filename: &str, headers: &HeaderMap, head: bool) -> Answer {
        let file = match self.proxy.find(key, filename, &self.lookups).await {
            Ok(file) => file,
            Err(error) => return self.fail(&error),
        };
        let tag = format!("\"{key}\"");
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| tags.contains(&tag)) {
            return unmodified(&tag);
        }
        let ranged = text(header::IF_RANGE).is_none_or(|condition| condition == tag);
        let range = text(header::RANGE).filter(|_| ranged);
        // A HEAD of a file whose size the index tells costs no fetch.
        let (size, lease) = match file.size.filter(|_| head) {
            Some(size) => (size, None),
            None => match self.proxy.fetch(&file).await {
                Ok(lease) => {
                    lock(&self.recording).files.insert(filename.to_owned(), lease.sha256());
                    (lease.size(), Some(lease))
                }
                Err(error) => return self.fail(&error),
            },
        };
        let (status, first, last) = match wanted(range, size) {
            Wanted::Whole => (StatusCode::OK, 0, size),
            Wanted::Part(first, last) => (StatusCode::PARTIAL_CONTENT, first, last + 1),
            Wanted::Beyond => {
                let mut answer = plain(StatusCode::RANGE_NOT_SATISFIABLE, "the file is shorter");
                insert(&mut answer, header::CONTENT_RANGE, &format!("bytes */{size}"));
                return answer;
            }
        };
        let content = match lease.filter(|_| !head) {
            None => Content::Length(last - first),
            Some(lease) => match Content::of_file(lease, first, last - first).await {
                Ok(content) => content,
                Err(source) => {
                    let failed = Error::Io { doing: "read", path: filename.into(), source };
                    return self.fail(&failed);
                }
            },
        };
        let mut answer = Response::new(content);
        *answer.status_mut() = status;
        insert(&mut answer, header::CONTENT_TYPE, "application/octet-stream");
        insert(&mut answer, header::CONTENT_LENGTH, &(last - first).to_string());
        insert(&mut answer, header::ACCEPT_RANGES, "bytes");
        insert(&mut answer, header::ETAG, &tag);
        insert(&mut answer, header::CACHE_CONTROL, "max-age=31536000, immutable");
        if status == StatusCode::PARTIAL_CONTENT {
            insert(&mut answer, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", last - 1));
        }
        answer
    }

    fn refuse(&self, method: &Method, path: &str, status: StatusCode, reason: &'static str) -> Answer {
        let mut recording = lock(&self.recording);
        if recording.refused.len() < MOST_ROWS {
            let path: String = path.escape_debug().take(120).collect();
            let method: String = method.as_str().chars().take(20).collect();
            recording.refused.insert(format!("{method} {path}"));
        }
        plain(status, reason)
    }

    /// An answer in fixed words; what is not the client's fault is written down for the farm.
    fn fail(&self, error: &Error) -> Answer {
        let (status, reason) = match error {
            Error::ProjectNotFound(_) => return plain(StatusCode::NOT_FOUND, "no such project"),
            Error::FileNotListed(_) | Error::Filename(_) => {
                return plain(StatusCode::NOT_FOUND, "no such file");
            }
            Error::FileGone { .. } => (StatusCode::NOT_FOUND, "the file is gone from the index"),
            _ => match error.kind() {
                Kind::Package => return plain(StatusCode::NOT_FOUND, "the file is unusable"),
                Kind::Local => (StatusCode::INTERNAL_SERVER_ERROR, "the proxy failed"),
                Kind::Farm | Kind::User | Kind::Absent => (StatusCode::BAD_GATEWAY, "the index failed"),
            },
        };
        let mut recording = lock(&self.recording);
        if recording.failures.len() < MOST_ROWS {
            recording.failures.push(error.to_string());
        }
        plain(status, reason)
    }
}

/// Which form the client likes better; `None`: neither is acceptable. Without a word, HTML (PEP 691).
fn prefers_json(headers: &HeaderMap) -> Option<bool> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else {
        return Some(false);
    };
    let (mut json, mut html) = (0.0_f32, 0.0_f32);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        let weight: f32 = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        match kind.as_str() {
            JSON | "application/vnd.pypi.simple.latest+json" | "application/json" => json = json.max(weight),
            HTML | "application/vnd.pypi.simple.latest+html" | "text/html" | "text/*" | "*/*" => {
                html = html.max(weight)
            }
            "application/*" => json = json.max(weight),
            _ => {}
        }
    }
    (json > 0.0 || html > 0.0).then_some(json > 0.0 && json >= html)
}

fn insert(answer: &mut Answer, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("made of digits, hashes and fixed words");
    answer.headers_mut().insert(name, value);
}

fn plain(status: StatusCode, reason: &'static str) -> Answer {
    let mut answer = Response::new(Content::Bytes(Some(Bytes::from_static(reason.as_bytes()))));
    *answer.status_mut() = status;
    insert(&mut answer, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    answer
}

fn redirect(to: &str) -> Answer {
    let mut answer = plain(StatusCode::MOVED_PERMANENTLY, "by its normalised name");
    insert(&mut answer, header::LOCATION, to);
    answer
}

fn unmodified(tag: &str) -> Answer {
    let mut answer = Response::new(Content::Bytes(None));
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    insert(&mut answer, header::ETAG, tag);
    answer
}

fn whole(
    content_type: &str,
    body: Bytes,
    tag: &str,
    caching: &str,
    headers: &HeaderMap,
    head: bool,
) -> Answer {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|tags| tags.contains(tag)) {
        return unmodified(tag);
    }
    let length = body.len() as u64;
    let mut answer = Response::new(if head { Content::Length(length) } else { Content::Bytes(Some(body)) });
    insert(&mut answer, header::CONTENT_TYPE, content_type);
    insert(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    insert(&mut answer, header::ETAG, tag);
    insert(&mut answer, header::CACHE_CONTROL, caching);
    answer
}

/// What an answer holds.
enum Content {
    Bytes(Option<Bytes>),
    /// Of a HEAD: the length alone.
    Length(u64),
    /// A stored file, read as the client takes it: chunks, and bytes left.
    Stream(mpsc::Receiver<io::Result<Bytes>>, u64),
}

impl Content {
    async fn of_file(lease: Lease, first: u64, length: u64) -> io::Result<Content> {
        let mut file = std::fs::File::open(lease.path())?;
        file.seek(io::SeekFrom::Start(first))?;
        if length <= AT_ONCE {
            let mut bytes = vec![0; length as usize];
            file.read_exact(&mut bytes)?;
            return Ok(Content::Bytes(Some(bytes.into())));
        }
        let (sender, receiver) = mpsc::channel(2);
        tokio::spawn(async move {
            let mut file = tokio::fs::File::from_std(file).take(length);
            loop {
                let mut chunk = bytes::BytesMut::with_capacity(AT_ONCE as usize);
                let read = file.read_buf(&mut chunk).await;
                let end = !matches!(read, Ok(length) if length > 0);
                if read.as_ref().is_ok_and(|length| *length == 0)
                    || sender.send(read.map(|_| chunk.freeze())).await.is_err()
                {
                    break;
                }
                if end {
                    break;
                }
            }
            drop(lease);
        });
        Ok(Content::Stream(receiver, length))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Content::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Length(_) => Poll::Ready(None),
            Content::Stream(receiver, left) => receiver.poll_recv(context).map(|chunk| {
                let chunk = chunk?.inspect(|bytes| *left = left.saturating_sub(bytes.len() as u64));
                Some(chunk.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Content::Bytes(None) | Content::Length(_))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Content::Bytes(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Content::Length(length) | Content::Stream(_, length) => SizeHint::with_exact(*length),
        }
    }
}
