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
/// policies, on one task or over many. Nano-dollars.
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

    /// From 0 to 1 on this scale. Units.
    pub(crate) fn span_units(&self) -> f64 {
        (self.large_nano_usd - self.small_nano_usd) / NANO_USD_PER_UNIT as f64
    }
}

/// Which scale `lambda` weighs the cost on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostWeighting {
    /// Each task's own: the reward of training, and the `J` of our measured defaults.
    PerTask,
    /// One for all tasks, their mean. Its optima make up the frontier of success against mean cost.
    Overall,
}

/// Expectations of a policy over a set of tasks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReferencePoint {
    /// Probability of success, 0 to 1.
    pub success_rate: f64,
    /// Mean cost of an episode. Nano-dollars.
    pub mean_cost_nano_usd: f64,
    /// Mean cost of an episode on its task's own scale: always-small has 0, always-large has 1.
    pub mean_normalised_cost: f64,
    /// Mean number of large calls in an episode.
    pub mean_large_calls: f64,
}

impl ReferencePoint {
    /// Mean `J = success - lambda (C - C_small) / (C_large - C_small)`, each task on its own scale, not clipped.
    #[must_use]
    pub fn objective(&self, lambda: f64) -> f64 {
        self.success_rate - lambda * self.mean_normalised_cost
    }
}

/// The references for one set of tasks. Everything here is exact but the belief policy, which has to be played.
#[derive(Debug, Clone)]
pub struct References {
    chains: Vec<Chain>,
    scales: Vec<CostScale>,
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
        let boundary = |calls| values(&chains, |_| (Strategy::LargeFirst, calls));
        let (small, large) = (boundary(Some(0)), boundary(None));
        let scales: Vec<CostScale> = small
            .iter()
            .zip(&large)
            .map(|(small, large)| CostScale {
                small_nano_usd: small.cost_units * NANO_USD_PER_UNIT as f64,
                large_nano_usd: large.cost_units * NANO_USD_PER_UNIT as f64,
            })
            .collect();
        let (always_small, always_large) = (mean(&small, &scales), mean(&large, &scales));
        Ok(Self { chains, scales, always_small, always_large })
    }

    /// Each task's own scale of the cost, in the tasks' order. Exact.
    #[must_use]
    pub fn scales(&self) -> &[CostScale] {
        &self.scales
    }

    /// The scale of the mean cost over the tasks. Exact.
    #[must_use]
    pub const fn overall_scale(&self) -> CostScale {
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
        mean(&values(&self.chains, |_| (Strategy::LargeFirst, Some(calls))), &self.scales)
    }

    /// The optimum of a router that knows the hidden skills and whether the task is lost (*DP-priv*): no router does
    /// better in `J` at this `lambda` and weighting with at most `calls` large calls (`None`: any number).
    #[must_use]
    pub fn privileged(&self, weighting: CostWeighting, lambda: f64, calls: Option<u32>) -> ReferencePoint {
        let overall = self.overall_scale();
        let optimal = |position: usize| {
            let scale = match weighting {
                CostWeighting::PerTask => self.scales[position],
                CostWeighting::Overall => overall,
            };
            (Strategy::Optimal { price_per_unit: lambda / scale.span_units() }, calls)
        };
        mean(&values(&self.chains, optimal), &self.scales)
    }

    /// The belief-state router (*DP-belief*): make one policy of the planner per episode or thread.
    #[must_use]
    pub fn belief_planner(&self, weighting: CostWeighting) -> BeliefPlanner {
        match weighting {
            CostWeighting::PerTask => BeliefPlanner::per_task(),
            CostWeighting::Overall => BeliefPlanner::overall(self.overall_scale()),
        }
    }
}

/// Expectations on each chain; `plan` gives the strategy and the cap for the chain at a position.
fn values(chains: &[Chain], plan: impl Fn(usize) -> (Strategy, Option<u32>) + Sync) -> Vec<Value> {
    chains
        .par_iter()
        .enumerate()
        .map(|(position, chain)| {
            let (strategy, calls) = plan(position);
            evaluate(chain.subgoals(), strategy, calls)
        })
        .collect()
}

/// Summed in the tasks' order, so that the result does not depend on the number of threads.
fn mean(values: &[Value], scales: &[CostScale]) -> ReferencePoint {
    let mut sum = ReferencePoint::default();
    for (value, scale) in values.iter().zip(scales) {
        let cost_nano_usd = value.cost_units * NANO_USD_PER_UNIT as f64;
        sum.success_rate += value.success;
        sum.mean_cost_nano_usd += cost_nano_usd;
        sum.mean_normalised_cost += scale.normalise(cost_nano_usd);
        sum.mean_large_calls += value.large_calls;
    }
    let n_tasks = values.len() as f64;
    ReferencePoint {
        success_rate: sum.success_rate / n_tasks,
        mean_cost_nano_usd: sum.mean_cost_nano_usd / n_tasks,
        mean_normalised_cost: sum.mean_normalised_cost / n_tasks,
        mean_large_calls: sum.mean_large_calls / n_tasks,
    }
}
