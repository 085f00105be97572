//! What is said to a world, and what it answers, whichever way it is carried.

use serde::{Deserialize, Serialize};
use tollgate_routing::{Split, Task, TaskId};

use super::ENVIRONMENT;

/// What a world says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Hello {
    /// The protocol's version.
    pub protocol_version: u32,
    /// The world's name.
    pub name: String,
    /// Whether the same seed, options and commands give the same observations. Only then is a broken episode replayed.
    #[serde(default)]
    pub is_deterministic: bool,
    /// Numbers that each observation carries beside its text.
    #[serde(default)]
    pub n_signals: usize,
}

/// The scene of an episode, as `reset` asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scene {
    /// The task's seed: the same task has the same scene in every episode.
    pub seed: u64,
    /// What a world may look at beside the seed.
    pub options: SceneOptions,
}

/// What a world may look at beside the seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SceneOptions {
    /// The task's name.
    pub task_id: String,
    /// The task in words, as the agent gets it.
    pub instruction: String,
    /// The most steps of the episode.
    pub horizon: u32,
    /// Seed of what differs between two episodes of one task. 31 bits, which every generator takes.
    pub episode_seed: u32,
    /// The task's kind, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The task's group, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Scene {
    /// The scene of `task` in an episode of `seed`.
    #[must_use]
    pub fn of(task: &Task, seed: u64) -> Self {
        Self {
            seed: task.seed,
            options: SceneOptions {
                task_id: task.id.to_string(),
                instruction: task.instruction.to_string(),
                horizon: task.horizon,
                episode_seed: (seed >> 33) as u32,
                kind: task.kind.as_deref().map(str::to_owned),
                group: task.group.as_deref().map(str::to_owned),
            },
        }
    }

    /// The scene of a task that is only described.
    pub(crate) fn of_description(task: &TaskDescription, episode_seed: u32) -> Self {
        Self {
            seed: task.seed,
            options: SceneOptions {
                task_id: task.task_id.clone(),
                instruction: task.instruction.clone(),
                horizon: task.horizon,
                episode_seed,
                kind: task.kind.clone(),
                group: task.group.clone(),
            },
        }
    }
}

/// What a world says beside its observation. Everything is optional.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Info {
    /// The commands that it would take now.
    pub admissible_commands: Option<Vec<String>>,
    /// What an expert would do now; for simulated models only.
    pub expert_command: Option<String>,
    /// The grade so far, 0 to 1.
    pub score: Option<f32>,
    /// Whether the task is solved so far.
    pub is_success: Option<bool>,
    /// Numbers that belong to the observation.
    pub signals: Option<Vec<f32>>,
}

/// The answer to `reset`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ResetReply {
    /// What the agent sees first.
    pub observation: String,
    /// What is said beside it.
    #[serde(default)]
    pub info: Info,
}

/// The answer to `step`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StepReply {
    /// What the agent sees next.
    pub observation: String,
    /// The reward of the step.
    pub reward: f32,
    /// Whether the world reached a final state.
    pub terminated: bool,
    /// Whether the world ended the episode for another reason, such as a limit of its own.
    #[serde(default)]
    pub truncated: bool,
    /// What is said beside the observation.
    #[serde(default)]
    pub info: Info,
}

impl Info {
    /// What is out of range, if anything is.
    pub(crate) fn fault(&self, n_signals: usize) -> Option<String> {
        let n_found = self.signals.as_ref().map_or(0, Vec::len);
        if n_found != n_signals {
            return Some(format!("`info.signals` has {n_found} numbers, expected {n_signals}"));
        }
        match self.score {
            Some(score) if !(0.0..=1.0).contains(&score) => {
                Some(format!("`info.score` is {score}, expected a grade from 0 to 1"))
            }
            _ => None,
        }
    }
}

impl StepReply {
    /// What is out of range, if anything is.
    pub(crate) fn fault(&self, n_signals: usize) -> Option<String> {
        if self.reward.is_finite() { self.info.fault(n_signals) } else { Some("`reward` is too large".to_owned()) }
    }
}

/// A task as people and worlds write it down: one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskDescription {
    /// The task's name, unique in its set.
    pub task_id: String,
    /// `train`, `validation`, `test` or `unseen`.
    pub split: String,
    /// Seed of the scene.
    pub seed: u64,
    /// The request in words, as the agent gets it.
    pub instruction: String,
    /// The most steps of an episode.
    pub horizon: u32,
    /// The task's kind, if it has one.
    #[serde(default)]
    pub kind: Option<String>,
    /// What must not be torn apart by a split, if there is such a thing.
    #[serde(default)]
    pub group: Option<String>,
}

impl TaskDescription {
    /// The task, or what is wrong with the description.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn to_task(&self) -> Result<Task, String> {
        let Some(split) = Split::ALL.into_iter().find(|split| split.as_str() == self.split) else {
            return Err(format!("`split` is `{}`, expected `train`, `validation`, `test` or `unseen`", self.split));
        };
        if self.task_id.is_empty() {
            return Err("`task_id` is empty, expected a name".to_owned());
        }
        if self.horizon == 0 {
            return Err("`horizon` is 0, expected at least 1 step".to_owned());
        }
        Ok(Task {
            id: TaskId::new(&self.task_id),
            environment: ENVIRONMENT.into(),
            split,
            seed: self.seed,
            instruction: self.instruction.as_str().into(),
            horizon: self.horizon,
            kind: self.kind.as_deref().map(Into::into),
            group: self.group.as_deref().map(Into::into),
        })
    }
}
