//! `wheeltapper report --out DIR`: the static site, written file by file.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use tokio::runtime::Runtime;
use wheeltapper_core::{Phase, Popularity, ProjectName, Record};
use wheeltapper_render::{Mode, Ranks, Report, ReportFile, ReportOptions};
use wheeltapper_store::{Filter, Store};

use crate::{
    commands::show::say_passed_over,
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Writes the report of everything stored.
pub fn report(paths: &Paths, out: &Path) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let store = runtime.block_on(Store::open(&paths.data))?;
    let written = write(&runtime, &store, out, &Popularity::shipped());
    say_passed_over(&store);
    runtime.block_on(store.close());
    view::remark(&format!("report: {}", written?.display()));
    Ok(Exit::Success)
}

/// Writes the report; returns its front page. The front page appears last, when all that it links to is there.
pub fn write(
    runtime: &Runtime,
    store: &Store,
    out: &Path,
    popularity: &Popularity,
) -> Result<PathBuf, Failure> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| Failure::new(Exit::Farm, format!("{path}: {error}"))
    };
    std::fs::create_dir_all(out).map_err(failed(out))?;
    let summaries = runtime.block_on(store.latest_summaries(&Filter::default()))?;
    let mut projects: Vec<ProjectName> = summaries.into_iter().map(|summary| summary.project).collect();
    projects.dedup();
    let ranks =
        projects.iter().filter_map(|name| Some((name.clone(), u32::try_from(popularity.rank(name)?).ok()?)));
    let mut report = rendered(Report::new(ReportOptions {
        generated: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        program: format!("wheeltapper {}", env!("CARGO_PKG_VERSION")),
        ranks: ranks.collect(),
    }))?;
    let unfinished = out.join("records.jsonl.new");
    let mut appended = std::fs::File::create(&unfinished).map_err(failed(&unfinished))?;
    for project in projects {
        let mut cells: Vec<(Record, BTreeMap<Phase, Vec<u8>>)> = Vec::new();
        for record in runtime.block_on(store.latest(&project))? {
            let logs = runtime.block_on(store.logs(&record.id))?;
            cells.push((record, logs));
        }
        if cells.is_empty() {
            continue;
        }
        for file in rendered(report.project(&cells))? {
            match file.mode {
                Mode::Whole => put(out, &file)?,
                Mode::Append => appended.write_all(&file.bytes).map_err(failed(&unfinished))?,
            }
        }
    }
    drop(appended);
    let records = out.join("records.jsonl");
    std::fs::rename(&unfinished, &records).map_err(failed(&records))?;
    for file in rendered(report.finish())? {
        put(out, &file)?;
    }
    Ok(out.join("index.html"))
}

/// Writes a file whole or not at all.
fn put(out: &Path, file: &ReportFile) -> Result<(), Failure> {
    let path = out.join(&file.path);
    let failed = |error: std::io::Error| Failure::new(Exit::Farm, format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, &file.bytes).map_err(failed)?;
    std::fs::rename(&unfinished, &path).map_err(failed)
}

/// The popularity ranks of these records' projects.
pub fn ranks(records: &[Record], popularity: &Popularity) -> Ranks {
    let names = records.iter().map(|record| &record.evidence.project);
    names.filter_map(|name| Some((name.clone(), u32::try_from(popularity.rank(name)?).ok()?))).collect()
}

/// A fault of a template is a bug of this program.
pub fn rendered<T>(result: Result<T, wheeltapper_render::Error>) -> Result<T, Failure> {
    result.map_err(|error| Failure::new(Exit::Farm, error.to_string()).hint("this is a bug of wheeltapper"))
}
