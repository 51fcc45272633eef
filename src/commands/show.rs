//! `wheeltapper show PROJECT`, and what the commands that only read the store share.

use std::io::Write as _;

use wheeltapper_core::ProjectName;
use wheeltapper_store::Store;

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Prints what is stored of a project.
pub fn show(paths: &Paths, project: &str) -> Result<Exit, Failure> {
    let name = project_name(project)?;
    blocking(paths, async |store| {
        let records = store.latest(&name).await?;
        if records.is_empty() {
            return Err(Failure::new(Exit::Input, format!("nothing is stored of {name}"))
                .hint(format!("`wheeltapper run {name}` taps it")));
        }
        let mut out = std::io::stdout().lock();
        for record in &records {
            writeln!(
                out,
                "{}",
                wheeltapper_render::record_text(record, view::width(), view::colour_on_stdout())
            )?;
        }
        Ok(Exit::Success)
    })
}

/// A project name from the command line.
pub fn project_name(text: &str) -> Result<ProjectName, Failure> {
    text.parse()
        .map_err(|error: wheeltapper_core::project::InvalidName| Failure::new(Exit::Input, error.to_string()))
}

/// Opens the store and runs one command on it.
pub fn blocking<T>(
    paths: &Paths,
    command: impl AsyncFnOnce(&Store) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(&paths.data).await?;
        let result = command(&store).await;
        say_passed_over(&store);
        store.close().await;
        result
    })
}

/// Says what listings have left out.
pub fn say_passed_over(store: &Store) {
    let count = store.passed_over();
    if count > 0 {
        let results =
            if count == 1 { "1 stored result is".to_owned() } else { format!("{count} stored results are") };
        view::remark(&format!(
            "warning: {results} in a form of another version of wheeltapper, and left out; \
             `wheeltapper run --fresh` on these projects has them anew"
        ));
    }
}
