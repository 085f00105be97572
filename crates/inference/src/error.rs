//! What can go wrong between a policy and its figures.

use thiserror::Error;
use tollgate_rollout::{PolicyError, RolloutError};
use tollgate_routing::TaskId;

/// Settings, policies or outcomes that no figure can be made of.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum InferenceError {
    /// A setting outside its range.
    #[error("`{name}` is {value}, expected {expected}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A cell that is evaluated twice, so that its episodes would share their ids.
    #[error("cell `{cell}` is in the plan twice\nhint: one entry per policy, lambda, budget and training seed")]
    DuplicateCell {
        /// The cell's name.
        cell: String,
    },
    /// A policy that could not be made.
    #[error("cell `{cell}`: {source}")]
    Build {
        /// The cell's name.
        cell: String,
        /// Why.
        source: PolicyError,
    },
    /// An episode that could not be played.
    #[error("cell `{cell}`, task `{task}`, seed {seed}: {source}")]
    Episode {
        /// The cell's name.
        cell: String,
        /// The task.
        task: TaskId,
        /// The episode's seed.
        seed: u64,
        /// Why.
        source: Box<RolloutError>,
    },
    /// No episode to make statistics of.
    #[error("no episodes, expected at least one\nhint: the split has no tasks, or no policy was evaluated")]
    NoEpisodes,
    /// A cell that was not played on the tasks of the others, so that differences would compare different tasks.
    #[error(
        "cell `{cell}` has no episode of task `{task}`, which other cells played\nhint: every policy is evaluated on the same tasks and seeds; aggregate each split apart"
    )]
    Unpaired {
        /// The cell's name.
        cell: String,
        /// The task.
        task: TaskId,
    },
    /// A boundary policy that was not evaluated without a cap.
    #[error(
        "policy `{policy_id}` has no episodes without a cap, expected some\nhint: every figure is relative to both boundary policies; evaluate them in the same run"
    )]
    MissingBoundary {
        /// The policy's id.
        policy_id: &'static str,
    },
    /// A large model that solves nothing, so that nothing can be relative to it.
    #[error(
        "always-large achieved nothing on {n_tasks} tasks, expected something\nhint: figures are relative to always-large's; look at its episodes first"
    )]
    LargeNeverSucceeds {
        /// Tasks played.
        n_tasks: usize,
    },
    /// Resamples of another number of tasks.
    #[error(
        "the resamples are of {found} tasks, the outcomes of {expected}\nhint: draw resamples for each split apart"
    )]
    ResampledTasks {
        /// Tasks of the outcomes.
        expected: usize,
        /// Tasks of the resamples.
        found: usize,
    },
}
