//! The views that people and machines read, as snapshots, and what no view may let through.

#![allow(clippy::unwrap_used)] // A test's bodies and the functions that serve them may panic.

mod support;

use std::collections::BTreeMap;

use insta::assert_snapshot;
use support::{build_failed, hostile, records, test_failed};
use wheeltapper_core::Record;
use wheeltapper_render::{
    Figures, Ranks, Surroundings, clusters, explain, junit, markdown, matrix, reasons, record_text, summary,
};

fn ranks() -> Ranks {
    BTreeMap::from([("requests".parse().unwrap(), 4), ("numpy".parse().unwrap(), 21)])
}

/// The sample without the hostile result, whose own tests follow.
fn decent() -> Vec<Record> {
    let mut records = records();
    records.retain(|record| record.evidence.project.as_str() != "zzz-hostile");
    records
}

#[test]
fn the_matrix_has_a_row_a_release_and_a_column_an_environment() {
    assert_snapshot!(matrix(&decent(), 100, false));
}

#[test]
fn the_matrix_is_split_where_the_terminal_is_narrow() {
    let text = matrix(&decent(), 44, false);
    assert_snapshot!(text);
    assert!(text.lines().all(|line| line.chars().count() <= 44));
}

#[test]
fn colour_only_repeats_what_words_say() {
    let plain = matrix(&decent(), 100, false);
    let coloured = matrix(&decent(), 100, true);
    assert!(coloured.contains("\u{1b}[31mT test\u{1b}[0m"));
    let mut stripped = String::new();
    for (number, part) in coloured.split('\u{1b}').enumerate() {
        stripped.push_str(if number == 0 { part } else { part.split_once('m').unwrap().1 });
    }
    assert_eq!(stripped, plain);
}

#[test]
fn reasons_are_told_once_and_ranked() {
    assert_snapshot!(reasons(&decent(), &ranks(), 100, false));
}

#[test]
fn a_run_is_summed_up_in_a_line() {
    assert_snapshot!(summary(&Figures::of(&decent()), false));
    assert_snapshot!(summary(&Figures::default(), false), @"0 cells in 0 projects × 0 environments; 0.00 s of CPU time");
}

#[test]
fn untested_cells_are_in_no_share() {
    let figures = Figures::of(&decent());
    assert_eq!(figures.cells(), 15);
    assert_eq!(figures.share_passed(), Some(4.0 / 10.0));
    assert_eq!(figures.reused(), 3);
}

#[test]
fn a_result_is_shown_in_full() {
    let (failed, _) = test_failed("requests", "2.32.5", "debian12-cp313", "3.13.0");
    assert_snapshot!(record_text(&failed, 100, false));
    let (failed, _) = build_failed("cffi", "1.15.1", "debian12-cp313", "3.13.0");
    assert_snapshot!("a_failed_build_is_shown_in_full", record_text(&failed, 100, false));
}

#[test]
fn junit_has_a_suite_a_cell() {
    let records = [
        test_failed("requests", "2.32.5", "debian12-cp313", "3.13.0").0,
        build_failed("cffi", "1.15.1", "debian12-cp313", "3.13.0").0,
    ];
    assert_snapshot!(junit(&records).unwrap());
}

#[test]
fn markdown_is_a_table_and_a_list() {
    assert_snapshot!(markdown(&decent(), &ranks()));
}

#[test]
fn hostile_text_stays_text_in_every_view() {
    let records = [hostile().0];
    let terminal = [
        matrix(&records, 80, false),
        reasons(&records, &ranks(), 80, false),
        record_text(&records[0], 80, false),
    ];
    for text in &terminal {
        let control = text.chars().find(|character| character.is_control() && *character != '\n');
        assert_eq!(control, None, "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
    }
    assert_snapshot!("hostile_reasons", terminal[1]);
    assert_snapshot!("hostile_markdown", markdown(&records, &ranks()));
    let xml = junit(&records).unwrap();
    assert!(!xml.contains("<script>") && !xml.contains('\u{1b}'), "{xml}");
}

#[test]
fn a_failure_is_explained_beside_where_it_passes() {
    let (failed, _) = build_failed("cffi", "1.17.0", "debian12-cp313", "3.13.0");
    let mut passed = failed.clone();
    passed.verdict = wheeltapper_core::Verdict {
        outcome: wheeltapper_core::Outcome::Passed,
        cause: None,
        signature: None,
        ..passed.verdict
    };
    passed.evidence.environment.name = "debian12-cp312".to_owned();
    passed.evidence.environment.python = "3.12.1".to_owned();
    let around =
        Surroundings { nearest_pass: Some(&passed), passing: vec![&passed], ..Surroundings::default() };
    let text = explain(&failed, &around, &["> 12  fatal error: \u{1b}[2Jffi.h".to_owned()], 80, false);
    for part in [
        "its wheel could not be",
        "What differs from where it passes",
        "interpreter: cpython 3.13.0 here, cpython 3.12.1 there",
        "What the maintainer could do",
        "This release was seen to work on Python 3.12.1.",
        "␛[2J",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}') && text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn clusters_are_ranked_and_the_share_of_the_unclassified_is_said() {
    let mut gathering = wheeltapper_core::cluster::Gathering::default();
    records().iter().for_each(|record| gathering.add(record));
    let found = gathering.ranked(&wheeltapper_core::Popularity::shipped());
    let text = clusters(&found, 100, 100, false);
    assert!(text.contains("no cause that a rule names") && text.contains("requests"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
