//! What a program of Windows takes for granted that it finds in its environment.

use std::{ffi::OsString, path::Path};

use crate::command::USER_NAME;

/// Variables of the system, not of the user: without them programs do not find their libraries, sockets or compilers.
const SYSTEM: &[&str] = &[
    "ComSpec",
    "CommonProgramFiles",
    "CommonProgramFiles(x86)",
    "NUMBER_OF_PROCESSORS",
    "OS",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "ProgramData",
    "ProgramFiles",
    "ProgramFiles(x86)",
    "SystemDrive",
    "SystemRoot",
    "windir",
];

/// The system's own variables, and a `PATH` of its own programs: what a helper program wants that is started without this
/// process's environment.
pub fn system_environment() -> Vec<(OsString, OsString)> {
    let set = |name: &str| Some((OsString::from(name), std::env::var_os(name)?));
    let mut variables: Vec<_> = SYSTEM.iter().filter_map(|name| set(name)).collect();
    variables.push(("PATH".into(), system_path(Vec::new())));
    variables
}

/// What an ordinary user's login would set, with a PATH that starts with the cell's `env\Scripts`. `root` is
/// [`World::root`](crate::World::root), `temporary` is [`World::temporary`](crate::World::temporary).
pub fn base_environment(root: &Path, temporary: &Path) -> Vec<(OsString, OsString)> {
    let home = root.join("home");
    let set = |name: &str, value: OsString| (OsString::from(name), value);
    let mut variables = system_environment();
    variables.retain(|(name, _)| name != "PATH");
    variables.extend([
        set("PATH", system_path(vec![root.join("env").join("Scripts").into_os_string()])),
        set("TEMP", temporary.as_os_str().to_owned()),
        set("TMP", temporary.as_os_str().to_owned()),
        set("USERPROFILE", home.clone().into_os_string()),
        set("APPDATA", home.join("AppData").join("Roaming").into_os_string()),
        set("LOCALAPPDATA", home.join("AppData").join("Local").into_os_string()),
        set("USERNAME", USER_NAME.into()),
    ]);
    variables
}

fn system_path(mut folders: Vec<OsString>) -> OsString {
    let root = std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into());
    let root = Path::new(&root);
    let system = root.join("System32");
    folders.extend([system.clone(), root.to_path_buf(), system.join("Wbem")].map(Into::into));
    let mut path = OsString::new();
    for (number, folder) in folders.iter().enumerate() {
        if number > 0 {
            path.push(";");
        }
        path.push(folder);
    }
    path
}
