//! The trained policies of a checkpoint directory: `<variant>/seed-<n>/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use candle_core::Device;
use tollgate_bopo::Variant;
use tollgate_inference::DecideOnce;
use tollgate_policy::{CheckpointSpec, Choice, DecisionNetwork, LearnedPolicy, RouterNetwork, load_checkpoint};
use tollgate_rollout::{PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{BudgetView, ModelPool, Task, Turn};

use super::players::Player;
use crate::failure::{OrBadInput, bad_input};

/// A trained policy on disk.
pub(crate) struct StoredPolicy {
    /// What its checkpoint says.
    pub(crate) spec: CheckpointSpec,
    /// Its network.
    pub(crate) network: RouterNetwork,
}

/// Every trained policy under `directory`, in directories `<variant>/seed-<n>`, ordered by path. Given a pool, it has to be the one
/// that they were trained for.
pub(crate) fn stored_policies(directory: &Path, pool: Option<&ModelPool>) -> anyhow::Result<Vec<StoredPolicy>> {
    let mut policies = Vec::new();
    for variant_dir in subdirectories(directory)? {
        for directory in subdirectories(&variant_dir)? {
            let (spec, network) = load_checkpoint(&directory, &Device::Cpu).or_bad_input()?;
            pool.map_or(Ok(()), |pool| check_models(&directory, &spec, pool))?;
            policies.push(StoredPolicy { spec, network });
        }
    }
    if policies.is_empty() {
        return Err(bad_input(format!(
            "{}: no trained policy, expected directories `<variant>/seed-<n>`\nhint: run `tollgate optimize` first",
            directory.display()
        )));
    }
    Ok(policies)
}

/// Every trained policy under `directory`, variants in their usual order, then seeds.
pub(crate) fn players(directory: &Path, pool: &ModelPool) -> anyhow::Result<Vec<Player>> {
    let mut players = Vec::new();
    for StoredPolicy { spec, network } in stored_policies(directory, Some(pool))? {
        let network = network.freeze().context("a network cannot be frozen")?;
        players.push((spec.policy_id.clone(), spec.train_seed, player(&spec, network)));
    }
    players.sort_by_key(|(policy_id, train_seed, _)| (position(policy_id), policy_id.clone(), *train_seed));
    Ok(players.into_iter().map(|(_, _, player)| player).collect())
}

fn player(spec: &CheckpointSpec, network: DecisionNetwork) -> Player {
    let (id, features, network) = (spec.policy_id.clone(), spec.features, Arc::new(network));
    let make = move || LearnedPolicy::new(&id, network.clone(), features, Choice::Greedy);
    let id = spec.policy_id.as_str();
    let player = if id == Variant::Static.as_str() {
        Player::new(id, move || DecideOnce::new(make())).conditioned()
    } else if id == Variant::BopoNoConditioning.as_str() {
        Player::new(id, move || Blind(make()))
    } else {
        Player::new(id, make).conditioned()
    };
    player.trained(spec.train_seed)
}

/// Variants that we know come first, in their usual order.
fn position(policy_id: &str) -> usize {
    Variant::ALL.iter().position(|variant| variant.as_str() == policy_id).unwrap_or(Variant::ALL.len())
}

fn check_models(directory: &Path, spec: &CheckpointSpec, pool: &ModelPool) -> anyhow::Result<()> {
    let models: Vec<&str> = pool.iter().map(|(_, model)| &*model.id).collect();
    if spec.models == models {
        return Ok(());
    }
    Err(bad_input(format!(
        "{}: trained for the models {}, found the pool {}\nhint: train again with this pool, or evaluate with the one it was trained for",
        directory.display(),
        spec.models.join(", "),
        models.join(", ")
    )))
}

/// Directories in `directory`, ordered by name.
fn subdirectories(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        let mut paths: Vec<PathBuf> =
            fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        paths.retain(|path| path.is_dir());
        paths.sort();
        Ok(paths)
    };
    read()
        .map_err(|error| {
            anyhow::anyhow!(
                "{}: {error}\nhint: it should be the directory `checkpoint` of `optimize`",
                directory.display()
            )
        })
        .or_bad_input()
}

/// A policy that is not shown the operating point, as it was trained.
struct Blind<P>(P);

impl<P: RoutingPolicy> RoutingPolicy for Blind<P> {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.0.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.0.decide(&RoutingContext { budget: BudgetView::default(), ..*context })
    }

    fn settle(&mut self, turn: &Turn) {
        self.0.settle(turn);
    }
}
