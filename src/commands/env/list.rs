//! `wheeltapper env list`.

use std::io::Write as _;

use wheeltapper_agent::{HostEnvironment, interpreter};
use wheeltapper_core::environment::Containment;
use wheeltapper_platforms::{Built, Definition, Images, Origin, Source};
use wheeltapper_render::bytes;

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
    platforms::Platforms,
};

/// Lists the environments, and the platforms that are built or that the user defined; `all` that are defined.
pub(super) fn list(paths: &Paths, all: bool) -> Result<Exit, Failure> {
    let platforms = Platforms::open(paths)?;
    let found = interpreter::discover(&Paths::places(&[]));
    let named = platforms.environments(&found, ["", ""], &Containment::default());
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let mut rows = vec![["NAME", "VERSION", "FOUND", "PATH", "USABLE"].map(str::to_owned)];
    rows.extend(named.iter().map(|environment| row(environment, &today)));
    let unusable = found.iter().map(|one| (one.source, &one.path, one.interpreter.as_ref().err()));
    let inside = platforms.built.iter().flat_map(|(built, _)| &built.interpreters);
    let inside = inside.map(|one| ("image", &one.path, one.answer.as_ref().err()));
    rows.extend(unusable.chain(inside).filter_map(|(source, path, why)| {
        let path = path.display().to_string();
        Some(["–".to_owned(), "–".to_owned(), source.to_owned(), path, format!("no: {}", why?)])
    }));
    print(&rows)?;
    let images = Images::open(&paths.data)?;
    let shown: Vec<[String; 6]> = platforms
        .catalogue
        .all()
        .iter()
        .map(|definition| {
            let built = platforms.built.iter().find(|(built, _)| built.name == definition.name);
            (definition, built.map(|(built, _)| built))
        })
        .filter(|(definition, built)| all || built.is_some() || definition.origin != Origin::Catalogue)
        .map(|(definition, built)| platform_row(definition, built, &images))
        .collect();
    if !shown.is_empty() {
        writeln!(std::io::stdout().lock())?;
        let head = ["PLATFORM", "MADE OF", "SIZE", "DIGEST", "LAST USE", "STATE"].map(str::to_owned);
        print(&[vec![head], shown].concat())?;
    }
    if named.is_empty() {
        return Err(Failure::new(Exit::Input, "no Python was found on PATH, in pyenv or in uv's folder").hint(
            "install one (Debian, Ubuntu: apt-get install python3), name one with --interpreter PATH, or make a \
             platform (wheeltapper env build debian13)",
        ));
    }
    Ok(Exit::Success)
}

fn row(environment: &HostEnvironment, today: &str) -> [String; 5] {
    let python = &environment.interpreter;
    let usable = match python.supported_until() {
        Some(until) if until < today => format!("yes, on request (support ended {until})"),
        Some(_) | None if !environment.is_machines_own() => "yes, on request".to_owned(),
        Some(_) | None => "yes".to_owned(),
    };
    [
        environment.shown.name.clone(),
        format!("{} {}", python.implementation, python.version),
        environment.source.to_owned(),
        python.executable.display().to_string(),
        usable,
    ]
}

fn platform_row(definition: &Definition, built: Option<&Built>, images: &Images) -> [String; 6] {
    let untried = match (&definition.tried, &definition.origin) {
        (None, Origin::Catalogue) => ", never tried",
        (Some(_), Origin::Catalogue) | (_, Origin::File(..)) => "",
    };
    let state = match (&definition.source, built) {
        (Source::Host { .. }, _) => "this machine's".to_owned(),
        (Source::Elsewhere { .. }, _) => format!("runs elsewhere{untried}"),
        (_, None) => format!("not built{untried}"),
        (_, Some(built)) if built.definition != definition.digest() => {
            "built of an older definition".to_owned()
        }
        (_, Some(built)) if built.remarks.is_empty() => "ok".to_owned(),
        (_, Some(built)) => format!("weak: {}", built.remarks.join("; ")),
    };
    let day = |time: jiff::Timestamp| time.strftime("%Y-%m-%d").to_string();
    [
        definition.name.clone(),
        definition.source.to_string(),
        built.map_or_else(String::new, |built| bytes(built.bytes)),
        built.map_or_else(String::new, |built| built.contents.short()),
        built.and_then(|built| images.last_use(built)).map_or_else(String::new, day),
        state,
    ]
}

fn print<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width)).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
