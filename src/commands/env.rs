//! `wheeltapper env list`.

use std::io::Write as _;

use wheeltapper_agent::{
    environment::{Platform, environments},
    interpreter,
};
use wheeltapper_core::environment::Containment;

use crate::{
    args::EnvCommand,
    exit::{Exit, Failure},
    paths::Paths,
};

/// Lists the environments of this machine.
pub fn env(_paths: &Paths, command: &EnvCommand) -> Result<Exit, Failure> {
    match command {
        EnvCommand::List => list(),
    }
}

fn list() -> Result<Exit, Failure> {
    let found = interpreter::discover(&Paths::places(&[]));
    let named = environments(&found, &Platform::of_host(), "", &Containment::default());
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut rows = vec![["NAME", "VERSION", "FOUND", "PATH", "USABLE"].map(str::to_owned)];
    for one in &found {
        let path = one.path.display().to_string();
        rows.push(match &one.interpreter {
            Ok(python) => {
                let name = named.iter().find(|known| known.interpreter.executable == python.executable);
                let usable = match python.supported_until() {
                    Some(until) if until < today.as_str() => {
                        format!("yes, on request (support ended {until})")
                    }
                    Some(_) | None => "yes".to_owned(),
                };
                let name = name.map_or_else(String::new, |known| known.shown.name.clone());
                [
                    name,
                    format!("{} {}", python.implementation, python.version),
                    one.source.to_owned(),
                    path,
                    usable,
                ]
            }
            Err(why) => ["–".to_owned(), "–".to_owned(), one.source.to_owned(), path, format!("no: {why}")],
        });
    }
    let mut out = std::io::stdout().lock();
    let widths: Vec<usize> =
        (0..4).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)).collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths.iter().chain([&0]))
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    if found.is_empty() {
        return Err(Failure::new(Exit::Input, "no Python was found on PATH, in pyenv or in uv's folder")
            .hint(
                "install one (Debian, Ubuntu: apt-get install python3), or name one with --interpreter PATH",
            ));
    }
    Ok(Exit::Success)
}
