//! One command: started in a process group of its own, under a profile and with resource limits; looked at; ended with all of
//! its descendants that could be found.

use std::{
    collections::BTreeMap,
    io::PipeWriter,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use wheeltapper_core::phase::Exit;

use super::{SANDBOX_EXEC, profile};
use crate::{
    Command, Error, Mode,
    portable::watch::{Account, Place, Usage},
};

/// How long processes that were ended have to be gone.
const GONE: Duration = Duration::from_secs(5);

/// A command that was started, and everything that it starts.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    /// Processes that belong to it, each with when it was started and its CPU time when it was looked at last. One that left the
    /// group is known by its parent, if it was seen before that ended.
    known: BTreeMap<i32, (u64, Duration)>,
    ended: bool,
}

/// What the system says of a process.
struct Seen {
    pid: i32,
    parent: i32,
    group: i32,
    started: u64,
}

impl Running {
    /// Starts a command whose output goes to this pipe. The inner error says why the program cannot be started.
    pub(crate) fn start(
        command: &Command,
        place: &Place,
        output: PipeWriter,
    ) -> Result<Result<Self, String>, Error> {
        let mut process = match place.mode {
            Mode::None => Process::new(&command.program),
            Mode::Full | Mode::Reduced => {
                let mut process = Process::new(SANDBOX_EXEC);
                let profile = profile::text(&place.root, &place.temporary);
                process.args(["-p", &profile]).arg(&command.program);
                process
            }
        };
        let errors = output.try_clone().map_err(|error| Error::io("share a pipe", error))?;
        let files = command.limits.open_files;
        process
            .args(&command.arguments)
            .env_clear()
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&command.directory)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        // SAFETY: between fork and exec it calls setrlimit alone, which may be called there.
        unsafe {
            process.pre_exec(move || {
                limit(libc::RLIMIT_CORE, 0)?;
                limit(libc::RLIMIT_NOFILE, files)
            });
        }
        Ok(match process.spawn() {
            Ok(child) => Ok(Running { child, known: BTreeMap::new(), ended: false }),
            Err(error) => Err(format!("{}: {error}", command.program.display())),
        })
    }

    fn group(&self) -> i32 {
        // A process id fits: the system's own type is this one.
        self.child.id().cast_signed()
    }

    /// Waits so long for the command itself; how it ended, if it did.
    pub(crate) fn ended(&mut self, within: Duration) -> Result<Option<Exit>, Error> {
        let until = Instant::now() + within;
        loop {
            match self.child.try_wait().map_err(|error| Error::io("wait for a command", error))? {
                Some(status) => {
                    self.ended = true;
                    let signal = status.signal().map(Exit::Signal);
                    return Ok(signal.or_else(|| status.code().map(Exit::Code)));
                }
                None if Instant::now() >= until => return Ok(None),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// What all of its processes use now.
    pub(crate) fn usage(&mut self) -> Usage {
        let alive = self.look();
        let mut usage = Usage { processes: alive.len() as u64, ..Usage::default() };
        for pid in alive {
            if let Some((cpu, memory)) = figures(pid) {
                usage.memory += memory;
                if let Some(known) = self.known.get_mut(&pid) {
                    known.1 = known.1.max(cpu);
                }
            }
        }
        usage.cpu = self.known.values().map(|(_, cpu)| *cpu).sum();
        usage
    }

    /// The system counts nothing for us.
    pub(crate) fn account(&self) -> Account {
        Account::default()
    }

    /// Ends everything that is left and was found, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        let until = Instant::now() + GONE;
        loop {
            let alive = self.look();
            // SAFETY: signals the group that this process has made for its child, which is not waited for before its end.
            unsafe { libc::kill(-self.group(), libc::SIGKILL) };
            for pid in &alive {
                // SAFETY: as above, for a process that was seen a moment ago to descend from it.
                unsafe { libc::kill(*pid, libc::SIGKILL) };
            }
            if !self.ended {
                self.ended = self.child.wait().is_ok();
            }
            if alive.is_empty() || Instant::now() >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its processes that are alive: those of its group, those that were known, and their children.
    fn look(&mut self) -> Vec<i32> {
        let all = processes();
        let group = self.group();
        let own = std::process::id().cast_signed();
        loop {
            let before = self.known.len();
            for seen in &all {
                let belongs = seen.group == group || self.known.contains_key(&seen.parent);
                if belongs && seen.pid != own {
                    self.known.entry(seen.pid).or_insert((seen.started, Duration::ZERO));
                }
            }
            if self.known.len() == before {
                break;
            }
        }
        let same = |seen: &&Seen| self.known.get(&seen.pid).is_some_and(|known| known.0 == seen.started);
        all.iter().filter(same).map(|seen| seen.pid).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}

fn limit(resource: libc::c_int, most: u64) -> std::io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the structure is whole, and only read.
    if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// Every process that this user may ask about.
fn processes() -> Vec<Seen> {
    // SAFETY: without a place it says how many there are.
    let count = unsafe { libc::proc_listallpids(std::ptr::null_mut(), 0) };
    // Some are born meanwhile.
    let mut pids = vec![0_i32; usize::try_from(count).unwrap_or(0) + 64];
    let size = i32::try_from(size_of_val(pids.as_slice())).unwrap_or(i32::MAX);
    // SAFETY: the place is as large as is said.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size) };
    pids.truncate(usize::try_from(count).unwrap_or(0));
    pids.into_iter().filter_map(seen).collect()
}

fn seen(pid: i32) -> Option<Seen> {
    // SAFETY: a structure of numbers, for which zeros are values.
    let mut info: libc::proc_bsdinfo = unsafe { std::mem::zeroed() };
    let size = i32::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the place is as large as is said.
    let written = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, (&raw mut info).cast(), size) };
    // One that has ended and was not waited for is none any more.
    (written == size && info.pbi_status != libc::SZOMB).then(|| Seen {
        pid,
        parent: info.pbi_ppid.cast_signed(),
        group: info.pbi_pgid.cast_signed(),
        started: info.pbi_start_tvsec.wrapping_mul(1_000_000).wrapping_add(info.pbi_start_tvusec),
    })
}

/// CPU time and resident memory of a process.
fn figures(pid: i32) -> Option<(Duration, u64)> {
    // SAFETY: as in `seen`.
    let mut info: libc::proc_taskinfo = unsafe { std::mem::zeroed() };
    let size = i32::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the place is as large as is said.
    let written = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTASKINFO, 0, (&raw mut info).cast(), size) };
    let ticks = info.pti_total_user.saturating_add(info.pti_total_system);
    (written == size).then(|| (of_ticks(ticks), info.pti_resident_size))
}

/// Time in the units of the machine's clock, which are nanoseconds on Intel machines only.
#[allow(deprecated, reason = "the crate that is to replace this is not needed for one number")]
fn of_ticks(ticks: u64) -> Duration {
    let mut base = libc::mach_timebase_info { numer: 1, denom: 1 };
    // SAFETY: one structure is written.
    let known = unsafe { libc::mach_timebase_info(&raw mut base) } == 0 && base.denom != 0;
    let (numer, denom) = if known { (u64::from(base.numer), u64::from(base.denom)) } else { (1, 1) };
    Duration::from_nanos(ticks.saturating_mul(numer) / denom)
}
