//! How a command is started: with a clean environment, a token and two handles of ours, and no instruction of it run yet.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::windows::{
        ffi::OsStrExt as _,
        io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    },
    path::{Path, PathBuf},
};

use windows_sys::Win32::{
    Foundation::{HANDLE, HANDLE_FLAG_INHERIT, SetHandleInformation},
    System::Threading::{
        CREATE_NO_WINDOW, CREATE_SUSPENDED, CREATE_UNICODE_ENVIRONMENT, CreateProcessAsUserW, CreateProcessW,
        DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT, InitializeProcThreadAttributeList,
        LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, PROCESS_INFORMATION, ResumeThread,
        STARTF_USESTDHANDLES, STARTUPINFOEXW, TerminateProcess, UpdateProcThreadAttribute,
    },
};

use super::{command_line, last_error, wide};
use crate::{Command, Error};

/// A process that waits to be let go.
pub(super) struct Started {
    pub(super) process: OwnedHandle,
    thread: OwnedHandle,
}

impl Started {
    /// Starts a program, which gets these two handles for its input and output, and no other of ours.
    pub(super) fn new(
        command: &Command,
        program: &Path,
        given: [HANDLE; 2],
        token: Option<&OwnedHandle>,
    ) -> std::io::Result<Self> {
        let application = wide(program.as_os_str());
        let mut line = Vec::new();
        for argument in
            std::iter::once(program.as_os_str()).chain(command.arguments.iter().map(AsRef::as_ref))
        {
            command_line::add(&mut line, &argument.encode_wide().collect::<Vec<_>>());
        }
        if line.contains(&0) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "an argument holds a NUL"));
        }
        line.push(0);
        let environment = environment_block(&command.environment);
        let directory = wide(command.directory.as_os_str());
        let mut attributes = Attributes::of_handles(&given)?;
        let mut startup = STARTUPINFOEXW::default();
        startup.StartupInfo.cb = size_of::<STARTUPINFOEXW>() as u32;
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        [startup.StartupInfo.hStdInput, startup.StartupInfo.hStdOutput] = given;
        startup.StartupInfo.hStdError = given[1];
        startup.lpAttributeList = attributes.pointer();
        let flags =
            CREATE_NO_WINDOW | CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
        let mut made = PROCESS_INFORMATION::default();
        let (none, startup_info) = (std::ptr::null(), &raw const startup.StartupInfo);
        // SAFETY: every text ends with NUL (the environment with two), the line may be written to, and the startup information
        // says that it is the extended one and how long. All of it lives until after the call.
        let done = unsafe {
            match token {
                Some(token) => CreateProcessAsUserW(
                    token.as_raw_handle(),
                    application.as_ptr(),
                    line.as_mut_ptr(),
                    none,
                    none,
                    1,
                    flags,
                    environment.as_ptr().cast(),
                    directory.as_ptr(),
                    startup_info,
                    &raw mut made,
                ),
                None => CreateProcessW(
                    application.as_ptr(),
                    line.as_mut_ptr(),
                    none,
                    none,
                    1,
                    flags,
                    environment.as_ptr().cast(),
                    directory.as_ptr(),
                    startup_info,
                    &raw mut made,
                ),
            }
        };
        if done == 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the call has just made both for us.
        unsafe {
            Ok(Started {
                process: OwnedHandle::from_raw_handle(made.hProcess),
                thread: OwnedHandle::from_raw_handle(made.hThread),
            })
        }
    }

    /// Lets it go.
    pub(super) fn resume(&self) -> Result<(), Error> {
        // SAFETY: the handle is open.
        match unsafe { ResumeThread(self.thread.as_raw_handle()) } {
            u32::MAX => Err(last_error("let a command go")),
            _ => Ok(()),
        }
    }

    /// Ends it before it has begun.
    pub(super) fn kill(&self) {
        // SAFETY: the handle is open.
        unsafe { TerminateProcess(self.process.as_raw_handle(), 1) };
    }
}

/// Which handles a process inherits: without such a list, all that any thread of ours has made inheritable.
struct Attributes<'h> {
    room: Vec<usize>,
    _handles: &'h [HANDLE; 2],
}

impl<'h> Attributes<'h> {
    fn of_handles(handles: &'h [HANDLE; 2]) -> std::io::Result<Self> {
        for handle in handles {
            // SAFETY: the handle is open.
            if unsafe { SetHandleInformation(*handle, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) } == 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        let mut size = 0;
        // SAFETY: asked without a place, it says how much it wants.
        unsafe { InitializeProcThreadAttributeList(std::ptr::null_mut(), 1, 0, &raw mut size) };
        let mut attributes =
            Attributes { room: vec![0; size.div_ceil(size_of::<usize>())], _handles: handles };
        let list = attributes.pointer();
        let value: *const [HANDLE; 2] = handles;
        // SAFETY: the place is as large as was asked for; the handles outlive the list, whose lifetime says so.
        let done = unsafe {
            InitializeProcThreadAttributeList(list, 1, 0, &raw mut size) != 0
                && UpdateProcThreadAttribute(
                    list,
                    0,
                    PROC_THREAD_ATTRIBUTE_HANDLE_LIST as usize,
                    value.cast(),
                    size_of_val(handles),
                    std::ptr::null_mut(),
                    std::ptr::null(),
                ) != 0
        };
        if done { Ok(attributes) } else { Err(std::io::Error::last_os_error()) }
    }

    fn pointer(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.room.as_mut_ptr().cast()
    }
}

impl Drop for Attributes<'_> {
    fn drop(&mut self) {
        // SAFETY: it was initialised, or nothing of it was and this does nothing.
        unsafe { DeleteProcThreadAttributeList(self.pointer()) };
    }
}

/// `NAME=value` each, sorted by name, each ended by NUL, and one more at the end.
fn environment_block(variables: &[(OsString, OsString)]) -> Vec<u16> {
    let mut lines: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    for (name, value) in variables {
        let mut line: Vec<u16> = name.encode_wide().collect();
        line.push(u16::from(b'='));
        line.extend(value.encode_wide());
        if !line.contains(&0) {
            // Names differ by more than case; the last one counts.
            lines.insert(name.to_string_lossy().to_uppercase(), line);
        }
    }
    let mut block = Vec::new();
    for line in lines.values() {
        block.extend(line);
        block.push(0);
    }
    block.extend(if block.is_empty() { [0, 0].as_slice() } else { &[0] });
    block
}

/// A command's program: with `.exe` where it has no ending, in the working directory where it is relative, looked up in the `PATH`
/// of its environment where it has no folder. Scripts of the command shell are refused, which takes arguments apart in ways of
/// its own.
pub(super) fn find(command: &Command) -> Result<PathBuf, String> {
    let program = Path::new(&command.program);
    let is_program = |path: &Path| {
        path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("exe")) && path.is_file()
    };
    let with_ending = |path: PathBuf| {
        let mut name = path.clone().into_os_string();
        name.push(".exe");
        [path, name.into()].into_iter().find(|path| is_program(path))
    };
    let found = if program.components().count() > 1 {
        with_ending(command.directory.join(program))
    } else {
        let path = command.environment.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("PATH"));
        let folders = path.map(|(_, value)| std::env::split_paths(value).collect::<Vec<_>>());
        let folders = folders.unwrap_or_default().into_iter().filter(|folder| folder.is_absolute());
        folders.into_iter().find_map(|folder| with_ending(folder.join(program)))
    };
    found.ok_or_else(|| format!("there is no program {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_one_block_in_which_case_does_not_count() {
        let set = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let block = environment_block(&[set("b", "1"), set("A", "2"), set("B", "3")]);
        assert_eq!(String::from_utf16(&block).unwrap(), "A=2\0B=3\0\0");
        assert_eq!(environment_block(&[]), [0, 0]);
    }
}
