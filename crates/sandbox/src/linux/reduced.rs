//! The reduced sandbox's one wall: landlock. Where the kernel has none, the mode says so and goes on without.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, Scope,
    path_beneath_rules,
};

/// The host's folders that stay readable.
const READABLE: &[&str] =
    &["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys/devices/system/cpu"];

/// The devices that stay usable.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/shm",
    "/dev/pts",
    "/dev/ptmx",
];

/// The version of landlock in this kernel; 0 without.
pub(super) fn landlock_version() -> i64 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call only answers a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    version.max(0)
}

/// What the mode does on this kernel, in one line.
pub(super) fn describe() -> String {
    match landlock_version() {
        0 => "reduced, and this kernel has no landlock: packages can read and change whatever this user can"
            .to_owned(),
        version => format!(
            "reduced: landlock {version} guards files; packages can reach the network and other processes' names"
        ),
    }
}

/// Shuts this process, and all it starts, out of everything but these folders and the system's.
pub(super) fn shut(readable: &[PathBuf], writable: &[PathBuf]) -> Result<(), String> {
    let everything = AccessFs::from_all(ABI::V5);
    let reading = AccessFs::from_read(ABI::V5);
    let restrict = || -> Result<(), landlock::RulesetError> {
        let rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(everything)?
            .scope(Scope::from_all(ABI::V6))?
            .create()?
            .add_rules(path_beneath_rules(READABLE, reading))?
            .add_rules(path_beneath_rules(DEVICES, everything))?
            .add_rules(path_beneath_rules(readable, reading))?
            .add_rules(path_beneath_rules(writable, everything))?;
        rules.restrict_self()?;
        Ok(())
    };
    restrict().map_err(|error| error.to_string())
}
