//! `wheeltapper export`, `agent run` and `import`: work for a machine elsewhere, which needs no network.

mod arguments;
mod export;
mod import;
mod work;

pub use arguments::{AgentCommand, ExportArguments};
pub use export::export;
pub use import::import;
pub use work::agent;
