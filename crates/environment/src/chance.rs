//! Draws from a small generator that is cheap to seed, so that every step can have a stream of its own.

use rand::Rng;
use rand_pcg::Pcg32;
use tollgate_rollout::derive_seed;

/// A stream of chance events.
#[derive(Debug, Clone)]
pub(crate) struct Chance(Pcg32);

impl Chance {
    /// The stream `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg32::new(derive_seed(seed, stream), stream))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// One of `items`, all equally likely.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.below(items.len())).copied()
    }

    /// The position of one of `weights`, as likely as its weight.
    pub(crate) fn weighted(&mut self, weights: &[f32]) -> usize {
        let mut rest = self.unit() * weights.iter().sum::<f32>();
        for (position, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return position;
            }
        }
        weights.len().saturating_sub(1)
    }

    /// Standard normal, to the accuracy of twelve uniform draws: no tails beyond 6.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// Puts `items` into random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for position in (1..items.len()).rev() {
            items.swap(position, self.below(position + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_mean_and_spread_they_claim() {
        let mut chance = Chance::new(1, 2);
        let normals: Vec<f64> = (0..20_000).map(|_| f64::from(chance.normal())).collect();
        let mean = normals.iter().sum::<f64>() / 20_000.0;
        let variance = normals.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.04, "mean {mean}, variance {variance}");
        let heavy = (0..10_000).filter(|_| chance.weighted(&[1.0, 0.0, 3.0]) == 2).count();
        assert!((7_300..7_700).contains(&heavy), "{heavy}");
    }
}
