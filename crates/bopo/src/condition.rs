//! Operating points: how much cost weighs, and which cap an episode is played under.
//!
//! One policy serves every budget (our design): the operating point is drawn anew for each episode, shown to the policy,
//! and enforced by the same mask as at inference.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use tollgate_routing::{Budget, NanoUsd};

/// The distribution that operating points are drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionConfig {
    /// Least `lambda`; drawn log-uniformly.
    pub lambda_low: f32,
    /// Greatest `lambda`.
    pub lambda_high: f32,
    /// Share of episodes with a cap on large calls.
    pub large_calls_share: f32,
    /// The least such cap.
    pub min_large_calls: u32,
    /// The greatest such cap; drawn uniformly from the least.
    pub max_large_calls: u32,
    /// Share of episodes with a cap in dollars.
    pub usd_share: f32,
    /// Least cap in dollars, as a share of always-large's mean cost.
    pub usd_low: f32,
    /// Greatest cap in dollars, likewise.
    pub usd_high: f32,
    /// Share of capped episodes in which cost within the cap is free (`lambda` 0).
    pub free_within_cap: f32,
}

impl Default for ConditionConfig {
    fn default() -> Self {
        Self {
            lambda_low: 0.05,
            lambda_high: 1.2,
            large_calls_share: 0.35,
            min_large_calls: 1,
            max_large_calls: 15,
            usd_share: 0.2,
            usd_low: 0.1,
            usd_high: 1.0,
            free_within_cap: 0.8,
        }
    }
}

/// How an episode is to be played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OperatingPoint {
    /// Weight of the cost.
    pub lambda: f32,
    /// The hard limit.
    pub budget: Budget,
}

impl ConditionConfig {
    /// Draws an operating point; `large_cost` is always-large's mean cost.
    pub(crate) fn draw(&self, large_cost: NanoUsd, rng: &mut Pcg64Mcg) -> OperatingPoint {
        let kind: f32 = rng.random();
        let budget = if kind < self.large_calls_share {
            Budget::LargeCalls(rng.random_range(self.min_large_calls..=self.max_large_calls))
        } else if kind < self.large_calls_share + self.usd_share {
            let share = self.usd_low + (self.usd_high - self.usd_low) * rng.random::<f32>();
            Budget::Usd(NanoUsd::new((large_cost.get() as f64 * f64::from(share)) as u64))
        } else {
            Budget::Unlimited
        };
        let is_free = rng.random::<f32>() < self.free_within_cap && budget != Budget::Unlimited;
        let log_uniform = self.draw_lambda(rng);
        OperatingPoint { lambda: if is_free { 0.0 } else { log_uniform }, budget }
    }

    /// Draws a weight of the cost, log-uniformly.
    pub(crate) fn draw_lambda(&self, rng: &mut Pcg64Mcg) -> f32 {
        self.lambda_low * (self.lambda_high / self.lambda_low).powf(rng.random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn drawn_points_stay_in_range_and_every_kind_occurs() {
        let config = ConditionConfig::default();
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        let mut n = [0_u32; 3];
        for _ in 0..1_000 {
            let point = config.draw(NanoUsd::new(1_000), &mut rng);
            match point.budget {
                Budget::Unlimited => {
                    n[0] += 1;
                    assert!((0.0499..=1.2001).contains(&point.lambda));
                }
                Budget::LargeCalls(cap) => {
                    n[1] += 1;
                    assert!((1..=15).contains(&cap));
                }
                Budget::Usd(cap) => {
                    n[2] += 1;
                    assert!((100..=1_000).contains(&cap.get()));
                }
            }
        }
        assert!(n[0] > 350 && n[1] > 280 && n[2] > 140, "found {n:?}");
    }
}
