//! Registries that misbehave: answers written by a test, and a line to a real registry that is cut.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// A request as it came in.
#[derive(Debug, Clone)]
pub struct Request(Vec<String>);

impl Request {
    /// Path and query.
    pub fn path(&self) -> &str {
        self.0[0].split(' ').nth(1).unwrap()
    }

    /// A header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
    cut: usize,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Answer {
        Answer { status, headers: String::new(), body: body.to_vec(), cut: usize::MAX }
    }

    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    /// The same, of whose body only so many bytes come.
    pub fn cut_after(self, cut: usize) -> Answer {
        Answer { cut, ..self }
    }

    /// Bytes of its body.
    pub fn length(&self) -> usize {
        self.body.len()
    }
}

/// A server whose every answer a test decides. It lives as long as the test's process.
pub struct Scripted {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Scripted {
    /// Starts one; the script is told where it listens.
    pub fn start(mut script: impl FnMut(&Request, SocketAddr) -> Answer + Send + 'static) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let answer = script(&request, address);
                noted.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 {} x\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n",
                    answer.status,
                    answer.body.len(),
                    answer.headers
                );
                let body = &answer.body[..answer.cut.min(answer.body.len())];
                // The other side may have gone.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
            }
        });
        Scripted { address, seen }
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let lines: Vec<String> = lines.collect();
    (!lines.is_empty()).then_some(Request(lines))
}

/// A line to a registry that is cut, so many times, after so many bytes of an answer.
pub struct Line {
    pub address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Line {
    /// The ranges that were asked for.
    pub fn ranges(&self) -> Vec<String> {
        let sent = self.sent.lock().unwrap();
        let text = String::from_utf8_lossy(&sent).to_ascii_lowercase();
        text.lines().filter(|line| line.starts_with("range: ")).map(str::to_owned).collect()
    }
}

/// Lays a line to a registry.
pub fn cut(registry: SocketAddr, after: usize, times: usize) -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let left = Arc::new(AtomicUsize::new(times));
    let noted = Arc::clone(&sent);
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(registry).unwrap();
            let (asking, answering) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            let (noted, left) = (Arc::clone(&noted), Arc::clone(&left));
            thread::spawn(move || {
                pass(asking, far, |bytes| {
                    noted.lock().unwrap().extend_from_slice(bytes);
                    true
                })
            });
            thread::spawn(move || {
                let mut passed = 0;
                pass(answering, near, |bytes| {
                    passed += bytes.len();
                    let again = |left: usize| left.checked_sub(1);
                    passed <= after || left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, again).is_err()
                });
            });
        }
    });
    Line { address, sent }
}

/// Copies from one to the other while it may.
fn pass(mut from: TcpStream, mut to: TcpStream, mut may: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !may(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
