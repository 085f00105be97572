//! What can be wrong with logs before they are replayed.

use thiserror::Error;

/// Logs that cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// A setting that makes no sense.
    #[error("`experiment.replay.{key}` is {found}, expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A model of the pool of which there is no log.
    #[error(
        "no logged episode of model `{model}`, expected at least one per model of the pool\nhint: the logs' models are mapped to the pool when they are imported; the pool has to be the same"
    )]
    NoLogs {
        /// The model's id.
        model: String,
    },
    /// An episode that more than one model played.
    #[error(
        "logged episode `{episode}` was played by more than one model at step {step_idx}, expected one model from start to end\nhint: a replay is made of boundary logs; leave mixed episodes out"
    )]
    Mixed {
        /// The episode.
        episode: String,
        /// The first step of another model.
        step_idx: usize,
    },
    /// A model that the pool does not have.
    #[error("logged episode `{episode}` was played by model number {model} of the pool, which has {n_models}")]
    UnknownModel {
        /// The episode.
        episode: String,
        /// The index in the log.
        model: usize,
        /// Models in the pool.
        n_models: usize,
    },
    /// An episode without steps, which tells nothing.
    #[error("logged episode `{episode}` has no steps, expected at least one")]
    Empty {
        /// The episode.
        episode: String,
    },
}
