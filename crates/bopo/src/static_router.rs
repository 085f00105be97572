//! The static router, a rival: it decides once per task, before the first step.
//!
//! Trained with full information: the probes tell what both boundary models would have achieved on a training task. So it is
//! cost-sensitive classification, for all operating points at once: the better model of a task is the answer, and counts by how much
//! better it is. To maximise the utility of a drawn choice instead would be slower by the probability of the worse one, which falls
//! to nothing long before high weights of the cost are learnt.

use std::collections::HashMap;

use candle_core::Device;
use rand::SeedableRng;
use rand::seq::index::sample;
use rand_pcg::Pcg64Mcg;
use tollgate_policy::{FeatureConfig, RouterNetwork};
use tollgate_rollout::derive_seed;
use tollgate_routing::{BoundaryLabel, Budget, Episode, ModelIndex, ModelPool, Objective, ProbeStats};

use crate::batch::{StepRows, gather};
use crate::condition::ConditionConfig;
use crate::error::{TrainError, expect_finite};
use crate::loss::{masked_log_probs, weighted_cross_entropy};
use crate::optimizer::AdamW;
use crate::replay::replay;
use crate::reward::{BoundaryCosts, cost_in_spreads};

/// Updates, however many tasks there are.
const N_UPDATES: u32 = 1_000;
/// Operating points drawn per task.
const N_POINTS: usize = 16;
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
    pub(crate) costs: BoundaryCosts,
}

/// First steps of training tasks, each at an operating point.
struct Choices {
    /// The action is the boundary model that the probes speak for.
    steps: StepRows,
    /// By how much it is better than the other one. `[n_rows]`.
    weights: Vec<f32>,
}

/// Trains `network` to choose a boundary model from the first observation.
///
/// # Errors
/// [`TrainError::Missing`] where no task was probed, [`TrainError::Diverged`] for a loss or gradient that is not finite.
pub(crate) fn train_static(
    network: &RouterNetwork,
    inputs: &StaticInputs<'_>,
    device: &Device,
    seed: u64,
) -> Result<(), TrainError> {
    if inputs.labels.iter().all(|label| !inputs.probes.contains_key(label.task_id.as_str())) {
        return Err(TrainError::Missing {
            what: "the boundary probes",
            detail: "no episode of always-small or always-large of a training task was given".to_owned(),
            hint: "the static router learns from the probes that `simulate` has played",
        });
    }
    let choices = draw_choices(inputs, seed);
    let n_choices = choices.weights.len();
    if n_choices == 0 {
        return Ok(());
    }
    let mut optimizer = AdamW::new(network.variables(), WEIGHT_DECAY, 1.0);
    let mut rng = Pcg64Mcg::seed_from_u64(derive_seed(seed, 1));
    for update in 0..N_UPDATES {
        let rows = sample(&mut rng, n_choices, MINIBATCH_SIZE.min(n_choices)).into_vec();
        // Among all models, so that those between the boundaries, which have no probes, are never the answer.
        let allowed = choices.steps.allowed_of(&rows, device)?;
        let log_probs = masked_log_probs(&network.logits(&choices.steps.features_of(&rows, device)?)?, &allowed)?;
        let best = choices.steps.actions_of(&rows, device)?;
        let loss = weighted_cross_entropy(&log_probs, &best, &gather(&choices.weights, &rows, device)?)?;
        expect_finite("static", update, "loss", loss.to_scalar()?)?;
        let norm = optimizer.update(&loss.backward()?, LEARNING_RATE)?;
        expect_finite("static", update, "gradient norm", norm)?;
    }
    Ok(())
}

/// Operating points are drawn as in the training of every router. The probes had no caps: under one in dollars a model whose probes cost
/// more solves nothing, under one on calls both are worth what they are without.
fn draw_choices(inputs: &StaticInputs<'_>, seed: u64) -> Choices {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut choices =
        Choices { steps: StepRows::new(inputs.features.n_features(), inputs.pool.len()), weights: Vec::new() };
    for label in inputs.labels {
        let Some(probe) = inputs.probes.get(label.task_id.as_str()) else { continue };
        let first = first_step(probe);
        for _ in 0..N_POINTS {
            let point = inputs.conditions.draw(inputs.costs.high, &mut rng);
            let utility = |stats: &ProbeStats| {
                let cost = cost_in_spreads(stats.mean_cost, &inputs.costs);
                let value = if fits(stats, point.budget) { stats.mean_value(inputs.objective) as f32 } else { 0.0 };
                value - point.lambda * cost
            };
            let lead_of_large = utility(&label.large) - utility(&label.small);
            let best = if lead_of_large > 0.0 { inputs.pool.large() } else { ModelIndex::SMALL };
            let rows = replay(&first, point, inputs.pool, inputs.features);
            // Where both are worth the same there is nothing to learn.
            if rows.len() == 1 && lead_of_large != 0.0 {
                choices.steps.push(&rows.features, best, inputs.pool.all());
                choices.weights.push(lead_of_large.abs());
            }
        }
    }
    choices
}

fn fits(stats: &ProbeStats, budget: Budget) -> bool {
    match budget {
        Budget::Usd(cap) => stats.mean_cost <= cap,
        Budget::LargeCalls(_) | Budget::Unlimited => true,
    }
}

fn first_step(episode: &Episode) -> Episode {
    Episode { steps: episode.steps.iter().take(1).cloned().collect(), ..episode.clone() }
}
