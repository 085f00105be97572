//! A household in words: rooms, receptacles, objects and six kinds of errand, after the idea of ALFWorld (Shridhar et al.,
//! 2021) in words of our own.
//!
//! Commands: `go to X`, `open X`, `close X`, `take O from X`, `put O in X` (or `on`), `clean O with X`, `heat O with X`,
//! `cool O with X`, `use desklamp`, `look`, `inventory`, `examine O` (or `X`), `drop O`, `throw away O`, `finish`. What makes
//! no sense is answered by `That cannot be done: ..` and changes nothing. Three mistakes cannot be undone: a fragile object
//! that is dropped breaks, what is thrown away is gone, and `finish` ends the episode.

mod arena;
mod catalog;
mod command;
mod error;
mod expert;
mod scene;
mod task_set;
mod text;
mod wording;
mod world;

pub use arena::HouseholdArena;
pub use error::HouseholdError;
pub use scene::TaskFamily;
pub use task_set::{SplitCounts, generate_tasks};
pub use wording::Wording;
pub use world::HouseholdEnvironment;

pub(crate) use command::Command;
pub(crate) use expert::Subgoal;
pub(crate) use scene::{ObjectId, Place, write_numbered};
pub(crate) use world::Effect;

/// The name that household tasks carry as their environment.
pub const ENVIRONMENT: &str = "household";

/// The most steps of a household episode.
pub const HORIZON: u32 = 30;
