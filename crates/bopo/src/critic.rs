//! The critic's references: what the boundary policies went on to achieve from the states that they visited.

use std::collections::HashMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_policy::FeatureConfig;
use tollgate_routing::{Budget, Difficulty, Episode, ModelPool, NanoUsd, Objective};

use crate::batch::StepRows;
use crate::condition::{ConditionConfig, OperatingPoint};
use crate::replay::replay;
use crate::reward::{Bonus, outcome_reward};

/// Steps of boundary probes with what followed them.
pub(crate) struct ReferenceRows {
    pub(crate) steps: StepRows,
    /// Success to come, as the critic counts it. `[n_rows]`.
    pub(crate) success: Vec<f32>,
    /// Cost to come, in spreads. `[n_rows]`.
    pub(crate) cost: Vec<f32>,
}

/// At most so many steps of probes are kept.
const MAX_REFERENCE_ROWS: usize = 12_000;

/// What probes are turned into references with.
pub(crate) struct ReferenceContext<'a> {
    pub(crate) pool: &'a ModelPool,
    pub(crate) features: FeatureConfig,
    pub(crate) conditions: &'a ConditionConfig,
    pub(crate) difficulties: &'a HashMap<&'a str, Difficulty>,
    pub(crate) spread: NanoUsd,
    pub(crate) objective: Objective,
    pub(crate) bonus: &'a Bonus,
}

/// Replays probes, drawn evenly until there are enough steps. Each is shown an uncapped operating point, for the probes
/// were played without a cap.
pub(crate) fn reference_rows(probes: &[&Episode], context: &ReferenceContext<'_>, seed: u64) -> ReferenceRows {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut rows = ReferenceRows {
        steps: StepRows::new(context.features.n_features(), context.features.n_models),
        success: Vec::new(),
        cost: Vec::new(),
    };
    while rows.success.len() < MAX_REFERENCE_ROWS && !probes.is_empty() {
        let n_before = rows.success.len();
        for _ in 0..probes.len().min(64) {
            let episode = probes[rng.random_range(0..probes.len())];
            let lambda = context.conditions.draw(context.spread, &mut rng).lambda;
            let replayed =
                replay(episode, OperatingPoint { lambda, budget: Budget::Unlimited }, context.pool, context.features);
            rows.steps.extend(&replayed);
            let difficulty = context.difficulties.get(episode.task.id.as_str()).copied().unwrap_or(Difficulty::Easy);
            let value = context.objective.value(episode.is_success, episode.score);
            let success = outcome_reward(value, difficulty, context.bonus);
            rows.success.extend(std::iter::repeat_n(success, replayed.len()));
            rows.cost.extend(cost_to_go(episode, context.spread).into_iter().take(replayed.len()));
        }
        if rows.success.len() == n_before {
            break;
        }
    }
    rows
}

/// The cost from each step to the end, in spreads. `[n_steps]`.
fn cost_to_go(episode: &Episode, spread: NanoUsd) -> Vec<f32> {
    let mut rest = episode.total_cost();
    episode
        .steps
        .iter()
        .map(|step| {
            let to_go = rest.get() as f32 / spread.get() as f32;
            rest = rest.saturating_sub(step.turn.cost);
            to_go
        })
        .collect()
}
