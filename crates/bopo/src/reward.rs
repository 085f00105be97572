//! The boundary-relative reward.
//!
//! arXiv 2602.21227: `R = (r_success + r_hard) - lambda * C_norm`, with `C_norm` the cost placed between the costs of the
//! two boundary policies. Where the published form and ours differ, [`CostNormalisation`] says so.

use serde::{Deserialize, Serialize};
use tollgate_routing::{BoundaryLabel, Difficulty, NanoUsd};

/// How a cost in dollars becomes the number that `lambda` weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostNormalisation {
    /// Our design: `C / (mean C_large - mean C_small)` over the training tasks, not clipped. One dollar weighs the same on
    /// every task, so the policies of all `lambda` lie on the frontier of success against mean cost.
    Suite,
    /// As published: `clip((C - C_min) / (C_max - C_min), 0, 1)` with the boundary costs of that task, put in order first.
    Task,
}

/// What the boundary policies cost on average.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundaryCosts {
    /// Mean cost of the cheaper boundary policy.
    pub low: NanoUsd,
    /// Mean cost of the dearer boundary policy.
    pub high: NanoUsd,
}

impl BoundaryCosts {
    /// What always-small and always-large cost. A looping small model can cost more than the large one, so they are put in order.
    #[must_use]
    pub fn new(small: NanoUsd, large: NanoUsd) -> Self {
        Self { low: small.min(large), high: small.max(large) }
    }

    /// The boundary costs of one task.
    #[must_use]
    pub fn of_task(label: &BoundaryLabel) -> Self {
        Self::new(label.small.mean_cost, label.large.mean_cost)
    }

    /// The mean boundary costs over tasks. `None` without tasks.
    #[must_use]
    pub fn of_suite(labels: &[BoundaryLabel]) -> Option<Self> {
        let n_tasks = u64::try_from(labels.len()).ok().filter(|&n| n > 0)?;
        let mean = |cost: fn(&BoundaryLabel) -> NanoUsd| {
            NanoUsd::new(labels.iter().map(cost).sum::<NanoUsd>().get() / n_tasks)
        };
        Some(Self::new(mean(|label| label.small.mean_cost), mean(|label| label.large.mean_cost)))
    }

    /// One unit of normalised cost. At least one nano-dollar, so that equal boundary costs divide by no zero.
    #[must_use]
    pub fn spread(&self) -> NanoUsd {
        (self.high - self.low).max(NanoUsd::new(1))
    }
}

/// The published cost term: where `cost` lies between the boundary policies' costs, 0 to 1.
#[must_use]
pub fn clipped_cost_norm(cost: NanoUsd, boundaries: &BoundaryCosts) -> f32 {
    let above = cost.get() as f64 - boundaries.low.get() as f64;
    (above / boundaries.spread().get() as f64).clamp(0.0, 1.0) as f32
}

/// Our cost term: `cost` in units of the spread between the boundary policies, not clipped.
#[must_use]
pub fn cost_in_spreads(cost: NanoUsd, boundaries: &BoundaryCosts) -> f32 {
    (cost.get() as f64 / boundaries.spread().get() as f64) as f32
}

/// `R = (r_success + r_hard) * value - lambda * cost_norm`, with `r_hard` for hard tasks only. `value` is 1 for a solved task
/// and 0 otherwise, or the grade where grades are what counts (our design; the paper has solved and unsolved tasks only).
#[must_use]
pub fn boundary_relative_reward(value: f32, difficulty: Difficulty, cost_norm: f32, lambda: f32, bonus: &Bonus) -> f32 {
    outcome_reward(value, difficulty, bonus) - lambda * cost_norm
}

/// What success is worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bonus {
    /// Reward of a solved task.
    pub success: f32,
    /// Added to it for a hard task.
    pub hard: f32,
}

impl Default for Bonus {
    fn default() -> Self {
        Self { success: 1.0, hard: 0.0 }
    }
}

/// The part of the reward that does not depend on cost.
#[must_use]
pub fn outcome_reward(value: f32, difficulty: Difficulty, bonus: &Bonus) -> f32 {
    match difficulty {
        Difficulty::Hard => (bonus.success + bonus.hard) * value,
        Difficulty::Easy | Difficulty::Intractable => bonus.success * value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_routing::{ProbeStats, TaskId};

    fn label(small: u64, large: u64) -> BoundaryLabel {
        let stats = |cost| ProbeStats { successes: 1, episodes: 5, mean_cost: NanoUsd::new(cost), mean_score: 0.2 };
        BoundaryLabel {
            task_id: TaskId::new("t"),
            difficulty: Difficulty::Hard,
            is_contested: false,
            small: stats(small),
            large: stats(large),
        }
    }

    #[track_caller]
    fn check_cost(cost: u64, small: u64, large: u64, expected: f32) {
        let found = clipped_cost_norm(NanoUsd::new(cost), &BoundaryCosts::of_task(&label(small, large)));
        assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
    }

    #[test]
    fn cost_is_placed_between_the_boundaries() {
        check_cost(150, 100, 300, 0.25);
        check_cost(50, 100, 300, 0.0);
        check_cost(900, 100, 300, 1.0);
    }

    #[test]
    fn inverted_boundary_costs_are_put_in_order() {
        check_cost(150, 300, 100, 0.25);
    }

    #[test]
    fn equal_boundary_costs_divide_by_no_zero() {
        check_cost(100, 100, 100, 0.0);
        check_cost(200, 100, 100, 1.0);
    }

    #[test]
    fn a_hard_success_earns_the_bonus_and_a_failure_only_pays() {
        let bonus = Bonus { success: 1.0, hard: 0.5 };
        assert!((boundary_relative_reward(1.0, Difficulty::Hard, 0.5, 0.6, &bonus) - 1.2).abs() < 1e-6);
        assert!((boundary_relative_reward(1.0, Difficulty::Easy, 0.5, 0.6, &bonus) - 0.7).abs() < 1e-6);
        assert!((boundary_relative_reward(0.0, Difficulty::Hard, 0.5, 0.6, &bonus) + 0.3).abs() < 1e-6);
    }

    #[test]
    fn half_a_grade_is_half_the_reward() {
        let bonus = Bonus { success: 1.0, hard: 0.5 };
        assert!((boundary_relative_reward(0.5, Difficulty::Hard, 0.5, 0.6, &bonus) - 0.45).abs() < 1e-6);
    }

    #[test]
    fn suite_costs_are_means_over_tasks() {
        let costs = BoundaryCosts::of_suite(&[label(100, 300), label(200, 500)]).unwrap();
        assert_eq!((costs.low, costs.high, costs.spread()), (NanoUsd::new(150), NanoUsd::new(400), NanoUsd::new(250)));
        assert_eq!(BoundaryCosts::of_suite(&[]), None);
    }
}
