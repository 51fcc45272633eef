//! The report in a real browser: headless Chromium opens it from the folder, as a user does, and says what it built.
//! Skipped, and said so, where no Chromium is installed.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // A test's bodies may panic, and say that they skip.

mod support;

use std::{io::Write as _, path::Path};

use support::sample;
use wheeltapper_render::{Mode, Report, ReportOptions};
use wheeltapper_testkit::{Browser, browser, skip};

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

/// Targets of links below an element of this class, as written.
fn links(dom: &str) -> Vec<String> {
    dom.match_indices("href=\"")
        .map(|(index, _)| dom[index..].split('"').nth(1).unwrap().to_owned())
        .collect()
}

#[test]
fn a_browser_reads_the_report() {
    let Some(browser) = Browser::find() else { skip!("{}", browser::NONE) };
    let dom = |page: &Path| browser.open(&format!("file://{}", page.display()), false);
    let folder = tempfile::tempdir().unwrap();
    write_report(folder.path());

    let front = dom(&folder.path().join("index.html"));
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
        let seen = dom(&page);
        let links = links(&seen);
        assert!(links.len() > 3, "{}", page.display());
        for link in links {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            let text = std::fs::read_to_string(&target).unwrap_or_else(|error| panic!("{link}: {error}"));
            assert!(anchor.is_empty() || text.contains(&format!("id=\"{anchor}\"")), "{link}");
        }
    }
    let hostile = dom(&folder.path().join("project/zzz-hostile.html"));
    assert!(hostile.contains("&lt;script&gt;alert(1)&lt;/script&gt;␛]0;owned␇␛[2J⟨U+202E⟩"), "{hostile}");
}

/// Not a test: writes the sample report to the folder of this variable, to be looked at.
#[test]
fn write_the_sample_report() {
    if let Some(folder) = std::env::var_os("WHEELTAPPER_SAMPLE_REPORT") {
        write_report(Path::new(&folder));
    }
}
