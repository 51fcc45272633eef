//! `cargo xtask bench --verdicts`: the cells of a sample that an expert judged by hand, run and compared phase by phase.
//! The sample's facts are in `tests/verdicts/sample.csv`; what is right is decided there, not here.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use super::output;

/// What the command line says beside `--verdicts`.
pub struct Verdicts {
    /// The sample.
    pub sample: PathBuf,
    /// Where the runs keep their data.
    pub data: Option<PathBuf>,
    /// Cells at a time.
    pub jobs: usize,
    /// Projects to which the sample is narrowed down; all when empty.
    pub only: Vec<String>,
    /// Stored results are good enough.
    pub reuse: bool,
}

impl Default for Verdicts {
    fn default() -> Self {
        Verdicts {
            sample: crate::workspace().join("tests/verdicts/sample.csv"),
            data: None,
            jobs: 1,
            only: Vec::new(),
            reuse: false,
        }
    }
}

impl Verdicts {
    /// Reads one argument behind `--verdicts`; the error is a sentence.
    pub fn read(&mut self, argument: &str, more: &mut impl Iterator<Item = String>) -> Result<(), String> {
        let mut value = |what: &str| more.next().ok_or_else(|| format!("{argument} needs {what}"));
        match argument {
            "--sample" => self.sample = value("a file")?.into(),
            "--data" => self.data = Some(value("a folder")?.into()),
            "--jobs" => self.jobs = value("a number")?.parse().map_err(|_| "--jobs needs a number")?,
            "--only" => self.only.push(value("a project")?),
            "--reuse" => self.reuse = true,
            other => return Err(format!("bench --verdicts does not know `{other}`")),
        }
        Ok(())
    }
}

/// The shares that are aimed at, as (what, of a hundred).
const AIMS: [(&str, usize); 5] =
    [("phases", 100), ("counts", 90), ("imports", 100), ("leftovers", 100), ("cause", 100)];

/// Columns of a sample that are compared phase by phase.
const PHASES: [&str; 5] = ["build", "install", "import", "test", "uninstall"];
const COUNTS: [&str; 4] = ["passed", "failed", "errors", "skipped"];

/// One line of a sample or of the program's answer: fields by column.
type Row = BTreeMap<String, String>;

/// Identifies a cell: project, version, Python.
type Key = [String; 3];

/// Turns JSON records into lines of `column=value` fields: the standard library reads no JSON, and there is a Python.
const FIELDS: &str = r#"
import json, sys
for line in sys.stdin:
    r = json.loads(line)
    tests, cause = r["tests"] or {}, r["cause"] or {}
    row = {"project": r["project"], "version": r["version"], "python": r["environment"]["python"],
           "outcome": r["outcome"], "reason": r["reason"] or "", "cause": cause.get("id", ""),
           "blame": cause.get("blame", ""), "leftovers": len(r["leftovers"]),
           "modules": " ".join(i["module"] for i in r["imports"] if i["decides"] and i["status"] == "passed"),
           "broken": " ".join(i["module"] for i in r["imports"] if i["decides"] and i["status"] == "failed")}
    row.update((name, report["status"]) for name, report in r["phases"].items())
    row.update((name, tests.get(name, "")) for name in ("passed", "failed", "errors", "skipped"))
    print("\t".join("%s=%s" % item for item in row.items()))
"#;

/// Runs the sample's cells and prints the comparison; fails where an aim is missed.
pub fn run(options: &Verdicts) -> ExitCode {
    match compare(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("error: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Verdicts) -> Result<bool, String> {
    let text = std::fs::read_to_string(&options.sample)
        .map_err(|error| format!("{}: {error}", options.sample.display()))?;
    let sample: Vec<Row> = rows(&text)?
        .into_iter()
        .filter(|row| options.only.is_empty() || options.only.contains(&row["project"]))
        .collect();
    println!("building");
    output(&mut crate::command::cargo(&["build", "--bin", "wheeltapper"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::workspace().join("target"), PathBuf::from);
    let program = target.join("debug/wheeltapper");
    let data = options.data.clone().unwrap_or_else(|| target.join("bench/data"));
    let mut pythons: Vec<&str> = sample.iter().map(|row| row["python"].as_str()).collect();
    // The newest first: what passes there tells of what fails on an older one.
    pythons.sort_by_key(|python| {
        std::cmp::Reverse(python.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>())
    });
    pythons.dedup();
    let mut answers: BTreeMap<Key, Row> = BTreeMap::new();
    let mut missing: BTreeMap<&str, String> = BTreeMap::new();
    for python in pythons {
        println!("running on Python {python}");
        let targets = sample.iter().filter(|row| row["python"] == python);
        let targets: Vec<String> =
            targets.map(|row| format!("{}=={}", row["project"], row["version"])).collect();
        match answered(&program, &data, options, python, &targets) {
            Ok(rows) => answers.extend(rows.into_iter().map(|row| (key(&row), row))),
            Err(wrong) => {
                let first = wrong.lines().find(|line| line.contains("rror")).unwrap_or(&wrong).to_owned();
                missing.insert(python, format!("Python {python}: {first}"));
            }
        }
    }
    let (table, met) = table(&sample, &answers, &missing);
    println!("\n{table}");
    Ok(met)
}

/// The program's answers about these targets on one Python.
fn answered(
    program: &Path,
    data: &Path,
    options: &Verdicts,
    python: &str,
    targets: &[String],
) -> Result<Vec<Row>, String> {
    let mut command = Command::new(program);
    command.arg("--data").arg(data).arg("run").args(targets);
    command.args(["--from", "sdist", "--format", "json", "--python", python]);
    command.arg("--jobs").arg(options.jobs.to_string());
    if !options.reuse {
        command.arg("--fresh");
    }
    // Packages that fail make an exit status of their own; the records say more.
    let ended = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    if ended.stdout.is_empty() {
        return Err(String::from_utf8_lossy(&ended.stderr).into_owned());
    }
    let folder = tempfile(data)?;
    std::fs::write(&folder, &ended.stdout).map_err(|error| format!("{}: {error}", folder.display()))?;
    let file = std::fs::File::open(&folder).map_err(|error| error.to_string())?;
    let lines = Command::new("python3")
        .args(["-c", FIELDS])
        .stdin(file)
        .output()
        .map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(&folder);
    let fields = |line: &str| -> Row {
        let pairs = line.split('\t').filter_map(|field| field.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    Ok(String::from_utf8_lossy(&lines.stdout).lines().map(fields).collect())
}

fn tempfile(data: &Path) -> Result<PathBuf, String> {
    std::fs::create_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    Ok(data.join(format!("verdicts-{}.json", std::process::id())))
}

/// The lines of a CSV file without quotes, by the names of its first line.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().ok_or("the sample is empty")?.split(',').collect();
    let row = |(number, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != columns.len() {
            return Err(format!("line {}: {} fields, not {}", number + 2, fields.len(), columns.len()));
        }
        let pairs = columns.iter().zip(fields);
        Ok(pairs.map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect())
    };
    lines.enumerate().filter(|(_, line)| !line.is_empty()).map(row).collect()
}

fn key(row: &Row) -> Key {
    ["project", "version", "python"].map(|name| row.get(name).cloned().unwrap_or_default())
}

/// What differs between a line of the sample and the answer, by what is compared; nothing is said of what agrees.
/// The flag tells whether there was anything to compare.
fn differences(expected: &Row, answer: &Row) -> [(bool, Vec<String>); AIMS.len()] {
    let get = |row: &Row, name: &str| row.get(name).cloned().unwrap_or_default();
    let differ = |name: &str| {
        let (theirs, ours) = (get(expected, name), get(answer, name));
        (!theirs.is_empty() && theirs != ours).then(|| format!("{name} {theirs}, here {}", or_none(&ours)))
    };
    let phases = ["outcome", "reason"].iter().chain(&PHASES).filter_map(|name| differ(name)).collect();

    let counted = COUNTS.iter().any(|name| !get(expected, name).is_empty());
    let near = |name: &&str| {
        let (theirs, ours) = (get(expected, name), get(answer, name));
        let (wanted, found) = (theirs.parse::<f64>().ok()?, ours.parse::<f64>().unwrap_or(-1.0));
        ((wanted - found).abs() > wanted / 100.0).then(|| format!("{theirs} {name}, here {}", or_none(&ours)))
    };
    let counts = COUNTS.iter().filter_map(near).collect();

    let words = |text: String| text.split(' ').filter(|one| !one.is_empty()).map(str::to_owned).collect();
    let (theirs, ours): (Vec<String>, Vec<String>) =
        (words(get(expected, "modules")), words(get(answer, "modules")));
    let mut imports: Vec<String> = theirs
        .iter()
        .filter(|module| !ours.contains(module))
        .map(|module| format!("{module} is not imported here"))
        .collect();
    if !theirs.is_empty() {
        imports.extend(words(get(answer, "broken")).iter().map(|one: &String| format!("{one} fails here")));
        let top = |module: &String| module.split('.').next().map(str::to_owned);
        let known: Vec<_> = theirs.iter().map(top).collect();
        imports.extend(
            ours.iter().filter(|one| !known.contains(&top(one))).map(|one| format!("{one} only here")),
        );
    }

    let leftovers = differ("leftovers").into_iter().collect();

    let judged = !get(expected, "cause").is_empty();
    let cause = ["cause", "blame"]
        .iter()
        .filter(|name| {
            judged && !words(get(expected, name)).iter().any(|one: &String| *one == get(answer, name))
        })
        .map(|name| format!("{name} {}, here {}", get(expected, name), or_none(&get(answer, name))))
        .collect();
    [
        (true, phases),
        (counted, counts),
        (!theirs.is_empty(), imports),
        (!get(expected, "leftovers").is_empty(), leftovers),
        (judged, cause),
    ]
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "nothing" } else { text }
}

/// The table that is printed, and whether all aims are met.
fn table(sample: &[Row], answers: &BTreeMap<Key, Row>, missing: &BTreeMap<&str, String>) -> (String, bool) {
    let mut text = String::new();
    let (mut right, mut all, mut lost) = ([0; AIMS.len()], [0; AIMS.len()], 0);
    for expected in sample {
        let [project, version, python] = key(expected);
        if missing.contains_key(python.as_str()) {
            continue;
        }
        let _ = write!(text, "{:<34} {python:<8} ", format!("{project} {version}"));
        let Some(answer) = answers.get(&key(expected)) else {
            let _ = writeln!(text, "no answer");
            lost += 1;
            continue;
        };
        let compared = differences(expected, answer);
        let mut said = Vec::new();
        for (index, (any, wrong)) in compared.into_iter().enumerate() {
            all[index] += usize::from(any);
            right[index] += usize::from(any && wrong.is_empty());
            said.extend(wrong);
        }
        let mark = if said.is_empty() { "=".to_owned() } else { format!("≠ {}", said.join("; ")) };
        let _ = writeln!(text, "{:<13} {mark}", answer.get("outcome").map_or("", String::as_str));
    }
    let _ = writeln!(text);
    let mut met = lost == 0;
    for (index, (what, aim)) in AIMS.iter().enumerate() {
        let (right, all) = (right[index], all[index]);
        let enough = right * 100 >= aim * all;
        met &= enough;
        let verdict = if enough { "met" } else { "missed" };
        let _ = writeln!(text, "{what:<10} {right:>3} of {all:<3} equal   aim {aim} %: {verdict}");
    }
    for why in missing.values() {
        let _ = writeln!(text, "not compared: {why}");
    }
    (text, met)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fields: &[(&str, &str)]) -> Row {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_shipped_sample_can_be_read() {
        let text = std::fs::read_to_string(Verdicts::default().sample).unwrap();
        let sample = rows(&text).unwrap();
        let projects: std::collections::BTreeSet<_> = sample.iter().map(|row| &row["project"]).collect();
        assert_eq!((sample.len(), projects.len()), (48, 20));
    }

    #[test]
    fn one_in_a_hundred_is_near_enough_and_one_of_three_is_not() {
        let expected = row(&[("outcome", "test-failed"), ("passed", "200"), ("failed", "3")]);
        let near = row(&[("outcome", "test-failed"), ("passed", "198"), ("failed", "3")]);
        assert!(differences(&expected, &near).iter().all(|(_, wrong)| wrong.is_empty()));
        let far = row(&[("outcome", "passed"), ("passed", "200"), ("failed", "2")]);
        let [(_, phases), (_, counts), ..] = differences(&expected, &far);
        assert_eq!(phases, ["outcome test-failed, here passed"]);
        assert_eq!(counts, ["3 failed, here 2"]);
    }

    #[test]
    fn several_causes_may_be_right() {
        let expected = row(&[("cause", "a b"), ("blame", "package")]);
        let [.., (judged, wrong)] = differences(&expected, &row(&[("cause", "b"), ("blame", "package")]));
        assert!(judged && wrong.is_empty());
    }
}
