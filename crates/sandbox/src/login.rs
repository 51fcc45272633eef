//! The environment of a command on systems of Unix's kind.

use std::{ffi::OsString, path::Path};

use crate::command::USER_NAME;

/// What an ordinary user's login would set: HOME, TMPDIR, LANG, TZ, USER, SHELL and a PATH that starts with the cell's
/// `env/bin`. No XDG folders and no LC_ALL: a login sets neither, and each overrides what a suite sets itself when it
/// moves HOME or changes LANG. `root` is [`World::root`](crate::World::root), `temporary` is
/// [`World::temporary`](crate::World::temporary).
pub fn base_environment(root: &Path, temporary: &Path) -> Vec<(OsString, OsString)> {
    let mut path = root.join("env/bin").into_os_string();
    path.push(":/usr/local/bin:/usr/bin:/bin");
    let set = |name: &str, value: OsString| (OsString::from(name), value);
    vec![
        set("HOME", root.join("home").into_os_string()),
        set("TMPDIR", temporary.as_os_str().to_owned()),
        set("PATH", path),
        set("LANG", "C.UTF-8".into()),
        set("TZ", "UTC".into()),
        set("USER", USER_NAME.into()),
        set("LOGNAME", USER_NAME.into()),
        set("SHELL", "/bin/sh".into()),
    ]
}

/// What a helper program wants that is started without this process's environment: nothing, here.
pub fn system_environment() -> Vec<(OsString, OsString)> {
    Vec::new()
}
