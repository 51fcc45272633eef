//! Results become reading: text for terminals, JUnit XML, Markdown, a static site. Everything is made from values;
//! nothing is fetched, awaited, or read from the machine. Whatever came from a package is hostile text: control
//! characters are shown, never passed on, and markup is escaped.

mod ansi;
mod cycle;
mod figures;
mod groups;
mod junit;
pub mod letter;
mod markdown;
mod measures;
mod site;
mod terminal;
mod text;
pub mod web;

pub use cycle::cycle_summary;
pub use figures::Figures;
pub use groups::Ranks;
pub use junit::junit;
pub use markdown::markdown;
pub use measures::{bytes, seconds};
pub use site::{Mode, Report, ReportFile, ReportOptions, cell_log_path, project_path};
pub use terminal::{
    Ground, Need, PlanView, RecipeView, Surroundings, Unused, clusters, explain, matrix, reasons,
    recipe_text, record_text, summary, unclassified_share,
};
pub use text::visible;

/// What can go wrong when results become reading.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A template of this program does not fit its view: a bug.
    #[error("page `{page}`: {source}")]
    Template {
        /// The page.
        page: String,
        /// The template engine's words.
        source: minijinja::Error,
    },
    /// A record cannot be written as JSON: a bug.
    #[error("result `{id}` as JSON: {source}")]
    Json {
        /// The result.
        id: String,
        /// The reason.
        source: serde_json::Error,
    },
    /// A feed cannot be written: a bug.
    #[error("feed: {0}")]
    Feed(String),
    /// A chart cannot be drawn: a bug.
    #[error("chart: {0}")]
    Chart(String),
    /// The JUnit document cannot be written: a bug.
    #[error("JUnit XML: {0}")]
    Junit(String),
}

/// The line that reproduces a result. Of the two cells that an environment may have, the sdist's is the one meant unless said.
pub(crate) fn repro_line(record: &wheeltapper_core::Record) -> String {
    let evidence = &record.evidence;
    let from = match evidence.artifact {
        wheeltapper_core::Artifact::Sdist => "",
        wheeltapper_core::Artifact::Wheel => " --from wheel",
    };
    format!("wheeltapper repro {} {}{from}", evidence.project, evidence.environment.name)
}

/// The word of an outcome in a narrow column: of failures the phase.
pub(crate) fn short_word(outcome: wheeltapper_core::Outcome) -> &'static str {
    use wheeltapper_core::Outcome;
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Untested => "untested",
        Outcome::FetchFailed => "fetch",
        Outcome::BuildFailed => "build",
        Outcome::InstallFailed => "install",
        Outcome::ImportFailed => "import",
        Outcome::TestFailed => "test",
        Outcome::UninstallFailed => "uninstall",
        Outcome::Unsupported => "unsupported",
        Outcome::FarmError => "farm error",
    }
}
