//! External worlds together with models that act in them.

use std::sync::Arc;

use tollgate_rollout::{Arena, Executor, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{ExternalEnvironment, ExternalSettings};
use crate::process::WorkerPool;

/// External worlds, one per player, and models that act in them.
pub struct ExternalArena<M> {
    pool: ModelPool,
    n_signals: usize,
    make_models: M,
    workers: WorkerPool<ExternalEnvironment>,
}

impl<M, X> ExternalArena<M>
where
    M: Fn() -> X + Sync,
    X: Executor<ExternalEnvironment>,
{
    /// The worlds that `settings` describe, played by the models of `pool`; `make_models` makes their executor for an episode.
    pub fn new(settings: ExternalSettings, pool: ModelPool, make_models: M) -> Self {
        let max_sessions = settings.connection.max_sessions();
        let n_signals = settings.n_signals;
        let settings = Arc::new(settings);
        let workers = WorkerPool::new(move || Ok(ExternalEnvironment::new(Arc::clone(&settings))));
        let workers = match max_sessions {
            Some(max_sessions) => workers.limited_to(max_sessions),
            None => workers,
        };
        Self { pool, n_signals, make_models, workers }
    }
}

impl<M, X> Arena for ExternalArena<M>
where
    M: Fn() -> X + Sync,
    X: Executor<ExternalEnvironment>,
{
    fn pool(&self) -> &ModelPool {
        &self.pool
    }

    fn n_signals(&self) -> usize {
        self.n_signals
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        self.workers.with_worker(|world| {
            let mut models = (self.make_models)();
            rollout(world, &mut models, policy, &self.pool, task, request)
        })
    }
}
