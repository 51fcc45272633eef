//! `wheeltapper gc`: frees what policy no longer keeps.

use std::{
    path::Path,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use wheeltapper_agent::{LAYERS_LIMIT, Layers};
use wheeltapper_render::bytes;

use crate::{
    args::GcArguments,
    commands::{cycle, show::blocking, status::size_of},
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Frees, or says what it would free.
pub fn gc(paths: &Paths, arguments: &GcArguments) -> Result<Exit, Failure> {
    // A cycle that runs may be about to use what is removed.
    let _nobody = cycle::lock(&paths.data, false)?;
    let really = !arguments.dry_run;
    let word = if really { "freed" } else { "would free" };
    let age = arguments.keep.0;
    let before = Timestamp::now() - jiff::SignedDuration::try_from(age).unwrap_or(jiff::SignedDuration::MAX);
    let freed = blocking(paths, async |store| Ok(store.forget_logs(&before.to_string(), really).await?))?;
    view::remark(&format!("{word} {} logs of superseded results, {}", freed.logs, bytes(freed.bytes)));
    let pages = remove_old(&paths.data.join("pages"), age, really);
    view::remark(&format!("{word} {} of answers of the index", bytes(pages)));
    let limit = if arguments.layers { 0 } else { LAYERS_LIMIT };
    let folder = paths.data.join("layers");
    let layers = if really {
        Layers::open(&folder, limit)
            .and_then(|layers| layers.evict(limit))
            .map_err(|error| Failure::new(Exit::Farm, error.to_string()))?
    } else {
        size_of(&folder).saturating_sub(limit)
    };
    view::remark(&format!("{word} {} of layers; they are made again when wanted", bytes(layers)));
    Ok(Exit::Success)
}

/// Removes files below a folder that nobody has written for so long; how many bytes.
fn remove_old(folder: &Path, age: Duration, really: bool) -> u64 {
    let now = SystemTime::now();
    let mut freed = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() {
            freed += remove_old(&entry.path(), age, really);
            continue;
        }
        // A file from the future, by a clock that was set back, is young.
        let old = found
            .modified()
            .ok()
            .and_then(|time| now.duration_since(time).ok())
            .is_some_and(|since| since > age);
        if old && (!really || std::fs::remove_file(entry.path()).is_ok()) {
            freed += found.len();
        }
    }
    freed
}
