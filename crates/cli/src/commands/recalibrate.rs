//! `tollgate recalibrate`: trained policies fitted to what logged episodes say the models cost now.
//!
//! Everything in dollars that a policy sees is measured in always-large's mean cost, and one unit of the cost that `lambda` weighs is
//! the distance between always-large's mean cost and always-small's. Both are read off the logged boundary episodes. With them a
//! change of all prices by one factor changes nothing: the policy sees the same numbers and decides the same way.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use tollgate_bopo::BoundaryCosts;
use tollgate_contract::EpisodeRow;
use tollgate_policy::CheckpointSpec;
use tollgate_routing::{NanoUsd, TaskId};
use tollgate_taxonomy::Boundary;

use crate::args::RecalibrateArgs;
use crate::artifact;
use crate::failure::bad_input;
use crate::output;
use crate::stage_call::partial_dir;
use crate::stored_policies::{StoredPolicy, stored_policies};

/// Mean cost per task of one boundary policy.
#[derive(Debug, Default)]
struct TaskCosts(BTreeMap<TaskId, (u64, u64)>);

/// What was changed in one policy, for programs.
#[derive(Debug, Serialize)]
struct Change {
    policy: String,
    train_seed: u64,
    cost_scale_nano_usd: u64,
    cost_scale_before_nano_usd: u64,
    cost_spread_nano_usd: u64,
    cost_spread_before_nano_usd: u64,
}

/// Runs the command.
pub(crate) fn run(args: &RecalibrateArgs) -> anyhow::Result<()> {
    if args.out.exists() {
        return Err(bad_input(format!(
            "{}: exists already\nhint: nothing is overwritten; remove it or name another --out",
            args.out.display()
        )));
    }
    let (costs, n_episodes) = logged_costs(&args.episodes)?;
    let policies = stored_policies(&args.checkpoint, None)?;
    let partial = partial_dir(&args.out)?;
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("{}: cannot be removed", partial.display()))?;
    }
    let mut changes = Vec::new();
    for StoredPolicy { spec, network } in policies {
        let recalibrated = StoredPolicy { spec: recalibrated(&spec, costs), network };
        recalibrated.save(&partial)?;
        changes.push(change(&spec, &recalibrated.spec));
    }
    fs::rename(&partial, &args.out).with_context(|| format!("{}: cannot be renamed", partial.display()))?;
    tracing::info!(n_episodes, policies = changes.len(), "recalibrated");
    if args.json { output::print_json(&changes) } else { print_table(&changes) }
}

/// The boundary policies' mean costs, and how many episodes they are from. Each task weighs the same, as in training.
fn logged_costs(path: &Path) -> anyhow::Result<(BoundaryCosts, usize)> {
    let [mut small, mut large] = [TaskCosts::default(), TaskCosts::default()];
    let mut n_episodes = 0;
    artifact::scan::<EpisodeRow>(path, |rows| {
        for row in rows {
            let costs = match Boundary::from_policy_id(&row.policy_id) {
                Some(Boundary::AlwaysSmall) => &mut small,
                Some(Boundary::AlwaysLarge) => &mut large,
                None => continue,
            };
            n_episodes += 1;
            costs.add(row.task_id, row.total_cost);
        }
        Ok(())
    })?;
    let mean = |costs: TaskCosts, boundary: Boundary| {
        costs.mean().ok_or_else(|| {
            bad_input(format!(
                "{}: no episode of policy `{boundary}` with a cost, expected some\nhint: the scale of the costs is read off the boundary policies' episodes; `tollgate simulate` plays them",
                path.display()
            ))
        })
    };
    let costs = BoundaryCosts::new(mean(small, Boundary::AlwaysSmall)?, mean(large, Boundary::AlwaysLarge)?);
    Ok((costs, n_episodes))
}

impl TaskCosts {
    fn add(&mut self, task: TaskId, cost: NanoUsd) {
        let (total, n_episodes) = self.0.entry(task).or_default();
        *total += cost.get();
        *n_episodes += 1;
    }

    /// The mean over tasks; `None` without a cost.
    fn mean(&self) -> Option<NanoUsd> {
        let total: u64 = self.0.values().map(|(total, n_episodes)| total / n_episodes).sum();
        let mean = total.checked_div(self.0.len() as u64).filter(|&mean| mean > 0)?;
        Some(NanoUsd::new(mean))
    }
}

/// What the checkpoint says once it is fitted to these costs.
fn recalibrated(spec: &CheckpointSpec, costs: BoundaryCosts) -> CheckpointSpec {
    let mut recalibrated = spec.clone();
    recalibrated.features.cost_scale_nano_usd = costs.high.get();
    recalibrated.cost_spread_nano_usd = costs.spread().get();
    recalibrated
}

fn change(before: &CheckpointSpec, after: &CheckpointSpec) -> Change {
    Change {
        policy: after.policy_id.clone(),
        train_seed: after.train_seed,
        cost_scale_nano_usd: after.features.cost_scale_nano_usd,
        cost_scale_before_nano_usd: before.features.cost_scale_nano_usd,
        cost_spread_nano_usd: after.cost_spread_nano_usd,
        cost_spread_before_nano_usd: before.cost_spread_nano_usd,
    }
}

fn print_table(changes: &[Change]) -> anyhow::Result<()> {
    let mut table = output::table(["policy", "seed", "cost scale", "before", "cost of λ 1", "before"]);
    let usd = |nano_usd: u64| format!("${:.5}", NanoUsd::new(nano_usd).as_usd());
    for change in changes {
        table.add_row([
            change.policy.clone(),
            change.train_seed.to_string(),
            usd(change.cost_scale_nano_usd),
            usd(change.cost_scale_before_nano_usd),
            usd(change.cost_spread_nano_usd),
            usd(change.cost_spread_before_nano_usd),
        ]);
    }
    output::print_table(&table)
}

#[cfg(test)]
mod tests {
    use tollgate_policy::{FEATURE_VERSION, FeatureConfig, NetworkShape};

    use super::*;

    fn spec() -> CheckpointSpec {
        CheckpointSpec {
            feature_version: FEATURE_VERSION,
            features: FeatureConfig::text(2, 1_000),
            shape: NetworkShape { early_stop: false, n_features: 1, n_hidden: 1, n_models: 2, n_privileged: 0 },
            policy_id: "bopo".into(),
            train_seed: 1,
            models: vec!["small".into(), "large".into()],
            cost_spread_nano_usd: 800,
            iterations: 1,
        }
    }

    #[track_caller]
    fn check(small: u64, large: u64, expected_scale: u64, expected_spread: u64) {
        let costs = BoundaryCosts::new(NanoUsd::new(small), NanoUsd::new(large));
        let found = recalibrated(&spec(), costs);
        assert_eq!((found.features.cost_scale_nano_usd, found.cost_spread_nano_usd), (expected_scale, expected_spread));
        let features = FeatureConfig { cost_scale_nano_usd: 1_000, ..found.features };
        assert_eq!(CheckpointSpec { features, cost_spread_nano_usd: 800, ..found }, spec());
    }

    #[test]
    fn scale_and_spread_are_those_of_the_logs_and_nothing_else_changes() {
        check(1_000, 5_000, 5_000, 4_000);
        // A small model can come to cost more than the large one, or as much.
        check(5_000, 4_000, 5_000, 1_000);
        check(4_000, 4_000, 4_000, 1);
    }

    #[test]
    fn every_task_weighs_the_same_however_often_it_was_played() {
        let mut costs = TaskCosts::default();
        for (task, cost) in [("a", 100), ("a", 300), ("b", 600)] {
            costs.add(TaskId::new(task), NanoUsd::new(cost));
        }
        assert_eq!(costs.mean(), Some(NanoUsd::new(400)));
        assert_eq!(TaskCosts::default().mean(), None);
    }
}
