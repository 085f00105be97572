//! The trained policies of a checkpoint directory as players.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tollgate_bopo::Variant;
use tollgate_inference::DecideOnce;
use tollgate_policy::{CheckpointSpec, Choice, DecisionNetwork, LearnedPolicy};
use tollgate_rollout::{PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{BudgetView, ModelPool, Task, Turn};

use super::players::Player;
use crate::stored_policies::{StoredPolicy, stored_policies};

/// Every trained policy under `directory`, variants in their usual order, then seeds.
pub(crate) fn players<'a>(directory: &Path, pool: &ModelPool) -> anyhow::Result<Vec<Player<'a>>> {
    let mut players = Vec::new();
    for StoredPolicy { spec, network } in stored_policies(directory, Some(pool))? {
        let network = network.freeze().context("a network cannot be frozen")?;
        players.push((spec.policy_id.clone(), spec.train_seed, player(&spec, network)));
    }
    players.sort_by_key(|(policy_id, train_seed, _)| (position(policy_id), policy_id.clone(), *train_seed));
    Ok(players.into_iter().map(|(_, _, player)| player).collect())
}

fn player<'a>(spec: &CheckpointSpec, network: DecisionNetwork) -> Player<'a> {
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
