//! Remembers what a trained policy knew and chose at every step, for the step-by-step view.

use tollgate_policy::LearnedPolicy;
use tollgate_rollout::{PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{Difficulty, Episode, NanoUsd, Task, Turn};

use super::model::{EpisodeTrace, OptionTrace, StepTrace};

/// A trained policy that decides as ever and remembers its options.
pub(super) struct Recorder {
    policy: LearnedPolicy,
    options: Vec<Vec<OptionTrace>>,
}

impl Recorder {
    /// Wraps `policy`.
    pub(super) const fn new(policy: LearnedPolicy) -> Self {
        Self { policy, options: Vec::new() }
    }

    /// Joins what was remembered with the episode that was just played.
    pub(super) fn trace(&self, episode: &Episode, caption: &str, difficulty: Option<Difficulty>) -> EpisodeTrace {
        let steps = episode.steps.iter().zip(&self.options).map(|(step, options)| StepTrace {
            action: step.turn.action.get(),
            options: options.clone(),
            cost: step.turn.cost,
            observation: step.turn.observation.text.clone(),
            completion: step.turn.completion.clone(),
        });
        EpisodeTrace {
            caption: caption.to_owned(),
            task_id: episode.task.id.to_string(),
            instruction: episode.task.instruction.to_string(),
            difficulty,
            policy_id: episode.policy_id.to_string(),
            lambda: f64::from(episode.lambda),
            budget: episode.budget,
            ending: episode.ending,
            is_success: episode.is_success,
            score: f64::from(episode.score),
            steps: steps.collect(),
        }
    }
}

impl RoutingPolicy for Recorder {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.options.clear();
        self.policy.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let verdict = self.policy.decide(context)?;
        let probabilities = self.policy.last_probabilities();
        let options = context.pool.iter().map(|(index, model)| OptionTrace {
            is_allowed: context.allowed.allows(index),
            probability: probabilities.get(index.get()).copied().map(f64::from),
            worst_case: context.quotes.get(index.get()).map_or(NanoUsd::ZERO, |quote| quote.worst_case(&model.prices)),
        });
        self.options.push(options.collect());
        Ok(verdict)
    }

    fn settle(&mut self, turn: &Turn) {
        self.policy.settle(turn);
    }
}
