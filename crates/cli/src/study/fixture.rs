//! Small evaluations for tests: the boundary policies and BoPO without a cap.

use tollgate_inference::{Cell, EpisodeOutcome};
use tollgate_routing::{Budget, NanoUsd, Split, TaskId};

use super::Comparison;
use crate::figures::{Evaluated, Evaluations};

/// What was played, in both splits that a comparison reads.
pub(super) struct Played<'a> {
    pub(super) tasks: &'a [&'a str],
    /// Of BoPO's training runs.
    pub(super) train_seeds: &'a [u64],
}

pub(super) fn evaluations(played: &Played<'_>) -> Evaluations {
    let mut evaluations = Evaluations::default();
    let trained = played.train_seeds.iter().map(|&seed| ("bopo", Some(seed), 2_000));
    for (policy_id, train_seed, cost) in
        [("always-small", None, 1_000), ("always-large", None, 4_000)].into_iter().chain(trained)
    {
        let cell_idx = evaluations.cells.len();
        evaluations.cells.push(Cell {
            policy_id: policy_id.into(),
            family: policy_id.into(),
            lambda: 0.0,
            budget: Budget::Unlimited,
            train_seed,
        });
        for split in [Split::Validation, Split::Test] {
            evaluations.episodes.extend(played.tasks.iter().map(|task| Evaluated {
                cell_idx,
                task_id: TaskId::new(task),
                split,
                outcome: outcome(policy_id != "always-small", cost),
            }));
        }
    }
    evaluations
}

pub(super) fn comparison(played: &Played<'_>) -> Comparison {
    Comparison::new(&evaluations(played), Split::Test, 10, 0.95).unwrap()
}

fn outcome(is_success: bool, cost_nano_usd: u64) -> EpisodeOutcome {
    EpisodeOutcome {
        is_success,
        score: if is_success { 1.0 } else { 0.0 },
        cost: NanoUsd::new(cost_nano_usd),
        n_large_calls: 0,
        n_steps: 1,
        is_given_up: false,
        is_violation: false,
    }
}
