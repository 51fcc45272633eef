//! HTTP/1.1 as far as index clients speak it: GET and HEAD, keep-alive, one range, entity tags. Written by hand so
//! that every fault is a plain statement about bytes and sockets.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Mutex,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use wheeltapper_core::ProjectName;

use super::{Fault, Request, State, Style, etag, lock, pages};

/// What is answered, before a fault gets at it.
struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn text(status: u16, body: &str) -> Self {
        let headers = vec![("Content-Type", "text/plain; charset=utf-8".to_owned())];
        Response { status, headers, body: body.as_bytes().to_vec() }
    }
}

/// Answers requests on this connection until it ends.
pub(super) fn serve(stream: TcpStream, state: &Mutex<State>) {
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    while let Ok(Some(request)) = read(&mut reader) {
        let (fault, response) = {
            let mut state = lock(state);
            state.requests.push(request.clone());
            let path = request.path.split('?').next().unwrap_or_default().to_owned();
            (state.fault(&path), state.answer(&request, &path))
        };
        let head = request.method == "HEAD";
        match write(&stream, response, fault, head) {
            Ok(Connection::Kept) => {}
            Ok(Connection::Closed) => break,
            Ok(Connection::Hanging) => {
                // Nothing is said until the other side goes, or the index shuts the socket down.
                let _ = io::copy(&mut reader, &mut io::sink());
                break;
            }
            Err(_) => break,
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The next request, if the connection has one. Bodies are not expected.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(64 * 1024).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let mut words = lines.first().map(String::as_str).unwrap_or_default().split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let headers: BTreeMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), headers }))
}

impl State {
    fn answer(&self, request: &Request, path: &str) -> Response {
        if let Some((user, password)) = &self.credentials {
            let wanted = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            if request.headers.get("authorization") != Some(&wanted) {
                let mut response = Response::text(401, "who are you?");
                response.headers.push(("WWW-Authenticate", "Basic realm=\"index\"".to_owned()));
                return response;
            }
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::text(405, "only GET and HEAD");
        }
        let accept = request.headers.get("accept").map(String::as_str).unwrap_or_default();
        let json = self.style == Style::Json && accept.contains("application/vnd.pypi.simple.v1+json");
        if let Some(name) = path.strip_prefix("/files/") {
            return match self.file(name) {
                Some(body) => ranged(request, body),
                None => Response::text(404, "no such file"),
            };
        }
        let Some(rest) = path.strip_prefix("/simple/") else { return Response::text(404, "no such page") };
        let page = if rest.is_empty() {
            self.list(json)
        } else {
            let asked = rest.trim_end_matches('/');
            let Ok(name) = asked.parse::<ProjectName>() else {
                return Response::text(404, "no such project");
            };
            let Some(project) = self.projects.get(name.as_str()) else {
                return match pages::made_up(name.as_str(), json, self.synthetic) {
                    Some(page) => paged(request, page),
                    None => Response::text(404, "no such project"),
                };
            };
            if rest != format!("{name}/") {
                let mut response = Response::text(301, "moved");
                response.headers.push(("Location", format!("/simple/{name}/")));
                return response;
            }
            pages::project(name.as_str(), project, json)
        };
        paged(request, page)
    }
}

/// A page, or that the client has it already.
fn paged(request: &Request, page: pages::Page) -> Response {
    let tag = etag(page.body.as_bytes());
    let fresh = request.headers.get("if-none-match") == Some(&tag);
    let headers = vec![
        ("Content-Type", page.content_type.to_owned()),
        ("ETag", tag),
        ("Vary", "Accept".to_owned()),
        ("Cache-Control", "max-age=0".to_owned()),
    ];
    if fresh {
        return Response { status: 304, headers, body: Vec::new() };
    }
    Response { status: 200, headers, body: page.body.into_bytes() }
}

/// A file, or the one range of it that was asked for.
fn ranged(request: &Request, body: Vec<u8>) -> Response {
    let total = body.len();
    let mut headers = vec![
        ("Content-Type", "application/octet-stream".to_owned()),
        ("Accept-Ranges", "bytes".to_owned()),
        ("ETag", etag(&body)),
    ];
    let Some(range) = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")) else {
        return Response { status: 200, headers, body };
    };
    let number = |text: &str| text.parse::<usize>().ok();
    let bounds = match range.split_once('-') {
        Some(("", last)) => number(last).map(|last| (total.saturating_sub(last), total)),
        Some((first, "")) => number(first).map(|first| (first, total)),
        Some((first, last)) => {
            number(first).zip(number(last)).map(|(first, last)| (first, last.saturating_add(1).min(total)))
        }
        None => None,
    };
    match bounds {
        Some((first, end)) if first < end => {
            headers.push(("Content-Range", format!("bytes {first}-{}/{total}", end - 1)));
            Response { status: 206, headers, body: body[first..end].to_vec() }
        }
        _ => {
            headers.push(("Content-Range", format!("bytes */{total}")));
            Response { status: 416, headers, body: Vec::new() }
        }
    }
}

/// What became of the connection.
enum Connection {
    Kept,
    Closed,
    Hanging,
}

fn write(
    mut stream: &TcpStream,
    mut response: Response,
    fault: Option<Fault>,
    head: bool,
) -> io::Result<Connection> {
    let mut sent = response.body.len();
    let stalls = fault == Some(Fault::Stall);
    match fault {
        Some(Fault::Hang) => return Ok(Connection::Hanging),
        Some(Fault::Close) => return Ok(Connection::Closed),
        Some(Fault::Status(status) | Fault::StatusTimes(status, _)) => {
            response = Response::text(status, "this index is not well today");
            sent = response.body.len();
        }
        Some(Fault::Garbage) => {
            // Never valid UTF-8, JSON, HTML, gzip or zip; the same each time.
            response.body = (0..response.body.len()).map(|at| 0x80 | (at * 37 % 101) as u8).collect();
        }
        Some(Fault::Half | Fault::Stall) => sent /= 2,
        Some(Fault::WrongHash) => {
            let middle = response.body.len() / 2;
            if let Some(byte) = response.body.get_mut(middle) {
                *byte ^= 1;
            }
        }
        None => {}
    }
    let mut text = format!("HTTP/1.1 {} {}\r\n", response.status, phrase(response.status));
    for (name, value) in &response.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n", response.body.len());
    stream.write_all(text.as_bytes())?;
    if head {
        return Ok(Connection::Kept);
    }
    stream.write_all(&response.body[..sent])?;
    stream.flush()?;
    if stalls {
        return Ok(Connection::Hanging);
    }
    Ok(if sent < response.body.len() { Connection::Closed } else { Connection::Kept })
}

/// The words that go with a status. Clients do not read them; people who read a trace do.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        301 => "Moved Permanently",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}
