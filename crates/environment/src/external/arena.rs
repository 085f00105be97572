//! External worlds together with simulated models, ready to play.

use std::sync::Arc;

use tollgate_rollout::{Arena, EnvironmentError, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{ENVIRONMENT, ExternalWorlds};
use crate::simulated::SimulatedModelProfile;
use crate::simulated_text::SimulatedTextExecutor;

/// An external world, one per player, and the simulated models of a pool.
#[derive(Debug)]
pub struct ExternalArena {
    worlds: Arc<ExternalWorlds>,
    pool: ModelPool,
    profiles: Vec<SimulatedModelProfile>,
}

impl ExternalArena {
    /// `worlds`, played by the models of `pool`, which follow the world's `expert_command` as well as their profiles can. The
    /// model at each index behaves as the profile at that index; one without a profile is not there to be called.
    #[must_use]
    pub const fn new(worlds: Arc<ExternalWorlds>, pool: ModelPool, profiles: Vec<SimulatedModelProfile>) -> Self {
        Self { worlds, pool, profiles }
    }
}

impl Arena for ExternalArena {
    fn pool(&self) -> &ModelPool {
        &self.pool
    }

    fn n_signals(&self) -> usize {
        self.worlds.settings().n_signals
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        let mut world = self.worlds.environment();
        let mut models = SimulatedTextExecutor::new(&self.profiles, 0);
        let episode = rollout(&mut world, &mut models, policy, &self.pool, task, request)?;
        // Without an expert, simulated models would only make mistakes, and nobody would know why.
        if episode.steps.is_empty() || world.has_expert() { Ok(episode) } else { Err(no_expert(task).into()) }
    }
}

fn no_expert(task: &Task) -> EnvironmentError {
    EnvironmentError::Failed {
        environment: ENVIRONMENT.to_owned(),
        reason: format!(
            "task `{}` was played without one `expert_command`, which simulated models follow\nhint: name it in `info`, or let real models play with `experiment.executor = \"live\"`",
            task.id
        ),
    }
}
