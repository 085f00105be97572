//! A coin decides each step.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict, derive_seed};
use tollgate_routing::{ModelIndex, Task};

use crate::InferenceError;

/// Draws the model of each step by fixed probabilities, independently of everything seen. A draw that does not fit the
/// budget becomes the nearest model that does.
///
/// The draw of a step derives from the episode's seed and the step alone, so that mixes of different probabilities are
/// compared on the same coins: what a lower share of large calls is also called at a higher one.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomMixing {
    probabilities: Vec<f64>,
    seed: u64,
}

/// Keeps the coins apart from the chance events of environment and models, which derive from the same seed.
const COIN_STREAM: u64 = 0x7261_6E64_6F6D;

impl RandomMixing {
    /// The baseline: the large model of a pool of `n_models` with probability `p_large`, else the small one. With more than
    /// two models the ones between are never called: it mixes the two boundary policies.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] for a probability outside 0..=1 or fewer than two models.
    pub fn of_boundaries(p_large: f64, n_models: usize) -> Result<Self, InferenceError> {
        if n_models < 2 {
            return Err(InferenceError::Setting { name: "n_models", value: n_models as f64, expected: "2 or more" });
        }
        let mut probabilities = vec![0.0; n_models];
        probabilities[0] = 1.0 - p_large;
        probabilities[n_models - 1] = p_large;
        Self::with_probabilities(probabilities)
    }

    /// Model `i` with probability `probabilities[i]`, small first: the rollouts of the mixed sweep.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] for a probability outside 0..=1, or when they do not add up to 1.
    pub fn with_probabilities(probabilities: Vec<f64>) -> Result<Self, InferenceError> {
        if let Some(&value) = probabilities.iter().find(|&probability| !(0.0..=1.0).contains(probability)) {
            return Err(InferenceError::Setting { name: "probability of a model", value, expected: "0 to 1" });
        }
        let total: f64 = probabilities.iter().sum();
        if (total - 1.0).abs() > 1e-9 {
            return Err(InferenceError::Setting { name: "sum of probabilities", value: total, expected: "1" });
        }
        Ok(Self { probabilities, seed: 0 })
    }

    fn draw(&self, step_idx: usize) -> ModelIndex {
        let coin: f64 = Pcg64Mcg::seed_from_u64(derive_seed(self.seed, step_idx as u64)).random();
        // The dearest model takes the lowest coins, so that raising its probability only ever adds steps to it.
        let mut below = 0.0;
        for (model, probability) in self.probabilities.iter().enumerate().rev() {
            below += probability;
            if coin < below {
                return ModelIndex::new(model);
            }
        }
        ModelIndex::SMALL
    }
}

impl RoutingPolicy for RandomMixing {
    fn begin(&mut self, _task: &Task, seed: u64) {
        self.seed = derive_seed(seed, COIN_STREAM);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        if self.probabilities.len() != context.pool.len() {
            return Err(PolicyError::Mismatch {
                policy: "random-mixing".to_owned(),
                expected: format!("a pool of {} models", self.probabilities.len()),
                found: format!("a pool of {}", context.pool.len()),
            });
        }
        let drawn = self.draw(context.turns.len());
        let action = context.allowed.nearest(drawn).unwrap_or(drawn);
        let probability: f64 = self
            .probabilities
            .iter()
            .enumerate()
            .filter(|&(model, _)| context.allowed.nearest(ModelIndex::new(model)) == Some(action))
            .map(|(_, probability)| probability)
            .sum();
        Ok(Verdict::Call(Decision { action, log_prob: probability.ln().min(0.0) as f32 }))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_routing::{Budget, Episode};

    use super::*;
    use crate::BudgetConstrained;
    use crate::test_arena::{TestArena, actions, play};

    fn shares(policy: &mut RandomMixing, n_models: usize) -> Vec<f64> {
        let arena = TestArena::new(n_models);
        let mut counts = vec![0.0; n_models];
        for seed in 0..2_000 {
            for action in actions(&play(&arena, policy, seed)) {
                counts[action] += 1.0 / 16_000.0;
            }
        }
        counts
    }

    #[track_caller]
    fn check(mut policy: RandomMixing, expected: &[f64]) {
        // 16,000 draws: four standard errors are below 0.016.
        for (share, expected) in shares(&mut policy, expected.len()).into_iter().zip(expected) {
            assert!((share - expected).abs() < 0.016, "{share} is far from {expected}");
        }
    }

    #[test]
    fn models_are_called_as_often_as_their_probability_says() {
        check(RandomMixing::of_boundaries(0.3, 2).unwrap(), &[0.7, 0.3]);
        check(RandomMixing::of_boundaries(0.3, 3).unwrap(), &[0.7, 0.0, 0.3]);
        check(RandomMixing::with_probabilities(vec![0.25, 0.5, 0.25]).unwrap(), &[0.25, 0.5, 0.25]);
        check(RandomMixing::of_boundaries(0.0, 2).unwrap(), &[1.0, 0.0]);
        check(RandomMixing::of_boundaries(1.0, 2).unwrap(), &[0.0, 1.0]);
    }

    #[test]
    fn a_higher_share_calls_large_wherever_a_lower_one_does() {
        let arena = TestArena::new(2);
        for seed in 0..50 {
            let played = |p| actions(&play(&arena, &mut RandomMixing::of_boundaries(p, 2).unwrap(), seed));
            assert!(played(0.3).iter().zip(played(0.6)).all(|(&low, high)| low <= high));
        }
    }

    #[test]
    fn the_log_prob_counts_every_draw_that_ends_in_the_action() {
        let mixing = RandomMixing::with_probabilities(vec![0.2, 0.3, 0.5]).unwrap();
        let mut capped = BudgetConstrained::new(mixing, Budget::LargeCalls(0), 0.0);
        let episode: Episode = play(&TestArena::new(3), &mut capped, 4);
        for step in &episode.steps {
            let expected = [0.2_f32, 0.8][step.turn.action.get()].ln();
            assert!((step.log_prob - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn probabilities_that_are_none_are_refused() {
        let error = RandomMixing::of_boundaries(1.5, 2).unwrap_err();
        assert_eq!(error.to_string(), "`probability of a model` is -0.5, expected 0 to 1");
        assert!(RandomMixing::with_probabilities(vec![0.5, 0.4]).is_err());
    }
}
