//! The report's files: what is there, that links lead somewhere, that hostile text stays text.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use support::{Logged, sample};
use wheeltapper_core::Record;
use wheeltapper_render::{Mode, Report, ReportOptions};

/// The finished report, path and content.
fn site(cells: &[Logged]) -> BTreeMap<String, String> {
    let options = ReportOptions {
        generated: "2026-11-22 10:10 UTC".to_owned(),
        program: "wheeltapper 0.1.0".to_owned(),
        ranks: BTreeMap::from([("requests".parse().unwrap(), 4)]),
    };
    let mut report = Report::new(options).unwrap();
    let mut files = BTreeMap::new();
    let projects = cells.chunk_by(|left, right| left.0.evidence.project == right.0.evidence.project);
    let written: Vec<_> = projects.flat_map(|cells| report.project(cells).unwrap()).collect();
    for file in written.into_iter().chain(report.finish().unwrap()) {
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        match file.mode {
            Mode::Append => files.entry(file.path).or_insert_with(String::new).push_str(&text),
            Mode::Whole => assert!(files.insert(file.path.clone(), text).is_none(), "{} twice", file.path),
        }
    }
    files
}

/// Values of an attribute in a page, character references resolved.
fn attribute<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let start = format!(" {name}=\"");
    html.match_indices(&start)
        .map(|(index, _)| {
            html[index..].split('"').nth(1).unwrap().replace("&#x2f;", "/").replace("&amp;", "&")
        })
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn the_files_of_a_report() {
    let site = site(&sample());
    assert_snapshot!(site.keys().map(String::as_str).collect::<Vec<_>>().join("\n"));
    let records: Vec<Record> =
        site["records.jsonl"].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), sample().len());
}

#[test]
fn every_link_leads_somewhere() {
    let site = site(&sample());
    let anchors: BTreeSet<(String, String)> =
        site.iter().flat_map(|(path, html)| attribute(html, "id").map(|id| (path.clone(), id))).collect();
    let mut links = 0;
    for (path, html) in site.iter().filter(|(path, _)| path.ends_with(".html")) {
        for link in attribute(html, "href") {
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, id)| (file, Some(id)));
            let mut parts: Vec<&str> = path.split('/').collect();
            parts.pop();
            for part in file.split('/').filter(|part| !part.is_empty()) {
                if part == ".." {
                    assert!(parts.pop().is_some(), "{link} in {path}")
                } else {
                    parts.push(part)
                }
            }
            let target = if file.is_empty() { path.clone() } else { parts.join("/") };
            assert!(site.contains_key(&target), "{link} in {path} leads to {target}");
            if let Some(anchor) = anchor {
                assert!(anchors.contains(&(target.clone(), anchor.to_owned())), "{link} in {path}");
            }
            links += 1;
        }
    }
    assert!(links > 100);
}

#[test]
fn anchors_are_unique_and_nothing_runs_or_is_fetched() {
    for (path, html) in site(&sample()).iter().filter(|(path, _)| path.ends_with(".html")) {
        let ids: Vec<String> = attribute(html, "id").collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}");
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{path}");
        assert!(
            html.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"),
            "{path}"
        );
        for forbidden in [
            "<script",
            "<img",
            "<iframe",
            " onload",
            " style=",
            "href=\"http",
            "javascript:",
            "\u{202e}",
            "\u{1b}",
        ] {
            assert!(!html.contains(forbidden), "{forbidden} in {path}");
        }
        for landmark in ["<main id=\"content\"", "<header class=\"top\">", "class=\"skip\" href=\"#content\""]
        {
            assert!(html.contains(landmark), "{landmark} in {path}");
        }
    }
}

#[test]
fn names_of_files_are_harmless() {
    for path in site(&sample()).keys() {
        assert!(!path.contains("..") && !path.starts_with('/'), "{path}");
        let harmless = |character: char| character.is_ascii_alphanumeric() || "/-_.".contains(character);
        assert!(path.chars().all(harmless), "{path}");
    }
}

#[test]
fn a_failure_is_told_with_its_cause_and_the_line_that_reproduces_it() {
    let site = site(&sample());
    let page = &site["project/cffi.html"];
    for told in [
        "the header ffi.h is missing",
        "missing-header",
        "fatal error: ffi.h: No such file or directory",
        "href=\"..&#x2f;log&#x2f;cffi&#x2f;debian12-cp313-sdist.html#build-4\"",
        "wheeltapper repro cffi debian12-cp313",
        "143 MB",
        "confidence",
    ] {
        assert!(page.contains(told), "{told}");
    }
    let log = &site["log/cffi/debian12-cp313-sdist.html"];
    assert!(log.contains("<span class=\"decisive\" id=\"build-4\">"), "{log}");
    assert!(log.contains("<span class=\"f1 bold\">fatal error: </span>"), "{log}");
    let long = &site["log/requests/debian12-cp313-sdist.html"];
    assert!(long.contains("id=\"test-2501\"") && long.contains("lines are left out here"));
}

#[test]
fn a_report_of_nothing_says_so() {
    let site = site(&[]);
    assert_eq!(site.keys().collect::<Vec<_>>(), ["index.html", "records.jsonl", "style.css"]);
    assert!(site["index.html"].contains("Nothing is stored yet"));
}

#[test]
fn a_long_matrix_is_several_pages() {
    let many: Vec<Logged> = (0..450)
        .map(|number| support::passed(&format!("project-{number:03}"), "1.0", "debian12-cp313", "3.13.0"))
        .collect();
    let site = site(&many);
    assert!(site["index.html"].contains("href=\"matrix-2.html\""));
    assert!(site["index.html"].contains(">project-399<") && !site["index.html"].contains(">project-400<"));
    assert!(site["matrix-2.html"].contains(">project-400<"));
}

/// Relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |start: usize| {
        let value = f64::from(u8::from_str_radix(&colour[start..start + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn words_have_the_contrast_of_wcag_aa_in_light_and_dark() {
    let style = site(&[]).remove("style.css").unwrap();
    let variables = |block: &str| -> BTreeMap<String, String> {
        let pairs = block.split(['{', '}', ';', '\n']).filter_map(|pair| pair.trim().split_once(": "));
        let colours = pairs.filter(|(name, value)| name.starts_with("--") && value.starts_with('#'));
        colours.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let (light, rest) = style.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let (dark, _) = rest.split_once("* { box-sizing").unwrap();
    for (scheme, colours) in [("light", variables(light)), ("dark", variables(dark))] {
        let mut pairs = Vec::new();
        for ground in ["--paper", "--panel", "--well"] {
            pairs.extend(["--ink", "--quiet", "--link"].map(|ink| (ink.to_owned(), ground)));
        }
        for ground in ["--passed", "--failed", "--untested", "--unsupported", "--farm"] {
            pairs.push((format!("{ground}-ink"), ground));
        }
        for ground in ["--log", "--mark"] {
            pairs.extend((0..=8).map(|colour| (format!("--k{colour}"), ground)));
        }
        pairs.push(("--failed-ink".to_owned(), "--panel"));
        for (ink, ground) in pairs {
            let (one, other) = (luminance(&colours[&ink]), luminance(&colours[ground]));
            let ratio = (one.max(other) + 0.05) / (one.min(other) + 0.05);
            assert!(ratio >= 4.5, "{scheme}: {ink} on {ground} has {ratio:.2}");
        }
    }
}

#[test]
fn an_environment_in_which_nothing_fails_has_a_page() {
    let site = wheeltapper_render::web::Site::new("0.1".to_owned(), None).unwrap();
    let page = site.environment("debian12-cp313", &[]).unwrap();
    assert!(String::from_utf8_lossy(&page.bytes).contains("<p>None.</p>"));
}
