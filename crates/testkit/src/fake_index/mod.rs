//! A package index on the loopback: the Simple API as JSON (PEP 691, 700, 792) and HTML (PEP 503, 592), files with
//! ranges, metadata (PEP 658, 714), basic auth, and faults that can be switched on path by path while it runs.
//! Real sockets, one thread a connection, nothing asynchronous: a fault is what happens to the bytes.

mod http;
mod pages;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::Result;
use wheeltapper_core::ProjectName;

use crate::{Artifact, Fixture, archive::sha256};

/// In which forms the index answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// JSON to those who accept it, HTML to others.
    #[default]
    Json,
    /// HTML only, without sizes and upload times, as old and private indexes do.
    Html,
}

/// What goes wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Always this status, with a short body: 404, 500, 503 …
    Status(u16),
    /// This status for so many requests, then as if nothing had been.
    StatusTimes(u16, u32),
    /// Status 200 and a body that is neither JSON nor HTML nor an archive; the length is the true one's.
    Garbage,
    /// The first half of the body, then the connection is closed.
    Half,
    /// The first half of the body, then silence, as [`Fault::Hang`].
    Stall,
    /// The whole body, with one byte of it changed.
    WrongHash,
    /// No answer at all, until the client goes or the index is dropped.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

/// One file on the index.
#[derive(Debug, Clone)]
pub struct Published {
    /// The file.
    pub artifact: Artifact,
    /// RFC 3339 in UTC; a file without one is served without one.
    pub upload_time: Option<String>,
    /// Why it was yanked (PEP 592), if it was; the reason may be empty.
    pub yanked: Option<String>,
    /// Whether its metadata is served beside it (PEP 658).
    pub serve_metadata: bool,
    /// Whether the page says its hash. Some private indexes do not.
    pub hashed: bool,
    /// What the page links to instead of the file here, relative to the page or absolute.
    pub url: Option<String>,
}

impl From<Artifact> for Published {
    fn from(artifact: Artifact) -> Self {
        Published {
            artifact,
            upload_time: Some("2025-06-01T12:00:00Z".to_owned()),
            yanked: None,
            serve_metadata: false,
            hashed: true,
            url: None,
        }
    }
}

/// One request that reached the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path, as asked for.
    pub path: String,
    /// The headers, with names in lower case. Of repeated ones the last.
    pub headers: BTreeMap<String, String>,
}

/// A project's place on the index.
#[derive(Debug, Default)]
struct Project {
    files: Vec<Published>,
    status: Option<String>,
}

/// What all connections share.
#[derive(Debug, Default)]
struct State {
    style: Style,
    credentials: Option<(String, String)>,
    projects: BTreeMap<String, Project>,
    /// How many made-up projects there are beside them.
    synthetic: usize,
    faults: BTreeMap<String, Fault>,
    requests: Vec<Request>,
    connections: Vec<TcpStream>,
}

/// A package index that runs until it is dropped.
#[derive(Debug)]
pub struct FakeIndex {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopping: Arc<AtomicBool>,
    acceptor: Option<thread::JoinHandle<()>>,
}

impl FakeIndex {
    /// An empty index on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::<Mutex<State>>::default();
        let stopping = Arc::<AtomicBool>::default();
        let acceptor = {
            let (state, stopping) = (Arc::clone(&state), Arc::clone(&stopping));
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if stopping.load(Ordering::SeqCst) {
                        return;
                    }
                    if let Ok(handle) = stream.try_clone() {
                        lock(&state).connections.push(handle);
                    }
                    let state = Arc::clone(&state);
                    thread::spawn(move || http::serve(stream, &state));
                }
            })
        };
        Ok(FakeIndex { address, state, stopping, acceptor: Some(acceptor) })
    }

    /// An index that holds every fixture.
    ///
    /// # Errors
    /// When a fixture cannot be read or built.
    pub fn with_fixtures() -> Result<Self> {
        let index = Self::start()?;
        for fixture in Fixture::all()? {
            index.publish_fixture(&fixture)?;
        }
        Ok(index)
    }

    /// The address of the Simple API, ending in `/simple/`.
    pub fn url(&self) -> String {
        format!("http://{}/simple/", self.address)
    }

    /// The same with user and password in it, where there are any.
    pub fn url_with_credentials(&self) -> String {
        match &self.lock().credentials {
            Some((user, password)) => format!("http://{user}:{password}@{}/simple/", self.address),
            None => self.url(),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers in this style from now on.
    pub fn set_style(&self, style: Style) {
        self.lock().style = style;
    }

    /// From now on answers 401 to whoever does not give this user and password (basic auth).
    pub fn require_credentials(&self, user: &str, password: &str) {
        self.lock().credentials = Some((user.to_owned(), password.to_owned()));
    }

    /// Publishes a file under the project that it says it is of. A file of the same name is replaced.
    ///
    /// # Errors
    /// When its metadata names no project.
    pub fn publish(&self, file: impl Into<Published>) -> Result<()> {
        let file = file.into();
        let project = file.artifact.metadata.project()?;
        self.publish_as(&project, file);
        Ok(())
    }

    /// Publishes a file under any project, whatever it says it is of.
    pub fn publish_as(&self, project: &ProjectName, file: impl Into<Published>) {
        let file = file.into();
        let mut state = self.lock();
        let files = &mut state.projects.entry(project.to_string()).or_default().files;
        files.retain(|other| other.artifact.filename != file.artifact.filename);
        files.push(file);
    }

    /// Publishes a fixture as its `expected.toml` says.
    ///
    /// # Errors
    /// When it cannot be built.
    pub fn publish_fixture(&self, fixture: &Fixture) -> Result<()> {
        let publish = &fixture.expected.publish;
        for artifact in fixture.artifacts()? {
            let file = Published {
                upload_time: Some(publish.upload_time.clone()),
                yanked: publish.yanked.clone(),
                ..Published::from(artifact)
            };
            self.publish_as(&fixture.project(), file);
        }
        Ok(())
    }

    /// Holds so many made-up projects beside what is published, each with one release that no Python of today may use: a
    /// whole index in size, of which nothing has to be run.
    pub fn grow(&self, projects: usize) {
        self.lock().synthetic = projects;
    }

    /// Removes a file, as if it had been deleted upstream.
    pub fn unpublish(&self, filename: &str) {
        for project in self.lock().projects.values_mut() {
            project.files.retain(|file| file.artifact.filename != filename);
        }
    }

    /// Marks a project (PEP 792): `archived`, `deprecated`, `quarantined`.
    pub fn set_project_status(&self, project: &ProjectName, status: &str) {
        self.lock().projects.entry(project.to_string()).or_default().status = Some(status.to_owned());
    }

    /// From now on requests for this path (see [`Self::page_path`], [`Self::file_path`]) meet the fault; `*` stands for
    /// every path that has none of its own.
    pub fn set_fault(&self, path: &str, fault: Fault) {
        self.lock().faults.insert(path.to_owned(), fault);
    }

    /// From now on this path is well again.
    pub fn clear_fault(&self, path: &str) {
        self.lock().faults.remove(path);
    }

    /// The path of a project's page.
    pub fn page_path(project: &ProjectName) -> String {
        format!("/simple/{project}/")
    }

    /// The path of a file.
    pub fn file_path(filename: &str) -> String {
        format!("/files/{filename}")
    }

    /// Every request so far, in the order in which they arrived.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.lock().requests.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for FakeIndex {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The acceptor waits for a connection: it gets one.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for connection in &self.lock().connections {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// The state, also after a test panicked while it held it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl State {
    /// The fault that this request meets. Counts one that ends by itself.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let key = if self.faults.contains_key(path) { path } else { "*" };
        let fault = self.faults.get_mut(key)?;
        let met = fault.clone();
        if let Fault::StatusTimes(_, left) = fault {
            if *left == 0 {
                return None;
            }
            *left -= 1;
        }
        Some(met)
    }

    /// The file or metadata at this path below `/files/`.
    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let files = || self.projects.values().flat_map(|project| &project.files);
        if let Some(file) = files().find(|file| file.artifact.filename == name) {
            return Some(file.artifact.bytes.clone());
        }
        let of = name.strip_suffix(".metadata")?;
        let file = files().find(|file| file.artifact.filename == of && file.serve_metadata)?;
        Some(file.artifact.metadata.text().into_bytes())
    }
}

/// The entity tag of a body.
fn etag(body: &[u8]) -> String {
    format!("\"{}\"", &sha256(body)[..32])
}
