//! Every fixture package, compared with what it must come out as.

use std::collections::BTreeMap;

use wheeltapper_testkit::{Fixture, expected::ExpectedLimits, skip};

use crate::support::{Lab, has_program, lab};

/// As many bytes of disk stand for one file as in the program's own limits.
const BYTES_OF_INODE: u64 = (2 << 30) / 400_000;

#[test]
fn every_fixture_comes_out_as_expected() {
    let lab = lab!();
    let fixtures = Fixture::all().expect("the fixtures can be read");
    let (wanted, lacking): (Vec<_>, Vec<_>) =
        fixtures.into_iter().partition(|one| one.expected.needs.iter().all(|program| has_program(program)));
    for fixture in lacking {
        let test = format!("fixtures::{}", fixture.behaviour);
        skip::record(&test, &format!("it needs {}", fixture.expected.needs.join(" and ")));
    }
    let wrong = differences(&lab, &wanted);
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs these fixtures, those of the same limits in one run, and tells how they differ from what is expected.
pub fn differences(lab: &Lab, fixtures: &[Fixture]) -> Vec<String> {
    let mut groups: BTreeMap<Vec<String>, Vec<&Fixture>> = BTreeMap::new();
    for fixture in fixtures {
        groups.entry(fixture.expected.limits.map(arguments).unwrap_or_default()).or_default().push(fixture);
    }
    let mut wrong = Vec::new();
    for (limits, fixtures) in groups {
        // What waits for a limit costs no CPU: more cells at a time than there are cores.
        let mut words = vec!["--jobs", "4"];
        words.extend(limits.iter().map(String::as_str));
        words.extend(fixtures.iter().map(|fixture| fixture.target()));
        let run = lab.run(&words);
        if run.code != 0 {
            wrong.push(format!("exit code {} of {words:?}:\n{}", run.code, run.stderr));
        }
        for fixture in fixtures {
            let expected = &fixture.expected;
            let record = run.records.iter().find(|record| {
                record["project"] == fixture.metadata.name && record["artifact"] == expected.artifact.as_str()
            });
            let found = match record {
                Some(record) => expected.differences(record),
                None => vec!["no record".to_owned()],
            };
            wrong.extend(found.into_iter().map(|text| format!("{}: {text}", fixture.behaviour)));
            for path in expected.absent.iter().map(|path| at_home(lab, path)) {
                if std::fs::symlink_metadata(&path).is_ok() {
                    wrong.push(format!("{}: it wrote {path} on this machine", fixture.behaviour));
                }
            }
        }
    }
    wrong
}

/// A path of the host; `~/` is the home folder.
fn at_home(lab: &Lab, path: &str) -> String {
    match path.strip_prefix("~/") {
        Some(rest) => format!("{}/{rest}", lab.home.display()),
        None => path.to_owned(),
    }
}

/// A fixture's limits on the command line.
fn arguments(limits: ExpectedLimits) -> Vec<String> {
    let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
    let disk = limits.disk_bytes.or(limits.inodes.map(|inodes| inodes * BYTES_OF_INODE));
    let options = [
        ("--limit-build", limits.wall_s),
        ("--limit-test", limits.wall_s),
        ("--limit-step", limits.wall_s),
        ("--limit-inactivity", limits.inactivity_s),
        ("--limit-memory", limits.memory_bytes.map(mebibytes)),
        ("--limit-disk", disk.map(mebibytes)),
        ("--limit-output", limits.output_bytes.map(mebibytes)),
        ("--limit-processes", limits.processes),
    ];
    let given = options.into_iter().filter_map(|(option, value)| Some((option, value?)));
    given.flat_map(|(option, value)| [option.to_owned(), value.to_string()]).collect()
}
