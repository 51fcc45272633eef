//! Messages with descriptors between supervisor, launcher and init: JSON over a socket that keeps their borders.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The largest message. What is long (the specification) goes by a file.
const LARGEST: usize = 16 * 1024;

/// What the supervisor says to the launcher. Closing the socket says: kill everything.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToLauncher {
    /// Stop the command.
    Cancel,
}

/// What the launcher (or init, for the listener) says to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToSupervisor {
    /// The attached descriptor listens on the cell's loopback.
    Listener,
    /// It is over, and everything is gone.
    Finished(Report),
    /// The sandbox could not be set up.
    Failed(Failure),
}

/// What init says to the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromInit {
    /// The command is about to be executed.
    Started,
    /// What all processes use now, where no cgroup counts it.
    Sample { cpu_us: u64, memory: u64 },
    /// The command is over, and so is every other process.
    Ended(Ended),
    /// The sandbox could not be set up.
    Failed(Failure),
}

/// A step of the set-up that failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) reason: String,
}

impl Failure {
    /// For `map_err`: what was being done.
    pub(super) fn at<E: std::fmt::Display>(step: &str) -> impl FnOnce(E) -> Failure + '_ {
        move |error| Failure { step: step.to_owned(), reason: error.to_string() }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum End {
    Code(i32),
    Signal(i32),
}

/// What init saw of the command and of what it left.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) end: End,
    pub(super) start_error: Option<String>,
    pub(super) left_processes: u32,
    pub(super) cpu_us: u64,
    pub(super) max_rss: u64,
}

/// What the launcher measured.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) end: End,
    pub(super) limit: Option<wheeltapper_core::phase::Limit>,
    pub(super) cancelled: bool,
    pub(super) start_error: Option<String>,
    pub(super) wall_us: u64,
    pub(super) cpu_us: u64,
    pub(super) waited_us: u64,
    pub(super) cut_short: bool,
    pub(super) peak_memory: Option<u64>,
    pub(super) peak_memory_source: crate::MemorySource,
    pub(super) output_bytes: u64,
    pub(super) left_processes: u32,
    pub(super) processes_denied: u64,
}

/// Two connected ends.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message, with a descriptor if there is one.
pub(super) fn send<M: Serialize>(
    to: impl AsFd,
    message: &M,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(|descriptor| [descriptor]);
    if let Some(descriptors) = &descriptors {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(to, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message; `None` when the other end is closed.
pub(super) fn receive<M: DeserializeOwned>(from: impl AsFd) -> io::Result<Option<(M, Option<OwnedFd>)>> {
    let mut bytes = vec![0; LARGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        match recvmsg(&from, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            // The other end was closed with something unread: told once, and what it had sent before still comes.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
            other => break other?,
        }
    };
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptor = None;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            descriptor = descriptors.last();
        }
    }
    Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, descriptor)))
}
