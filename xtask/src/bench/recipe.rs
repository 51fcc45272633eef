//! `cargo xtask bench --recipe`: what working out a plan costs, on trees of ordinary and of large size that are written for it,
//! and on whatever unpacked sdists are named. The program that measures is `crates/recipe/examples/timings.rs`.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use super::output;

/// The most milliseconds that are aimed at: for ordinary sdists, and for those of more than [`LARGE`] files.
const AIMS: (f64, f64) = (20.0, 200.0);
/// How many files make a tree a large one.
const LARGE: usize = 2_000;

/// Measures, and prints a table.
pub fn run(named: &[PathBuf]) -> ExitCode {
    match measured(named) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn measured(named: &[PathBuf]) -> Result<bool, String> {
    let folder = crate::workspace().join("target/bench-recipe");
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    let trees = [("ordinary-1", 30, 20), ("large-1", 18_000, 2_000)].map(|(name, modules, tests)| {
        let root = folder.join(name);
        write(&root, modules, tests).map(|()| root)
    });
    let mut roots = trees.into_iter().collect::<io::Result<Vec<_>>>().map_err(failed)?;
    roots.extend(named.iter().cloned());
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "wheeltapper-recipe",
        "--example",
        "timings",
        "--",
    ]);
    let text = output(command.args(&roots))?;
    println!("{:<40} {:>8} {:>8} {:>10} {:>8}", "sdist", "files", "tests", "ms", "aim");
    let mut all_met = true;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let [name, files, tests, took] = cells[..] else { return Err(format!("not a row: {line}")) };
        let number = |text: &str| text.parse::<f64>().map_err(|_| format!("not a number: {text}"));
        let aim = if number(files)? > LARGE as f64 { AIMS.1 } else { AIMS.0 };
        let met = number(took)? <= aim;
        all_met &= met;
        let mark = if met { "met" } else { "missed" };
        println!("{name:<40} {files:>8} {tests:>8} {took:>10} {aim:>4} {mark}");
    }
    Ok(all_met)
}

/// A tree with so many modules and test files, configured as many are.
fn write(root: &Path, modules: usize, tests: usize) -> io::Result<()> {
    if root.is_dir() {
        return Ok(());
    }
    let put = |path: String, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, text)
    };
    put(
        "pyproject.toml".into(),
        "[tool.pytest.ini_options]\naddopts = '-ra'\n[dependency-groups]\ntest = ['pytest']\n",
    )?;
    put("tox.ini".into(), "[testenv]\ndeps = pytest\ncommands = pytest {posargs}\n")?;
    for number in 0..modules {
        put(format!("src/pack/part{}/module{number}.py", number % 50), "VALUE = 1\n")?;
    }
    let mut text = String::from("import json\nimport pytest\nfrom pack import part\n\n");
    for number in 0..25 {
        let _ = write!(
            text,
            "@pytest.mark.parametrize('value', [1, 2, 3])\ndef test_{number}(value, tmp_path):\n    path = tmp_path / 'a'\n    \
             path.write_text(json.dumps({{'a': value, 'b': [value, {number}]}}))\n    assert json.loads(path.read_text())['a'] == value\n\n"
        );
    }
    (0..tests).try_for_each(|number| put(format!("tests/d{}/test_{number}.py", number % 20), &text))
}
