//! One run, from outside its namespaces: starts init, enforces the limits, writes the log, reports, and leaves nothing.
//!
//! It is a process of its own with one thread, so that it may fork, so that "die with parent" means the launcher and not
//! some thread, and so that the death of the supervisor is seen as the end of a socket.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, FromRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wheeltapper_core::phase::Limit;

use super::{
    cgroup::Group,
    channel::{self, End, Ended, Failure, FromInit, Report, ToLauncher, ToSupervisor},
    init, layers, processes,
    spec::{Contained, INNER, Identity, Spec},
    waiting::Waiting,
};
use crate::MemorySource;

/// How often limits that no event tells are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Time in which a run waits for a processor does not count against its limit, up to so many times the limit in all.
const LONGEST: u32 = 3;

/// What the hidden subcommand of the program calls first thing: no argument, no environment, no thread yet.
///
/// Descriptor 0 is the socket to the supervisor, 1 the specification, 2 the log. Never returns.
pub fn launcher_main() -> ! {
    // SAFETY: the supervisor hands these three over for good; nothing else in this process owns them.
    let (supervisor, specification, log) = unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
        (OwnedFd::from_raw_fd(0), File::from_raw_fd(1), File::from_raw_fd(2))
    };
    std::panic::set_hook(Box::new(|_| {}));
    go_ahead();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        read_specification(&specification).and_then(|spec| run(&spec, &supervisor, log))
    }));
    let message = match outcome {
        Ok(Ok(report)) => ToSupervisor::Finished(report),
        Ok(Err(failure)) => ToSupervisor::Failed(failure),
        Err(_) => {
            ToSupervisor::Failed(Failure { step: "launcher".to_owned(), reason: "it panicked".to_owned() })
        }
    };
    // The supervisor may be gone; there is nobody else to tell.
    let sent = channel::send(&supervisor, &message, None);
    std::process::exit(i32::from(sent.is_err()))
}

/// The lowest of the priorities before which everybody else waits (`sched(7)`).
static AHEAD: libc::sched_param = libc::sched_param { sched_priority: 1 };

/// Asks that this process, and init as its copy, need not queue behind the endless loops of cells: each of the steps to a started
/// command would wait for a core otherwise. Only root may; a plain user's launcher waits its turn.
fn go_ahead() {
    // SAFETY: sched_setscheduler of this thread, with a structure that outlives the call.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_RR, &raw const AHEAD) };
}

/// What this process forks from here on, the command above all, is scheduled as everybody is.
pub(super) fn leave_children_behind() -> io::Result<()> {
    // SAFETY: as above.
    let result = unsafe {
        match libc::sched_getscheduler(0) {
            libc::SCHED_RR => {
                let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
                libc::sched_setscheduler(0, policy, &raw const AHEAD)
            }
            _ => 0,
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read_specification(file: &File) -> Result<Spec, Failure> {
    let length = file.metadata().map_err(Failure::at("read the specification"))?.len();
    let mut bytes = vec![0; usize::try_from(length).map_err(Failure::at("read the specification"))?];
    file.read_exact_at(&mut bytes, 0).map_err(Failure::at("read the specification"))?;
    serde_json::from_slice(&bytes).map_err(Failure::at("read the specification"))
}

/// A cgroup that goes when this does.
struct Removed(Group);

impl Drop for Removed {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// A child that is killed, with its whole pid namespace, when this goes.
struct Child {
    pid: i32,
    reaped: bool,
    /// Without a pid namespace what it leaves becomes this process's, and is killed one by one.
    orphans: bool,
}

impl Child {
    fn kill(&self) {
        if !self.reaped {
            // SAFETY: the process is a child that has not been waited for, so the number is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }

    /// Waits for its end; with it, every process of its namespace has ended.
    fn wait(&mut self) {
        while !self.reaped {
            // SAFETY: as above.
            let result = unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
            self.reaped =
                result == self.pid || io::Error::last_os_error().raw_os_error() != Some(libc::EINTR);
        }
        if self.orphans {
            processes::end_below(std::process::id() as i32);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.wait();
    }
}

fn run(spec: &Spec, supervisor: &OwnedFd, log: File) -> Result<Report, Failure> {
    let group = match &spec.cgroup {
        Some(place) => {
            let memory = spec.command.limits.memory.saturating_add(spec.scratch_bytes);
            // Init is one of them.
            let processes = spec.command.limits.processes + 1;
            let group =
                Group::make(place, &spec.name, memory, processes).map_err(Failure::at("make the cgroup"))?;
            Some(Removed(group))
        }
        None => None,
    };
    let owner = match spec.identity {
        Identity::Slot { uid, gid } if spec.layers.iter().any(|layer| layer.foreign) => {
            Some(owner_namespace(uid, gid).map_err(Failure::at("make a user namespace for ownership"))?)
        }
        _ => None,
    };
    let (socket, inner) = channel::pair().map_err(Failure::at("make a socket"))?;
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Failure::at("make a pipe"))?;
    rustix::io::ioctl_fionbio(&reader, true).map_err(Failure::at("make a pipe"))?;

    let mut flags = 0;
    if spec.contained == Contained::Full {
        flags |= libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
        flags |= libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    } else {
        // SAFETY: prctl with plain numbers.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
    if spec.in_user_namespace() {
        flags |= libc::CLONE_NEWUSER;
    }
    // SAFETY: this process has one thread, so its copy may go on as it likes.
    let pid = unsafe { clone(flags) }.map_err(Failure::at("make namespaces"))?;
    if pid == 0 {
        drop((socket, reader));
        let Ok(supervisor) = supervisor.try_clone() else { std::process::exit(1) };
        init::main(spec, init::Descriptors { launcher: inner, supervisor, output: writer, owner });
    }
    let child = Child { pid, reaped: false, orphans: spec.contained != Contained::Full };
    drop((inner, writer, owner));
    if let (true, Identity::Mapped { outer_uid, outer_gid }) = (spec.in_user_namespace(), spec.identity) {
        map_user(pid, (INNER, outer_uid), (INNER, outer_gid)).map_err(Failure::at("map the user"))?;
    }
    if let Some(group) = group.as_ref().filter(|_| !spec.enters_its_cgroup()) {
        group.0.join(pid).map_err(Failure::at("join the cgroup"))?;
    }
    // When init has failed already it is gone; what it said last is still to be read.
    let _ = rustix::net::send(&socket, b"g", rustix::net::SendFlags::NOSIGNAL);

    let mut watch = Watch {
        spec,
        log,
        group: group.as_ref().map(|group| &group.0),
        child,
        begun: Instant::now(),
        started: None,
        output: Some(File::from(reader)),
        output_bytes: 0,
        limit: None,
        cancelled: false,
        sampled: Duration::ZERO,
        sampled_memory: 0,
        alive: (Instant::now(), 0, Duration::ZERO),
        disk_was_full: false,
        checked: Instant::now(),
        waiting: Waiting::new(),
        cut_short: false,
        free: free(&spec.scratch),
        had: if spec.contained == Contained::Full { (0, 0) } else { used(spec).unwrap_or_default() },
    };
    let ended = watch.until_end(supervisor, &socket)?;
    watch.report(ended)
}

/// Like fork, into new namespaces: 0 in the child.
///
/// # Safety
/// The process must have one thread only.
unsafe fn clone(flags: i32) -> io::Result<i32> {
    let mut arguments = [0u64; 8];
    arguments[0] = flags as u64;
    arguments[4] = libc::SIGCHLD as u64;
    // SAFETY: clone3 reads a `clone_args` of its first version, eight numbers; without a stack it works as fork does.
    let result = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}

/// A user namespace in which the supervisor's uid 0 is the slot's user: for mounts whose owners are mapped.
pub(super) fn owner_namespace(uid: u32, gid: u32) -> io::Result<OwnedFd> {
    // SAFETY: this process has one thread; the copy only waits to be killed.
    let pid = unsafe { clone(libc::CLONE_NEWUSER)? };
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal; SIGKILL comes, at the latest with the parent.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
                libc::pause();
            }
        }
    }
    let mut child = Child { pid, reaped: false, orphans: false };
    map_user(pid, (0, uid), (0, gid))?;
    let namespace = File::open(format!("/proc/{pid}/ns/user"))?;
    child.kill();
    child.wait();
    Ok(namespace.into())
}

/// Writes the maps of a new user namespace: (inside, outside) for one user and one group.
pub(super) fn map_user(pid: i32, user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    // Without it a plain user may not map groups. Where it is denied already, so much the better.
    let _ = fs::write(format!("/proc/{pid}/setgroups"), "deny");
    fs::write(format!("/proc/{pid}/uid_map"), format!("{} {} 1", user.0, user.1))?;
    fs::write(format!("/proc/{pid}/gid_map"), format!("{} {} 1", group.0, group.1))
}

/// Maps this process's own user and group to themselves, in a user namespace it has just made.
pub(super) fn map_self(uid: u32, gid: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// The eyes on one running command.
struct Watch<'a> {
    spec: &'a Spec,
    log: File,
    group: Option<&'a Group>,
    child: Child,
    begun: Instant,
    started: Option<Instant>,
    /// Closed when all is read.
    output: Option<File>,
    output_bytes: u64,
    limit: Option<Limit>,
    cancelled: bool,
    /// CPU time and memory as init told them last, where no cgroup counts.
    sampled: Duration,
    sampled_memory: u64,
    /// The last sign of life: when, bytes printed and CPU time used by then.
    alive: (Instant, u64, Duration),
    disk_was_full: bool,
    /// When the limits were looked at last.
    checked: Instant,
    waiting: Waiting,
    /// The time limit came before it had that much time on a processor.
    cut_short: bool,
    /// Bytes and inodes that the scratch's file system had free at the beginning.
    free: (u64, u64),
    /// Bytes and inodes that were there before, where layers are copied.
    had: (u64, u64),
}

/// Free bytes and inodes where this folder is.
fn free(folder: &Path) -> (u64, u64) {
    rustix::fs::statvfs(folder)
        .map_or((0, 0), |figures| (figures.f_bavail * figures.f_frsize, figures.f_favail))
}

/// Bytes and inodes in the folders that a cell may write to.
fn used(spec: &Spec) -> io::Result<(u64, u64)> {
    let (mut bytes, mut inodes) = (0, 0);
    let folders = if spec.writable.is_empty() { std::slice::from_ref(&spec.scratch) } else { &spec.writable };
    for folder in folders {
        let mut walk = layers::Walk::new(layers::open_root(folder).map_err(io::Error::other)?)?;
        while let Some(step) = walk.step()? {
            bytes += step.stat.st_blocks as u64 * 512;
            inodes += 1;
            let name = step.name.clone();
            if layers::file_type(step.stat.st_mode) == crate::FileType::Directory {
                walk.enter(&name);
            }
        }
    }
    Ok((bytes, inodes))
}

/// What init said last, and when.
struct Over {
    ended: Option<Ended>,
    at: Instant,
}

impl Watch<'_> {
    /// Serves the run until every process of it has ended and all its output is read.
    fn until_end(&mut self, supervisor: &OwnedFd, socket: &OwnedFd) -> Result<Over, Failure> {
        let mut over: Option<Ended> = None;
        let mut at = None;
        let mut init_gone = false;
        while !init_gone {
            let mut ready = [false; 3];
            {
                let mut sources = vec![
                    PollFd::from_borrowed_fd(supervisor.as_fd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN),
                ];
                if let Some(output) = &self.output {
                    sources.push(PollFd::from_borrowed_fd(output.as_fd(), PollFlags::IN));
                }
                let time = Timespec { tv_sec: 0, tv_nsec: TICK.subsec_nanos().into() };
                match poll(&mut sources, Some(&time)) {
                    Err(rustix::io::Errno::INTR) => continue,
                    other => other.map_err(Failure::at("wait"))?,
                };
                for (ready, source) in ready.iter_mut().zip(&sources) {
                    *ready = !source.revents().is_empty();
                }
            }
            if ready[2] {
                self.read_output();
            }
            if ready[0] {
                match channel::receive::<ToLauncher>(supervisor) {
                    Ok(Some((ToLauncher::Cancel, _))) => {
                        self.cancelled = true;
                        self.child.kill();
                    }
                    // The supervisor is gone, however that came about: so is all of this.
                    Ok(None) | Err(_) => {
                        return Err(Failure {
                            step: "run".to_owned(),
                            reason: "the supervisor is gone".to_owned(),
                        });
                    }
                }
            }
            if ready[1] {
                match channel::receive::<FromInit>(socket).map_err(Failure::at("listen to init"))? {
                    None => init_gone = true,
                    Some((FromInit::Started, _)) => self.started = Some(Instant::now()),
                    Some((FromInit::Sample { cpu_us, memory }, _)) => {
                        self.sampled = self.sampled.max(Duration::from_micros(cpu_us));
                        self.sampled_memory = memory;
                    }
                    Some((FromInit::Ended(ended), _)) => {
                        at = Some(Instant::now());
                        over = Some(ended);
                    }
                    Some((FromInit::Failed(failure), _)) => return Err(failure),
                }
            }
            if over.is_none() && !init_gone {
                self.check_limits();
            }
        }
        let at = at.unwrap_or_else(Instant::now);
        self.child.kill();
        self.child.wait();
        // Every writer is gone: what is left in the pipe is all there will ever be.
        while self.output.is_some() && self.read_output() {}
        self.disk_was_full |= self.disk_is_full();
        Ok(Over { ended: over, at })
    }

    /// Reads what is there. False when nothing more comes now.
    fn read_output(&mut self) -> bool {
        let mut buffer = [0u8; 64 * 1024];
        let Some(output) = &mut self.output else { return false };
        match output.read(&mut buffer) {
            Ok(0) => {
                self.output = None;
                false
            }
            Ok(length) => {
                let room = self.spec.command.limits.output.saturating_sub(self.output_bytes);
                let taken = usize::try_from(room).unwrap_or(usize::MAX).min(length);
                // A full disk of the host's shortens the log; the run is not to blame.
                let _ = self.log.write_all(&buffer[..taken]);
                self.output_bytes += taken as u64;
                if taken < length {
                    self.stop(Limit::Output);
                    self.output = None;
                    return false;
                }
                true
            }
            Err(error) => error.kind() == io::ErrorKind::Interrupted,
        }
    }

    fn stop(&mut self, limit: Limit) {
        self.limit.get_or_insert(limit);
        self.child.kill();
    }

    fn cpu(&self) -> Duration {
        self.group.and_then(Group::cpu).unwrap_or(self.sampled)
    }

    fn check_limits(&mut self) {
        if self.limit.is_some() || self.cancelled || self.checked.elapsed() < TICK / 2 {
            return;
        }
        self.checked = Instant::now();
        let limits = &self.spec.command.limits;
        if self.waiting.is_due() {
            let threads =
                self.group.map_or_else(|| processes::below(std::process::id() as i32), Group::threads);
            self.waiting.look(&threads, self.cpu());
        }
        let elapsed = self.begun.elapsed();
        let ready = elapsed.saturating_sub(self.waiting.total());
        if ready >= limits.wall || elapsed >= limits.wall * LONGEST {
            self.cut_short = ready < limits.wall;
            return self.stop(Limit::Time);
        }
        if self.group.is_none() && self.sampled_memory > limits.memory {
            return self.stop(Limit::Memory);
        }
        if self.group.is_some_and(|group| group.figures().memory_kills > 0) {
            // Which process the kernel chose is chance; the cell as a whole is over.
            return self.stop(Limit::Memory);
        }
        self.disk_was_full |= self.disk_is_full();
        if self.spec.scratch_on_disk && self.disk_was_full {
            return self.stop(Limit::Disk);
        }
        let now = Instant::now();
        let (since, bytes, cpu) = self.alive;
        // A process that only polls a clock is as dead as one that sleeps: one percent of a core is a sign of life.
        let used = self.cpu();
        let quiet = now.duration_since(since);
        if self.output_bytes > bytes || used.saturating_sub(cpu) > Duration::from_millis(10).max(quiet / 100)
        {
            self.alive = (now, self.output_bytes, used);
        } else if quiet >= limits.inactivity {
            self.stop(Limit::Inactivity);
        }
    }

    /// Less than a hundredth of the scratch's bytes or inodes is free, or more than its share of a shared disk is used.
    fn disk_is_full(&self) -> bool {
        if self.spec.scratch_on_disk {
            let (bytes, inodes) = free(&self.spec.scratch);
            let suspected = self.free.0.saturating_sub(bytes) > self.spec.scratch_bytes
                || self.free.1.saturating_sub(inodes) > self.spec.scratch_inodes;
            // Others write to this disk too: only what is really there counts.
            return suspected
                && used(self.spec).is_ok_and(|(bytes, inodes)| {
                    bytes > self.had.0 + self.spec.scratch_bytes
                        || inodes > self.had.1 + self.spec.scratch_inodes
                });
        }
        rustix::fs::statfs(&self.spec.scratch).is_ok_and(|figures| {
            let scarce = |free: u64, all: u64| all > 0 && free < all.div_ceil(100);
            scarce(figures.f_bavail, figures.f_blocks) || scarce(figures.f_ffree, figures.f_files)
        })
    }

    fn report(mut self, over: Over) -> Result<Report, Failure> {
        let figures = self.group.map(Group::figures).unwrap_or_default();
        let ended = over.ended;
        let end = match (&ended, self.limit) {
            (Some(ended), None) => ended.end,
            _ => End::Signal(libc::SIGKILL),
        };
        if figures.memory_kills > 0 {
            self.limit.get_or_insert(Limit::Memory);
        }
        if ended.is_none() && self.limit.is_none() && !self.cancelled {
            return Err(Failure {
                step: "run".to_owned(),
                reason: "the cell's init was killed from outside".to_owned(),
            });
        }
        // Without a cgroup nobody counts denials: that the place was full to the last process has to say it.
        let most = self.spec.command.limits.processes;
        let crowded = |ended: &Ended| u64::from(ended.left_processes) + 4 >= most;
        if !matches!(end, End::Code(0)) && self.limit.is_none() {
            if self.disk_was_full {
                self.limit = Some(Limit::Disk);
            } else if figures.processes_denied > 0
                || (self.group.is_none() && ended.as_ref().is_some_and(crowded))
            {
                self.limit = Some(Limit::Processes);
            }
        }
        let started = self.started.unwrap_or(self.begun);
        let cpu = self.group.and_then(Group::cpu).unwrap_or_else(|| {
            ended.as_ref().map_or(self.sampled, |ended| Duration::from_micros(ended.cpu_us))
        });
        let (peak_memory, peak_memory_source) = match figures.peak_memory {
            Some(bytes) => (Some(bytes), MemorySource::Cgroup),
            None => (ended.as_ref().map(|ended| ended.max_rss), MemorySource::MaxRss),
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Ok(Report {
            end,
            limit: self.limit,
            cancelled: self.cancelled,
            start_error: ended.as_ref().and_then(|ended| ended.start_error.clone()),
            wall_us: micros(over.at.duration_since(started)),
            cpu_us: micros(cpu),
            waited_us: micros(self.waiting.total()),
            cut_short: self.cut_short,
            peak_memory,
            peak_memory_source,
            output_bytes: self.output_bytes,
            left_processes: ended.as_ref().map_or(0, |ended| ended.left_processes),
            processes_denied: figures.processes_denied,
        })
    }
}
