//! `wheeltapper env show` and `wheeltapper env provides`.

use std::io::Write as _;

use wheeltapper_platforms::{Difference, Images, Origin, differences};
use wheeltapper_render::bytes;

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
    platforms::Platforms,
    view,
};

/// Most differences that are printed.
const MOST: usize = 200;

/// Shows what a platform is made of, and what was built of it; or in what it differs from another.
pub(super) fn show(paths: &Paths, name: &str, other: Option<&str>) -> Result<Exit, Failure> {
    let platforms = Platforms::open(paths)?;
    let definition = platforms.catalogue.find(name)?;
    let images = Images::open(&paths.data)?;
    if let Some(other) = other {
        let first = manifest(&platforms, &images, &definition.name)?;
        let second = match std::path::Path::new(other).is_file() {
            true => std::fs::read_to_string(other)?,
            false => manifest(&platforms, &images, &platforms.catalogue.find(other)?.name)?,
        };
        return diff(&first, &second);
    }
    let mut out = std::io::stdout().lock();
    let origin = match &definition.origin {
        Origin::Catalogue => "ships with the program".to_owned(),
        Origin::File(file, line) => format!("{file}, line {line}"),
    };
    let mut line = |name: &str, value: &str| match value {
        "" => Ok(()),
        value => writeln!(out, "{name:<13} {value}"),
    };
    line("platform", &definition.name)?;
    line("defined", &origin)?;
    line("made of", &definition.source.to_string())?;
    line("interpreters", &definition.interpreters.join(", "))?;
    line("packages", &definition.packages.join(", "))?;
    if matches!(definition.origin, Origin::Catalogue) {
        line("last tried", definition.tried.as_deref().unwrap_or("never"))?;
    }
    let Some((built, _)) = platforms.built.iter().find(|(built, _)| built.name == definition.name) else {
        line("built", "no")?;
        return Ok(Exit::Success);
    };
    line("built", &format!("{}, in {} s", built.at, built.seconds))?;
    line("size", &bytes(built.bytes))?;
    line("image", built.pinned.as_deref().unwrap_or(""))?;
    line("digest", &built.contents.to_string())?;
    line("manifest", &images.manifest(built).display().to_string())?;
    for inside in &built.interpreters {
        let path = inside.path.display();
        line(
            "interpreter",
            &match &inside.answer {
                Ok(python) => format!("{}-{}  {path}  {}", built.name, python.tag(), python.version),
                Err(why) => format!("{path}  no: {why}"),
            },
        )?;
    }
    for remark in &built.remarks {
        line("weak", remark)?;
    }
    if built.definition != definition.digest() {
        line("note", "it was built of an older definition; `wheeltapper env build` makes it anew")?;
    }
    Ok(Exit::Success)
}

/// Names the packages that have a file, and the line that adds the likeliest.
pub(super) fn provides(paths: &Paths, name: &str, file: &str) -> Result<Exit, Failure> {
    let catalogue = wheeltapper_platforms::Catalogue::read(&paths.definitions)?;
    let definition = catalogue.find(name)?;
    let found = wheeltapper_platforms::providers(&paths.data, definition, file)?;
    let mut out = std::io::stdout().lock();
    for provider in found.iter().take(MOST) {
        writeln!(out, "{:<30} {}", provider.package, provider.path)?;
    }
    match found.first() {
        Some(provider) => {
            let (name, package) = (&definition.name, &provider.package);
            view::remark(&format!("`wheeltapper env add {name} --package {package}` adds the first"));
            Ok(Exit::Success)
        }
        None => Err(Failure::new(Exit::Input, format!("no package of {} has {file}", definition.source))),
    }
}

fn manifest(platforms: &Platforms, images: &Images, name: &str) -> Result<String, Failure> {
    let Some((built, _)) = platforms.built.iter().find(|(built, _)| built.name == name) else {
        let hint = format!("`wheeltapper env build {name}` builds it");
        return Err(Failure::new(Exit::Input, format!("{name} is not built")).hint(hint));
    };
    Ok(std::fs::read_to_string(images.manifest(built))?)
}

fn diff(first: &str, second: &str) -> Result<Exit, Failure> {
    let mut out = std::io::stdout().lock();
    let found = differences(first, second);
    for difference in found.iter().take(MOST) {
        match difference {
            Difference::Gone(path) => writeln!(out, "- {path}")?,
            Difference::New(path) => writeln!(out, "+ {path}")?,
            Difference::Changed(path) => writeln!(out, "~ {path}")?,
        }
    }
    match found.len() {
        0 => writeln!(out, "no difference that a cell could see")?,
        count if count > MOST => writeln!(out, "… and {} more", count - MOST)?,
        _ => {}
    }
    Ok(Exit::Success)
}
