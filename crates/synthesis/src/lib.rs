//! Stratified, cost-efficient examples for supervised fine-tuning, made of boundary labels and logged rollouts.
//!
//! This crate plays nothing: [`sweep_plan`] says which mixed rollouts to play, somebody else plays them, and [`synthesize`]
//! chooses what is worth imitating.
//!
//! ```
//! use tollgate_routing::{EpisodeId, ModelIndex, NanoUsd, TaskId};
//! use tollgate_synthesis::{CandidateEpisode, cheapest_success};
//!
//! let episode = |id, cost, is_success| CandidateEpisode { episode_id: EpisodeId::new(id), task_id: TaskId::new("task-1"),
//!     is_success, cost: NanoUsd::new(cost), actions: vec![ModelIndex::SMALL] };
//! let log = [episode("dear", 900, true), episode("cheap", 300, true), episode("failed", 100, false)];
//! assert_eq!(cheapest_success(&log), Some(&log[1]));
//! ```

mod candidate;
mod sweep;
mod synthesize;

pub use candidate::{CandidateEpisode, cheapest_success};
pub use sweep::{SweepRollout, sweep_plan};
pub use synthesize::{Synthesis, SynthesisConfig, SynthesisError, synthesize};
