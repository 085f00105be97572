//! The static router, a rival: it decides once per task, before the first step.
//!
//! Trained with full information: the probes tell what both boundary models would have achieved on a training task, so the
//! expected utility of the choice is maximised directly, for all `lambda` at once.

use std::collections::HashMap;

use candle_core::{D, Device, Tensor};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;
use tollgate_policy::{FeatureConfig, RouterNetwork};
use tollgate_rollout::derive_seed;
use tollgate_routing::{BoundaryLabel, Budget, Episode, ModelPool, NanoUsd, Objective, ProbeStats};

use crate::batch::StepRows;
use crate::condition::{ConditionConfig, OperatingPoint};
use crate::error::TrainError;
use crate::loss::masked_log_probs;
use crate::optimizer::AdamW;
use crate::replay::replay;

const EPOCHS: u64 = 30;
/// Operating points drawn per task.
const N_POINTS: usize = 8;
const MINIBATCH_SIZE: usize = 256;
const LEARNING_RATE: f64 = 1e-3;
const WEIGHT_DECAY: f64 = 1e-2;

/// What the static router learns from.
pub(crate) struct StaticInputs<'a> {
    /// One probe per task is enough: only its first observation is read.
    pub(crate) probes: &'a HashMap<&'a str, &'a Episode>,
    pub(crate) labels: &'a [BoundaryLabel],
    pub(crate) pool: &'a ModelPool,
    pub(crate) features: FeatureConfig,
    pub(crate) conditions: &'a ConditionConfig,
    pub(crate) objective: Objective,
    pub(crate) spread: NanoUsd,
}

/// Trains `network` to choose a boundary model from the first observation.
pub(crate) fn train_static(
    network: &RouterNetwork,
    inputs: &StaticInputs<'_>,
    device: &Device,
    seed: u64,
) -> Result<(), TrainError> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let n_models = inputs.pool.len();
    let mut rows = StepRows::new(inputs.features.n_features(), n_models);
    let mut utilities = Vec::new();
    for label in inputs.labels {
        let Some(probe) = inputs.probes.get(label.task_id.as_str()) else { continue };
        for _ in 0..N_POINTS {
            let lambda = inputs.conditions.draw_lambda(&mut rng);
            let point = OperatingPoint { lambda, budget: Budget::Unlimited };
            let first = replay(&first_step(probe), point, inputs.pool, inputs.features);
            rows.extend(&first);
            let middle = std::iter::repeat_n(0.0, n_models - 2);
            utilities.push(utility(&label.small, inputs.objective, lambda, inputs.spread));
            utilities.extend(middle);
            utilities.push(utility(&label.large, inputs.objective, lambda, inputs.spread));
        }
    }
    let boundaries = boundary_mask(n_models);
    let mut optimizer = AdamW::new(network.variables(), WEIGHT_DECAY, 1.0);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    for epoch in 0..EPOCHS {
        order.shuffle(&mut Pcg64Mcg::seed_from_u64(derive_seed(seed, epoch)));
        for chunk in order.chunks(MINIBATCH_SIZE) {
            let logits = network.logits(&rows.features_of(chunk, device)?)?;
            let allowed = Tensor::from_vec(boundaries.repeat(chunk.len()), (chunk.len(), n_models), device)?;
            let probabilities = masked_log_probs(&logits, &allowed)?.exp()?;
            let picked = chunk
                .iter()
                .flat_map(|&row| utilities[row * n_models..(row + 1) * n_models].to_vec())
                .collect::<Vec<f32>>();
            let picked = Tensor::from_vec(picked, (chunk.len(), n_models), device)?;
            let loss = (probabilities * picked)?.sum(D::Minus1)?.mean_all()?.neg()?;
            optimizer.update(&loss.backward()?, LEARNING_RATE)?;
        }
    }
    Ok(())
}

/// What a boundary model's probes say it is worth: `value - lambda * cost`.
fn utility(stats: &ProbeStats, objective: Objective, lambda: f32, spread: NanoUsd) -> f32 {
    stats.mean_value(objective) as f32 - lambda * stats.mean_cost.get() as f32 / spread.get() as f32
}

/// Only the boundary models have probes.
fn boundary_mask(n_models: usize) -> Vec<f32> {
    (0..n_models).map(|index| if index == 0 || index + 1 == n_models { 1.0 } else { 0.0 }).collect()
}

fn first_step(episode: &Episode) -> Episode {
    Episode { steps: episode.steps.iter().take(1).cloned().collect(), ..episode.clone() }
}
