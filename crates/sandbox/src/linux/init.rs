//! The first process of a cell's namespaces: it makes the world inside, gives up every power, runs the command, reaps,
//! and kills what the command leaves. It starts as a copy of the launcher and is never visible to the command.

use std::{
    ffi::{CString, OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    time::{Duration, Instant},
};

use super::{
    cgroup::Group,
    channel::{self, End, Ended, Failure, FromInit, ToSupervisor},
    inside, launcher, network, processes, reduced, seccomp,
    spec::{Contained, Identity, Spec},
    system,
};
use crate::Network;

/// `personality(2)`: programs are told of a machine of 32 bits.
const PER_LINUX32: libc::c_ulong = 8;

/// The descriptors that init works with.
pub(super) struct Descriptors {
    /// To and from the launcher.
    pub(super) launcher: OwnedFd,
    /// The supervisor's socket, for the listener.
    pub(super) supervisor: OwnedFd,
    /// Where the command prints.
    pub(super) output: OwnedFd,
    /// Maps the supervisor's files to the slot's user.
    pub(super) owner: Option<OwnedFd>,
}

/// Does everything, tells the launcher, and ends.
pub(super) fn main(spec: &Spec, descriptors: Descriptors) -> ! {
    let status = match run(spec, descriptors) {
        Ok(()) => 0,
        Err(_) => 1,
    };
    // SAFETY: ends this process at once; what the launcher's copy of the heap holds needs no tidying.
    unsafe { libc::_exit(status) }
}

fn run(spec: &Spec, descriptors: Descriptors) -> Result<(), ()> {
    die_with_parent();
    if let Err(failure) = launcher::leave_children_behind().map_err(Failure::at("schedule the command")) {
        return channel::send(&descriptors.launcher, &FromInit::Failed(failure), None).map_err(drop);
    }
    // In a user namespace nothing can be done before the launcher has written its maps.
    if spec.in_user_namespace() && !may_go(&descriptors.launcher) {
        return Err(());
    }
    let launcher = descriptors.launcher.try_clone().map_err(drop)?;
    if let Some(place) = spec.cgroup.as_ref().filter(|_| spec.enters_its_cgroup())
        && let Err(failure) = Group::enter(place, &spec.name).map_err(Failure::at("enter the cgroup"))
    {
        return channel::send(&launcher, &FromInit::Failed(failure), None).map_err(drop);
    }
    match set_up(spec, descriptors) {
        Ok(output) => {
            // Else that word is that this process is in its cgroup: the command must be, the set-up need not wait for it.
            if !spec.in_user_namespace() && !may_go(&launcher) {
                return Err(());
            }
            let ended = command(spec, &launcher, output);
            channel::send(&launcher, &FromInit::Ended(ended), None).map_err(drop)
        }
        Err(failure) => channel::send(&launcher, &FromInit::Failed(failure), None).map_err(drop),
    }
}

/// Waits for the launcher's word. False when it is gone.
fn may_go(launcher: &OwnedFd) -> bool {
    let mut go = [0u8; 1];
    // SAFETY: reads one byte into a buffer of one.
    unsafe { libc::read(launcher.as_raw_fd(), go.as_mut_ptr().cast(), 1) == 1 }
}

/// The launcher's only thread is the parent, so this fires when the launcher ends, in whatever way.
fn die_with_parent() {
    // SAFETY: prctl with plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
}

fn set_up(spec: &Spec, descriptors: Descriptors) -> Result<OwnedFd, Failure> {
    // What runs here is killed first when the host itself runs out of memory.
    let _ = fs::write("/proc/self/oom_score_adj", "500");
    if spec.contained == Contained::Full {
        network::set_up().map_err(Failure::at("bring loopback up"))?;
        if spec.command.network == Network::Port {
            let listener = network::listen(spec.port).map_err(Failure::at("listen inside"))?;
            channel::send(&descriptors.supervisor, &ToSupervisor::Listener, Some(listener.as_fd()))
                .map_err(Failure::at("pass the listener out"))?;
        }
        let name = system::HOST_NAME.as_bytes();
        // SAFETY: the name's pointer and length belong together.
        check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
            .map_err(Failure::at("set the host name"))?;
        if spec.system.root.as_ref().is_some_and(|root| root.narrow) {
            // SAFETY: personality with a plain number; it is inherited by all that is started here.
            check(unsafe { libc::personality(PER_LINUX32) })
                .map_err(Failure::at("be a machine of 32 bits"))?;
        }
        inside::build(spec, descriptors.owner.as_ref().map(AsFd::as_fd))?;
    } else {
        // Daemons become this process's children when their parents end.
        // SAFETY: prctl with plain numbers.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
    drop(descriptors.supervisor);
    give_up_powers(spec.identity)?;
    match spec.contained {
        Contained::Full => seccomp::install().map_err(Failure::at("install the seccomp filter"))?,
        Contained::Reduced => {
            let shown: Vec<_> = spec.command.binds.iter().map(|bind| bind.source.clone()).collect();
            reduced::shut(&shown, &spec.writable).map_err(Failure::at("restrict files by landlock"))?;
            seccomp::install().map_err(Failure::at("install the seccomp filter"))?;
        }
        Contained::Not => {}
    }
    // The specification and the log are the launcher's: nothing of the host stays open here.
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(Failure::at("open /dev/null"))?;
    for standard in 0..3 {
        // SAFETY: dup2 between descriptors of this process.
        check(unsafe { libc::dup2(null.as_raw_fd(), standard) })
            .map_err(Failure::at("replace standard files"))?;
    }
    Ok(descriptors.output)
}

/// From here on this process and all it starts are an ordinary user's, for good.
fn give_up_powers(identity: Identity) -> Result<(), Failure> {
    // SAFETY: prctl, set*id and capset with plain numbers and structures of the sizes the kernel reads.
    unsafe {
        for capability in 0..64 {
            // Past the last capability the kernel answers EINVAL.
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 {
                break;
            }
        }
        if let Identity::Slot { uid, gid } = identity {
            check(libc::setgroups(0, std::ptr::null())).map_err(Failure::at("drop groups"))?;
            check(libc::setresgid(gid, gid, gid)).map_err(Failure::at("change the group"))?;
            check(libc::setresuid(uid, uid, uid)).map_err(Failure::at("change the user"))?;
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        // capset(2): version 3, this process; two halves of effective, permitted, inheritable.
        let header: [u32; 2] = [0x2008_0522, 0];
        let none = [0u32; 6];
        check(libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) as i32)
            .map_err(Failure::at("drop capabilities"))?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).map_err(Failure::at("set no_new_privs"))?;
        // The command has the same uid: it must not trace this process, nor read its memory.
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0)).map_err(Failure::at("become undumpable"))?;
    }
    // Changing the user has cleared it.
    die_with_parent();
    Ok(())
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs the command to its end and removes whatever it leaves.
fn command(spec: &Spec, launcher: &OwnedFd, output: OwnedFd) -> Ended {
    let mut ended =
        Ended { end: End::Code(126), start_error: None, left_processes: 0, cpu_us: 0, max_rss: 0 };
    block_child_signal(true);
    let child = match start(spec, &output) {
        Ok(child) => child,
        Err((code, reason)) => {
            ended.end = End::Code(code);
            ended.start_error = Some(reason);
            return ended;
        }
    };
    drop(output);
    // The launcher may be gone; then so are we, soon.
    let _ = channel::send(launcher, &FromInit::Started, None);
    ended.end = wait_for(child, spec.cgroup.is_none().then_some(launcher));
    ended.left_processes = end_all();
    let usage = children_usage();
    ended.cpu_us = usage.0;
    ended.max_rss = usage.1;
    ended
}

/// Forks and executes. An error comes with the exit status that a shell would give.
fn start(spec: &Spec, output: &OwnedFd) -> Result<i32, (i32, String)> {
    let command = &spec.command;
    let text =
        |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| (126, "a NUL in the command".to_owned()));
    let programs: Vec<CString> = candidates(&command.program, &command.environment)
        .iter()
        .map(|path| text(path))
        .collect::<Result<_, _>>()?;
    let mut arguments = vec![text(&command.program)?];
    for argument in &command.arguments {
        arguments.push(text(argument)?);
    }
    let mut environment = Vec::new();
    for (name, value) in &command.environment {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        environment.push(text(&pair)?);
    }
    let directory = text(command.directory.as_os_str())?;
    let pointers = |list: &[CString]| {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<*const libc::c_char>>()
    };
    let (arguments, environment) = (pointers(&arguments).into_boxed_slice(), pointers(&environment));
    // Keeps the strings alive past the fork; both lists point into them.
    let mut failed = [0; 2];
    // SAFETY: pipe2 fills two descriptors, which are owned from here on.
    let (mut reader, writer) = unsafe {
        if libc::pipe2(failed.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err((126, io::Error::last_os_error().to_string()));
        }
        (fs::File::from_raw_fd(failed[0]), OwnedFd::from_raw_fd(failed[1]))
    };
    // SAFETY: this process has one thread, so its copy may do anything; it only prepares and executes.
    unsafe {
        match libc::fork() {
            -1 => Err((126, format!("cannot fork: {}", io::Error::last_os_error()))),
            0 => {
                let reason = execute(spec, output, &programs, &arguments, &environment, &directory);
                let message = format!("{}\n{}", reason.0, reason.1);
                libc::write(writer.as_raw_fd(), message.as_ptr().cast(), message.len());
                libc::_exit(reason.0)
            }
            child => {
                drop(writer);
                let mut message = String::new();
                let _ = io::Read::read_to_string(&mut reader, &mut message);
                match message.split_once('\n') {
                    None => Ok(child),
                    Some((code, reason)) => {
                        libc::waitpid(child, std::ptr::null_mut(), 0);
                        Err((code.parse().unwrap_or(126), reason.to_owned()))
                    }
                }
            }
        }
    }
}

/// The last steps, in the command's own process. Returns only when they fail.
fn execute(
    spec: &Spec,
    output: &OwnedFd,
    programs: &[CString],
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
    directory: &CString,
) -> (i32, String) {
    let failed = |what: &str| (126, format!("{what}: {}", io::Error::last_os_error()));
    // SAFETY: system calls on this process, which has one thread; the lists end in null and their strings are alive.
    unsafe {
        libc::setsid();
        for standard in [1, 2] {
            if libc::dup2(output.as_raw_fd(), standard) < 0 {
                return failed("standard output");
            }
        }
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        // Signals as a login shell's child has them.
        for signal in 1..65 {
            libc::signal(signal, libc::SIG_DFL);
        }
        block_child_signal(false);
        if let Err(error) = limit(spec) {
            return (126, format!("resource limits: {error}"));
        }
        if libc::chdir(directory.as_ptr()) != 0 {
            return failed(&format!("directory {}", spec.command.directory.display()));
        }
        libc::umask(0o022);
        let mut answer = (127, "not found on PATH".to_owned());
        for program in programs {
            libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr());
            let error = io::Error::last_os_error();
            let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            if answer.0 == 127 {
                answer = (code, format!("{}: {error}", program.to_string_lossy()));
            }
        }
        answer
    }
}

/// What a program's name may stand for: itself with a slash, else each folder of PATH.
fn candidates(program: &OsStr, environment: &[(OsString, OsString)]) -> Vec<OsString> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.to_owned()];
    }
    let path = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    std::env::split_paths(path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin")))
        .map(|folder| folder.join(program).into_os_string())
        .collect()
}

fn limit(spec: &Spec) -> io::Result<()> {
    let set = |resource, soft: u64, hard: u64| {
        // SAFETY: getrlimit and setrlimit with a structure of their own.
        unsafe {
            let mut limit = std::mem::zeroed::<libc::rlimit>();
            check(libc::getrlimit(resource, &raw mut limit))?;
            limit.rlim_max = limit.rlim_max.min(hard as libc::rlim_t);
            limit.rlim_cur = limit.rlim_max.min(soft as libc::rlim_t);
            check(libc::setrlimit(resource, &raw const limit))
        }
    };
    // With 0 a crash would still be piped to the host's crash handler; 1 is what the kernel takes as "none at all".
    set(libc::RLIMIT_CORE, 1, 1)?;
    let files = spec.command.limits.open_files;
    set(libc::RLIMIT_NOFILE, files, files.max(4096))?;
    // A cgroup counts this cell alone, and its denials. This limit counts by user: a slot of another run on this machine
    // has the same uid, and the fork bomb in there would be felt here. Outside of namespaces so would the user's own work.
    let own_user = spec.contained == Contained::Full || matches!(spec.identity, Identity::Slot { .. });
    if spec.cgroup.is_none() && own_user {
        let processes = spec.command.limits.processes + 1;
        set(libc::RLIMIT_NPROC, processes, processes)?;
    }
    set(libc::RLIMIT_MEMLOCK, 8 << 20, 8 << 20)
}

fn block_child_signal(block: bool) {
    // SAFETY: signal sets are plain memory, filled before use.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        if block {
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Reaps everything until the command itself has ended; meanwhile tells the launcher what is used, if nobody else counts.
fn wait_for(child: i32, sampler: Option<&OwnedFd>) -> End {
    loop {
        while let Some((pid, end)) = reap() {
            if pid == child {
                return end;
            }
        }
        let pause = if sampler.is_some() { Duration::from_millis(100) } else { Duration::from_secs(3600) };
        wait_for_child_signal(pause);
        if let Some(launcher) = sampler {
            let sample = sample();
            let _ = channel::send(launcher, &sample, None);
        }
    }
}

fn wait_for_child_signal(longest: Duration) {
    // SAFETY: a signal set and a time of this frame.
    unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        let mut time = std::mem::zeroed::<libc::timespec>();
        time.tv_sec = longest.as_secs() as libc::time_t;
        time.tv_nsec = longest.subsec_nanos() as _;
        libc::sigtimedwait(&raw const set, std::ptr::null_mut(), &raw const time);
    }
}

/// One process that has ended, if there is one.
fn reap() -> Option<(i32, End)> {
    let mut status = 0;
    // SAFETY: waitpid writes the status it is given.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    Some((pid, decode(status)))
}

/// A wait status.
pub(super) fn decode(status: i32) -> End {
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Code(libc::WEXITSTATUS(status))
    }
}

/// What all processes of the cell use now.
fn sample() -> FromInit {
    let (cpu_us, memory) = processes::usage(&processes::below(own_pid()));
    FromInit::Sample { cpu_us: children_usage().0 + cpu_us, memory }
}

fn own_pid() -> i32 {
    // SAFETY: a getter.
    unsafe { libc::getpid() }
}

/// Gives what is about to end anyway a moment, kills the rest, and reaps all. Returns how many were killed.
fn end_all() -> u32 {
    let patience = Instant::now() + Duration::from_millis(100);
    let left = loop {
        while reap().is_some() {}
        let left = processes::below(own_pid()).len() as u32;
        if left == 0 || Instant::now() >= patience {
            break left;
        }
        wait_for_child_signal(Duration::from_millis(5));
    };
    processes::end_below(own_pid());
    left
}

/// CPU microseconds of all processes that were reaped, and the largest resident set of any, in bytes.
fn children_usage() -> (u64, u64) {
    // SAFETY: getrusage fills the structure it is given.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    (micros(usage.ru_utime) + micros(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}
