//! `ScienceWorld` (Wang et al., 2022): the simulator of the Allen Institute for AI, thirty kinds of tasks of elementary science.
//!
//! The simulator is a JAR inside the Python package `scienceworld` (Apache-2.0). It runs in a JVM and is spoken to over py4j's
//! wire, by this program itself: no Python runs. See [`ScienceWorld`] for processes and memory, [`ScienceWorldEnvironment`] for the
//! world, [`generate_tasks`] for the task set.
//!
//! Each JVM is a child process of its own, one per thread that plays. A JVM that dies, hangs or answers nonsense is replaced,
//! and the new one is brought to the same place by the same commands: the simulator is deterministic, so nobody can tell.
//! For the same reason answers are remembered, see `transitions`.

mod archive;
mod arena;
mod error;
mod expert;
mod gold_path;
mod installation;
mod py4j;
mod shared;
mod simulator;
mod task_set;
mod transitions;
mod world;

pub use arena::ScienceWorldArena;
pub use error::ScienceWorldError;
pub use installation::ScienceWorldSettings;
pub use shared::{ScienceWorld, ScienceWorldUsage};
pub use task_set::{N_UNSEEN_KINDS, TaskCounts, generate_tasks};
pub use world::{Offers, ScienceWorldEnvironment};

/// The name that `ScienceWorld`'s tasks carry as their environment.
pub const ENVIRONMENT: &str = "scienceworld";

/// The most steps of an episode.
pub const HORIZON: u32 = 40;

#[cfg(test)]
mod fake_tests;
#[cfg(test)]
mod real_tests;
