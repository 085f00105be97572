//! The logs as a world and as the models that act in it.

use std::cell::RefCell;

use tollgate_rollout::{
    CallQuote, Completion, Environment, EnvironmentError, Executor, ExecutorError, Outcome, Situation, Transition,
};
use tollgate_routing::{CostSource, ModelIndex, ModelPool, Observation, Provenance, Task, TokenUsage};

use super::continuation::{NextStep, ReplayEpisode};
use super::logs::ReplayLogs;

/// The world of the logs. It takes the answers of [`ReplayModels`] only: it has no rules of its own by which it could tell what
/// comes of another.
#[derive(Debug)]
pub struct ReplayEnvironment<'a> {
    logs: &'a ReplayLogs,
    episode: Option<ReplayEpisode<'a>>,
    /// The answer that was given and not heard yet.
    given: RefCell<Option<(usize, NextStep)>>,
    outcome: Outcome,
}

impl<'a> ReplayEnvironment<'a> {
    /// A world that goes by these logs.
    #[must_use]
    pub fn new(logs: &'a ReplayLogs) -> Self {
        Self { logs, episode: None, given: RefCell::new(None), outcome: Outcome::default() }
    }

    fn fail<T>(reason: &str) -> Result<T, EnvironmentError> {
        Err(EnvironmentError::Failed { environment: "replay".to_owned(), reason: reason.to_owned() })
    }
}

impl Environment for ReplayEnvironment<'_> {
    fn reset(&mut self, task: &Task, seed: u64) -> Result<Observation, EnvironmentError> {
        if (0..self.logs.models.len()).all(|model| self.logs.trials(&task.id, model).is_empty()) {
            return Self::fail(&format!(
                "task `{}` is in no log\nhint: `experiment.tasks` and `experiment.replay.logs` must come from the same import",
                task.id
            ));
        }
        let episode = ReplayEpisode::new(self.logs, task, seed);
        let opening = Observation::from_text(episode.opening());
        self.episode = Some(episode);
        self.given.replace(None);
        self.outcome = Outcome::default();
        Ok(opening)
    }

    fn step(&mut self, _completion: &str) -> Result<Transition, EnvironmentError> {
        let (Some(episode), Some((model, next))) = (&mut self.episode, self.given.take()) else {
            return Self::fail(
                "a step without an answer from the logs\nhint: only the models of the logs can act here",
            );
        };
        let log = &self.logs.logs[next.step.log];
        let step = &log.steps[next.step.step];
        let is_logged = next.provenance == Provenance::Logged;
        // A log that ended here says how; one that would have gone on to its success has not got there.
        let is_end = step.closes || (is_logged && step.next.is_none());
        self.outcome = Outcome {
            is_success: is_end && log.is_success,
            score: if is_end || !log.is_success { log.score } else { 0.0 },
        };
        let reward = match (is_logged, step.closes) {
            (true, _) => step.reward,
            (false, true) => log.score,
            (false, false) => 0.0,
        };
        let observation = Observation::from_text(step.next.as_ref().map_or("", |next| &next.text));
        let terminated = step.closes;
        if !terminated {
            episode.push(model, next);
        }
        Ok(Transition { observation, reward, terminated, provenance: next.provenance })
    }

    fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// The logged models, in one episode at a time.
#[derive(Debug, Clone, Copy)]
pub struct ReplayModels<'a> {
    logs: &'a ReplayLogs,
    pool: &'a ModelPool,
}

impl<'a> ReplayModels<'a> {
    /// The models of `pool`, which is the pool that the logs were read with.
    #[must_use]
    pub const fn new(logs: &'a ReplayLogs, pool: &'a ModelPool) -> Self {
        Self { logs, pool }
    }
}

impl Executor<ReplayEnvironment<'_>> for ReplayModels<'_> {
    fn reset(&mut self, _task: &Task, _seed: u64) {}

    /// The prompt follows from the history alone, and what is expected of an answer from all logs of the model: a quote tells nothing of
    /// what is about to happen.
    fn quote(&self, world: &ReplayEnvironment<'_>, model: ModelIndex, _situation: &Situation<'_>) -> CallQuote {
        let figures = self.logs.models[model.get()];
        CallQuote {
            prompt_tokens: world.episode.as_ref().map_or(0, |episode| episode.prompt_tokens(model.get())),
            cached_tokens: 0,
            expected_output_tokens: figures.mean_output,
            max_output_tokens: figures.max_output,
            ..CallQuote::default()
        }
    }

    fn complete(
        &mut self,
        world: &ReplayEnvironment<'_>,
        model: ModelIndex,
        _situation: &Situation<'_>,
    ) -> Result<Completion, ExecutorError> {
        let next = world.episode.as_ref().and_then(|episode| Some((episode, episode.next_step(model.get())?)));
        let Some((episode, next)) = next else {
            return Err(ExecutorError {
                model: self.pool.model(model).id.to_string(),
                reason: "there is no log to draw from in this split\nhint: each split needs logs of every model"
                    .to_owned(),
            });
        };
        let step = self.logs.step(next.step);
        let usage = match next.provenance {
            Provenance::Logged => step.usage,
            Provenance::Played | Provenance::Matched | Provenance::Drawn => {
                let prompt_tokens = episode.prompt_tokens(model.get());
                // A model that has not seen the history yet finds nothing of it in its cache.
                let cached_share = if episode.is_warm(model.get()) { step.cached_share() } else { 0.0 };
                let cached_input_tokens = (f64::from(prompt_tokens) * cached_share) as u32;
                TokenUsage {
                    input_tokens: prompt_tokens - cached_input_tokens,
                    cached_input_tokens,
                    cache_write_tokens: 0,
                    output_tokens: step.usage.output_tokens,
                }
            }
        };
        world.given.replace(Some((model.get(), next)));
        Ok(Completion {
            text: step.completion.clone(),
            usage,
            latency_ms: step.latency_ms,
            // The provider's own figure holds for the call it made; here the tokens it reported are priced anew.
            cost_source: match step.cost_source {
                CostSource::Recorded => CostSource::Metered,
                source => source,
            },
            recorded_cost: None,
        })
    }
}
