//! Where the classes begin and end.

use crate::TaxonomyError;

/// The thresholds as a configuration gives them. All of them are our design, the published method states none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdsConfig {
    /// Success rate of the small model from which on a task is easy. Above 0, at most 1.
    pub easy_success_rate: f64,
    /// Success rate that is as good as none: an unsolved task is contested until the probes rule out this rate or more.
    /// Above 0, at most 1.
    pub negligible_success_rate: f64,
    /// Half width of the Wilson intervals in standard errors, 0 or more. 1.2816 makes 80 % intervals: with five probes a
    /// 95 % interval (1.96) calls nearly every task contested, and a flag that is always up says nothing.
    pub interval_z: f64,
    /// Grade from which on a probe counts as solved, 0 to 1, for environments that grade; `None` takes the environment's
    /// own word for it.
    pub score_threshold: Option<f32>,
}

impl Default for ThresholdsConfig {
    fn default() -> Self {
        Self { easy_success_rate: 0.6, negligible_success_rate: 0.3, interval_z: 1.2816, score_threshold: None }
    }
}

/// Thresholds that have been checked.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds(ThresholdsConfig);

impl Thresholds {
    /// Checks a configuration.
    ///
    /// # Errors
    /// [`TaxonomyError::Threshold`] for a value outside its range.
    pub fn new(config: ThresholdsConfig) -> Result<Self, TaxonomyError> {
        let check = |name, value: f64, expected, is_good: bool| {
            if is_good { Ok(()) } else { Err(TaxonomyError::Threshold { name, value, expected }) }
        };
        let is_rate = |rate: f64| rate > 0.0 && rate <= 1.0;
        let ThresholdsConfig { easy_success_rate: easy, negligible_success_rate: negligible, interval_z: z, .. } =
            config;
        check("easy_success_rate", easy, "above 0, at most 1", is_rate(easy))?;
        check("negligible_success_rate", negligible, "above 0, at most 1", is_rate(negligible))?;
        check("interval_z", z, "0 to 10", (0.0..=10.0).contains(&z))?;
        if let Some(score) = config.score_threshold {
            check("score_threshold", f64::from(score), "0 to 1", (0.0..=1.0).contains(&score))?;
        }
        Ok(Self(config))
    }

    /// The checked values.
    #[must_use]
    pub const fn config(&self) -> &ThresholdsConfig {
        &self.0
    }

    /// Whether an episode counts as solved, given the environment's word and its grade.
    #[must_use]
    pub fn is_solved(&self, is_success: bool, score: f32) -> bool {
        self.0.score_threshold.map_or(is_success, |threshold| score >= threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_refused(config: ThresholdsConfig, message: &str) {
        assert_eq!(Thresholds::new(config).unwrap_err().to_string().lines().next(), Some(message));
    }

    #[test]
    fn thresholds_outside_their_range_are_refused() {
        let default = ThresholdsConfig::default();
        check_refused(
            ThresholdsConfig { easy_success_rate: 60.0, ..default },
            "threshold `easy_success_rate` is 60, expected above 0, at most 1",
        );
        check_refused(
            ThresholdsConfig { interval_z: f64::NAN, ..default },
            "threshold `interval_z` is NaN, expected 0 to 10",
        );
        check_refused(
            ThresholdsConfig { score_threshold: Some(-0.5), ..default },
            "threshold `score_threshold` is -0.5, expected 0 to 1",
        );
    }
}
