//! A program of this machine's own that reads strangers' data: within limits of time, memory and file size, with an environment
//! that its caller wrote, and no process of it left behind. Not a sandbox: it is for programs that are trusted with what they do.

use std::{
    io::{self, Read},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// The most bytes of complaints that are kept.
const MOST_COMPLAINTS: u64 = 64 << 10;

/// What it may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From its start to its end.
    pub wall: Duration,
    /// Bytes of address space of each process.
    pub memory: u64,
    /// Bytes of each file that it writes.
    pub file: u64,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended<T> {
    /// As the system tells it.
    pub status: ExitStatus,
    /// What it said on standard error, the first of it.
    pub complaints: String,
    /// What was made of its output.
    pub output: io::Result<T>,
    /// True when its time was over.
    pub overdue: bool,
}

/// Runs a command to its end. `read` gets its output, and may stop before the end of it.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn run<T>(
    command: &mut Command,
    limits: Limits,
    read: impl FnOnce(&mut ChildStdout) -> io::Result<T>,
) -> io::Result<Ended<T>> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    confine(command, limits);
    let mut child = command.spawn()?;
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::Error::other("the program was started without its pipes"));
    };
    let group = child.id();
    let overdue = AtomicBool::new(false);
    let (over, ended) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let overdue = &overdue;
        scope.spawn(move || {
            if ended.recv_timeout(limits.wall) == Err(RecvTimeoutError::Timeout) {
                overdue.store(true, Ordering::Relaxed);
                kill(group);
            }
        });
        let complaints = scope.spawn(move || {
            let mut bytes = Vec::new();
            let _ = (&mut stderr).take(MOST_COMPLAINTS).read_to_end(&mut bytes);
            // The rest is let go, so that nobody waits for a reader.
            let _ = io::copy(&mut stderr, &mut io::sink());
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let output = read(&mut stdout);
        if output.is_err() {
            kill(group);
        }
        drop(stdout);
        let status = wait(&mut child, group);
        drop(over);
        let complaints = complaints.join().unwrap_or_default();
        Ok(Ended { status: status?, complaints, output, overdue: overdue.load(Ordering::Relaxed) })
    })
}

/// Waits for the program, and ends what it left behind.
fn wait(child: &mut Child, group: u32) -> io::Result<ExitStatus> {
    let status = child.wait();
    kill(group);
    status
}

#[cfg(unix)]
fn confine(command: &mut Command, limits: Limits) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
    let set = move |resource, most: u64| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structure is whole and lives for both calls.
        let done = unsafe {
            // A limit that is lower already cannot be raised.
            libc::getrlimit(resource, &raw mut limit) == 0 && {
                limit.rlim_max = limit.rlim_max.min(most);
                limit.rlim_cur = limit.rlim_max;
                libc::setrlimit(resource, &raw const limit) == 0
            }
        };
        if done { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    let seconds = limits.wall.as_secs().max(1);
    let confined = move || {
        set(libc::RLIMIT_CORE, 0)?;
        set(libc::RLIMIT_CPU, seconds)?;
        set(libc::RLIMIT_FSIZE, limits.file)?;
        set(libc::RLIMIT_AS, limits.memory)
    };
    // SAFETY: between fork and exec only getrlimit and setrlimit are called, which allocate nothing and take no lock.
    unsafe { command.pre_exec(confined) };
}

#[cfg(unix)]
fn kill(group: u32) {
    let Ok(group) = libc::pid_t::try_from(group) else { return };
    // SAFETY: a signal to the group that this program made for its child; where none is left, nothing happens.
    unsafe { libc::kill(-group, libc::SIGKILL) };
}

/// Elsewhere nothing runs packages yet, and only `recipe` comes here.
#[cfg(not(unix))]
fn confine(_command: &mut Command, _limits: Limits) {}

#[cfg(not(unix))]
fn kill(_group: u32) {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { wall: Duration::from_secs(60), memory: 1 << 30, file: 1000 };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        command
    }

    fn all(stdout: &mut ChildStdout) -> io::Result<String> {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn output_and_complaints_come_back() {
        let ended = run(&mut shell("echo out; echo oh >&2; exit 3"), LIMITS, all).unwrap();
        assert_eq!((ended.output.unwrap().as_str(), ended.complaints.as_str()), ("out\n", "oh\n"));
        assert_eq!((ended.status.code(), ended.overdue), (Some(3), false));
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let limits = Limits { wall: Duration::from_millis(200), ..LIMITS };
        let ended = run(&mut shell("sleep 1000 & wait"), limits, all).unwrap();
        assert!(ended.overdue && !ended.status.success());
    }

    #[test]
    fn what_nobody_wants_to_read_on_is_ended() {
        let stop = |stdout: &mut ChildStdout| -> io::Result<()> {
            stdout.read_exact(&mut [0; 10])?;
            Err(io::Error::other("enough"))
        };
        let ended = run(&mut shell("while :; do echo endless; done"), LIMITS, stop).unwrap();
        assert!(ended.output.is_err() && !ended.overdue);
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = shell("head -c 5000 /dev/zero > file");
        let ended = run(command.current_dir(folder.path()), LIMITS, all).unwrap();
        assert!(!ended.status.success());
        assert!(std::fs::metadata(folder.path().join("file")).unwrap().len() <= 1000);
    }
}
