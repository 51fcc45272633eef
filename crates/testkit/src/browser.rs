//! A real browser, headless: a page as it understood it.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// What a test says where there is none.
pub const NONE: &str = "no Chromium on PATH (Debian: apt-get install chromium)";

/// A Chromium of this machine.
#[derive(Debug)]
pub struct Browser(PathBuf);

impl Browser {
    /// The one on PATH.
    pub fn find() -> Option<Browser> {
        let path = std::env::var_os("PATH")?;
        let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
        std::env::split_paths(&path)
            .flat_map(|folder| names.map(|name| folder.join(name)))
            .find(|candidate| candidate.is_file())
            .map(Browser)
    }

    /// The document of a page after its scripts have run, as markup. `dark`: the user prefers dark pages.
    ///
    /// # Panics
    /// When the browser does not end well.
    pub fn open(&self, address: &str, dark: bool) -> String {
        let profile = tempfile::tempdir().expect("a temporary folder can be made");
        let mut command = Command::new(&self.0);
        command.args([
            "--headless",
            "--no-sandbox", // Chromium's own sandbox refuses root; the page is ours.
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--allow-file-access-from-files",
            "--virtual-time-budget=60000",
            "--dump-dom",
        ]);
        if dark {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(address);
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("the browser can be started");
        assert!(output.status.success(), "the browser: {}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
