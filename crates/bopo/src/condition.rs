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
    /// The greatest such cap; drawn log-uniformly, for what one call more is worth falls with their number.
    pub max_large_calls: u32,
    /// Share of episodes with a cap in dollars.
    pub usd_share: f32,
    /// Least cap in dollars, as a share of always-large's mean cost.
    pub usd_low: f32,
    /// Greatest cap in dollars, likewise.
    pub usd_high: f32,
    /// Share of capped episodes in which cost within the cap is free (`lambda` 0).
    pub free_within_cap: f32,
    /// Share of episodes without a cap in which cost is free.
    pub free_without_cap: f32,
}

impl Default for ConditionConfig {
    fn default() -> Self {
        Self {
            lambda_low: 0.01,
            lambda_high: 1.2,
            large_calls_share: 0.5,
            min_large_calls: 1,
            max_large_calls: 15,
            usd_share: 0.2,
            usd_low: 0.1,
            usd_high: 1.0,
            free_within_cap: 0.9,
            free_without_cap: 0.3,
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
            Budget::LargeCalls(self.draw_large_calls(rng))
        } else if kind < self.large_calls_share + self.usd_share {
            let share = self.usd_low + (self.usd_high - self.usd_low) * rng.random::<f32>();
            Budget::Usd(NanoUsd::new((large_cost.get() as f64 * f64::from(share)) as u64))
        } else {
            Budget::Unlimited
        };
        let free_share = if budget == Budget::Unlimited { self.free_without_cap } else { self.free_within_cap };
        let is_free = rng.random::<f32>() < free_share;
        let log_uniform = self.draw_lambda(rng);
        OperatingPoint { lambda: if is_free { 0.0 } else { log_uniform }, budget }
    }

    /// Draws a cap on large calls, log-uniformly.
    fn draw_large_calls(&self, rng: &mut Pcg64Mcg) -> u32 {
        let (low, above) = (self.min_large_calls as f32, self.max_large_calls as f32 + 1.0);
        ((low * (above / low).powf(rng.random())) as u32).clamp(self.min_large_calls, self.max_large_calls)
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
        let (mut n, mut n_free, mut n_small_caps) = ([0_u32; 3], 0, 0);
        for _ in 0..1_000 {
            let point = config.draw(NanoUsd::new(1_000), &mut rng);
            assert!(point.lambda == 0.0 || (0.0099..=1.2001).contains(&point.lambda));
            match point.budget {
                Budget::Unlimited => {
                    n[0] += 1;
                    n_free += u32::from(point.lambda == 0.0);
                }
                Budget::LargeCalls(cap) => {
                    n[1] += 1;
                    n_small_caps += u32::from(cap <= 3);
                    assert!((1..=15).contains(&cap));
                }
                Budget::Usd(cap) => {
                    n[2] += 1;
                    assert!((100..=1_000).contains(&cap.get()));
                }
            }
        }
        assert!(n[0] > 250 && n[1] > 440 && n[2] > 140, "found {n:?}");
        // ln 4 / ln 16 of the caps are 1, 2 or 3.
        assert!(
            (2 * n_small_caps).abs_diff(n[1]) < 60 && (60..120).contains(&n_free),
            "{n_small_caps} of {n:?}, {n_free}"
        );
    }

    #[test]
    fn a_single_cap_is_always_drawn() {
        let config = ConditionConfig {
            large_calls_share: 1.0,
            usd_share: 0.0,
            min_large_calls: 5,
            max_large_calls: 5,
            ..Default::default()
        };
        let mut rng = Pcg64Mcg::seed_from_u64(1);
        for _ in 0..100 {
            assert_eq!(config.draw(NanoUsd::new(1), &mut rng).budget, Budget::LargeCalls(5));
        }
    }
}
