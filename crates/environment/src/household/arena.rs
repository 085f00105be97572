//! The household together with simulated models, ready to play.

use tollgate_rollout::{Arena, EnvironmentError, RolloutError, RolloutRequest, RoutingPolicy};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{ENVIRONMENT, HouseholdError};
use crate::simulated::SimulatedModelProfile;

/// The household and the simulated models of a pool.
#[derive(Debug, Clone)]
pub struct HouseholdArena {
    pool: ModelPool,
    profiles: Vec<SimulatedModelProfile>,
}

impl HouseholdArena {
    /// The household, played by the models of `pool`; the model at each index behaves as the profile at that index.
    ///
    /// # Errors
    /// [`HouseholdError::ProfileCount`] or [`HouseholdError::Profile`].
    pub fn new(pool: ModelPool, profiles: Vec<SimulatedModelProfile>) -> Result<Self, HouseholdError> {
        if pool.len() != profiles.len() {
            return Err(HouseholdError::ProfileCount { models: pool.len(), profiles: profiles.len() });
        }
        Ok(Self { pool, profiles })
    }

    /// The profiles, in the pool's order.
    #[must_use]
    pub fn profiles(&self) -> &[SimulatedModelProfile] {
        &self.profiles
    }
}

impl Arena for HouseholdArena {
    fn pool(&self) -> &ModelPool {
        &self.pool
    }

    fn n_signals(&self) -> usize {
        0
    }

    fn play(
        &self,
        _task: &Task,
        _request: &RolloutRequest,
        _policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        Err(RolloutError::Environment(EnvironmentError::Failed {
            environment: ENVIRONMENT.to_owned(),
            reason: "not playable yet".to_owned(),
        }))
    }
}
