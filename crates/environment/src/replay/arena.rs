//! The logs of a pool of models, ready to be played.

use tollgate_rollout::{Arena, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{ReplayEnvironment, ReplayError, ReplayLogs, ReplayModels, ReplaySettings};

/// Logs and the pool of their models.
#[derive(Debug, Clone)]
pub struct ReplayArena {
    pool: ModelPool,
    logs: ReplayLogs,
}

impl ReplayArena {
    /// An arena of the logged `episodes`, each of which one model of `pool` played from start to end.
    ///
    /// # Errors
    /// A [`ReplayError`] for logs that no replay can be made of.
    pub fn new(pool: ModelPool, episodes: &[Episode], settings: ReplaySettings) -> Result<Self, ReplayError> {
        let logs = ReplayLogs::new(episodes, &pool, settings)?;
        Ok(Self { pool, logs })
    }

    /// The logs.
    #[must_use]
    pub const fn logs(&self) -> &ReplayLogs {
        &self.logs
    }
}

impl Arena for ReplayArena {
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
        let mut world = ReplayEnvironment::new(&self.logs);
        let mut models = ReplayModels::new(&self.logs, &self.pool);
        rollout(&mut world, &mut models, policy, &self.pool, task, request)
    }
}
