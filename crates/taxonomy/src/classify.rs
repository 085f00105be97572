//! Probes of a task to its class.

use thiserror::Error;
use tollgate_routing::{BoundaryLabel, Difficulty, Episode, NanoUsd, ProbeStats, TaskId};

use crate::{Thresholds, wilson_interval};

/// Thresholds or probes that no class can be made of.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TaxonomyError {
    /// A threshold outside its range.
    #[error("threshold `{name}` is {value}, expected {expected}\nhint: rates are shares from 0 to 1, never percent")]
    Threshold {
        /// Which one.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A task that a boundary policy has not probed.
    #[error(
        "task `{task}` has no probe episode of `{boundary}`, expected at least one of each boundary policy\nhint: run `simulate` on the same task set as `classify`"
    )]
    NoProbes {
        /// The task.
        task: TaskId,
        /// The boundary policy whose probes are missing.
        boundary: Boundary,
    },
}

/// The two policies that bound all others in price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// The small model at every step.
    AlwaysSmall,
    /// The large model at every step.
    AlwaysLarge,
}

impl Boundary {
    /// The policy's id: `always-small` or `always-large`.
    #[must_use]
    pub const fn policy_id(self) -> &'static str {
        match self {
            Self::AlwaysSmall => "always-small",
            Self::AlwaysLarge => "always-large",
        }
    }

    /// The boundary policy of this id, if it is one.
    #[must_use]
    pub fn from_policy_id(policy_id: &str) -> Option<Self> {
        [Self::AlwaysSmall, Self::AlwaysLarge].into_iter().find(|boundary| boundary.policy_id() == policy_id)
    }
}

impl std::fmt::Display for Boundary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.policy_id())
    }
}

/// The outcome of one boundary probe.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProbeOutcome {
    /// The policy that played.
    pub boundary: Boundary,
    /// Whether the environment calls the task solved.
    pub is_success: bool,
    /// The environment's grade, 0 to 1.
    pub score: f32,
    /// What the episode cost.
    pub cost: NanoUsd,
}

impl ProbeOutcome {
    /// The outcome of `episode`, if a boundary policy played it.
    #[must_use]
    pub fn of_episode(episode: &Episode) -> Option<Self> {
        let boundary = Boundary::from_policy_id(&episode.policy_id)?;
        Some(Self { boundary, is_success: episode.is_success, score: episode.score, cost: episode.total_cost() })
    }
}

/// The class of a task with its evidence. Our design: easy when the small model's success rate reaches the threshold, else
/// hard when any probe of either policy succeeded, else intractable.
///
/// A task is contested where the probes cannot tell its class from the neighbouring one:
/// - small's Wilson interval has the easy threshold inside, or
/// - nothing succeeded, and the interval over all probes of the more hopeful policy still holds the negligible rate.
///
/// # Errors
/// [`TaxonomyError::NoProbes`] when a boundary policy has not played the task.
pub fn classify(
    task_id: &TaskId,
    probes: &[ProbeOutcome],
    thresholds: &Thresholds,
) -> Result<BoundaryLabel, TaxonomyError> {
    let small = probe_stats(task_id, probes, Boundary::AlwaysSmall, thresholds)?;
    let large = probe_stats(task_id, probes, Boundary::AlwaysLarge, thresholds)?;
    let config = thresholds.config();
    let difficulty = if small.success_rate() >= config.easy_success_rate {
        Difficulty::Easy
    } else if small.successes + large.successes > 0 {
        Difficulty::Hard
    } else {
        Difficulty::Intractable
    };
    let interval = |stats: &ProbeStats| wilson_interval(stats.successes, stats.episodes, config.interval_z);
    let may_be_easy_or_not = interval(&small).straddles(config.easy_success_rate);
    let may_be_solvable = difficulty == Difficulty::Intractable
        && [&small, &large].into_iter().any(|stats| interval(stats).straddles(config.negligible_success_rate));
    Ok(BoundaryLabel {
        task_id: task_id.clone(),
        difficulty,
        is_contested: may_be_easy_or_not || may_be_solvable,
        small,
        large,
    })
}

fn probe_stats(
    task_id: &TaskId,
    probes: &[ProbeOutcome],
    boundary: Boundary,
    thresholds: &Thresholds,
) -> Result<ProbeStats, TaxonomyError> {
    let of_boundary = || probes.iter().filter(|probe| probe.boundary == boundary);
    let episodes = of_boundary().count() as u32;
    if episodes == 0 {
        return Err(TaxonomyError::NoProbes { task: task_id.clone(), boundary });
    }
    let total_cost: NanoUsd = of_boundary().map(|probe| probe.cost).sum();
    let total_score: f64 = of_boundary().map(|probe| f64::from(probe.score)).sum();
    Ok(ProbeStats {
        successes: of_boundary().filter(|probe| thresholds.is_solved(probe.is_success, probe.score)).count() as u32,
        episodes,
        mean_cost: NanoUsd::new(total_cost.get() / u64::from(episodes)),
        mean_score: (total_score / f64::from(episodes)) as f32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ThresholdsConfig;

    fn probes(boundary: Boundary, successes: usize, episodes: usize) -> Vec<ProbeOutcome> {
        (0..episodes)
            .map(|probe| ProbeOutcome {
                boundary,
                is_success: probe < successes,
                score: if probe < successes { 1.0 } else { 0.25 },
                cost: NanoUsd::new(100 + probe as u64),
            })
            .collect()
    }

    fn label(small: usize, large: usize, episodes: usize) -> BoundaryLabel {
        let mut all = probes(Boundary::AlwaysSmall, small, episodes);
        all.extend(probes(Boundary::AlwaysLarge, large, episodes));
        classify(&TaskId::new("task"), &all, &Thresholds::default()).unwrap()
    }

    #[track_caller]
    fn check(small: usize, large: usize, difficulty: Difficulty, is_contested: bool) {
        let label = label(small, large, 5);
        assert_eq!((label.difficulty, label.is_contested), (difficulty, is_contested));
    }

    #[test]
    fn classes_follow_the_success_rates_of_five_probes() {
        check(5, 5, Difficulty::Easy, false);
        check(4, 5, Difficulty::Easy, true);
        check(3, 0, Difficulty::Easy, true);
        check(2, 5, Difficulty::Hard, true);
        check(1, 5, Difficulty::Hard, false);
        check(0, 1, Difficulty::Hard, false);
        check(1, 0, Difficulty::Hard, false);
        check(0, 0, Difficulty::Intractable, false);
    }

    #[test]
    fn two_failed_probes_do_not_settle_that_a_task_is_intractable() {
        assert!(label(0, 0, 2).is_contested);
    }

    #[test]
    fn every_count_and_mean_is_kept_beside_the_label() {
        let label = label(1, 4, 5);
        assert_eq!(
            label.small,
            ProbeStats { successes: 1, episodes: 5, mean_cost: NanoUsd::new(102), mean_score: 0.4 }
        );
        assert_eq!((label.large.successes, label.large.episodes), (4, 5));
    }

    #[test]
    fn graded_environments_count_a_score_above_the_threshold_as_solved() {
        let config = ThresholdsConfig { score_threshold: Some(0.25), ..ThresholdsConfig::default() };
        let mut all = probes(Boundary::AlwaysSmall, 0, 5);
        all.extend(probes(Boundary::AlwaysLarge, 0, 5));
        let label = classify(&TaskId::new("task"), &all, &Thresholds::new(config).unwrap()).unwrap();
        assert_eq!((label.difficulty, label.small.successes), (Difficulty::Easy, 5));
    }

    #[test]
    fn a_task_without_probes_of_a_boundary_policy_names_the_policy() {
        let only_small = probes(Boundary::AlwaysSmall, 1, 5);
        let error = classify(&TaskId::new("household-train-0007"), &only_small, &Thresholds::default()).unwrap_err();
        assert!(
            error.to_string().starts_with(
                "task `household-train-0007` has no probe episode of `always-large`, expected at least one"
            )
        );
    }
}
