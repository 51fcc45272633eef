//! The report in a real browser: headless Chromium opens it from the folder, as a user does, and says what it built.
//! Skipped, and said so, where no Chromium is installed.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // A test's bodies may panic, and say that they skip.

mod support;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::sample;
use wheeltapper_render::{Mode, Report, ReportOptions};

/// Names the file that collects skipped tests, one `<test>: <reason>` a line.
const SKIPS: &str = "WHEELTAPPER_SKIPS";

fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED: {test}: {reason}");
    if let Some(path) = std::env::var_os(SKIPS) {
        let mut file = std::fs::File::options().append(true).create(true).open(path).unwrap();
        writeln!(file, "{test}: {reason}").unwrap();
    }
}

fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

fn write_report(folder: &Path) {
    let options = ReportOptions {
        generated: "2026-11-22 10:10 UTC".to_owned(),
        program: "wheeltapper 0.1.0".to_owned(),
        ..ReportOptions::default()
    };
    let mut report = Report::new(options).unwrap();
    let cells = sample();
    let projects = cells.chunk_by(|left, right| left.0.evidence.project == right.0.evidence.project);
    let files: Vec<_> = projects.flat_map(|cells| report.project(cells).unwrap()).collect();
    for file in files.into_iter().chain(report.finish().unwrap()) {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut options = std::fs::File::options();
        let options = match file.mode {
            Mode::Whole => options.create_new(true).write(true),
            Mode::Append => options.create(true).append(true),
        };
        options.open(&path).unwrap().write_all(&file.bytes).unwrap();
    }
}

/// The page as the browser understood it.
fn dom(browser: &Path, page: &Path) -> String {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox", // Chromium's own sandbox refuses root; the page is ours.
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Targets of links below an element of this class, as written.
fn links(dom: &str) -> Vec<String> {
    dom.match_indices("href=\"")
        .map(|(index, _)| dom[index..].split('"').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn a_browser_reads_the_report() {
    let Some(browser) = chromium() else {
        return skip("a_browser_reads_the_report", "no Chromium on PATH (Debian: apt-get install chromium)");
    };
    let folder = tempfile::tempdir().unwrap();
    write_report(folder.path());

    let front = dom(&browser, &folder.path().join("index.html"));
    for told in
        ["Every wheel, tapped", "Project × environment", ">requests</a>", "the header ffi.h is missing"]
    {
        assert!(front.contains(told), "{told}");
    }
    assert!(!front.contains("<script"), "hostile text became markup");

    for page in
        ["index.html", "project/cffi.html", "project/zzz-hostile.html", "log/cffi/debian12-cp313-sdist.html"]
    {
        let page = folder.path().join(page);
        let seen = dom(&browser, &page);
        let links = links(&seen);
        assert!(links.len() > 3, "{}", page.display());
        for link in links {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let text = std::fs::read_to_string(&target).unwrap_or_else(|error| panic!("{link}: {error}"));
            assert!(anchor.is_empty() || text.contains(&format!("id=\"{anchor}\"")), "{link}");
        }
    }
    let hostile = dom(&browser, &folder.path().join("project/zzz-hostile.html"));
    assert!(hostile.contains("&lt;script&gt;alert(1)&lt;/script&gt;␛]0;owned␇␛[2J⟨U+202E⟩"), "{hostile}");
}

/// Not a test: writes the sample report to the folder of this variable, to be looked at.
#[test]
fn write_the_sample_report() {
    if let Some(folder) = std::env::var_os("WHEELTAPPER_SAMPLE_REPORT") {
        write_report(Path::new(&folder));
    }
}
