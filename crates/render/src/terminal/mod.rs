//! Text for terminals: the matrix of a run, the reasons, the summary line, and one result in full.

mod clusters;
mod explain;
pub(crate) mod grid;
mod paint;
mod reasons;
mod recipe;
mod record;

pub use clusters::{clusters, unclassified_share};
pub use explain::{Surroundings, explain};
pub use grid::matrix;
pub(crate) use reasons::counted;
pub use reasons::{reasons, summary};
pub use recipe::{Ground, Need, PlanView, RecipeView, Unused, recipe_text};
pub use record::record_text;
pub(crate) use record::test_counts;
