//! Words that a policy is kept from while it trains, so that it does not tell tasks apart by them.
//!
//! Dropout of inputs (Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 15, 2014), drawn once
//! per episode: what is hidden at one step is hidden at every other, or its words could be put together again.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Which buckets of words an episode sees.
#[derive(Debug, Clone)]
pub(crate) struct WordDropout {
    share: f32,
    /// What each bucket is multiplied by: 0 where it is hidden, elsewhere what keeps its mean. `[n_words]`.
    factors: Vec<f32>,
}

impl WordDropout {
    /// Hides a `share` of `n_words` buckets, 0 to below 1; none before the first [`draw`](Self::draw).
    pub(crate) fn new(share: f32, n_words: usize) -> Self {
        Self { share, factors: vec![1.0; n_words] }
    }

    /// Draws what the next episode is kept from.
    pub(crate) fn draw(&mut self, seed: u64) {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let kept = 1.0 / (1.0 - self.share);
        self.factors.fill_with(|| if rng.random::<f32>() < self.share { 0.0 } else { kept });
    }

    /// Hides them in the words of one step. `[n_words]`.
    pub(crate) fn apply(&self, words: &mut [f32]) {
        for (word, factor) in words.iter_mut().zip(&self.factors) {
            *word *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(dropout: &mut WordDropout, seed: u64) -> Vec<f32> {
        let mut words = vec![1.0; dropout.factors.len()];
        dropout.draw(seed);
        dropout.apply(&mut words);
        words
    }

    #[test]
    fn a_share_of_the_buckets_is_hidden_and_the_mean_stays() {
        let words = seen(&mut WordDropout::new(0.4, 10_000), 1);
        let hidden = words.iter().filter(|&&word| word == 0.0).count();
        assert!((3_800..4_200).contains(&hidden), "{hidden}");
        let mean = words.iter().sum::<f32>() / words.len() as f32;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn an_episode_hides_the_same_at_every_step_and_another_one_something_else() {
        let mut dropout = WordDropout::new(0.5, 64);
        let first = seen(&mut dropout, 1);
        let mut next_step = vec![1.0; 64];
        dropout.apply(&mut next_step);
        assert_eq!(first, next_step);
        assert_ne!(first, seen(&mut dropout, 2));
        assert_eq!(first, seen(&mut dropout, 1));
    }

    #[test]
    fn a_share_of_nothing_hides_nothing() {
        assert_eq!(seen(&mut WordDropout::new(0.0, 8), 1), [1.0; 8]);
    }
}
