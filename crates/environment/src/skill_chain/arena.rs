//! The two models of the chain, and the arena that plays them.

use tollgate_rollout::{
    Arena, CallQuote, Completion, Executor, ExecutorError, RolloutError, RolloutRequest, RoutingPolicy, Situation,
    rollout,
};
use tollgate_routing::{Episode, ModelIndex, ModelPool, PoolError, Task, TokenUsage};

use super::rules::{Caller, Chance, pool};
use super::visible::VisibleState;
use super::world::{FAILS, SOLVES, SkillChain};

/// How long a call takes, by model. Milliseconds; a label only.
const LATENCY_MS: [u32; 2] = [200, 800];

/// The two models: each solves the current subgoal with its chance. Whether an attempt at step t succeeds is decided by
/// one number drawn from the episode's seed and t, so that where the small model succeeds, the large one would have, too.
#[derive(Debug, Clone, Copy, Default)]
pub struct SkillChainModels {
    chance: Chance,
}

impl Executor<SkillChain> for SkillChainModels {
    fn reset(&mut self, task: &Task, seed: u64) {
        self.chance = Chance::new(task.seed, seed);
    }

    fn quote(&self, _environment: &SkillChain, model: ModelIndex, situation: &Situation<'_>) -> CallQuote {
        let output_tokens = Caller::of(model).output_tokens(situation.turns.len());
        CallQuote { expected_output_tokens: output_tokens, max_output_tokens: output_tokens, ..CallQuote::default() }
    }

    fn complete(
        &mut self,
        environment: &SkillChain,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        let caller = Caller::of(model);
        let step_idx = situation.turns.len();
        let solves = self.chance.attempt(step_idx) < environment.success_chance(model);
        let texts = if solves { SOLVES } else { FAILS };
        let usage = TokenUsage { output_tokens: caller.output_tokens(step_idx), ..TokenUsage::default() };
        Ok(Completion::simulated(texts[caller as usize].to_owned(), usage, LATENCY_MS[caller as usize]))
    }
}

/// The skill-chain with its two models, `small` and `large`.
#[derive(Debug, Clone)]
pub struct SkillChainArena {
    pool: ModelPool,
}

impl SkillChainArena {
    /// The arena. Its pool is fixed: the rules give the chances of two models.
    ///
    /// # Errors
    /// Never with the prices of the rules; a [`PoolError`] if they were changed to break the pool's order.
    pub fn new() -> Result<Self, PoolError> {
        Ok(Self { pool: pool()? })
    }
}

impl Arena for SkillChainArena {
    fn pool(&self) -> &ModelPool {
        &self.pool
    }

    fn n_signals(&self) -> usize {
        VisibleState::N_SIGNALS
    }

    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError> {
        let mut environment = SkillChain::new();
        let mut models = SkillChainModels::default();
        rollout(&mut environment, &mut models, policy, &self.pool, task, request)
    }
}
