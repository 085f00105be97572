//! What can go wrong in training.

use std::path::PathBuf;

use thiserror::Error;
use tollgate_policy::CheckpointError;
use tollgate_rollout::RolloutError;

/// Training that cannot start or go on. No checkpoint is written then; the last one stays.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Something that training needs is not there.
    #[error("{what} is missing: {detail}\nhint: {hint}")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// Where it should be.
        detail: String,
        /// What to do.
        hint: &'static str,
    },
    /// A setting that makes no sense.
    #[error("optimize.{key} is {found}, expected {expected}")]
    Config {
        /// The key.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The loss left the realm of numbers, or is about to.
    #[error(
        "training of `{policy}` diverged at iteration {iteration}: {quantity} is {value}\nhint: lower `learning_rate` or `max_grad_norm`; the last checkpoint was kept and none was written"
    )]
    Diverged {
        /// The policy in training.
        policy: String,
        /// The iteration, from 0.
        iteration: u32,
        /// What exploded.
        quantity: &'static str,
        /// Its value.
        value: f32,
    },
    /// An episode could not be played.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Saved progress that cannot be written, read or continued.
    #[error("{}: {reason}\nhint: remove the directory to train from the start", path.display())]
    Progress {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Candle failed.
    #[error("tensor computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// A loss or a gradient that left the realm of numbers stops the training of a policy.
pub(crate) fn expect_finite(
    policy: &str,
    iteration: u32,
    quantity: &'static str,
    value: f32,
) -> Result<(), TrainError> {
    expect_below(f32::INFINITY, policy, iteration, quantity, value)
}

/// So does one whose size is not below a bound; what is no number is below none.
pub(crate) fn expect_below(
    bound: f32,
    policy: &str,
    iteration: u32,
    quantity: &'static str,
    value: f32,
) -> Result<(), TrainError> {
    if value.abs() < bound {
        return Ok(());
    }
    Err(TrainError::Diverged { policy: policy.to_owned(), iteration, quantity, value })
}
