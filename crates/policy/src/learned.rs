//! A trained network as a routing policy.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict, derive_seed};
use tollgate_routing::{ActionMask, ModelIndex, Task};

use crate::{DecisionNetwork, FeatureConfig, RouterFeatures, Scratch};

/// How a learned policy picks from its probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The most probable action: for serving and evaluation.
    Greedy,
    /// An action drawn from the probabilities: for exploration.
    Sample,
}

/// A policy that asks a trained network before each step.
#[derive(Debug, Clone)]
pub struct LearnedPolicy {
    id: Arc<str>,
    network: Arc<DecisionNetwork>,
    features: RouterFeatures,
    choice: Choice,
    rng: Pcg64Mcg,
    buffer: Vec<f32>,
    probabilities: Vec<f32>,
    scratch: Scratch,
}

/// Stream of an episode's seed that the policy draws from.
const POLICY_STREAM: u64 = 0x504F_4C49;

impl LearnedPolicy {
    /// A policy of a network that was trained on features of `config`.
    #[must_use]
    pub fn new(id: &str, network: Arc<DecisionNetwork>, config: FeatureConfig, choice: Choice) -> Self {
        Self {
            id: Arc::from(id),
            network,
            features: RouterFeatures::new(config),
            choice,
            rng: Pcg64Mcg::seed_from_u64(0),
            buffer: Vec::with_capacity(config.n_features()),
            probabilities: Vec::with_capacity(config.n_models),
            scratch: Scratch::default(),
        }
    }

    /// The features of the last decision. `[n_features]`.
    #[must_use]
    pub fn last_features(&self) -> &[f32] {
        &self.buffer
    }

    /// The probability of each model in the last decision; 0 where it was not allowed. `[n_models]`.
    #[must_use]
    pub fn last_probabilities(&self) -> &[f32] {
        &self.probabilities
    }

    fn check(&self, context: &RoutingContext<'_>) -> Result<(), PolicyError> {
        let config = self.features.config();
        let found = (context.pool.len(), context.observation.signals.len());
        if found == (config.n_models, config.n_signals) && self.network.n_features() == config.n_features() {
            return Ok(());
        }
        Err(PolicyError::Mismatch {
            policy: self.id.to_string(),
            expected: format!("{} models and {} signals per observation", config.n_models, config.n_signals),
            found: format!("{} models and {} signals", found.0, found.1),
        })
    }
}

impl RoutingPolicy for LearnedPolicy {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.features.begin(task);
        self.rng = Pcg64Mcg::seed_from_u64(derive_seed(seed, POLICY_STREAM));
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.check(context)?;
        self.features.extract(context, &mut self.buffer);
        let logits = self.network.forward(&self.buffer, &mut self.scratch);
        masked_softmax(logits, context.allowed, &mut self.probabilities);
        if self.probabilities.iter().any(|probability| !probability.is_finite()) {
            return Err(PolicyError::NotFinite { policy: self.id.to_string(), step_idx: context.turns.len() });
        }
        let action = match self.choice {
            Choice::Greedy => most_probable(&self.probabilities),
            Choice::Sample => draw(&self.probabilities, self.rng.random::<f32>()),
        };
        Ok(Verdict::Call(Decision {
            action: ModelIndex::new(action),
            log_prob: self.probabilities[action].ln().min(0.0),
        }))
    }
}

/// Probabilities of the allowed actions, in proportion to the exponentials of their logits. Not finite when a logit is.
fn masked_softmax(logits: &[f32], allowed: ActionMask, probabilities: &mut Vec<f32>) {
    probabilities.clear();
    probabilities.extend_from_slice(logits);
    let largest = allowed.iter().map(|action| logits[action.get()]).fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (index, value) in probabilities.iter_mut().enumerate() {
        *value = if allowed.allows(ModelIndex::new(index)) { (*value - largest).exp() } else { 0.0 };
        total += *value;
    }
    for value in probabilities {
        *value /= total;
    }
}

/// The first of the most probable actions.
fn most_probable(probabilities: &[f32]) -> usize {
    (1..probabilities.len())
        .fold(0, |best, index| if probabilities[index] > probabilities[best] { index } else { best })
}

fn draw(probabilities: &[f32], uniform: f32) -> usize {
    let mut rest = uniform;
    for (index, &probability) in probabilities.iter().enumerate() {
        rest -= probability;
        if rest < 0.0 {
            return index;
        }
    }
    most_probable(probabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_softmax(logits: &[f32], allowed: ActionMask, expected: &[f32]) {
        let mut found = Vec::new();
        masked_softmax(logits, allowed, &mut found);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
        }
    }

    #[test]
    fn masked_actions_have_no_probability() {
        let all = ActionMask::first(3);
        check_softmax(&[0.0, 2.0_f32.ln(), 0.0], all, &[0.25, 0.5, 0.25]);
        check_softmax(&[0.0, 50.0, 0.0], all.without(ModelIndex::new(1)), &[0.5, 0.0, 0.5]);
        check_softmax(&[-900.0, 900.0, 900.0], ActionMask::first(1), &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn draws_follow_the_probabilities_and_never_take_a_masked_action() {
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.2), 0);
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.25), 2);
        assert_eq!(draw(&[0.25, 0.0, 0.75], 0.999_999_9), 2);
    }

    #[test]
    fn a_network_that_is_not_finite_is_refused() {
        let mut probabilities = Vec::new();
        masked_softmax(&[f32::NAN, 1.0], ActionMask::first(2), &mut probabilities);
        assert!(probabilities.iter().any(|probability| probability.is_nan()));
    }
}
