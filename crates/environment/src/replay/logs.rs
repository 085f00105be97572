//! Boundary logs, read once and kept with everything that a replay asks of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_routing::{CostSource, Ending, Episode, ModelIndex, ModelPool, Split, TaskId, TokenUsage};

use super::ReplayError;
use super::donors::Donors;
use super::settings::ReplaySettings;
use super::state::{Classifier, StateClass, StepOutcome};

/// What a message takes in a prompt beside its words: role and separators. Tokens.
const TOKENS_PER_MESSAGE: i64 = 4;

/// The logs of every model of a pool, one model per episode, and what a replay is made of.
#[derive(Debug, Clone)]
pub struct ReplayLogs {
    pub(crate) settings: ReplaySettings,
    pub(crate) logs: Vec<Log>,
    /// Logs by task, then by model: one per trial.
    by_task: BTreeMap<TaskId, Vec<Vec<usize>>>,
    pub(crate) donors: Donors,
    /// What is expected of each model's calls, over all its logs.
    pub(crate) models: Vec<ModelFigures>,
}

/// One logged episode of one model.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) task: TaskId,
    pub(crate) split: Split,
    pub(crate) kind: Option<Arc<str>>,
    pub(crate) group: Option<Arc<str>>,
    pub(crate) model: usize,
    pub(crate) is_success: bool,
    pub(crate) score: f32,
    /// What was seen before the first step.
    pub(crate) opening: String,
    pub(crate) steps: Vec<LoggedStep>,
}

/// One step of a log.
#[derive(Debug, Clone)]
pub(crate) struct LoggedStep {
    /// The class of the state that it was taken in.
    pub(crate) state: StateClass,
    pub(crate) completion: String,
    pub(crate) completion_print: u64,
    /// What was seen next; the last step of a log has none.
    pub(crate) next: Option<NextObservation>,
    /// Whether the agent or the world ended the episode with this step.
    pub(crate) closes: bool,
    pub(crate) usage: TokenUsage,
    pub(crate) latency_ms: u32,
    pub(crate) cost_source: CostSource,
    pub(crate) reward: f32,
}

/// What followed a step.
#[derive(Debug, Clone)]
pub(crate) struct NextObservation {
    pub(crate) text: String,
    pub(crate) print: u64,
    pub(crate) outcome: StepOutcome,
    pub(crate) informs: bool,
    /// What the observation took in the prompts that it was part of. Tokens, as the log counts them.
    pub(crate) tokens: i64,
}

/// What a model's calls are like.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ModelFigures {
    /// Mean size of its first prompt. Tokens.
    pub(crate) first_prompt: u32,
    /// Mean length of its answers. Tokens.
    pub(crate) mean_output: u32,
    /// Its longest answer. Tokens.
    pub(crate) max_output: u32,
}

/// A step of a log, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepRef {
    pub(crate) log: usize,
    pub(crate) step: usize,
}

impl ReplayLogs {
    /// Reads the logged `episodes` of the models of `pool`.
    ///
    /// # Errors
    /// A [`ReplayError`] for a setting that makes no sense, an episode that is no boundary log, or a model without any.
    pub fn new(episodes: &[Episode], pool: &ModelPool, settings: ReplaySettings) -> Result<Self, ReplayError> {
        settings.check()?;
        let classifier = Classifier::new(&settings);
        let logs: Vec<Log> = episodes
            .iter()
            .map(|episode| Log::read(episode, pool, &classifier, settings.prompt_messages))
            .collect::<Result<_, _>>()?;
        let mut by_task: BTreeMap<TaskId, Vec<Vec<usize>>> = BTreeMap::new();
        for (position, log) in logs.iter().enumerate() {
            let of_task = by_task.entry(log.task.clone()).or_insert_with(|| vec![Vec::new(); pool.len()]);
            of_task[log.model].push(position);
        }
        let figures = |(index, model): (ModelIndex, &tollgate_routing::Model)| {
            ModelFigures::of(logs.iter().filter(|log| log.model == index.get()))
                .ok_or_else(|| ReplayError::NoLogs { model: model.id.to_string() })
        };
        let models = pool.iter().map(figures).collect::<Result<_, _>>()?;
        let donors = Donors::new(&logs);
        Ok(Self { settings, logs, by_task, donors, models })
    }

    /// The tasks that some model was logged on.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.by_task.keys()
    }

    /// The logs of `model` on a task, one per trial.
    pub(crate) fn trials(&self, task: &TaskId, model: usize) -> &[usize] {
        self.by_task.get(task).and_then(|models| models.get(model)).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn step(&self, at: StepRef) -> &LoggedStep {
        &self.logs[at.log].steps[at.step]
    }

    pub(crate) fn classifier(&self) -> Classifier<'_> {
        Classifier::new(&self.settings)
    }
}

impl Log {
    fn read(
        episode: &Episode,
        pool: &ModelPool,
        classifier: &Classifier<'_>,
        prompt_messages: Option<usize>,
    ) -> Result<Self, ReplayError> {
        let name = || episode.id.to_string();
        let first = episode.steps.first().ok_or_else(|| ReplayError::Empty { episode: name() })?;
        let model = first.turn.action;
        if model.get() >= pool.len() {
            return Err(ReplayError::UnknownModel { episode: name(), model: model.get(), n_models: pool.len() });
        }
        if let Some(step_idx) = episode.steps.iter().position(|step| step.turn.action != model) {
            return Err(ReplayError::Mixed { episode: name(), step_idx });
        }
        let tokens = observation_tokens(episode, prompt_messages);
        let mut state = StateClass::START;
        let mut steps = Vec::with_capacity(episode.steps.len());
        for (step_idx, step) in episode.steps.iter().enumerate() {
            let turn = &step.turn;
            let next = episode.steps.get(step_idx + 1).map(|next| {
                let text = next.turn.observation.text.clone();
                let outcome = classifier.outcome(&turn.completion, &text);
                let (print, informs) = (classifier.fingerprint(&text), classifier.informs(outcome));
                NextObservation { text, print, outcome, informs, tokens: tokens[step_idx] }
            });
            let before = state;
            if let Some(next) = &next {
                state = classifier.after(before, next.outcome, step_idx + 1);
            }
            steps.push(LoggedStep {
                state: before,
                completion_print: classifier.fingerprint(&turn.completion),
                completion: turn.completion.clone(),
                closes: next.is_none() && (episode.is_success || episode.ending == Ending::Terminated),
                next,
                usage: turn.usage,
                latency_ms: turn.latency_ms,
                cost_source: step.cost_source,
                reward: step.reward,
            });
        }
        Ok(Self {
            task: episode.task.id.clone(),
            split: episode.task.split,
            kind: episode.task.kind.clone(),
            group: episode.task.group.clone(),
            model: model.get(),
            is_success: episode.is_success,
            score: episode.score,
            opening: first.turn.observation.text.clone(),
            steps,
        })
    }
}

impl LoggedStep {
    /// What the completion takes in later prompts. Tokens.
    pub(crate) fn completion_tokens(&self) -> i64 {
        i64::from(self.usage.output_tokens) + TOKENS_PER_MESSAGE
    }

    /// Which share of its prompt was read from a cache.
    pub(crate) fn cached_share(&self) -> f64 {
        f64::from(self.usage.cached_input_tokens) / f64::from(self.usage.prompt_tokens().max(1))
    }
}

impl ModelFigures {
    fn of<'a>(logs: impl Iterator<Item = &'a Log>) -> Option<Self> {
        let (mut n_logs, mut first, mut n_steps, mut output, mut max_output) = (0_u64, 0_u64, 0_u64, 0_u64, 0);
        for log in logs {
            n_logs += 1;
            first += log.steps.first().map_or(0, |step| u64::from(step.usage.prompt_tokens()));
            for step in &log.steps {
                n_steps += 1;
                output += u64::from(step.usage.output_tokens);
                max_output = max_output.max(step.usage.output_tokens);
            }
        }
        (n_logs > 0).then(|| Self {
            first_prompt: (first / n_logs) as u32,
            mean_output: (output / n_steps.max(1)) as u32,
            max_output,
        })
    }
}

/// What the messages in a prompt take together: the last `kept` of them, or all.
pub(crate) fn kept_tokens(messages: &[i64], kept: Option<usize>) -> i64 {
    let start = kept.map_or(0, |kept| messages.len().saturating_sub(kept));
    messages[start..].iter().sum()
}

/// What each observation took in the prompts that followed it: how much the prompt grew, less the completion, plus what fell out
/// of the agent's memory. The last step of a log, which no prompt follows, has none.
fn observation_tokens(episode: &Episode, kept: Option<usize>) -> Vec<i64> {
    let prompt = |at: usize| i64::from(episode.steps[at].turn.usage.prompt_tokens());
    let mut messages: Vec<i64> = Vec::with_capacity(2 * episode.steps.len());
    let mut tokens = Vec::with_capacity(episode.steps.len());
    for step_idx in 0..episode.steps.len().saturating_sub(1) {
        messages.push(i64::from(episode.steps[step_idx].turn.usage.output_tokens) + TOKENS_PER_MESSAGE);
        messages.push(0);
        let observation = prompt(step_idx + 1) - prompt(0) - kept_tokens(&messages, kept);
        if let Some(last) = messages.last_mut() {
            *last = observation;
        }
        tokens.push(observation);
    }
    tokens
}
