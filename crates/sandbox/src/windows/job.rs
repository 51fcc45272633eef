//! A Job Object: what a command starts belongs to it, is limited and counted with it, and ends with it.

use std::{
    os::windows::io::{AsRawHandle as _, BorrowedHandle, FromRawHandle as _, OwnedHandle},
    time::Duration,
};

use windows_sys::Win32::{
    Foundation::{HANDLE, INVALID_HANDLE_VALUE},
    System::{
        IO::{CreateIoCompletionPort, GetQueuedCompletionStatus},
        JobObjects::{
            AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS,
            JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION, JOB_OBJECT_LIMIT_JOB_MEMORY,
            JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_UILIMIT_DESKTOP,
            JOB_OBJECT_UILIMIT_DISPLAYSETTINGS, JOB_OBJECT_UILIMIT_EXITWINDOWS,
            JOB_OBJECT_UILIMIT_GLOBALATOMS, JOB_OBJECT_UILIMIT_READCLIPBOARD,
            JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS, JOB_OBJECT_UILIMIT_WRITECLIPBOARD,
            JOBOBJECT_ASSOCIATE_COMPLETION_PORT, JOBOBJECT_BASIC_ACCOUNTING_INFORMATION,
            JOBOBJECT_BASIC_UI_RESTRICTIONS, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
            JobObjectAssociateCompletionPortInformation, JobObjectBasicAccountingInformation,
            JobObjectBasicProcessIdList, JobObjectBasicUIRestrictions, JobObjectExtendedLimitInformation,
            QueryInformationJobObject, SetInformationJobObject, TerminateJobObject,
        },
        SystemServices::{JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT, JOB_OBJECT_MSG_JOB_MEMORY_LIMIT},
    },
};

use super::last_error;
use crate::{Error, Limits};

/// The most processes of a job that are asked one by one.
const LISTED: usize = 4096;

/// What a command and all that it starts are in.
#[derive(Debug)]
pub(super) struct Job {
    handle: OwnedHandle,
    port: OwnedHandle,
}

/// What the system counts.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) cpu: Duration,
    pub(super) processes: u64,
}

/// What the system told since it was asked last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refused {
    pub(super) memory: bool,
    pub(super) processes: u64,
}

/// The list that the system fills; its header, then as many ids as there is room for.
#[repr(C)]
struct ProcessIds {
    assigned: u32,
    listed: u32,
    ids: [usize; LISTED],
}

impl Job {
    /// A job with these limits, whose processes end with its last handle: at the latest with this process.
    pub(super) fn new(limits: &Limits) -> Result<Self, Error> {
        // SAFETY: no attributes and no name; what is returned is a handle of ours, or null.
        let handle = owned(unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) }, "make a job")?;
        // SAFETY: a port without a file, by a call that takes only numbers.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, 1) };
        let port = owned(port, "make a completion port")?;
        let job = Job { handle, port };
        let mut extended = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        extended.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
            | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
            | JOB_OBJECT_LIMIT_ACTIVE_PROCESS
            | JOB_OBJECT_LIMIT_JOB_MEMORY;
        extended.BasicLimitInformation.ActiveProcessLimit =
            u32::try_from(limits.processes).unwrap_or(u32::MAX);
        extended.JobMemoryLimit = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        if !job.set(JobObjectExtendedLimitInformation, &extended) {
            return Err(last_error("limit a job"));
        }
        let told = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
            CompletionKey: std::ptr::null_mut(),
            CompletionPort: job.port.as_raw_handle(),
        };
        if !job.set(JobObjectAssociateCompletionPortInformation, &told) {
            return Err(last_error("listen to a job"));
        }
        let interface = JOBOBJECT_BASIC_UI_RESTRICTIONS {
            UIRestrictionsClass: JOB_OBJECT_UILIMIT_DESKTOP
                | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS
                | JOB_OBJECT_UILIMIT_EXITWINDOWS
                | JOB_OBJECT_UILIMIT_GLOBALATOMS
                | JOB_OBJECT_UILIMIT_READCLIPBOARD
                | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS
                | JOB_OBJECT_UILIMIT_WRITECLIPBOARD,
        };
        // A session without a desktop has nothing to protect.
        let _ = job.set(JobObjectBasicUIRestrictions, &interface);
        Ok(job)
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, value: &T) -> bool {
        // SAFETY: `value` is the structure of this class, whole, and only read.
        let done = unsafe {
            let value: *const T = value;
            SetInformationJobObject(self.handle.as_raw_handle(), class, value.cast(), size_of::<T>() as u32)
        };
        done != 0
    }

    fn get<T>(&self, class: JOBOBJECTINFOCLASS, value: &mut T) -> bool {
        // SAFETY: `value` is a structure of this class, all of whose bits are plain numbers, and it is whole.
        let done = unsafe {
            let value: *mut T = value;
            let size = size_of::<T>() as u32;
            QueryInformationJobObject(
                self.handle.as_raw_handle(),
                class,
                value.cast(),
                size,
                std::ptr::null_mut(),
            )
        };
        done != 0
    }

    /// Takes a process in, with all that it will start.
    pub(super) fn take(&self, process: BorrowedHandle<'_>) -> Result<(), Error> {
        // SAFETY: both handles are open.
        let done = unsafe { AssignProcessToJobObject(self.handle.as_raw_handle(), process.as_raw_handle()) };
        if done == 0 { Err(last_error("put a process into its job")) } else { Ok(()) }
    }

    /// Time and processes, of those that ended as well.
    pub(super) fn counted(&self) -> Counted {
        let mut counted = JOBOBJECT_BASIC_ACCOUNTING_INFORMATION::default();
        if !self.get(JobObjectBasicAccountingInformation, &mut counted) {
            return Counted::default();
        }
        let ticks = counted.TotalUserTime.saturating_add(counted.TotalKernelTime);
        Counted { cpu: of_ticks(ticks), processes: counted.ActiveProcesses.into() }
    }

    /// The most memory that its processes had together; `None` where the system does not count it.
    pub(super) fn peak_memory(&self) -> Option<u64> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        let known = self.get(JobObjectExtendedLimitInformation, &mut limits);
        Some(limits.PeakJobMemoryUsed as u64).filter(|peak| known && *peak > 0)
    }

    /// The ids of its processes.
    pub(super) fn processes(&self) -> Vec<u32> {
        let mut found = Box::new(ProcessIds { assigned: 0, listed: 0, ids: [0; LISTED] });
        // Of a longer list the part that fits is written, too.
        let _ = self.get(JobObjectBasicProcessIdList, &mut *found);
        let listed = (found.listed as usize).min(LISTED);
        found.ids[..listed].iter().filter_map(|id| u32::try_from(*id).ok()).collect()
    }

    /// What it has refused since it was asked last.
    pub(super) fn refused(&self) -> Refused {
        let mut refused = Refused::default();
        loop {
            let (mut message, mut key, mut overlapped) = (0, 0, std::ptr::null_mut());
            // SAFETY: the three places are ours; what a job sends in the last is no pointer, and is not followed.
            let got = unsafe {
                GetQueuedCompletionStatus(
                    self.port.as_raw_handle(),
                    &raw mut message,
                    &raw mut key,
                    &raw mut overlapped,
                    0,
                )
            };
            if got == 0 {
                return refused;
            }
            match message {
                JOB_OBJECT_MSG_JOB_MEMORY_LIMIT => refused.memory = true,
                JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT => refused.processes += 1,
                _ => {}
            }
        }
    }

    /// Ends every process in it.
    pub(super) fn end(&self) {
        // SAFETY: the handle is open. When nothing is left to end, that is as well.
        unsafe { TerminateJobObject(self.handle.as_raw_handle(), 1) };
    }
}

/// Time in units of 100 ns.
pub(super) fn of_ticks(ticks: i64) -> Duration {
    Duration::from_nanos(u64::try_from(ticks).unwrap_or(0).saturating_mul(100))
}

fn owned(handle: HANDLE, action: &str) -> Result<OwnedHandle, Error> {
    if handle.is_null() || handle == INVALID_HANDLE_VALUE {
        return Err(last_error(action));
    }
    // SAFETY: a call has just returned it to us, and nobody else has it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle) })
}
