//! Environments that are on no machine of ours, by their names alone: what a resolver and a plan have to know of a Windows or
//! macOS interpreter that runs elsewhere.

use wheeltapper_core::{environment::Containment, pep508_rs::MarkerEnvironmentBuilder};

use crate::{
    environment::{HostEnvironment, Platform, named},
    interpreter::Interpreter,
    resolve::Python,
};

/// What a name says of a system.
struct System {
    os: &'static str,
    sys_platform: &'static str,
    os_name: &'static str,
    platform_system: &'static str,
    /// As `platform.release()` says it; of macOS the kernel's.
    release: String,
    machine: &'static str,
    /// As the resolver calls it.
    uv: &'static str,
}

impl System {
    /// `windows11`, `windows2022-arm64`, `macos15-arm64`, `macos13-x86_64`.
    fn parse(name: &str) -> Option<System> {
        let (name, arm) = match name.rsplit_once('-') {
            Some((rest, "arm64")) => (rest, Some(true)),
            Some((rest, "x86_64")) => (rest, Some(false)),
            _ => (name, None),
        };
        let number = |digits: &str| digits.parse::<u32>().ok();
        if let Some(version) = name.strip_prefix("windows") {
            let (machine, uv) = match arm {
                Some(true) => ("ARM64", "aarch64-pc-windows-msvc"),
                _ => ("AMD64", "x86_64-pc-windows-msvc"),
            };
            let release = number(version)?.to_string();
            let (sys_platform, os_name, platform_system) = ("win32", "nt", "Windows");
            return Some(System {
                os: "windows",
                sys_platform,
                os_name,
                platform_system,
                release,
                machine,
                uv,
            });
        }
        let version = number(name.strip_prefix("macos")?).filter(|version| *version >= 11)?;
        let (machine, uv) = match arm {
            Some(false) => ("x86_64", "x86_64-apple-darwin"),
            _ => ("arm64", "aarch64-apple-darwin"),
        };
        let release = format!("{}.0.0", version + 9);
        let (sys_platform, os_name, platform_system) = ("darwin", "posix", "Darwin");
        Some(System { os: "macos", sys_platform, os_name, platform_system, release, machine, uv })
    }
}

impl HostEnvironment {
    /// The environment of this name, which is elsewhere: CPython of one minor version on Windows or macOS, such as
    /// `windows11-cp313`; and how the resolver is told of it. `None` when the name says no such thing.
    pub fn elsewhere(name: &str, uv: &str) -> Option<(HostEnvironment, Python)> {
        let (platform, tag) = name.rsplit_once('-')?;
        let system = System::parse(platform)?;
        let digits = tag.strip_prefix("cp3")?;
        let (digits, free_threaded) = match digits.strip_suffix('t') {
            Some(digits) => (digits, true),
            None => (digits, false),
        };
        let minor: u32 = digits.parse().ok()?;
        let (python, full) = (format!("3.{minor}"), format!("3.{minor}.0"));
        let markers = MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: &full,
            os_name: system.os_name,
            platform_machine: system.machine,
            platform_python_implementation: "CPython",
            platform_release: &system.release,
            platform_system: system.platform_system,
            platform_version: "",
            python_full_version: &full,
            python_version: &python,
            sys_platform: system.sys_platform,
        };
        let interpreter = Interpreter {
            implementation: "cpython".to_owned(),
            version: full.parse().ok()?,
            build: String::new(),
            soabi: None,
            free_threaded,
            prefix: Default::default(),
            executable: Default::default(),
            library: None,
            bits: 64,
            machine: match system.machine {
                "ARM64" | "arm64" => "aarch64".to_owned(),
                _ => "x86_64".to_owned(),
            },
            libc: (String::new(), String::new()),
            wasm_abi: None,
            markers: markers.try_into().ok()?,
        };
        let platform = Platform::elsewhere(platform);
        let mut environment =
            named(name.to_owned(), &interpreter, "elsewhere", &platform, uv, &Containment::default());
        environment.shown.os = system.os.to_owned();
        Some((environment, Python::Elsewhere(system.uv.to_owned(), python)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_wheels_are_taken_there() {
        let best =
            |name: &str| HostEnvironment::elsewhere(name, "0.13.9").map(|(found, _)| found.tags[0].clone());
        assert_eq!(best("windows11-cp313").as_deref(), Some("cp313-cp313-win_amd64"));
        assert_eq!(best("macos15-arm64-cp314t").as_deref(), Some("cp314-cp314t-macosx_15_0_arm64"));
        assert_eq!(best("macos13-x86_64-cp310").as_deref(), Some("cp310-cp310-macosx_13_0_x86_64"));
        for other in ["debian13-cp313", "windows-cp313", "windows11", "macos10-cp313", "windows11-pp311"] {
            assert_eq!(best(other), None, "{other}");
        }
    }
}
