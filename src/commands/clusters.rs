//! `wheeltapper clusters`: failures that share a signature, ranked by whom they hold up.

use std::io::Write as _;

use wheeltapper_core::{Popularity, cluster::Gathering};
use wheeltapper_store::Filter;

use crate::{
    commands::show::blocking,
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Prints the clusters of one run, or of the newest result of each cell.
pub fn clusters(paths: &Paths, run: Option<&str>, most: usize) -> Result<Exit, Failure> {
    blocking(paths, async |store| {
        let mut gathering = Gathering::default();
        let mut seen = 0_u64;
        let mut of_run = run.map(|run| store.every_result(Some(run)));
        let mut newest = store.latest_all(Filter::default());
        loop {
            let page = match &mut of_run {
                Some(pages) => pages.next_page().await?,
                None => newest.next_page().await?,
            };
            if page.is_empty() {
                break;
            }
            seen += page.len() as u64;
            page.iter().for_each(|record| gathering.add(record));
        }
        if seen == 0 {
            return Err(match run {
                Some(run) => Failure::new(Exit::Input, format!("no result of a run `{run}` is stored")),
                None => Failure::new(Exit::Input, "nothing is stored yet")
                    .hint("`wheeltapper run PROJECT` taps a project"),
            });
        }
        let found = gathering.ranked(&Popularity::shipped());
        let text = wheeltapper_render::clusters(&found, most, view::width(), view::colour_on_stdout());
        write!(std::io::stdout().lock(), "{text}")?;
        Ok(Exit::Success)
    })
}
