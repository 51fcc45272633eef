//! The site of a made-up farm: every link leads somewhere, nothing is made twice, and a change changes what it concerns.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use support::Farm;
use wheeltapper_coordinator::publish::OWN;
use wheeltapper_testkit::synthetic;

fn files(folder: &Path, below: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if entry.path().is_dir() {
            if name != OWN {
                files(&entry.path(), &path, found);
            }
        } else {
            found.insert(path, fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn attribute<'a>(html: &'a str, name: &str) -> impl Iterator<Item = String> + use<'a> {
    let begin = format!(" {name}=\"");
    let starts: Vec<usize> = html.match_indices(&begin).map(|(index, found)| index + found.len()).collect();
    starts.into_iter().map(|start| html[start..].split('"').next().unwrap().replace("&#x2f;", "/"))
}

/// Follows every link of the site, and returns how many there are.
fn follow(site: &BTreeMap<String, String>) -> usize {
    let anchors: BTreeSet<(&str, String)> = site
        .iter()
        .flat_map(|(path, text)| attribute(text, "id").map(move |id| (path.as_str(), id)))
        .collect();
    let mut links = 0;
    for (path, html) in site.iter().filter(|(path, _)| path.ends_with(".html")) {
        for link in attribute(html, "href").chain(attribute(html, "src")) {
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
                assert!(anchors.contains(&(target.as_str(), anchor.to_owned())), "{link} in {path}");
            }
            links += 1;
        }
        let ids: Vec<String> = attribute(html, "id").collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{path}");
        for forbidden in ["<script>", " onload", " style=", "href=\"http", "javascript:", "hidden.net"] {
            assert!(!html.contains(forbidden), "{forbidden} in {path}");
        }
    }
    links
}

#[test]
fn every_link_of_the_site_leads_somewhere() {
    let farm = Farm::new();
    farm.cycle(60, |_| true);
    farm.cycle(60, |project| project < 10);
    let published = farm.publish();
    assert_eq!(published.projects, 60);
    let mut site = BTreeMap::new();
    files(&farm.site(), "", &mut site);
    let links = follow(&site);
    assert!(links > 2000, "{links}");
    for part in [
        "index.html",
        "cycles.html",
        "clusters.html",
        "cycle/2/results.jsonl",
        "cycle/1/index.html",
        "a-z/a.html",
        "environment/debian12-cp311.html",
        "names/ai.json",
        "search.js",
        "cycle/2/not-planned.html",
    ] {
        assert!(site.contains_key(part), "{part} in {:?}", site.keys().take(80).collect::<Vec<_>>());
    }
    assert!(site.keys().any(|path| path.starts_with("maintainer/")));
    assert_eq!(site["cycle/2/cells.jsonl"].lines().count(), 180);
    // The first cycle was never told of: its figures stand, its lists are said to be gone rather than empty.
    assert!(!site.contains_key("cycle/1/cells.jsonl"));
    assert!(site["cycle/1/passed.html"].contains("was not kept"), "{}", site["cycle/1/passed.html"]);
    assert_eq!(site["cycle/1/results.jsonl"].lines().count(), 180);
    assert_eq!(site["cycle/2/results.jsonl"].lines().count(), 30);
    let feed = &site[&format!("project/{}.atom", synthetic::name(3))];
    assert!(feed.contains("newly failing on debian12-cp311") && feed.contains("failure of kind 0"), "{feed}");
    let badge: serde_json::Value =
        serde_json::from_str(&site[&format!("badge/{}.json", synthetic::name(3))]).unwrap();
    assert_eq!((badge["message"].as_str(), badge["schemaVersion"].as_u64()), (Some("failing"), Some(1)));
}

#[test]
fn only_what_changed_is_made_anew() {
    let farm = Farm::new();
    farm.cycle(50, |_| true);
    farm.publish();
    let again = farm.publish();
    assert_eq!((again.written, again.projects), (0, 0), "the same store makes the same site");
    farm.cycle(50, |project| project == 4);
    let changed = farm.publish();
    assert_eq!(changed.projects, 1);
    assert!(changed.written < 40, "{changed:?}");
}

#[test]
fn a_project_whose_turn_has_not_come_is_listed_and_has_no_page() {
    let farm = Farm::new();
    farm.cycle(20, |_| true);
    farm.held_before("later");
    farm.publish();
    let mut site = BTreeMap::new();
    files(&farm.site(), "", &mut site);
    follow(&site);
    assert!(!site.contains_key("project/later.html"));
    assert!(site["cycle/2/left.html"].contains("later"), "{}", site["cycle/2/left.html"]);
}
