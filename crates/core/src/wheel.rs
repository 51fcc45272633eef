//! Which wheels an interpreter takes: the compatibility tags of PEP 425, PEP 600 (manylinux), PEP 656 (musllinux) and PEP 783
//! (Emscripten).

/// What native code of a wheel stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// Linux with glibc 2 of this minor version.
    Glibc(u32),
    /// Linux with musl of this version.
    Musl(u32, u32),
    /// Linux with a C library of which nothing is known.
    Linux,
    /// macOS of this version, 11 or newer.
    MacOs(u32),
    /// Windows.
    Windows,
    /// WebAssembly with an ABI of this year and number (PEP 783), in JavaScript.
    Emscripten(u32, u32),
}

/// What decides the tags of an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter<'a> {
    /// `cpython`, `pypy`, …
    pub implementation: &'a str,
    /// Major and minor version.
    pub version: (u32, u32),
    /// The ABI part of the tag, e.g. `cp313`, `cp313t`, `cp27mu`, `pypy311_pp73`.
    pub abi: &'a str,
    /// The machine, e.g. `x86_64`.
    pub arch: &'a str,
    /// What it runs on.
    pub system: System,
}

/// The tags that the interpreter takes, best first, each as `python-abi-platform`.
pub fn supported_tags(interpreter: &Interpreter<'_>) -> Vec<String> {
    let (major, minor) = interpreter.version;
    let platforms = platforms(interpreter);
    let mut tags = Vec::new();
    let short = match interpreter.implementation {
        "cpython" => "cp",
        "pypy" => "pp",
        other => other,
    };
    let own = format!("{short}{major}{minor}");
    let mut add = |python: &str, abi: &str, platforms: &[String]| {
        tags.extend(platforms.iter().map(|platform| format!("{python}-{abi}-{platform}")));
    };
    add(&own, interpreter.abi, &platforms);
    let free_threaded = interpreter.abi.ends_with('t') && short == "cp";
    if short == "cp" && major == 3 && !free_threaded {
        for abi3_minor in (2..=minor).rev() {
            add(&format!("cp3{abi3_minor}"), "abi3", &platforms);
        }
    }
    add(&own, "none", &platforms);
    let generic: Vec<String> = std::iter::once(format!("py{major}{minor}"))
        .chain(std::iter::once(format!("py{major}")))
        .chain((0..minor).rev().map(|older| format!("py{major}{older}")))
        .collect();
    for python in &generic {
        add(python, "none", &platforms);
    }
    let any = ["any".to_owned()];
    add(&own, "none", &any);
    for python in &generic {
        add(python, "none", &any);
    }
    tags
}

fn platforms(interpreter: &Interpreter<'_>) -> Vec<String> {
    let arch = interpreter.arch;
    let mut platforms = Vec::new();
    match interpreter.system {
        System::Windows => {
            return vec![match arch {
                "x86_64" => "win_amd64".to_owned(),
                "aarch64" => "win_arm64".to_owned(),
                _ => "win32".to_owned(),
            }];
        }
        System::MacOs(version) => return of_macos(version, arch),
        System::Emscripten(year, number) => {
            return ["pyemscripten", "pyodide"].map(|kind| format!("{kind}_{year}_{number}_{arch}")).to_vec();
        }
        System::Glibc(minor) => {
            for older in (5..=minor).rev() {
                platforms.push(format!("manylinux_2_{older}_{arch}"));
                match older {
                    17 => platforms.push(format!("manylinux2014_{arch}")),
                    12 => platforms.push(format!("manylinux2010_{arch}")),
                    5 => platforms.push(format!("manylinux1_{arch}")),
                    _ => {}
                }
            }
        }
        System::Musl(major, minor) => {
            platforms.extend((0..=minor).rev().map(|older| format!("musllinux_{major}_{older}_{arch}")));
        }
        System::Linux => {}
    }
    platforms.push(format!("linux_{arch}"));
    platforms
}

/// From macOS 11 on each year's version has a number of its own; what was built for 10 runs on machines of its time.
fn of_macos(version: u32, arch: &str) -> Vec<String> {
    let own = if arch == "aarch64" { "arm64" } else { arch };
    let each = |prefix: String| [own, "universal2"].map(|end| format!("{prefix}_{end}"));
    let newer = (11..=version).rev().flat_map(|major| each(format!("macosx_{major}_0")));
    let older =
        (4..=16).rev().filter(|_| own == "x86_64").flat_map(|minor| each(format!("macosx_10_{minor}")));
    newer.chain(older).collect()
}

/// The position of the best tag of a wheel's compressed tag set, or `None` when the interpreter does not take it.
/// `python`, `abi` and `platform` are the `.`-separated sets of the file name (PEP 425).
pub fn rank(supported: &[String], python: &str, abi: &str, platform: &str) -> Option<usize> {
    let mut best: Option<usize> = None;
    for python in python.split('.') {
        for abi in abi.split('.') {
            for platform in platform.split('.') {
                let tag = format!("{python}-{abi}-{platform}");
                if let Some(position) = supported.iter().position(|known| known == &tag) {
                    best = Some(best.map_or(position, |so_far| so_far.min(position)));
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cp313() -> Vec<String> {
        supported_tags(&Interpreter {
            implementation: "cpython",
            version: (3, 13),
            abi: "cp313",
            arch: "x86_64",
            system: System::Glibc(36),
        })
    }

    #[test]
    fn takes_its_own_abi_before_abi3_before_pure() {
        let tags = cp313();
        let own = rank(&tags, "cp313", "cp313", "manylinux_2_17_x86_64.manylinux2014_x86_64");
        let abi3 = rank(&tags, "cp38", "abi3", "manylinux_2_28_x86_64");
        let pure = rank(&tags, "py2.py3", "none", "any");
        assert!(own.is_some() && own < abi3 && abi3 < pure);
    }

    #[test]
    fn other_systems_take_their_own() {
        let of = |system, arch| {
            supported_tags(&Interpreter {
                implementation: "cpython",
                version: (3, 13),
                abi: "cp313",
                arch,
                system,
            })
        };
        let windows = of(System::Windows, "x86_64");
        assert!(rank(&windows, "cp313", "cp313", "win_amd64").is_some());
        assert_eq!(rank(&windows, "cp313", "cp313", "manylinux_2_17_x86_64"), None);
        let wasm = of(System::Emscripten(2026, 0), "wasm32");
        assert_eq!(rank(&wasm, "cp313", "cp313", "pyemscripten_2026_0_wasm32"), Some(0));
        assert!(rank(&wasm, "py3", "none", "any").is_some());
        assert_eq!(rank(&wasm, "cp313", "cp313", "linux_wasm32"), None);
        let apple = of(System::MacOs(15), "aarch64");
        assert!(rank(&apple, "cp313", "cp313", "macosx_11_0_arm64").is_some());
        assert!(rank(&apple, "cp39", "abi3", "macosx_11_0_universal2").is_some());
        assert_eq!(rank(&apple, "cp313", "cp313", "macosx_10_13_x86_64"), None);
        assert_eq!(rank(&apple, "cp313", "cp313", "macosx_26_0_arm64"), None);
        assert!(rank(&of(System::MacOs(15), "x86_64"), "cp313", "cp313", "macosx_10_13_x86_64").is_some());
    }

    #[test]
    fn refuses_other_platforms_newer_libc_and_newer_python() {
        let tags = cp313();
        assert_eq!(rank(&tags, "cp313", "cp313", "win_amd64"), None);
        assert_eq!(rank(&tags, "cp313", "cp313", "manylinux_2_39_x86_64"), None);
        assert_eq!(rank(&tags, "cp314", "cp314", "manylinux_2_17_x86_64"), None);
        assert_eq!(rank(&tags, "py2", "none", "any"), None);
    }
}
