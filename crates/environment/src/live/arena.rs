//! A world of words together with live models, ready to play.

use std::sync::Arc;

use tollgate_rollout::{Arena, RolloutError, RolloutRequest, RoutingPolicy, rollout};
use tollgate_routing::{Episode, ModelPool, Task};

use super::{LiveExecutor, LiveModels};
use crate::TextWorld;

/// Worlds that are cheap to make, one per episode, and the live models of a pool.
#[derive(Debug)]
pub struct LiveArena<F> {
    pool: ModelPool,
    models: Arc<LiveModels>,
    n_signals: usize,
    make_world: F,
}

impl<W: TextWorld, F: Fn() -> W + Sync> LiveArena<F> {
    /// The worlds that `make_world` makes, played by `models`, which are those of `pool`.
    pub const fn new(pool: ModelPool, models: Arc<LiveModels>, make_world: F) -> Self {
        Self { pool, models, n_signals: 0, make_world }
    }

    /// The same arena, of worlds whose observations carry so many numbers beside their text.
    #[must_use]
    pub fn with_signals(mut self, n_signals: usize) -> Self {
        self.n_signals = n_signals;
        self
    }
}

impl<W: TextWorld, F: Fn() -> W + Sync> Arena for LiveArena<F> {
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
        let mut world = (self.make_world)();
        let mut models = LiveExecutor::new(self.models.clone());
        rollout(&mut world, &mut models, policy, &self.pool, task, request)
    }
}
