//! Remembers what a policy knew and chose at every step, for the step-by-step view.

use tollgate_rollout::{PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{Difficulty, Episode, NanoUsd, Task, Turn};

use super::model::{EpisodeTrace, OptionTrace, StepTrace};

/// A policy that decides as the one inside it does and remembers its options.
pub(crate) struct Recorder<P, F> {
    policy: P,
    probabilities: F,
    options: Vec<Vec<OptionTrace>>,
}

impl<P, F> Recorder<P, F>
where
    P: RoutingPolicy,
    F: FnMut(&mut P, &RoutingContext<'_>) -> Option<Vec<f64>>,
{
    /// Wraps `policy`. `probabilities` asks it for the probability of each model, small first, where it has such a thing.
    pub(crate) const fn new(policy: P, probabilities: F) -> Self {
        Self { policy, probabilities, options: Vec::new() }
    }

    /// Joins what was remembered with the episode that was played.
    pub(crate) fn trace(&self, episode: &Episode, caption: &str, difficulty: Option<Difficulty>) -> EpisodeTrace {
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

impl<P, F> RoutingPolicy for Recorder<P, F>
where
    P: RoutingPolicy,
    F: FnMut(&mut P, &RoutingContext<'_>) -> Option<Vec<f64>>,
{
    fn begin(&mut self, task: &Task, seed: u64) {
        self.options.clear();
        self.policy.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let probabilities = (self.probabilities)(&mut self.policy, context);
        let options = context.pool.iter().map(|(index, model)| OptionTrace {
            is_allowed: context.allowed.allows(index),
            probability: probabilities.as_ref().and_then(|all| all.get(index.get()).copied()),
            worst_case: context.quotes.get(index.get()).map_or(NanoUsd::ZERO, |quote| quote.worst_case(&model.prices)),
        });
        self.options.push(options.collect());
        self.policy.decide(context)
    }

    fn settle(&mut self, turn: &Turn) {
        self.policy.settle(turn);
    }
}
