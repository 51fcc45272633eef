//! From a definition to an image: its root file system is made, looked at, and its interpreters are asked inside.

use std::time::Instant;

use jiff::Timestamp;
use wheeltapper_index::Surroundings;
use wheeltapper_sandbox::{Host, Root};

use crate::{
    archive, debian,
    definition::{Definition, Source},
    emscripten,
    error::Error,
    images::{Building, Built, Images},
    inside::{Runner, ask_all, candidates},
    machine::Machine,
    manifest::{digest, manifest},
    oci::Pull,
    tree::Tree,
};

/// What is told of a root file system without a compiler.
const NO_COMPILER: &str = "no C compiler: releases with extension modules cannot be built";

/// A root file system that is there, and was not looked at from inside yet.
#[derive(Debug)]
pub struct Unpacked {
    tree: Tree,
    /// What its programs are for; none where it is an interpreter on this machine's own system.
    machine: Option<Machine>,
    /// What its definition led to, where that may be another thing tomorrow.
    pinned: Option<String>,
    since: Instant,
}

/// Makes the root file system of a definition. Nothing of it is run, but what Debian's own packages run as they are
/// installed. The process must not have entered the sandbox yet: mmdebstrap wants the user's own powers. `surroundings` say
/// where the user keeps credentials for registries.
///
/// # Errors
/// When it cannot be had, or is no root file system that runs here.
pub fn unpack(
    definition: &Definition,
    building: &Building,
    surroundings: &Surroundings,
) -> Result<Unpacked, Error> {
    let since = Instant::now();
    let root = building.root();
    let mut pinned = None;
    let tree = match &definition.source {
        Source::Debian { suite, mirror, architecture } => {
            let log = building.folder().join("log");
            debian::unpack(definition, suite, mirror.as_deref(), *architecture, &root, &log)?
        }
        Source::Tarball { path } => {
            let mut tree = Tree::new(&root)?;
            archive::unpack(path, &path.display().to_string(), &mut tree)?;
            tree
        }
        Source::Image { image, architecture, plain_http } => {
            let pull = Pull {
                image,
                architecture: *architecture,
                plain: *plain_http,
                surroundings,
                files: building.files()?,
                scratch: building.folder().join("image-archive"),
            };
            let mut tree = Tree::new(&root)?;
            pinned = Some(pull.unpack(&mut tree)?);
            tree
        }
        Source::Emscripten => {
            let mut tree = Tree::new(&root)?;
            pinned = Some(emscripten::unpack(&mut tree, &building.folder().join("npm"))?);
            return Ok(Unpacked { tree, machine: None, pinned, since });
        }
        Source::Host { .. } => return Err(cannot(definition, "it is this machine itself: nothing is built")),
        Source::Elsewhere { system } => {
            return Err(cannot(
                definition,
                &format!("{system} does not run here: its cells want an agent elsewhere"),
            ));
        }
    };
    let machine = Some(look(&tree)?);
    Ok(Unpacked { tree, machine, pinned, since })
}

fn cannot(definition: &Definition, why: &str) -> Error {
    Error::Tool { message: format!("{} cannot be built: {why}", definition.name), hint: None }
}

/// For which machine a root file system is; its shell must run here.
fn look(tree: &Tree) -> Result<Machine, Error> {
    let Some(shell) = tree.find_file("bin/sh") else {
        return Err(Error::Tool {
            message: "it has no /bin/sh, without which no build or test runs".to_owned(),
            hint: Some("a root file system holds /bin, /usr and /etc at its top".to_owned()),
        });
    };
    let Some(machine) = Machine::read(&tree.beginning(&shell)?) else {
        return Err(Error::Tool { message: "its /bin/sh is no program".to_owned(), hint: None });
    };
    if !machine.runs_here() {
        return Err(Error::Tool {
            message: format!("it is for {}, and this machine is {}", machine.name, std::env::consts::ARCH),
            hint: Some("take it for this machine, or build it on one of its own".to_owned()),
        });
    }
    Ok(machine)
}

/// Looks at a root file system from inside, and makes it stand for its platform.
///
/// # Errors
/// When the sandbox cannot be had, no interpreter is in there, or the image cannot be put in its place.
pub fn finish(
    host: &Host,
    images: &Images,
    definition: &Definition,
    building: Building,
    unpacked: Unpacked,
) -> Result<Built, Error> {
    let Unpacked { tree, machine, pinned, since } = unpacked;
    let on_host = machine.is_none();
    let narrow = machine.is_some_and(|machine| machine.narrow && cfg!(target_pointer_width = "64"));
    let root = Root { path: building.root(), narrow };
    let interpreters = match on_host {
        true => vec![emscripten::ask(&root.path)],
        false => {
            let runner = Runner { host, root: root.clone(), folder: building.folder().to_path_buf() };
            ask_all(&runner, &candidates(&tree, &definition.interpreters)?)?
        }
    };
    if !interpreters.iter().any(|inside| inside.answer.is_ok()) {
        let said = interpreters.iter().filter_map(|inside| inside.answer.as_ref().err());
        let said: Vec<&str> = said.map(String::as_str).collect();
        let said = if said.is_empty() { "none is in its usual places".to_owned() } else { said.join("; ") };
        return Err(Error::Tool {
            message: format!("no usable interpreter is in it: {said}"),
            hint: Some("`interpreters` names them by path".to_owned()),
        });
    }
    let mut remarks = Vec::new();
    if on_host {
        remarks.push(emscripten::NO_COMPILER.to_owned());
    } else if ["usr/bin/cc", "usr/bin/gcc", "usr/local/bin/gcc"]
        .iter()
        .all(|path| tree.find_file(path).is_none())
    {
        remarks.push(NO_COMPILER.to_owned());
    }
    let os_release = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|path| tree.find_file(path));
    let os_release = os_release.map(|path| tree.beginning(&path)).transpose()?.unwrap_or_default();
    let manifest = manifest(tree.entries());
    let built = Built {
        name: definition.name.clone(),
        definition: definition.digest(),
        pinned,
        contents: digest(&manifest),
        at: Timestamp::now().to_string(),
        seconds: since.elapsed().as_secs(),
        bytes: tree.bytes(),
        os_release: String::from_utf8_lossy(&os_release).into_owned(),
        narrow: root.narrow,
        on_host,
        interpreters,
        remarks,
    };
    images.finish(building, &built, &manifest)?;
    Ok(built)
}
