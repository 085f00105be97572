//! What the critic is told of a task: what the boundary policies achieve on it.
//!
//! The router never learns this, and need not: the critic only judges episodes in training. What it expects of a task that both
//! models solve, or neither, is then no surprise that a choice of model is praised or blamed for.

use tollgate_routing::{BoundaryLabel, NanoUsd, Objective, ProbeStats};

/// Value and cost of always-small, and of always-large.
pub(crate) const N_REFERENCES: usize = 4;

/// Mean value (0 to 1) and mean cost (as `cost_norm` counts it) of always-small's probes of a task, then of always-large's.
pub(crate) fn references(
    label: &BoundaryLabel,
    objective: Objective,
    cost_norm: impl Fn(NanoUsd) -> f32,
) -> [f32; N_REFERENCES] {
    let value = |stats: &ProbeStats| stats.mean_value(objective) as f32;
    let cost = |stats: &ProbeStats| cost_norm(stats.mean_cost);
    [value(&label.small), cost(&label.small), value(&label.large), cost(&label.large)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::{BoundaryCosts, cost_in_spreads};
    use tollgate_routing::{Difficulty, TaskId};

    #[test]
    fn a_task_is_known_by_what_both_models_alone_make_of_it() {
        let probes = |successes, mean_score, mean_cost| ProbeStats {
            successes,
            episodes: 4,
            mean_cost: NanoUsd::new(mean_cost),
            mean_score,
        };
        let label = BoundaryLabel {
            task_id: TaskId::new("task"),
            difficulty: Difficulty::Hard,
            is_contested: false,
            small: probes(1, 0.5, 200),
            large: probes(4, 1.0, 900),
        };
        let unit = BoundaryCosts { low: NanoUsd::new(100), high: NanoUsd::new(500) };
        let check = |objective, expected: [f32; N_REFERENCES]| {
            for (found, expected) in
                references(&label, objective, |cost| cost_in_spreads(cost, &unit)).into_iter().zip(expected)
            {
                assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
            }
        };
        check(Objective::Success, [0.25, 0.5, 1.0, 2.25]);
        check(Objective::Score, [0.5, 0.5, 1.0, 2.25]);
    }
}
