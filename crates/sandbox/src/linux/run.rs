//! One run as the supervisor sees it: start a launcher, hand it the specification, wait for its report.

use std::{
    fs::File,
    io::Write,
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command as Process, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{MemfdFlags, memfd_create},
};
use wheeltapper_core::phase::Exit;

use super::{
    channel::{self, End, Report, ToLauncher, ToSupervisor},
    spec::{Contained, Spec},
    world::World,
};
use crate::{Cancel, Command, Error, Execution, Network};

impl World {
    /// Runs a command in the tree and waits for it and everything it started to be gone.
    ///
    /// With [`Network::Port`](crate::Network::Port), `listener` is given the socket that listens on the cell's loopback
    /// before the command starts; dropping it closes the cell's network.
    ///
    /// # Errors
    /// [`Error::Cancelled`], or the sandbox's own failures. A command that fails, or cannot be started, is no error.
    pub fn run(
        &self,
        command: &Command,
        cancel: &Cancel,
        mut listener: Option<&mut dyn FnMut(TcpListener)>,
    ) -> Result<Execution, Error> {
        let host = &self.scratch.host;
        let (contained, writable) = self.containment();
        if contained != Contained::Full {
            if let Some(bind) = command.binds.iter().find(|bind| bind.source != bind.target) {
                return Err(Error::Refused {
                    what: format!("showing {} at {}", bind.source.display(), bind.target.display()),
                    reason: "only the full sandbox can show things elsewhere".to_owned(),
                    remedy: None,
                });
            }
            if let (Network::Port, Some(listener), Some(socket)) =
                (command.network, listener.as_mut(), &self.scratch.socket)
            {
                listener(socket.try_clone().map_err(|error| Error::io("share the port", error))?);
            }
        }
        // Another world of the slot may not move while this one is in its place.
        let _active = self.activate()?;
        let spec = Spec {
            contained,
            writable,
            stage: host.stage.clone(),
            system: self.scratch.system.clone(),
            identity: host.identity(self.scratch.slot),
            layers: self.lowers(),
            scratch: self.current().to_owned(),
            accounts: self.scratch.accounts.clone(),
            scratch_bytes: self.scratch.limits.bytes,
            scratch_inodes: self.scratch.limits.inodes,
            scratch_on_disk: host.scratch_on_disk,
            cgroup: host.cgroup.as_ref().ok().cloned(),
            name: host.next_run(),
            port: self.port(),
            command: command.clone(),
        };
        let result = launch(&host.settings.launcher, &spec, cancel, listener);
        if let (Err(Error::Launcher(_)), Some(place)) = (&result, &spec.cgroup) {
            // Killed, by whomever: it could not tidy up after itself.
            for folder in place.folders() {
                super::cgroup::remove_folder(&folder.join(&spec.name));
            }
        }
        result
    }
}

fn launch(
    launcher: &(std::path::PathBuf, Vec<std::ffi::OsString>),
    spec: &Spec,
    cancel: &Cancel,
    mut listener: Option<&mut dyn FnMut(TcpListener)>,
) -> Result<Execution, Error> {
    let log_path = &spec.command.log;
    let log =
        File::create(log_path).map_err(|error| Error::io(format!("create {}", log_path.display()), error))?;
    let specification = specification(spec).map_err(|error| Error::io("write the specification", error))?;
    let (socket, theirs) = channel::pair().map_err(|error| Error::io("make a socket", error))?;
    let mut process = Process::new(&launcher.0);
    process
        .arg0("wheeltapper-sandbox")
        .args(&launcher.1)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(specification))
        .stderr(Stdio::from(log));
    let mut child =
        process.spawn().map_err(|error| Error::io(format!("start {}", launcher.0.display()), error))?;
    // It holds our copies of the launcher's descriptors; with them open its end would go unnoticed.
    drop(process);
    let result = attend(&socket, cancel, &mut listener);
    drop(socket);
    let status = child.wait().map_err(|error| Error::io("wait for the launcher", error))?;
    match result? {
        Some(report) if report.cancelled => Err(Error::Cancelled),
        Some(report) => Ok(execution(report)),
        None => Err(Error::Launcher(format!(" ({status})"))),
    }
}

/// The specification in memory of its own, at its beginning.
fn specification(spec: &Spec) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("specification", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    Ok(file.into())
}

/// Listens to the launcher until it reports or is gone.
fn attend(
    socket: &OwnedFd,
    cancel: &Cancel,
    listener: &mut Option<&mut dyn FnMut(TcpListener)>,
) -> Result<Option<Report>, Error> {
    let mut told = false;
    loop {
        let mut sources = vec![PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
        if !told {
            sources.push(PollFd::from_borrowed_fd(cancel.descriptor(), PollFlags::IN));
        }
        match poll(&mut sources, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other.map_err(|error| Error::io("wait for the launcher", error))?,
        };
        let spoken = !sources[0].revents().is_empty();
        if sources.get(1).is_some_and(|source| !source.revents().is_empty()) {
            told = true;
            // When it is gone already the next message says so.
            let _ = channel::send(socket, &ToLauncher::Cancel, None);
        }
        if !spoken {
            continue;
        }
        let message = channel::receive::<ToSupervisor>(socket)
            .map_err(|error| Error::io("hear the launcher", error))?;
        match message {
            None => return Ok(None),
            Some((ToSupervisor::Listener, descriptor)) => {
                if let (Some(listener), Some(descriptor)) = (listener.as_mut(), descriptor) {
                    listener(TcpListener::from(descriptor));
                }
            }
            Some((ToSupervisor::Finished(report), _)) => return Ok(Some(report)),
            Some((ToSupervisor::Failed(failure), _)) => {
                return Err(Error::SetUp { step: failure.step, reason: failure.reason });
            }
        }
    }
}

fn execution(report: Report) -> Execution {
    Execution {
        exit: match report.end {
            End::Code(code) => Exit::Code(code),
            End::Signal(signal) => Exit::Signal(signal),
        },
        limit: report.limit,
        start_error: report.start_error,
        wall: Duration::from_micros(report.wall_us),
        cpu: Duration::from_micros(report.cpu_us),
        waited: Duration::from_micros(report.waited_us),
        cut_short: report.cut_short,
        peak_memory: report.peak_memory,
        peak_memory_source: report.peak_memory_source,
        output_bytes: report.output_bytes,
        left_processes: report.left_processes,
        processes_denied: report.processes_denied,
    }
}
