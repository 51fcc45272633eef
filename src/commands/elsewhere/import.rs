//! `wheeltapper import results.tar`: what a machine elsewhere made of exported jobs joins the results here.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use wheeltapper_coordinator::elsewhere::import as checked;
use wheeltapper_core::{Outcome, Sha256};
use wheeltapper_store::Store;

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// The largest log that is taken, in bytes: what a phase may print at most, and what we add to it.
const LARGEST_LOG: u64 = 1 << 30;

/// Checks an archive of results, and stores what is in it.
pub fn import(paths: &Paths, archive: &Path) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let work = wheeltapper_agent::Work::open(&paths.runtime().join("imports"))?;
    let now = Timestamp::now();
    let run = format!("{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), std::process::id());
    let exported = |digest: &Sha256| {
        let document = std::fs::read(paths.exports().join(format!("{}.json", digest.hex()))).ok()?;
        serde_json::from_slice(&document).ok()
    };
    let imported = checked(archive, &work.join("results"), &run, LARGEST_LOG, exported)?;
    let store = runtime.block_on(Store::open(&paths.data))?;
    let command: Vec<String> = std::env::args().collect();
    runtime.block_on(store.begin_run(&run, &now.to_string(), &command))?;
    let mut counts = BTreeMap::new();
    for one in &imported {
        let (evidence, outcome) = (&one.record.evidence, one.record.verdict.outcome);
        let shown = format!("{} {} · {}", evidence.project, evidence.version, evidence.environment.name);
        if outcome == Outcome::FarmError {
            // The agent's own failure says nothing of the package; the cell waits for another try.
            let why = evidence.farm_error.as_deref().unwrap_or_default();
            view::remark(&format!("not taken: {shown}: {}", wheeltapper_render::visible(why)));
            continue;
        }
        runtime.block_on(store.record(&one.record, &one.logs))?;
        *counts.entry(outcome).or_insert(0) += 1;
        view::remark(&format!("{} {outcome} · {shown} · {}", outcome.sign(), evidence.artifact));
    }
    runtime.block_on(store.end_run(&run, &Timestamp::now().to_string(), &counts))?;
    runtime.block_on(store.close());
    Ok(Exit::Success)
}
