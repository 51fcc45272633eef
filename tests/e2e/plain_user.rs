//! The same fixtures as a plain user: no privilege, a data folder and a home of that user's own.

use wheeltapper_testkit::Fixture;

use crate::{
    fixtures::differences,
    interrupted::nothing_is_left,
    support::{Lab, has_program, is_root},
};

/// A user that no machine has.
const UID: u32 = 64_321;

#[test]
fn fixtures_come_out_the_same_for_a_plain_user() {
    if !is_root() {
        // Then every other test here is run by a plain user already.
        return;
    }
    let lab = match Lab::of_plain_user(UID) {
        Ok(lab) => lab,
        Err(why) => wheeltapper_testkit::skip!("{why}"),
    };
    let mut fixtures = Fixture::all().expect("the fixtures can be read");
    fixtures.retain(|one| one.expected.needs.iter().all(|program| has_program(program)));
    let wrong = differences(&lab, &fixtures);
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    nothing_is_left(lab.data.path());
}
