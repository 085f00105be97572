//! What the boundary probes and the synthesis say about a task.

use crate::{Difficulty, EpisodeId, ModelIndex, NanoUsd, Objective, TaskId};

/// Outcomes of one boundary policy's probes on one task.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProbeStats {
    /// Solved probes.
    pub successes: u32,
    /// Probes played.
    pub episodes: u32,
    /// Mean cost of a probe, rounded down.
    pub mean_cost: NanoUsd,
    /// Mean grade of a probe, 0 to 1.
    pub mean_score: f32,
}

impl ProbeStats {
    /// Share of solved probes, 0 to 1; 0 without probes.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        if self.episodes == 0 { 0.0 } else { f64::from(self.successes) / f64::from(self.episodes) }
    }

    /// What a probe was worth on average, 0 to 1; 0 without probes.
    #[must_use]
    pub fn mean_value(&self, objective: Objective) -> f64 {
        match objective {
            Objective::Success => self.success_rate(),
            Objective::Score => f64::from(self.mean_score),
        }
    }
}

/// How hard a task is, with the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundaryLabel {
    /// The task.
    pub task_id: TaskId,
    /// Its class.
    pub difficulty: Difficulty,
    /// Whether the evidence is too thin to tell the class from its neighbour.
    pub is_contested: bool,
    /// Probes of always-small.
    pub small: ProbeStats,
    /// Probes of always-large.
    pub large: ProbeStats,
}

/// One step to imitate: at this step of this episode, this model should answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SftExample {
    /// The task.
    pub task_id: TaskId,
    /// The episode whose history leads to the step.
    pub episode_id: EpisodeId,
    /// The step within the episode, from 0.
    pub step_idx: u32,
    /// The task's class.
    pub difficulty: Difficulty,
    /// The model to choose.
    pub action: ModelIndex,
    /// How much the example counts; the mean over a set is 1.
    pub weight: f32,
}
