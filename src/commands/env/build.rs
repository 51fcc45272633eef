//! `wheeltapper env build` and `wheeltapper env check`.

use std::io::Write as _;

use wheeltapper_index::Surroundings;
use wheeltapper_platforms::{Building, Built, Definition, Images, Unpacked, finish, unpack};
use wheeltapper_render::bytes;
use wheeltapper_sandbox::{CheckStatus, Mode};

use super::meant;
use crate::{
    args::SandboxArguments,
    commands::doctor,
    exit::{Exit, Failure},
    farm,
    paths::Paths,
    platforms::Platforms,
    view,
};

/// Makes the root file systems of platforms.
pub(super) fn build(paths: &Paths, names: &[String], again: bool) -> Result<Exit, Failure> {
    let platforms = Platforms::open(paths)?;
    let images = Images::open(&paths.data)?;
    let stale: Vec<String> = platforms.stale().map(|built| built.name.clone()).collect();
    let wanted = match (names.is_empty(), again) {
        (true, false) => stale.clone(),
        (true, true) | (false, _) => meant(&platforms, names)?,
    };
    if wanted.is_empty() {
        view::remark("nothing is to be built; `wheeltapper env list --all` shows what could be");
    }
    // Root file systems first: what makes them wants the user's own powers, which are gone in the sandbox's world.
    let surroundings = Surroundings::of_process();
    let mut made: Vec<(Definition, Building, Unpacked)> = Vec::new();
    let mut failed = None;
    for name in wanted {
        let is_built = platforms.built.iter().any(|(built, _)| built.name == name);
        if is_built && !again && !stale.contains(&name) {
            view::remark(&format!("{name} is built already; --again makes it anew"));
            continue;
        }
        let definition = platforms.catalogue.find(&name)?;
        view::remark(&format!("{name}: {}", definition.source));
        let made_of = images
            .begin(&name)
            .and_then(|building| Ok((unpack(definition, &building, &surroundings)?, building)));
        match made_of {
            Ok((unpacked, building)) => made.push((definition.clone(), building, unpacked)),
            Err(error) => told(&name, error.into(), &mut failed),
        }
    }
    // What is replaced goes with the last of those who use it.
    drop(platforms);
    if !made.is_empty() {
        let host = farm::enter(paths, &SandboxArguments { sandbox: Mode::Full })?;
        for (definition, building, unpacked) in made {
            let name = definition.name.clone();
            match finish(&host, &images, &definition, building, unpacked) {
                Ok(built) => print(&built)?,
                Err(error) => told(&name, error.into(), &mut failed),
            }
        }
    }
    failed.map_or(Ok(Exit::Success), Err)
}

/// Tells a failure, and keeps the first to end with.
fn told(name: &str, failure: Failure, first: &mut Option<Failure>) {
    let failure = Failure { message: format!("{name}: {}", failure.message), ..failure };
    match first {
        None => *first = Some(failure),
        Some(_) => view::failure(&failure),
    }
}

fn print(built: &Built) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {}, {} s", built.name, bytes(built.bytes), built.seconds)?;
    for inside in &built.interpreters {
        match &inside.answer {
            Ok(python) => writeln!(
                out,
                "  {}-{}  {} {}",
                built.name,
                python.tag(),
                python.implementation,
                python.version
            )?,
            Err(why) => writeln!(out, "  –  {}: {why}", inside.path.display())?,
        }
    }
    for remark in &built.remarks {
        writeln!(out, "  weak: {remark}")?;
    }
    Ok(())
}

/// Tries platforms.
pub(super) fn check(paths: &Paths, names: &[String]) -> Result<Exit, Failure> {
    let platforms = Platforms::open(paths)?;
    let wanted = meant(&platforms, names)?;
    if wanted.is_empty() {
        return Err(Failure::new(Exit::Input, "no platform is built").hint(
            "`wheeltapper env build debian13` builds one; `wheeltapper doctor` tries this machine itself",
        ));
    }
    let host = farm::enter(paths, &SandboxArguments { sandbox: Mode::Full })?;
    let mut refused = None;
    for name in wanted {
        let Some((built, lease)) = platforms.built.iter().find(|(built, _)| built.name == name) else {
            let hint = format!("`wheeltapper env build {name}` builds it");
            return Err(Failure::new(Exit::Input, format!("{name} is not built")).hint(hint));
        };
        writeln!(std::io::stdout().lock(), "{name}")?;
        for check in wheeltapper_platforms::check(&host, built, lease, &paths.runtime())? {
            doctor::print(&check)?;
            if check.status == CheckStatus::Refused {
                refused = Some(name.clone());
            }
        }
    }
    match refused {
        None => Ok(Exit::Success),
        Some(name) => Err(Failure::new(Exit::Input, format!("{name} cannot be used as it is"))
            .hint("the lines above say why; a platform without what is missing can be defined anew")),
    }
}
