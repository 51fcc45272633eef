//! One command and all that it starts: put into its job before it can do anything, looked at, ended whole.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io::PipeWriter,
    os::windows::io::{AsHandle as _, AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    time::{Duration, Instant},
};

use wheeltapper_core::phase::Exit;
use windows_sys::Win32::{
    Foundation::{FILETIME, WAIT_OBJECT_0, WAIT_TIMEOUT},
    System::{
        ProcessStatus::{GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS},
        Threading::{
            GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_NAME_WIN32,
            PROCESS_QUERY_LIMITED_INFORMATION, QueryFullProcessImageNameW, WaitForSingleObject,
        },
    },
};

use super::{
    job::{self, Job, Refused},
    last_error,
    start::{Started, find},
    token,
};
use crate::{
    Command, Error, Mode,
    portable::watch::{Account, Place, Usage},
};

/// How long processes that were ended have to be gone.
const GONE: Duration = Duration::from_secs(5);

/// A command that was started, and everything that it starts.
#[derive(Debug)]
pub(crate) struct Running {
    process: OwnedHandle,
    job: Job,
    /// CPU time of each process when it was looked at last, where the job does not count it.
    seen: BTreeMap<u32, Duration>,
    refused: Cell<Refused>,
}

impl Running {
    /// Starts a command whose output goes to this pipe. The inner error says why the program cannot be started.
    pub(crate) fn start(
        command: &Command,
        place: &Place,
        output: PipeWriter,
    ) -> Result<Result<Self, String>, Error> {
        let program = match find(command) {
            Ok(program) => program,
            Err(why) => return Ok(Err(why)),
        };
        let input = File::open("NUL").map_err(|error| Error::io("open NUL", error))?;
        let job = Job::new(&command.limits)?;
        let token = match place.mode {
            Mode::None => None,
            Mode::Full | Mode::Reduced => Some(token::low_rights()?),
        };
        let given = [input.as_raw_handle(), output.as_raw_handle()];
        let started = match Started::new(command, &program, given, token.as_ref()) {
            Ok(started) => started,
            Err(error) => return Ok(Err(format!("{}: {error}", program.display()))),
        };
        if let Err(error) = job.take(started.process.as_handle()) {
            started.kill();
            return Err(error);
        }
        started.resume()?;
        Ok(Ok(Running { process: started.process, job, seen: BTreeMap::new(), refused: Default::default() }))
    }

    /// Waits so long for the command itself; how it ended, if it did.
    pub(crate) fn ended(&mut self, within: Duration) -> Result<Option<Exit>, Error> {
        let milliseconds = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
        // SAFETY: the handle is open.
        match unsafe { WaitForSingleObject(self.process.as_raw_handle(), milliseconds) } {
            WAIT_OBJECT_0 => {}
            WAIT_TIMEOUT => return Ok(None),
            _ => return Err(last_error("wait for a command")),
        }
        let mut code = 0_u32;
        // SAFETY: as above; one number is written.
        if unsafe { GetExitCodeProcess(self.process.as_raw_handle(), &raw mut code) } == 0 {
            return Err(last_error("ask how a command ended"));
        }
        Ok(Some(Exit::Code(code.cast_signed())))
    }

    /// What all of its processes use now.
    pub(crate) fn usage(&mut self) -> Usage {
        let mut usage = Usage::default();
        for id in self.job.processes() {
            let found = Process::open(id);
            usage.processes += u64::from(!found.as_ref().is_some_and(Process::hosts_console));
            usage.memory += found.as_ref().map_or(0, Process::memory);
            self.seen.extend(found.and_then(|process| Some((id, process.cpu()?))));
        }
        usage.cpu = self.job.counted().cpu.max(self.seen.values().sum());
        usage
    }

    /// What the job says by itself.
    pub(crate) fn account(&self) -> Account {
        let (before, more) = (self.refused.get(), self.job.refused());
        let refused =
            Refused { memory: before.memory || more.memory, processes: before.processes + more.processes };
        self.refused.set(refused);
        Account {
            peak_memory: self.job.peak_memory(),
            memory_refused: refused.memory,
            processes_refused: refused.processes,
        }
    }

    /// Ends everything that is left, and waits until it is gone: then its files can be moved.
    pub(crate) fn kill(&mut self) {
        let until = Instant::now() + GONE;
        self.job.end();
        while self.job.counted().processes > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A process that is asked about; nothing else can be done to it.
struct Process(OwnedHandle);

impl Process {
    /// `None` when it is gone, or may not be asked.
    fn open(id: u32) -> Option<Self> {
        // SAFETY: takes numbers only; what is returned is a handle of ours, or null.
        let handle = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, id) };
        // SAFETY: the call has just made it for us.
        (!handle.is_null()).then(|| Process(unsafe { OwnedHandle::from_raw_handle(handle) }))
    }

    /// User and system time so far.
    fn cpu(&self) -> Option<Duration> {
        let mut times = [FILETIME::default(); 4];
        let [made, ended, kernel, user] = &mut times;
        // SAFETY: the handle is open; four times are written.
        if unsafe { GetProcessTimes(self.0.as_raw_handle(), made, ended, kernel, user) } == 0 {
            return None;
        }
        let ticks = |time: &FILETIME| i64::from(time.dwHighDateTime) << 32 | i64::from(time.dwLowDateTime);
        Some(job::of_ticks(ticks(kernel) + ticks(user)))
    }

    /// Bytes that it has committed; 0 where that is not told.
    fn memory(&self) -> u64 {
        let mut memory = PROCESS_MEMORY_COUNTERS::default();
        let size = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
        // SAFETY: the handle is open; one structure of the given size is written.
        unsafe { GetProcessMemoryInfo(self.0.as_raw_handle(), &raw mut memory, size) };
        memory.PagefileUsage as u64
    }

    /// True for what the system starts beside programs that print, and ends with them.
    fn hosts_console(&self) -> bool {
        let mut name = [0_u16; 512];
        let mut length = name.len() as u32;
        // SAFETY: the handle is open, the room as large as is said; its length is written.
        let known = unsafe {
            QueryFullProcessImageNameW(
                self.0.as_raw_handle(),
                PROCESS_NAME_WIN32,
                name.as_mut_ptr(),
                &raw mut length,
            )
        };
        let name = String::from_utf16_lossy(&name[..(length as usize).min(512)]).to_ascii_lowercase();
        known != 0 && name.ends_with(r"\system32\conhost.exe")
    }
}
