//! What an episode needs: a world, models that act in it, and a router.

use thiserror::Error;
use tollgate_routing::{
    ActionMask, BudgetView, CostSource, Ending, Episode, ModelIndex, ModelPool, NanoUsd, Observation, Prices,
    Provenance, Task, TokenUsage, Turn,
};

use crate::{RolloutError, RolloutRequest};

/// A world in which a task is played. Deterministic: the same task, seed and completions give the same observations.
pub trait Environment {
    /// Sets the scene of `task` and returns the first observation. Chance events of the episode derive from `seed`.
    ///
    /// # Errors
    /// When the task is not this environment's, or the world behind it fails.
    fn reset(&mut self, task: &Task, seed: u64) -> Result<Observation, EnvironmentError>;

    /// Lets the agent do what its completion says.
    ///
    /// # Errors
    /// When the world behind it fails. A command that makes no sense is no error: the observation says so.
    fn step(&mut self, completion: &str) -> Result<Transition, EnvironmentError>;

    /// The result so far; final once a transition says `terminated`.
    fn outcome(&self) -> Outcome;
}

/// What a step led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// What the agent sees next.
    pub observation: Observation,
    /// The environment's reward for the step. The router never sees it.
    pub reward: f32,
    /// Whether the world reached a final state. Reaching the horizon is the loop's business, not the world's.
    pub terminated: bool,
    /// Whether what is seen next followed from the completion, or was read from a log.
    pub provenance: Provenance,
}

impl Transition {
    /// What a world says that takes the completions it is given.
    #[must_use]
    pub const fn new(observation: Observation, reward: f32, terminated: bool) -> Self {
        Self { observation, reward, terminated, provenance: Provenance::Played }
    }
}

/// The result of an episode.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcome {
    /// Whether the task is solved.
    pub is_success: bool,
    /// The grade, 0 to 1.
    pub score: f32,
}

/// A world that cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvironmentError {
    /// The task belongs to another environment.
    #[error(
        "task `{task}` is of environment `{found}`, expected `{expected}`\nhint: the task set and `suite` in the config must agree"
    )]
    WrongTask {
        /// The task's id.
        task: String,
        /// The environment that the task names.
        found: String,
        /// The environment that was asked to play it.
        expected: String,
    },
    /// The world behind the environment failed.
    #[error("{environment}: {reason}")]
    Failed {
        /// Which environment.
        environment: String,
        /// What it said.
        reason: String,
    },
}

/// All that a model's prompt is made of.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The task.
    pub task: &'a Task,
    /// What happened so far.
    pub turns: &'a [Turn],
    /// What is seen now.
    pub observation: &'a Observation,
}

/// The models of a pool, ready to act in environments of type `E`.
///
/// Generic over the environment because a simulated model looks at what a real one cannot: the expert's next command.
pub trait Executor<E: Environment> {
    /// Prepares for an episode: empty prompt caches, chance events from `seed`.
    fn reset(&mut self, task: &Task, seed: u64);

    /// What a call of `model` would take, before it is made. The environment is there for what the prompt shows of it beside
    /// the observation, such as the commands it would take.
    fn quote(&self, environment: &E, model: ModelIndex, situation: &Situation<'_>) -> CallQuote;

    /// Lets `model` answer. Its usage never exceeds its quote's worst case.
    ///
    /// # Errors
    /// When no answer can be had.
    fn complete(
        &mut self,
        environment: &E,
        model: ModelIndex,
        situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError>;
}

/// The size of a call before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallQuote {
    /// Tokens of the whole prompt, as far as they can be told before the call.
    pub prompt_tokens: u32,
    /// How many more the provider may count. 0 where the count is exact, as with simulated models.
    pub prompt_slack_tokens: u32,
    /// How many of them the model's cache is expected to hold.
    pub cached_tokens: u32,
    /// Tokens of a typical answer.
    pub expected_output_tokens: u32,
    /// Tokens at which the answer is cut.
    pub max_output_tokens: u32,
}

impl CallQuote {
    /// The most that the call can cost: what has to be reserved.
    #[must_use]
    pub fn worst_case(&self, prices: &Prices) -> NanoUsd {
        prices.worst_case(self.prompt_tokens + self.prompt_slack_tokens, self.max_output_tokens)
    }

    /// What the call will probably cost.
    #[must_use]
    pub fn expected(&self, prices: &Prices) -> NanoUsd {
        prices.cost(&TokenUsage {
            input_tokens: self.prompt_tokens - self.cached_tokens,
            cached_input_tokens: self.cached_tokens,
            cache_write_tokens: 0,
            output_tokens: self.expected_output_tokens,
        })
    }
}

/// A model's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The command, as the environment reads it.
    pub text: String,
    /// Its tokens.
    pub usage: TokenUsage,
    /// How long the call took. Milliseconds.
    pub latency_ms: u32,
    /// How its cost is known.
    pub cost_source: CostSource,
    /// What the provider says that the call cost; without it, the cost is usage times prices.
    pub recorded_cost: Option<NanoUsd>,
}

impl Completion {
    /// The answer of a simulated model.
    #[must_use]
    pub const fn simulated(text: String, usage: TokenUsage, latency_ms: u32) -> Self {
        Self { text, usage, latency_ms, cost_source: CostSource::Simulated, recorded_cost: None }
    }
}

/// A model that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("model `{model}` gave no answer: {reason}")]
pub struct ExecutorError {
    /// The model's id.
    pub model: String,
    /// What went wrong.
    pub reason: String,
}

/// All that a router may base a decision on.
#[derive(Debug, Clone, Copy)]
pub struct RoutingContext<'a> {
    /// The task. A learned router reads the instruction and the horizon and nothing else of it.
    pub task: &'a Task,
    /// What happened so far, rewards left out. Its length is the index of the step to decide.
    pub turns: &'a [Turn],
    /// What is seen now.
    pub observation: &'a Observation,
    /// The models to choose from.
    pub pool: &'a ModelPool,
    /// The size of the call for each model of the pool.
    pub quotes: &'a [CallQuote],
    /// The operating point, and what is left of each cap.
    pub budget: BudgetView,
    /// The actions that fit the budget. Never empty when a policy is asked.
    pub allowed: ActionMask,
}

/// A choice of model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// The model that answers the step.
    pub action: ModelIndex,
    /// Natural logarithm of the probability of the choice; 0 for a policy that leaves nothing to chance.
    pub log_prob: f32,
}

impl Decision {
    /// A choice that leaves nothing to chance.
    #[must_use]
    pub const fn certain(action: ModelIndex) -> Self {
        Self { action, log_prob: 0.0 }
    }
}

/// What a policy says before a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Call this model.
    Call(Decision),
    /// End the episode before any call.
    Stop(Ending),
}

/// A policy that could not decide.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// The network's output is no number.
    #[error(
        "policy `{policy}` gave a value that is not finite at step {step_idx}\nhint: the checkpoint is damaged or its training diverged; train again"
    )]
    NotFinite {
        /// The policy's id.
        policy: String,
        /// The step.
        step_idx: usize,
    },
    /// The context does not fit the policy: another pool, other signals.
    #[error("policy `{policy}` was made for {expected}, found {found}")]
    Mismatch {
        /// The policy's id.
        policy: String,
        /// What it was made for.
        expected: String,
        /// What it was given.
        found: String,
    },
    /// What the policy looks at before it decides has failed.
    #[error("policy `{policy}` could not decide: {reason}")]
    Failed {
        /// The policy's id.
        policy: String,
        /// What went wrong.
        reason: String,
    },
    /// The choice is not among the allowed actions, so the call was not made.
    #[error(
        "the policy chose model `{model}` at step {step_idx}, expected one of: {allowed}\nhint: a policy chooses among `RoutingContext::allowed`; `ActionMask::nearest` maps any wish onto it"
    )]
    Disallowed {
        /// The chosen model's id.
        model: String,
        /// The step.
        step_idx: usize,
        /// The ids of the allowed models.
        allowed: String,
    },
    /// The call before this step cost more than its worst case.
    #[error(
        "the call before step {step_idx} cost {actual}, expected at most the {reserved} reserved for it\nhint: the executor's count of prompt tokens or the price table is wrong"
    )]
    AboveReservation {
        /// The step that was to be decided.
        step_idx: usize,
        /// What the call cost.
        actual: NanoUsd,
        /// What was reserved for it.
        reserved: NanoUsd,
    },
}

/// Chooses the model of each step.
pub trait RoutingPolicy {
    /// Prepares for an episode; chance in the policy derives from `seed`.
    fn begin(&mut self, task: &Task, seed: u64);

    /// Chooses the model that answers the next step.
    ///
    /// # Errors
    /// When the policy cannot decide.
    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError>;

    /// Tells the policy what the call that it chose has cost.
    fn settle(&mut self, _turn: &Turn) {}
}

impl<P: RoutingPolicy + ?Sized> RoutingPolicy for Box<P> {
    fn begin(&mut self, task: &Task, seed: u64) {
        (**self).begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        (**self).decide(context)
    }

    fn settle(&mut self, turn: &Turn) {
        (**self).settle(turn);
    }
}

impl<P: RoutingPolicy + ?Sized> RoutingPolicy for &mut P {
    fn begin(&mut self, task: &Task, seed: u64) {
        (**self).begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        (**self).decide(context)
    }

    fn settle(&mut self, turn: &Turn) {
        (**self).settle(turn);
    }
}

/// A place to play: an environment and the models that act in it, together. Shared between threads; each call is an
/// episode of its own, so that results do not depend on which thread plays which.
pub trait Arena: Sync {
    /// The models that act here.
    fn pool(&self) -> &ModelPool;

    /// How many numbers each observation carries beside its text.
    fn n_signals(&self) -> usize;

    /// Plays one episode.
    ///
    /// # Errors
    /// When the environment, a model or the policy fails.
    fn play(
        &self,
        task: &Task,
        request: &RolloutRequest,
        policy: &mut dyn RoutingPolicy,
    ) -> Result<Episode, RolloutError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worst_case_counts_what_the_provider_may_count_beyond_the_estimate() {
        let prices = Prices::per_million_usd(2.0, 0.5, 2.0, 8.0).ok();
        let quote = CallQuote { prompt_tokens: 100, max_output_tokens: 10, ..CallQuote::default() };
        let worst = |slack| prices.map(|prices| CallQuote { prompt_slack_tokens: slack, ..quote }.worst_case(&prices));
        assert_eq!(worst(0), Some(NanoUsd::new(100 * 2_000 + 10 * 8_000)));
        assert_eq!(worst(50), Some(NanoUsd::new(150 * 2_000 + 10 * 8_000)));
    }
}
