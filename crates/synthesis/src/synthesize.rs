//! Labels and logged episodes to examples: the boundary-guided synthesis of docs/method.md.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::index;
use rand_pcg::Pcg64Mcg;
use thiserror::Error;
use tollgate_routing::{BoundaryLabel, Difficulty, ModelIndex, SftExample, TaskId};

use crate::{CandidateEpisode, cheapest_success};

/// Settings or logs that no examples can be made of.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SynthesisError {
    /// A setting outside its range.
    #[error("`{name}` is {value}, expected {expected}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What it was set to.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// A task that is called hard although nothing in the log solved it.
    #[error(
        "task `{task}` is labelled hard, expected at least one successful episode of it, found none among {n_episodes}\nhint: the labels come from other episodes, or from another success threshold; run `classify` again"
    )]
    NoSuccess {
        /// The task.
        task: TaskId,
        /// Its logged episodes.
        n_episodes: usize,
    },
    /// A task whose small probes are not in the log.
    #[error(
        "task `{task}` is labelled {}, expected an episode of always-small to imitate, found none\nhint: give the episodes and steps that the labels were made from", difficulty.as_str()
    )]
    NoSmallEpisode {
        /// The task.
        task: TaskId,
        /// Its class.
        difficulty: Difficulty,
    },
    /// A task with two labels.
    #[error("task `{task}` has two labels, expected one\nhint: classify each task once")]
    DuplicateLabel {
        /// The task.
        task: TaskId,
    },
    /// Nothing to imitate.
    #[error("no example could be made of {n_labels} labels and {n_episodes} episodes\nhint: {hint}")]
    NoExamples {
        /// Labels given.
        n_labels: usize,
        /// Episodes given.
        n_episodes: usize,
        /// What to look at.
        hint: &'static str,
    },
}

/// What is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synthesis {
    /// Boundary-guided: easy and intractable tasks all-small, hard tasks their cheapest success, classes balanced.
    #[default]
    BoundaryGuided,
    /// The ablation (our design): every mixed episode that succeeded, as it was played, whatever the class. No cheapest
    /// one is selected, no task is relabelled and no class balanced.
    Off,
}

/// How examples are made and sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SynthesisConfig {
    /// What is imitated.
    pub synthesis: Synthesis,
    /// Share of the total weight of easy, hard and intractable tasks, in this order; any scale. A class without tasks
    /// leaves its share to the others.
    pub class_ratio: [f32; 3],
    /// The most examples to return. Each class is sampled down to its share of it.
    pub max_examples: usize,
    /// The most that an example of one class may weigh against one of another, 1 or more. A class of few examples stays
    /// below its share rather than being learned by heart.
    pub max_weight: f32,
}

impl Default for SynthesisConfig {
    fn default() -> Self {
        Self { synthesis: Synthesis::default(), class_ratio: [0.3, 0.5, 0.2], max_examples: 20_000, max_weight: 10.0 }
    }
}

impl SynthesisConfig {
    /// Refuses settings that no examples can be made with.
    ///
    /// # Errors
    /// [`SynthesisError::Setting`] for the first value outside its range.
    pub fn check(&self) -> Result<(), SynthesisError> {
        for (name, share) in
            ["class_ratio.easy", "class_ratio.hard", "class_ratio.intractable"].into_iter().zip(self.class_ratio)
        {
            if !(0.0..=1e6).contains(&share) {
                return Err(SynthesisError::Setting { name, value: f64::from(share), expected: "0 or more" });
            }
        }
        if self.class_ratio.iter().sum::<f32>() <= 0.0 {
            return Err(SynthesisError::Setting { name: "class_ratio", value: 0.0, expected: "a share above 0" });
        }
        if self.max_examples == 0 {
            return Err(SynthesisError::Setting { name: "max_examples", value: 0.0, expected: "1 or more" });
        }
        if !(1.0..=1e6).contains(&self.max_weight) {
            let value = f64::from(self.max_weight);
            return Err(SynthesisError::Setting { name: "max_weight", value, expected: "1 or more" });
        }
        Ok(())
    }
}

/// The examples to imitate, ordered by task, episode and step; the mean of their weights is 1. The same input and seed
/// give the same examples, whatever the order of `labels` and `episodes`. Episodes of tasks without a label are left out.
///
/// Easy tasks imitate their solved all-small episodes, intractable ones all of their all-small episodes: they should fail
/// cheaply. Hard tasks imitate [`cheapest_success`].
///
/// # Errors
/// A [`SynthesisError`] for settings outside their range, labels that the episodes do not bear out, or an empty result.
pub fn synthesize(
    labels: &[BoundaryLabel],
    episodes: &[CandidateEpisode],
    config: &SynthesisConfig,
    seed: u64,
) -> Result<Vec<SftExample>, SynthesisError> {
    config.check()?;
    let label_of = labels_by_task(labels)?;
    let episodes_of = episodes_by_task(episodes);
    let mut by_class: [Vec<SftExample>; 3] = Default::default();
    for (task, label) in &label_of {
        let logged = episodes_of.get(task).map_or(&[][..], Vec::as_slice);
        let imitated = match config.synthesis {
            Synthesis::BoundaryGuided => boundary_guided(label, logged)?,
            Synthesis::Off => {
                logged.iter().copied().filter(|episode| is_mixed(episode) && episode.is_success).collect()
            }
        };
        for episode in imitated {
            by_class[class_position(label.difficulty)].extend(examples_of(episode, label.difficulty));
        }
    }
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut examples = match config.synthesis {
        Synthesis::BoundaryGuided => balance(by_class, config, &mut rng),
        Synthesis::Off => sample(by_class.concat(), config.max_examples, &mut rng),
    };
    if examples.is_empty() {
        let hint = match config.synthesis {
            Synthesis::BoundaryGuided => "a class with tasks needs a share above 0 in `class_ratio`",
            Synthesis::Off => "without synthesis, only successful episodes of the mixed sweep are imitated",
        };
        return Err(SynthesisError::NoExamples { n_labels: labels.len(), n_episodes: episodes.len(), hint });
    }
    examples.sort_by(|left, right| {
        (&left.task_id, &left.episode_id, left.step_idx).cmp(&(&right.task_id, &right.episode_id, right.step_idx))
    });
    Ok(examples)
}

fn labels_by_task(labels: &[BoundaryLabel]) -> Result<BTreeMap<&TaskId, &BoundaryLabel>, SynthesisError> {
    let mut label_of = BTreeMap::new();
    for label in labels {
        if label_of.insert(&label.task_id, label).is_some() {
            return Err(SynthesisError::DuplicateLabel { task: label.task_id.clone() });
        }
    }
    Ok(label_of)
}

/// Each task's episodes, ordered by id.
fn episodes_by_task(episodes: &[CandidateEpisode]) -> BTreeMap<&TaskId, Vec<&CandidateEpisode>> {
    let mut episodes_of: BTreeMap<&TaskId, Vec<&CandidateEpisode>> = BTreeMap::new();
    for episode in episodes {
        episodes_of.entry(&episode.task_id).or_default().push(episode);
    }
    for logged in episodes_of.values_mut() {
        logged.sort_by(|left, right| left.episode_id.cmp(&right.episode_id));
    }
    episodes_of
}

fn boundary_guided<'a>(
    label: &BoundaryLabel,
    logged: &[&'a CandidateEpisode],
) -> Result<Vec<&'a CandidateEpisode>, SynthesisError> {
    if label.difficulty == Difficulty::Hard {
        return match cheapest_success(logged.iter().copied()) {
            Some(tau_star) => Ok(vec![tau_star]),
            None => Err(SynthesisError::NoSuccess { task: label.task_id.clone(), n_episodes: logged.len() }),
        };
    }
    let must_succeed = label.difficulty == Difficulty::Easy;
    let imitated: Vec<_> = logged
        .iter()
        .copied()
        .filter(|episode| episode.is_all_small() && (episode.is_success || !must_succeed))
        .collect();
    if imitated.is_empty() {
        return Err(SynthesisError::NoSmallEpisode { task: label.task_id.clone(), difficulty: label.difficulty });
    }
    Ok(imitated)
}

/// Whether more than one model acted.
fn is_mixed(episode: &CandidateEpisode) -> bool {
    episode.actions.iter().collect::<BTreeSet<&ModelIndex>>().len() > 1
}

fn examples_of(episode: &CandidateEpisode, difficulty: Difficulty) -> impl Iterator<Item = SftExample> {
    episode.actions.iter().enumerate().map(move |(step_idx, &action)| SftExample {
        task_id: episode.task_id.clone(),
        episode_id: episode.episode_id.clone(),
        step_idx: step_idx as u32,
        difficulty,
        action,
        weight: 1.0,
    })
}

/// Samples each class down to its share of the most examples, then weighs the classes so that their total weights stand
/// in the set ratio.
fn balance(by_class: [Vec<SftExample>; 3], config: &SynthesisConfig, rng: &mut Pcg64Mcg) -> Vec<SftExample> {
    let present: f64 = by_class
        .iter()
        .zip(config.class_ratio)
        .filter(|(examples, _)| !examples.is_empty())
        .map(|(_, share)| f64::from(share))
        .sum();
    if present <= 0.0 {
        return Vec::new();
    }
    let mut kept: Vec<(Vec<SftExample>, f64)> = Vec::new();
    for (examples, share) in by_class.into_iter().zip(config.class_ratio) {
        let share = f64::from(share) / present;
        if share > 0.0 && !examples.is_empty() {
            let quota = (share * config.max_examples as f64).round().max(1.0) as usize;
            kept.push((sample(examples, quota, rng), share));
        }
    }
    let weights: Vec<f64> = kept.iter().map(|(examples, share)| share / examples.len() as f64).collect();
    let heaviest = weights.iter().copied().fold(f64::INFINITY, f64::min) * f64::from(config.max_weight);
    let capped: Vec<f64> = weights.into_iter().map(|weight| weight.min(heaviest)).collect();
    let n_examples: usize = kept.iter().map(|(examples, _)| examples.len()).sum();
    let total: f64 = kept.iter().zip(&capped).map(|((examples, _), weight)| weight * examples.len() as f64).sum();
    let to_mean_one = n_examples as f64 / total;
    kept.into_iter()
        .zip(capped)
        .flat_map(|((examples, _), weight)| {
            let weight = (weight * to_mean_one) as f32;
            examples.into_iter().map(move |example| SftExample { weight, ..example })
        })
        .collect()
}

/// At most `quota` of the examples, without replacement, in their old order.
fn sample(examples: Vec<SftExample>, quota: usize, rng: &mut Pcg64Mcg) -> Vec<SftExample> {
    if examples.len() <= quota {
        return examples;
    }
    let chosen: BTreeSet<usize> = index::sample(rng, examples.len(), quota).into_iter().collect();
    examples.into_iter().enumerate().filter(|(position, _)| chosen.contains(position)).map(|(_, kept)| kept).collect()
}

const fn class_position(difficulty: Difficulty) -> usize {
    match difficulty {
        Difficulty::Easy => 0,
        Difficulty::Hard => 1,
        Difficulty::Intractable => 2,
    }
}

#[cfg(test)]
#[path = "synthesize_tests.rs"]
mod tests;
