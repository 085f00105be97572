//! Outcomes for tests.

use tollgate_routing::{Budget, NanoUsd, Objective, TaskId};

use super::OutcomeTable;
use crate::{Cell, EpisodeOutcome, family_of};

pub(crate) fn cell(policy_id: &str, lambda: f32, train_seed: Option<u64>) -> Cell {
    let family = family_of(policy_id).into();
    Cell { policy_id: policy_id.into(), family, lambda, budget: Budget::Unlimited, train_seed }
}

/// An outcome of so many whole dollars.
pub(crate) fn outcome(is_success: bool, cost_usd: u64) -> EpisodeOutcome {
    EpisodeOutcome {
        is_success,
        score: f32::from(u8::from(is_success)),
        cost: NanoUsd::new(cost_usd * 1_000_000_000),
        n_large_calls: 0,
        n_steps: 1,
        is_given_up: false,
        is_violation: false,
    }
}

/// A policy: its id, lambda, and success and dollars task by task.
pub(crate) type Played<'a> = (&'a str, f32, &'a [(bool, u64)]);

/// One episode per policy and task.
pub(crate) fn table(policies: &[Played<'_>]) -> OutcomeTable {
    let rows: Vec<(Cell, TaskId, EpisodeOutcome)> = policies
        .iter()
        .flat_map(|(policy_id, lambda, outcomes)| {
            outcomes.iter().enumerate().map(move |(task, &(is_success, cost_usd))| {
                let task = TaskId::new(&format!("task-{task:03}"));
                (cell(policy_id, *lambda, None), task, outcome(is_success, cost_usd))
            })
        })
        .collect();
    OutcomeTable::aggregate(Objective::Success, rows.iter().map(|(cell, task, outcome)| (cell, task, outcome))).unwrap()
}
