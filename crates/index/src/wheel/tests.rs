//! Wheels, sound and not.

use super::*;
use crate::testing::{wheel_of, zip_of};

fn check(filename: &str, bytes: &[u8]) -> Result<Vec<WheelProblem>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(filename);
    fs::write(&path, bytes).unwrap();
    let limits = Limits { free: 1 << 20, ..Limits::default() };
    Wheel::open(&path, &limits)?.check(&"six".parse().unwrap(), &"1.0".parse().unwrap(), &limits)
}

const NAME: &str = "six-1.0-py3-none-any.whl";

#[test]
fn a_sound_wheel_has_no_problems() {
    assert_eq!(check(NAME, &wheel_of("six", "1.0", &[("six.py", b"x = 1\n")])).unwrap(), []);
}

#[test]
fn a_wheel_that_claims_another_name() {
    let problems = check(NAME, &wheel_of("seven", "2.0", &[])).unwrap();
    assert!(problems.contains(&WheelProblem::OtherName("seven".into())), "{problems:?}");
    assert!(problems.contains(&WheelProblem::OtherVersion("2.0".into())));
    assert!(problems.iter().all(|problem| problem.is_hostile() && problem.id() == "wrong-name-or-version"));
    let problems = check("seven-1.0-py3-none-any.whl", &wheel_of("six", "1.0", &[])).unwrap();
    assert_eq!(problems, [WheelProblem::OtherName("seven".into())]);
}

#[test]
fn a_record_that_lies() {
    let record = "six.py,sha256=AAAA,3\nweak.py,md5=AAAA,3\ngone.py,sha256=AAAA,3\n../up,,\nnonsense\nbig.py,sha256=,x\nsix-1.0.dist-info/METADATA,,\nsix-1.0.dist-info/RECORD,,\n";
    let bytes = zip_of(&[
        ("six.py", 0, b"x=1\n"),
        ("weak.py", 0, b"123"),
        ("extra.py", 0, b""),
        ("lib.so", 0, b"\x7fELF...."),
        ("six-1.0.dist-info/METADATA", 0, b"Metadata-Version: 2.1\nName: Six\nVersion: 1\n"),
        ("six-1.0.dist-info/WHEEL", 0, b"Tag: py2-none-any\n"),
        ("six-1.0.dist-info/RECORD", 0, record.as_bytes()),
    ]);
    let problems = check(NAME, &bytes).unwrap();
    for expected in [
        WheelProblem::WrongHash("six.py".into()),
        WheelProblem::WrongSize("six.py".into()),
        WheelProblem::WeakHash("weak.py".into()),
        WheelProblem::WeakHash("six-1.0.dist-info/METADATA".into()),
        WheelProblem::RecordedAndMissing("gone.py".into()),
        WheelProblem::NotRecorded("extra.py".into()),
        WheelProblem::NotRecorded("six-1.0.dist-info/WHEEL".into()),
        WheelProblem::Escapes("../up".into()),
        WheelProblem::BadRecordLine(5),
        WheelProblem::BadRecordLine(6),
        WheelProblem::NativeCodeInPure("lib.so".into()),
        WheelProblem::TagsDiffer {
            filename: vec!["py3-none-any".into()],
            wheel: vec!["py2-none-any".into()],
        },
    ] {
        assert!(problems.contains(&expected), "{expected:?} in {problems:#?}");
    }
    assert!(!problems.iter().any(|problem| matches!(problem, WheelProblem::OtherVersion(_))), "1 is 1.0");
}

#[test]
fn members_that_attack() {
    let problems = check(
        NAME,
        &zip_of(&[
            ("../outside.py", 0, b""),
            ("/etc/passwd", 0, b""),
            ("a/..\\b.py", 0, b""),
            ("link", 0o120777, b"/etc/passwd"),
            ("six-1.0.dist-info/METADATA", 0, b"Name: six\nVersion: 1.0\n"),
        ]),
    )
    .unwrap();
    let hostile = problems.iter().filter(|problem| problem.is_hostile()).count();
    assert_eq!(hostile, 4, "{problems:#?}");
    assert!(problems.contains(&WheelProblem::Missing("RECORD".into())));
    assert!(problems.contains(&WheelProblem::Missing("WHEEL".into())));
    for problem in problems {
        assert!(!problem.to_string().is_empty() && !problem.id().is_empty());
    }
}

#[test]
fn what_is_no_wheel() {
    let archive = |bytes: &[u8]| matches!(check(NAME, bytes), Err(Error::Archive { .. }));
    assert!(archive(b""));
    assert!(archive(b"<html>"));
    assert!(archive(&zip_of(&[("six.py", 0, b"")])));
    assert!(archive(&zip_of(&[("a-1.dist-info/METADATA", 0, b""), ("b-1.dist-info/METADATA", 0, b"")])));
    assert!(archive(&wheel_of("six", "1.0", &[("bomb", &vec![0; 2 << 20])])));
    assert!(matches!(check("six.whl", b""), Err(Error::Filename(_))));
    assert!(matches!(check("six-1.0.tar.gz", b""), Err(Error::Filename(_))));
}

#[test]
fn csv_lines() {
    assert_eq!(csv_line("a,b,c"), ["a", "b", "c"]);
    assert_eq!(csv_line("\"a,\"\"b\",,"), ["a,\"b", "", ""]);
}
