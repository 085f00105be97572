//! What can be wrong with a household before it is played.

use thiserror::Error;

/// A household that cannot be set up.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HouseholdError {
    /// Models and simulated profiles do not pair up.
    #[error(
        "the pool has {models} models, found {profiles} simulated profiles\nhint: give each model of the pool one `simulated_profile`"
    )]
    ProfileCount {
        /// Models in the pool.
        models: usize,
        /// Profiles given.
        profiles: usize,
    },
    /// A figure of a profile is out of its range.
    #[error("simulated profile `{profile}`: `{field}` is {found}, expected {expected}")]
    Profile {
        /// The profile's name.
        profile: String,
        /// The figure.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// No more scenes that differ from those already drawn.
    #[error(
        "{found} distinct {split} tasks found in {attempts} scenes, expected {expected}\nhint: ask for fewer tasks; the household holds only so many scenes"
    )]
    TooFewScenes {
        /// The split that could not be filled.
        split: &'static str,
        /// Tasks found.
        found: u32,
        /// Tasks wanted.
        expected: u32,
        /// Scenes tried.
        attempts: u32,
    },
}
