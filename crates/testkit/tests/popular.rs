//! The list of popular projects that the program ships.

use std::collections::BTreeSet;

use wheeltapper_core::ProjectName;

#[test]
fn it_is_dated_sourced_and_long_enough() {
    let text = std::fs::read_to_string(wheeltapper_testkit::workspace().join("data/popular.txt")).unwrap();
    let (comments, names): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
    let head = comments.join("\n");
    for said in ["Date: 20", "Source: ", &format!("Names: {}", names.len())] {
        assert!(head.contains(said), "the head does not say `{said}`");
    }
    assert!(text.len() < 1 << 20);
    assert!(names.len() >= 15_000, "only {}", names.len());
    for name in &names {
        assert_eq!(name.parse::<ProjectName>().unwrap().as_str(), *name, "not normalised");
    }
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name is listed twice");
}
