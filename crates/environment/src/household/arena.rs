//! The household together with simulated models, ready to play.

use tollgate_rollout::{Arena, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{HouseholdEnvironment, HouseholdError, Wording};
use crate::simulated::{SimulatedExecutor, SimulatedModelProfile};

/// The household and the simulated models of a pool.
#[derive(Debug, Clone)]
pub struct HouseholdArena {
    pool: ModelPool,
    profiles: Vec<SimulatedModelProfile>,
    wording: Wording,
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
        profiles.iter().try_for_each(SimulatedModelProfile::validate)?;
        Ok(Self { pool, profiles, wording: Wording::Plain })
    }

    /// The same arena, whose world speaks in these words.
    #[must_use]
    pub fn with_wording(self, wording: Wording) -> Self {
        Self { wording, ..self }
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
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        let mut world = HouseholdEnvironment::default().with_wording(self.wording);
        let mut models = SimulatedExecutor::new(&self.profiles);
        rollout(&mut world, &mut models, policy, &self.pool, task, request)
    }
}
