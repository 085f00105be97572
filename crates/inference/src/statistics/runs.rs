//! Intervals over tasks *and* training runs: how another training, judged on other tasks, would do.

use super::bootstrap::{Estimate, Resamples, draw_counts, mean};
use super::frontier::SampledFamily;
use super::outcomes::{Boundaries, Metric, OutcomeGroup};
use crate::InferenceError;

/// Keeps the draws of runs apart from those of tasks.
const RUNS_STREAM: u64 = 0x52_55_4E_53;

/// Resamples of tasks and, independently, of training runs. A figure is computed for each run on the resampled tasks and then averaged
/// over the resampled runs (the two factors are crossed: every run plays every task, so both are drawn once per resample; Owen,
/// "The pigeonhole bootstrap", 2007). With the few runs that there are, intervals are a little too narrow.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResamples {
    tasks: Resamples,
    n_runs: usize,
    /// How often each run was drawn, resample by resample.
    counts: Vec<u16>,
}

/// One figure: its value on all tasks and in each resample of them, for one training run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFigure {
    value: f64,
    resampled: Vec<f64>,
}

impl RunResamples {
    /// Draws `n_resamples` resamples of `n_tasks` tasks and `n_runs` runs; intervals cover `confidence`.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] as [`Resamples::draw`], and for no runs.
    pub fn draw(
        n_tasks: usize,
        n_runs: usize,
        n_resamples: usize,
        confidence: f64,
        seed: u64,
    ) -> Result<Self, InferenceError> {
        let tasks = Resamples::draw(n_tasks, n_resamples, confidence, seed)?;
        if !(1..=60_000).contains(&n_runs) {
            return Err(InferenceError::Setting { name: "n_runs", value: n_runs as f64, expected: "1 to 60,000" });
        }
        Ok(Self { tasks, n_runs, counts: draw_counts(n_runs, n_resamples, seed ^ RUNS_STREAM) })
    }

    /// The draws of tasks.
    #[must_use]
    pub const fn tasks(&self) -> &Resamples {
        &self.tasks
    }

    /// How many runs each resample draws from.
    #[must_use]
    pub const fn n_runs(&self) -> usize {
        self.n_runs
    }

    /// The mean of `metric` over tasks, in one run.
    ///
    /// # Errors
    /// [`InferenceError::ResampledTasks`] when the resamples are not of its tasks.
    pub fn mean(&self, group: &OutcomeGroup, metric: Metric) -> Result<RunFigure, InferenceError> {
        group.check(&self.tasks)?;
        Ok(RunFigure { value: group.mean(metric), resampled: self.tasks.means(group.per_task(metric)) })
    }

    /// The area under the frontier of `groups`, in one run; see [`frontier`](super::frontier::frontier).
    ///
    /// # Errors
    /// [`InferenceError::ResampledTasks`] when the resamples are not of their tasks.
    pub fn area(&self, groups: &[&OutcomeGroup], boundaries: &Boundaries<'_>) -> Result<RunFigure, InferenceError> {
        let family = SampledFamily::new(groups, boundaries, &self.tasks)?;
        let (value, resampled) = family.areas();
        Ok(RunFigure { value, resampled })
    }

    /// The mean of a figure over the runs, given for each of them in the same order as every other figure.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] when it is not given for every run.
    pub fn estimate(&self, per_run: &[RunFigure]) -> Result<Estimate, InferenceError> {
        if per_run.len() != self.n_runs {
            return Err(InferenceError::Setting {
                name: "figures",
                value: per_run.len() as f64,
                expected: "one for every run",
            });
        }
        let values: Vec<f64> = per_run.iter().map(|figure| figure.value).collect();
        let of_resample = |(resample, counts): (usize, &[u16])| {
            let drawn = counts.iter().zip(per_run);
            let total: f64 = drawn.map(|(&count, figure)| f64::from(count) * figure.resampled[resample]).sum();
            total / self.n_runs as f64
        };
        let resampled = self.counts.chunks_exact(self.n_runs).enumerate().map(of_resample).collect();
        Ok(self.tasks.estimate(mean(&values), resampled))
    }
}

impl RunFigure {
    /// A figure of the same run from two others, such as a difference or a ratio, computed in every resample.
    #[must_use]
    pub fn with(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        let pairs = self.resampled.iter().zip(&other.resampled);
        Self {
            value: combine(self.value, other.value),
            resampled: pairs.map(|(&one, &other)| combine(one, other)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_outcomes::table;
    use super::*;

    #[test]
    fn runs_that_differ_widen_the_interval_and_equal_ones_do_not() {
        let half: Vec<(bool, u64)> = (0..50).map(|task| (task % 2 == 0, 1)).collect();
        let none: Vec<(bool, u64)> = vec![(false, 1); 50];
        let table = table(&[("bopo", 0.1, &half), ("bopo", 0.2, &none)]);
        let resamples = RunResamples::draw(50, 2, 400, 0.95, 1).unwrap();
        let figure = |group: usize| resamples.mean(&table.groups()[group], Metric::Success).unwrap();
        let equal = resamples.estimate(&[figure(0), figure(0)]).unwrap();
        let alone = resamples.tasks().mean(table.groups()[0].per_task(Metric::Success));
        assert_eq!(equal, alone);
        let unequal = resamples.estimate(&[figure(0), figure(1)]).unwrap();
        assert!((unequal.value - 0.25).abs() < 1e-12);
        assert!(unequal.low < 0.01 && unequal.high > 0.45, "{unequal:?}");
    }

    #[test]
    fn differences_are_taken_within_a_run_and_a_resample() {
        let half: Vec<(bool, u64)> = (0..50).map(|task| (task % 2 == 0, 1)).collect();
        let more: Vec<(bool, u64)> = (0..50).map(|task| (task % 2 == 0 || task == 1, 1)).collect();
        let table = table(&[("sft", 0.0, &half), ("bopo", 0.0, &more)]);
        let resamples = RunResamples::draw(50, 1, 400, 0.95, 1).unwrap();
        let figure = |group: usize| resamples.mean(&table.groups()[group], Metric::Success).unwrap();
        let difference = figure(1).with(&figure(0), |one, other| one - other);
        let estimate = resamples.estimate(&[difference]).unwrap();
        assert!((estimate.value - 0.02).abs() < 1e-12 && estimate.low >= 0.0 && estimate.high < 0.1, "{estimate:?}");
    }

    #[test]
    fn a_figure_that_a_run_lacks_is_refused() {
        let resamples = RunResamples::draw(5, 2, 10, 0.95, 1).unwrap();
        let message = resamples.estimate(&[]).unwrap_err().to_string();
        assert_eq!(message, "`figures` is 0, expected one for every run");
        assert!(RunResamples::draw(5, 0, 10, 0.95, 1).is_err());
    }
}
