//! A cycle: every project in turn. Decides what is due, hands it to slots, and notes what became of each cell, so that a
//! kill at any moment loses the cells in work and nothing else.

mod crew;
mod decide;
mod order;
mod walk;

pub use order::Order;
pub use walk::{Ended, Hold, Walk, WalkOptions, longest, pause_file};
