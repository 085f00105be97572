//! What is possible on a set of tasks: the privileged optimum and the boundary policies, exactly.

use rayon::prelude::*;
use tollgate_rollout::EnvironmentError;
use tollgate_routing::Task;

use super::belief::BeliefPlanner;
use super::chain::Chain;
use super::privileged::{Strategy, Value, evaluate};
use super::rules::NANO_USD_PER_UNIT;
use super::world::check_environment;

/// The scale of the cost in `J = success - lambda (C - C_small) / (C_large - C_small)`: mean costs of the two boundary
/// policies over a set of tasks. Nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostScale {
    /// Mean cost of always-small.
    pub small_nano_usd: f64,
    /// Mean cost of always-large.
    pub large_nano_usd: f64,
}

impl CostScale {
    /// The cost on this scale: 0 is always-small's mean, 1 is always-large's.
    #[must_use]
    pub fn normalise(&self, cost_nano_usd: f64) -> f64 {
        (cost_nano_usd - self.small_nano_usd) / (self.large_nano_usd - self.small_nano_usd)
    }

    /// What a unit of cost weighs against success at `lambda`.
    pub(crate) fn price_per_unit(&self, lambda: f64) -> f64 {
        lambda * NANO_USD_PER_UNIT as f64 / (self.large_nano_usd - self.small_nano_usd)
    }
}

/// Expectations of a policy over a set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReferencePoint {
    /// Probability of success, 0 to 1.
    pub success_rate: f64,
    /// Mean cost of an episode. Nano-dollars.
    pub mean_cost_nano_usd: f64,
    /// Mean number of large calls in an episode.
    pub mean_large_calls: f64,
}

impl ReferencePoint {
    /// `J = success - lambda (C - C_small) / (C_large - C_small)`, not clipped.
    #[must_use]
    pub fn objective(&self, lambda: f64, scale: &CostScale) -> f64 {
        self.success_rate - lambda * scale.normalise(self.mean_cost_nano_usd)
    }
}

/// The references for one set of tasks. Everything here is exact but the belief policy, which has to be played.
#[derive(Debug, Clone)]
pub struct References {
    chains: Vec<Chain>,
    always_small: ReferencePoint,
    always_large: ReferencePoint,
}

impl References {
    /// The references of `tasks`. An empty set has none of any use: its expectations are not a number.
    ///
    /// # Errors
    /// [`EnvironmentError::WrongTask`] for a task of another environment.
    pub fn new(tasks: &[Task]) -> Result<Self, EnvironmentError> {
        let chains = tasks
            .iter()
            .map(|task| check_environment(task).map(|()| Chain::from_seed(task.seed)))
            .collect::<Result<Vec<_>, _>>()?;
        let always_small = mean(&chains, Strategy::LargeFirst, Some(0));
        let always_large = mean(&chains, Strategy::LargeFirst, None);
        Ok(Self { chains, always_small, always_large })
    }

    /// The scale of the cost on these tasks.
    #[must_use]
    pub const fn scale(&self) -> CostScale {
        CostScale {
            small_nano_usd: self.always_small.mean_cost_nano_usd,
            large_nano_usd: self.always_large.mean_cost_nano_usd,
        }
    }

    /// The boundary policy always-small.
    #[must_use]
    pub const fn always_small(&self) -> ReferencePoint {
        self.always_small
    }

    /// The boundary policy always-large, without a cap.
    #[must_use]
    pub const fn always_large(&self) -> ReferencePoint {
        self.always_large
    }

    /// The large model for the first `calls` steps, the small one from then on.
    #[must_use]
    pub fn first_k_large(&self, calls: u32) -> ReferencePoint {
        mean(&self.chains, Strategy::LargeFirst, Some(calls))
    }

    /// The optimum of a router that knows the hidden skills and whether the task is lost (*DP-priv*): no router does
    /// better in `J` at this `lambda` with at most `calls` large calls (`None`: any number).
    #[must_use]
    pub fn privileged(&self, lambda: f64, calls: Option<u32>) -> ReferencePoint {
        let price_per_unit = self.scale().price_per_unit(lambda);
        mean(&self.chains, Strategy::Optimal { price_per_unit }, calls)
    }

    /// The belief-state router (*DP-belief*) for these tasks' scale: make one policy of it per episode or thread.
    #[must_use]
    pub fn belief_planner(&self) -> BeliefPlanner {
        BeliefPlanner::new(self.scale())
    }
}

fn mean(chains: &[Chain], strategy: Strategy, calls: Option<u32>) -> ReferencePoint {
    let values: Vec<Value> = chains.par_iter().map(|chain| evaluate(chain.subgoals(), strategy, calls)).collect();
    // Summed in the tasks' order, so that the result does not depend on the number of threads.
    let average = |of: fn(&Value) -> f64| values.iter().map(of).sum::<f64>() / values.len() as f64;
    ReferencePoint {
        success_rate: average(|value| value.success),
        mean_cost_nano_usd: average(|value| value.cost_units) * NANO_USD_PER_UNIT as f64,
        mean_large_calls: average(|value| value.large_calls),
    }
}
