//! Where programs and modules lie in a virtual environment, which is not the same on every system.

use std::path::PathBuf;

use crate::interpreter::Interpreter;

/// The places of an environment, below a cell's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The folder of programs.
    pub programs: PathBuf,
    /// How names of programs end.
    ending: &'static str,
    /// The folder of pure modules.
    pub site_packages: PathBuf,
}

impl Layout {
    /// The layout that an interpreter gives its environments.
    pub(crate) fn of(interpreter: &Interpreter) -> Self {
        if interpreter.is_of_windows() {
            return Layout {
                programs: ["env", "Scripts"].iter().collect(),
                ending: ".exe",
                site_packages: ["env", "Lib", "site-packages"].iter().collect(),
            };
        }
        let (major, minor) = interpreter.minor();
        let name = if interpreter.implementation == "pypy" { "pypy" } else { "python" };
        let threads = if interpreter.free_threaded { "t" } else { "" };
        let site_packages = format!("env/lib/{name}{major}.{minor}{threads}/site-packages").into();
        Layout { programs: "env/bin".into(), ending: "", site_packages }
    }

    /// A program of the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let ending = if name.ends_with(self.ending) { "" } else { self.ending };
        self.programs.join(format!("{name}{ending}"))
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.program("python")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::HostEnvironment;

    #[test]
    fn windows_has_other_folders_and_endings() {
        let layout = |name: &str| {
            let (environment, _) = HostEnvironment::elsewhere(name, "0.13.9").unwrap();
            Layout::of(&environment.interpreter)
        };
        let (windows, mac) = (layout("windows11-cp313"), layout("macos15-arm64-cp314t"));
        assert!(windows.python().ends_with("python.exe") && windows.site_packages.ends_with("site-packages"));
        assert_eq!(windows.program("pytest.exe"), windows.program("pytest"));
        assert_eq!(mac.program("pytest"), PathBuf::from("env/bin/pytest"));
        assert_eq!(mac.site_packages, PathBuf::from("env/lib/python3.14t/site-packages"));
    }
}
