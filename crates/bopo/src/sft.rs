//! The SFT warm start: imitate the synthesized examples.

use std::collections::HashMap;

use candle_core::Device;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_policy::{FeatureConfig, RouterNetwork};
use tollgate_rollout::derive_seed;
use tollgate_routing::{Budget, Episode, ModelPool, NanoUsd, SftExample};

use crate::batch::{StepRows, gather};
use crate::condition::{ConditionConfig, OperatingPoint};
use crate::config::SftConfig;
use crate::error::{TrainError, expect_finite};
use crate::giving_up::model_logits;
use crate::loss::{masked_log_probs, weighted_cross_entropy};
use crate::optimizer::AdamW;
use crate::replay::replay;

/// The examples with their features.
pub(crate) struct SftRows {
    pub(crate) steps: StepRows,
    /// `[n_rows]`.
    pub(crate) weights: Vec<f32>,
}

/// What the examples are turned into features with.
pub(crate) struct SftContext<'a> {
    pub(crate) pool: &'a ModelPool,
    pub(crate) features: FeatureConfig,
    pub(crate) conditions: &'a ConditionConfig,
    pub(crate) large_cost: NanoUsd,
    /// Whether operating points are drawn for the examples; otherwise they are blank.
    pub(crate) is_conditioned: bool,
}

/// Replays the episodes behind the examples. Each episode is given an operating point that it could have been played at.
pub(crate) fn sft_rows(
    examples: &[SftExample],
    episodes: &HashMap<&str, &Episode>,
    context: &SftContext<'_>,
    max_examples: usize,
    seed: u64,
) -> Result<SftRows, TrainError> {
    let mut by_episode: Vec<(&str, Vec<&SftExample>)> = Vec::new();
    for example in examples {
        match by_episode.last_mut() {
            Some((id, group)) if *id == example.episode_id.as_str() => group.push(example),
            _ => by_episode.push((example.episode_id.as_str(), vec![example])),
        }
    }
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    by_episode.shuffle(&mut rng);

    let n_features = context.features.n_features();
    let mut rows = SftRows { steps: StepRows::new(n_features, context.features.n_models), weights: Vec::new() };
    for (id, group) in by_episode {
        if rows.weights.len() >= max_examples {
            break;
        }
        let episode = episodes.get(id).ok_or_else(|| TrainError::Missing {
            what: "an episode of sft_examples",
            detail: format!("`{id}` is not among the episodes"),
            hint: "classify, synthesize and optimize must read the same simulate output",
        })?;
        let replayed = replay(episode, draw_point(context, episode, &mut rng), context.pool, context.features);
        for example in group {
            let row = example.step_idx as usize;
            if row >= replayed.len() {
                return Err(TrainError::Missing {
                    what: "a step of sft_examples",
                    detail: format!("`{id}` has no step {row}"),
                    hint: "classify, synthesize and optimize must read the same simulate output",
                });
            }
            let features = &replayed.features[row * n_features..(row + 1) * n_features];
            rows.steps.push(features, example.action, replayed.allowed[row].with(example.action));
            rows.weights.push(example.weight);
        }
    }
    Ok(rows)
}

/// An operating point at which an episode could have been played: a cap has room for all that it did.
fn draw_point(context: &SftContext<'_>, episode: &Episode, rng: &mut Pcg64Mcg) -> OperatingPoint {
    if !context.is_conditioned {
        return OperatingPoint { lambda: 0.0, budget: Budget::Unlimited };
    }
    let point = context.conditions.draw(context.large_cost, rng);
    let n_large = episode.n_calls(context.pool.large());
    let budget = match point.budget {
        Budget::LargeCalls(_) => {
            Budget::LargeCalls(n_large.max(1) + rng.random_range(0..=context.conditions.max_large_calls / 2))
        }
        Budget::Usd(cap) => Budget::Usd(cap + episode.total_cost()),
        Budget::Unlimited => Budget::Unlimited,
    };
    OperatingPoint { lambda: point.lambda, budget }
}

/// Trains the policy of that name to imitate the rows. Returns the loss of the last pass; 0 without rows or passes.
pub(crate) fn warm_start(
    network: &RouterNetwork,
    rows: &SftRows,
    policy_id: &str,
    config: &SftConfig,
    device: &Device,
    seed: u64,
) -> Result<f32, TrainError> {
    let mut optimizer = AdamW::new(network.variables(), 0.0, 1.0);
    let mut order: Vec<usize> = (0..rows.weights.len()).collect();
    let mut mean_loss = 0.0;
    for epoch in 0..config.epochs {
        order.shuffle(&mut Pcg64Mcg::seed_from_u64(derive_seed(seed, u64::from(epoch))));
        let mut total = 0.0;
        for chunk in order.chunks(config.minibatch_size) {
            // No example gives up, and that says nothing against giving up: nobody could. As an action that is never taken it would
            // be unlearnt before it was ever tried, so its logit has no part in this and keeps about its place below the models'.
            let logits = model_logits(&network.logits(&rows.steps.features_of(chunk, device)?)?, rows.steps.n_models)?;
            let log_probs = masked_log_probs(&logits, &rows.steps.allowed_of(chunk, device)?)?;
            let actions = rows.steps.actions_of(chunk, device)?;
            let loss = weighted_cross_entropy(&log_probs, &actions, &gather(&rows.weights, chunk, device)?)?;
            let value = loss.to_scalar::<f32>()?;
            expect_finite(policy_id, epoch, "loss", value)?;
            let norm = optimizer.update(&loss.backward()?, config.learning_rate)?;
            expect_finite(policy_id, epoch, "gradient norm", norm)?;
            total += value * chunk.len() as f32;
        }
        mean_loss = total / order.len().max(1) as f32;
    }
    Ok(mean_loss)
}
