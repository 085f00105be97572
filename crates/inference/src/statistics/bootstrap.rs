//! Intervals by resampling tasks.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use crate::InferenceError;

/// A figure and its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure on all tasks.
    pub value: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

impl Estimate {
    /// Whether the interval lies wholly above `threshold`.
    #[must_use]
    pub fn is_clear_above(&self, threshold: f64) -> bool {
        self.low > threshold
    }
}

/// Bootstrap resamples of a set of tasks, drawn once and used for every figure, so that figures of different policies are
/// resampled jointly and their differences are paired.
///
/// The unit is the task: episodes of one task are not independent, so each task enters with the mean over its seeds. The
/// intervals are percentile intervals (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3). They
/// speak of other tasks, not of other training runs: policies of several training seeds are averaged first.
#[derive(Debug, Clone, PartialEq)]
pub struct Resamples {
    n_tasks: usize,
    /// How often each task was drawn, resample by resample.
    counts: Vec<u16>,
    confidence: f64,
}

impl Resamples {
    /// Confidence of the intervals unless told otherwise.
    pub const CONFIDENCE: f64 = 0.95;
    /// Resamples unless told otherwise.
    pub const N_RESAMPLES: usize = 1_000;

    /// Draws `n_resamples` resamples of `n_tasks` tasks; intervals cover `confidence`.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] for no tasks, no resamples, or a confidence that is not between 0 and 1.
    pub fn draw(n_tasks: usize, n_resamples: usize, confidence: f64, seed: u64) -> Result<Self, InferenceError> {
        let check = |name, value, expected, is_good: bool| {
            if is_good { Ok(()) } else { Err(InferenceError::Setting { name, value, expected }) }
        };
        check("n_tasks", n_tasks as f64, "1 to 60,000", (1..=60_000).contains(&n_tasks))?;
        check("n_resamples", n_resamples as f64, "1 or more", n_resamples > 0)?;
        check("confidence", confidence, "above 0, below 1", confidence > 0.0 && confidence < 1.0)?;
        Ok(Self { n_tasks, counts: draw_counts(n_tasks, n_resamples, seed), confidence })
    }

    /// How many tasks each resample draws from.
    #[must_use]
    pub const fn n_tasks(&self) -> usize {
        self.n_tasks
    }

    /// The mean of a figure given per task.
    #[must_use]
    pub fn mean(&self, per_task: &[f64]) -> Estimate {
        self.estimate(mean(per_task), self.means(per_task))
    }

    /// The mean of `per_task` in each resample.
    pub(crate) fn means(&self, per_task: &[f64]) -> Vec<f64> {
        debug_assert_eq!(per_task.len(), self.n_tasks);
        let of_resample = |counts: &[u16]| {
            let total: f64 = counts.iter().zip(per_task).map(|(&count, value)| f64::from(count) * value).sum();
            total / self.n_tasks as f64
        };
        self.counts.chunks_exact(self.n_tasks).map(of_resample).collect()
    }

    /// The interval of a figure from its values in each resample. Resamples in which it does not exist are left out.
    pub(crate) fn estimate(&self, value: f64, mut resampled: Vec<f64>) -> Estimate {
        resampled.retain(|value| value.is_finite());
        resampled.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        Estimate { value, low: quantile(&resampled, tail), high: quantile(&resampled, 1.0 - tail) }
    }
}

/// How often each of `n` things is drawn when `n` are drawn with replacement: `n_resamples` times, one after the other.
pub(crate) fn draw_counts(n: usize, n_resamples: usize, seed: u64) -> Vec<u16> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut counts = vec![0_u16; n * n_resamples];
    for resample in counts.chunks_exact_mut(n) {
        for _ in 0..n {
            resample[rng.random_range(0..n as u32) as usize] += 1;
        }
    }
    counts
}

/// The mean of a slice; not a number for an empty one.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile of sorted values, interpolated between neighbours (type 7 of Hyndman and Fan, 1996).
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert!((quantile(&sorted, 0.5) - 4.0).abs() < 1e-12);
        assert!((quantile(&sorted, 0.1) - 1.4).abs() < 1e-12);
        assert!((quantile(&sorted, 1.0) - 16.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_of_a_share_has_the_width_that_the_normal_approximation_gives() {
        let per_task: Vec<f64> = (0..400).map(|task| f64::from(u8::from(task % 4 != 0))).collect();
        let estimate = Resamples::draw(400, 2_000, 0.95, 1).unwrap().mean(&per_task);
        // 1.96 * sqrt(0.75 * 0.25 / 400) = 0.0424
        assert!((estimate.value - 0.75).abs() < 1e-12);
        assert!((estimate.low - 0.7076).abs() < 0.006 && (estimate.high - 0.7924).abs() < 0.006, "{estimate:?}");
    }

    #[test]
    fn a_figure_that_is_the_same_on_every_task_has_no_width() {
        let estimate = Resamples::draw(10, 100, 0.95, 1).unwrap().mean(&[0.5; 10]);
        assert_eq!(estimate, Estimate { value: 0.5, low: 0.5, high: 0.5 });
    }

    #[test]
    fn the_seed_alone_decides_the_resamples() {
        let draw = |seed| Resamples::draw(50, 20, 0.95, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(1).counts.chunks_exact(50).all(|counts| counts.iter().sum::<u16>() == 50));
    }

    #[test]
    fn settings_outside_their_range_are_refused() {
        let message = |result: Result<Resamples, InferenceError>| result.unwrap_err().to_string();
        assert_eq!(message(Resamples::draw(0, 10, 0.95, 1)), "`n_tasks` is 0, expected 1 to 60,000");
        assert_eq!(message(Resamples::draw(5, 0, 0.95, 1)), "`n_resamples` is 0, expected 1 or more");
        assert_eq!(message(Resamples::draw(5, 10, 95.0, 1)), "`confidence` is 95, expected above 0, below 1");
    }
}
