//! A job becomes a report: the agent runs the six phases of one cell in sandboxes and brings home what happened.
//!
//! It judges nothing; what the evidence means is `core`'s. A cell is a plain sequential story on a thread of its own, one
//! thread a slot: what takes time in it are the package's own processes.

mod agent;
mod cell;
mod closure;
mod compare;
pub mod environment;
mod error;
mod events;
mod foreign;
mod index;
mod installer;
pub mod interpreter;
mod job;
mod layers;
mod layout;
mod phases;
mod places;
mod platform;
mod prepare;
pub mod recipe;
pub mod registry;
pub mod repository;
mod requirement;
mod resolve;
mod skeleton;
mod source;
mod stand_in;
mod thinning;
mod trial;
mod turns;
mod usable;
mod work;

pub use agent::Agent;
pub use cell::blank_evidence;
pub use closure::{Closure, Still, closure};
pub use environment::HostEnvironment;
pub use error::Error;
pub use index::{Fetched, Index};
pub use installer::Installer;
pub use job::{Job, Origin, Release, Replay, Report};
pub use layers::{LAYERS_LIMIT, Layers};
pub use resolve::{Asked, LockedWheel, Python, Question, Resolution, Resolver};
pub use source::Source;
pub use turns::Turns;
pub use usable::is_sdist;
pub use wheeltapper_recipe::{MemoryTree, RECIPE_VERSION, Recipes, identity};
pub use work::Work;
