//! The numbers of the environment: chances, costs and limits, each in one place.

use std::sync::Arc;

use tollgate_rollout::derive_seed;
use tollgate_routing::{Model, ModelIndex, ModelPool, PoolError, Prices, TokenPrice};

/// The environment's name in tasks and files.
pub const ENVIRONMENT: &str = "skill-chain";

/// The most steps of an episode.
pub const HORIZON: u32 = 30;

/// Subgoals of the shortest chain.
pub const MIN_SUBGOALS: usize = 4;

/// Subgoals of the longest chain.
pub const MAX_SUBGOALS: usize = 12;

/// Skills, the impossible one among them: it is the last.
pub const N_SKILLS: usize = 7;

/// Cues that a subgoal can show: one per possible skill.
pub const N_CUES: usize = N_SKILLS - 1;

/// What one unit of cost is in money. A small call costs one unit.
pub const NANO_USD_PER_UNIT: u64 = 1_000_000;

/// The skill that no model has.
pub(crate) const IMPOSSIBLE: usize = N_SKILLS - 1;

/// The most failures in a row that still confuse the small model further.
pub(crate) const MAX_CONFUSION: usize = 2;

/// How often a cue names the right skill.
const CUE_ACCURACY: f64 = 0.82;

/// Chance of one attempt, by model and skill.
const SUCCESS: [[f64; N_SKILLS]; 2] =
    [[0.95, 0.90, 0.75, 0.50, 0.25, 0.05, 0.0], [0.98, 0.97, 0.95, 0.90, 0.85, 0.60, 0.0]];

/// What is left of the small model's chance after 0, 1 and 2 or more small failures in a row: 0.6 to that power.
const CLARITY: [f64; MAX_CONFUSION + 1] = [1.0, 0.6, 0.36];

/// Chance that a failed attempt loses the task, by model.
const LOSS: [f64; 2] = [0.06, 0.01];

/// Prices of an output token in nano-dollars, by model.
const OUTPUT_PRICE: [u64; 2] = [1_000, 10_000];

/// Which of the two models: the rules know no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Small,
    Large,
}

impl Caller {
    pub(crate) const BOTH: [Self; 2] = [Self::Small, Self::Large];

    pub(crate) fn of(model: ModelIndex) -> Self {
        if model == ModelIndex::SMALL { Self::Small } else { Self::Large }
    }

    pub(crate) const fn model(self) -> ModelIndex {
        ModelIndex::new(self as usize)
    }

    /// Chance that an attempt succeeds after `confusion` small failures in a row, in a task that is not lost.
    pub(crate) fn success(self, skill: usize, confusion: usize) -> f64 {
        match self {
            Self::Small => SUCCESS[0][skill] * CLARITY[confusion],
            Self::Large => SUCCESS[1][skill],
        }
    }

    /// Chance that a failed attempt loses the task.
    pub(crate) const fn loss(self) -> f64 {
        LOSS[self as usize]
    }

    /// Confusion after a failed attempt.
    pub(crate) fn confusion_after_failure(self, confusion: usize) -> usize {
        match self {
            Self::Small => (confusion + 1).min(MAX_CONFUSION),
            Self::Large => 0,
        }
    }

    /// Tokens of the answer at step `step_idx`. The large model's grow with the history: 10 + 15 t / 30 units.
    pub(crate) const fn output_tokens(self, step_idx: usize) -> u32 {
        match self {
            Self::Small => 1_000,
            Self::Large => 1_000 + 50 * step_idx as u32,
        }
    }

    /// Cost of the call at step `step_idx`. Nano-dollars.
    pub(crate) const fn cost_nano_usd(self, step_idx: usize) -> u64 {
        OUTPUT_PRICE[self as usize] * self.output_tokens(step_idx) as u64
    }

    /// Cost of the call at step `step_idx`. Units.
    pub(crate) fn cost_units(self, step_idx: usize) -> f64 {
        self.cost_nano_usd(step_idx) as f64 / NANO_USD_PER_UNIT as f64
    }
}

/// Chance that a subgoal of `skill` shows `cue`. The impossible skill looks like any other.
pub(crate) fn cue_chance(cue: usize, skill: usize) -> f64 {
    if skill == IMPOSSIBLE {
        1.0 / N_CUES as f64
    } else if cue == skill {
        CUE_ACCURACY
    } else {
        (1.0 - CUE_ACCURACY) / (N_CUES - 1) as f64
    }
}

/// The two models of the environment. The input prices never matter: a prompt counts no tokens here.
pub(crate) fn pool() -> Result<ModelPool, PoolError> {
    let model = |id: &str, caller: Caller| {
        let output = TokenPrice::new(OUTPUT_PRICE[caller as usize] * 1_000);
        let input = TokenPrice::new(output.get() / 4);
        Model::new(id, Prices { input, cached_input: input, cache_write: input, output })
    };
    ModelPool::new(vec![model("small", Caller::Small)?, model("large", Caller::Large)?])
}

/// A number in [0, 1) that depends on `seed` and `stream` alone.
pub(crate) fn uniform(seed: u64, stream: u64) -> f64 {
    (derive_seed(seed, stream) >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

/// The chance events of one episode: one stream per step and kind of event, so that policies share them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The events of the episode with `episode_seed` of the task with `task_seed`.
    pub(crate) const fn new(task_seed: u64, episode_seed: u64) -> Self {
        Self(derive_seed(episode_seed, task_seed))
    }

    /// An attempt at step `step_idx` succeeds when its chance is above this number.
    pub(crate) fn attempt(self, step_idx: usize) -> f64 {
        uniform(self.0, 2 * step_idx as u64)
    }

    /// A failure at step `step_idx` loses the task when its chance of doing so is above this number.
    pub(crate) fn loss(self, step_idx: usize) -> f64 {
        uniform(self.0, 2 * step_idx as u64 + 1)
    }
}

/// The environment's name as a task holds it.
pub(crate) fn environment_name() -> Arc<str> {
    Arc::from(ENVIRONMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_million_nano_dollars_in_tokens_times_price() {
        assert_eq!(Caller::Small.cost_nano_usd(29), 1_000_000);
        assert_eq!(Caller::Large.cost_nano_usd(0), 10_000_000);
        assert!((Caller::Large.cost_units(29) - (10.0 + 15.0 * 29.0 / 30.0)).abs() < 1e-12);
    }

    #[test]
    fn cue_chances_add_up_to_one() {
        for skill in 0..N_SKILLS {
            let total: f64 = (0..N_CUES).map(|cue| cue_chance(cue, skill)).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn uniform_numbers_have_the_mean_and_variance_of_their_kind() {
        let numbers: Vec<f64> = (0..10_000).map(|stream| uniform(7, stream)).collect();
        let mean = numbers.iter().sum::<f64>() / 1e4;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 12.0).abs() < 0.003, "{mean} {variance}");
    }
}
