//! `ScienceWorld` together with simulated models, ready to play.

use std::sync::Arc;

use tollgate_rollout::{Arena, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{Offers, ScienceWorld, ScienceWorldEnvironment, ScienceWorldError};
use crate::simulated::SimulatedModelProfile;
use crate::simulated_text::SimulatedTextExecutor;

/// `ScienceWorld` and the simulated models of a pool.
#[derive(Debug)]
pub struct ScienceWorldArena {
    world: Arc<ScienceWorld>,
    pool: ModelPool,
    profiles: Vec<SimulatedModelProfile>,
    n_chance_streams: u64,
}

impl ScienceWorldArena {
    /// `world`, played by the models of `pool`; the model at each index behaves as the profile at that index. For
    /// `n_chance_streams` see [`SimulatedTextExecutor::new`].
    ///
    /// # Errors
    /// [`ScienceWorldError::ProfileCount`].
    pub fn new(
        world: Arc<ScienceWorld>,
        pool: ModelPool,
        profiles: Vec<SimulatedModelProfile>,
        n_chance_streams: u64,
    ) -> Result<Self, ScienceWorldError> {
        if pool.len() != profiles.len() {
            return Err(ScienceWorldError::ProfileCount { models: pool.len(), profiles: profiles.len() });
        }
        Ok(Self { world, pool, profiles, n_chance_streams })
    }

    /// The world that it plays in.
    #[must_use]
    pub fn world(&self) -> &Arc<ScienceWorld> {
        &self.world
    }
}

impl Arena for ScienceWorldArena {
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
        let mut world = ScienceWorldEnvironment::new(self.world.clone(), Offers::AtFirst);
        let mut models = SimulatedTextExecutor::new(&self.profiles, self.n_chance_streams);
        rollout(&mut world, &mut models, policy, &self.pool, task, request)
    }
}
