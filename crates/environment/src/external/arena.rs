//! External worlds together with simulated models, ready to play.

use std::sync::Arc;

use tollgate_rollout::{Arena, EnvironmentError, ExecutorError, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, Model, ModelPool, Task};

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
    /// model at each index behaves as the profile at that index; with a model that has none, no episode can be played.
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
        // Each model of the pool is asked before each step what its call would take.
        let without_profile = self.pool.iter().find(|(index, _)| index.get() >= self.profiles.len());
        if let Some((_, model)) = without_profile {
            return Err(no_profile(model).into());
        }
        let mut world = self.worlds.environment();
        let mut models = SimulatedTextExecutor::new(&self.profiles, 0);
        let episode = rollout(&mut world, &mut models, policy, &self.pool, task, request)?;
        // Without an expert, simulated models would only make mistakes, and nobody would know why.
        if episode.steps.is_empty() || world.has_expert() { Ok(episode) } else { Err(no_expert(task).into()) }
    }
}

fn no_profile(model: &Model) -> ExecutorError {
    ExecutorError {
        model: model.id.to_string(),
        reason: "it has no simulated profile\nhint: give each model of the pool one `simulated_profile`".to_owned(),
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
