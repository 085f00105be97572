//! A household in words: rooms, receptacles, objects and six kinds of errand, after the idea of ALFWorld in words of our own.

mod arena;
mod error;
mod task_set;

pub use arena::HouseholdArena;
pub use error::HouseholdError;
pub use task_set::{SplitCounts, generate_tasks};

/// The name that household tasks carry as their environment.
pub const ENVIRONMENT: &str = "household";

/// The most steps of a household episode.
pub const HORIZON: u32 = 30;
