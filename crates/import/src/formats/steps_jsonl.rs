//! `steps-jsonl`: one JSON object per step.

use tollgate_routing::CostSource;

use super::{RowReader, count, name, number, push_member, small_count, split_field, truth, words};
use crate::ImportError;
use crate::decimal::{AmountError, ExactUsd};
use crate::json::{Json, Text, each_member};
use crate::plan::ImportPlan;
use crate::record::{EpisodeFacts, EpisodeName, LoggedStep, LoggedTokens, Order, StepSink, missing};
use crate::skips::{Reason, Refusal};

/// Fields that no column holds and that are the same for all steps of an episode.
const EPISODE_FIELDS: [&str; 5] = ["domain", "scaffold", "agent", "suite", "seed"];

/// Reads steps.
pub(crate) struct StepsJsonl {
    shown_fields: Vec<String>,
    completion_fields: Vec<String>,
    split_field: Option<String>,
    scratch: Scratch,
}

/// Words that are put together from several fields, kept to be used again.
#[derive(Default)]
struct Scratch {
    step_extra: String,
    episode_extra: String,
    observation: String,
    completion: String,
}

/// The fields of a row, as they stand.
#[derive(Default, Clone, Copy)]
struct Fields<'a> {
    episode_id: Option<Json<'a>>,
    task_id: Option<Json<'a>>,
    model: Option<Json<'a>>,
    trial: Option<Json<'a>>,
    step_index: Option<Json<'a>>,
    n_steps: Option<Json<'a>>,
    observation: Option<Json<'a>>,
    action: Option<Json<'a>>,
    prompt_tokens: Option<Json<'a>>,
    cached_tokens: Option<Json<'a>>,
    cache_write_tokens: Option<Json<'a>>,
    completion_tokens: Option<Json<'a>>,
    cost_usd: Option<Json<'a>>,
    token_source: Option<Json<'a>>,
    terminal_reward: Option<Json<'a>>,
    success: Option<Json<'a>>,
    truncated: Option<Json<'a>>,
    task_text: Option<Json<'a>>,
    group: Option<Json<'a>>,
    hardness: Option<Json<'a>>,
    dataset: Option<Json<'a>>,
    max_steps: Option<Json<'a>>,
    latency_ms: Option<Json<'a>>,
    step_reward: Option<Json<'a>>,
    split_field: Option<Json<'a>>,
}

impl<'a> Fields<'a> {
    /// The place of a field that a column holds.
    fn slot(&mut self, name: &str) -> Option<&mut Option<Json<'a>>> {
        Some(match name {
            "episode_id" => &mut self.episode_id,
            "task_id" => &mut self.task_id,
            "model" => &mut self.model,
            "trial" => &mut self.trial,
            "step_index" | "step_idx" => &mut self.step_index,
            "n_steps" => &mut self.n_steps,
            "observation" => &mut self.observation,
            "action" | "completion" => &mut self.action,
            "prompt_tokens" => &mut self.prompt_tokens,
            "cached_tokens" => &mut self.cached_tokens,
            "cache_write_tokens" => &mut self.cache_write_tokens,
            "completion_tokens" => &mut self.completion_tokens,
            "cost_usd" => &mut self.cost_usd,
            "token_source" => &mut self.token_source,
            "terminal_reward" | "score" => &mut self.terminal_reward,
            "success" => &mut self.success,
            "truncated" => &mut self.truncated,
            "task_text" | "instruction" => &mut self.task_text,
            "group" => &mut self.group,
            "hardness" | "kind" => &mut self.hardness,
            "dataset" => &mut self.dataset,
            "max_steps" | "horizon" => &mut self.max_steps,
            "latency_ms" => &mut self.latency_ms,
            "step_reward" => &mut self.step_reward,
            _ => return None,
        })
    }

    fn name(&self) -> EpisodeName<'a> {
        let text = |value: Option<Json<'a>>| value.and_then(|value| name("", value).ok().flatten());
        EpisodeName {
            episode_id: text(self.episode_id),
            task_id: text(self.task_id),
            model: text(self.model),
            trial: text(self.trial),
        }
    }
}

impl StepsJsonl {
    pub(crate) fn new(plan: &ImportPlan) -> Self {
        Self {
            shown_fields: plan.shown_fields.clone(),
            completion_fields: plan.completion_fields.clone(),
            split_field: split_field(plan).map(ToOwned::to_owned),
            scratch: Scratch::default(),
        }
    }

    /// Sorts the members of a row.
    fn fields<'a>(&mut self, row: &'a str) -> Result<Fields<'a>, Refusal> {
        let Scratch { step_extra, episode_extra, observation, completion } = &mut self.scratch;
        for text in [&mut *step_extra, &mut *episode_extra, &mut *observation, &mut *completion] {
            text.clear();
        }
        let mut fields = Fields::default();
        let (shown, said) = (&self.shown_fields, &self.completion_fields);
        let split_field = self.split_field.as_deref();
        each_member(row, |name, value| {
            if value.is_null() {
                return;
            }
            if let Some(slot) = fields.slot(name) {
                *slot = Some(value);
            } else if EPISODE_FIELDS.contains(&name) {
                push_member(name, value, episode_extra);
            } else {
                push_member(name, value, step_extra);
            }
            if split_field == Some(name) {
                fields.split_field = Some(value);
            }
            if name == "token_source" {
                push_member(name, value, episode_extra);
            }
            if !shown.is_empty() && shown.iter().any(|field| field == name) {
                push_shown(name, value, observation);
            }
            if !said.is_empty() && said.iter().any(|field| field == name) {
                push_shown(name, value, completion);
            }
        })
        .map_err(|error| Refusal::new(Reason::NotJson, error.to_string()))?;
        Ok(fields)
    }
}

/// Adds a line `name: value`.
fn push_shown(name: &str, value: Json<'_>, out: &mut String) {
    out.push('\n');
    out.push_str(name);
    out.push_str(": ");
    match value.as_text() {
        Some(text) => text.push_to(out),
        None => out.push_str(value.raw()),
    }
}

impl RowReader for StepsJsonl {
    fn read(&mut self, _: &str, row: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let fields = match self.fields(row) {
            Ok(fields) => fields,
            Err(refusal) => return sink(Err((refusal, None))),
        };
        let Scratch { step_extra, episode_extra, observation, completion } = &mut self.scratch;
        // The fields that are shown stand behind the words that they belong to.
        let behind = |words: Option<Json<'_>>, shown: &mut String| {
            if !shown.is_empty() {
                let tail = std::mem::take(shown);
                words.and_then(Json::as_text).unwrap_or(Text::Plain("")).push_to(shown);
                shown.push_str(&tail);
            }
        };
        behind(fields.observation, observation);
        behind(fields.action, completion);
        match step(&fields) {
            Ok(mut step) => {
                (step.extra, step.facts.extra) = (step_extra, episode_extra);
                if !observation.is_empty() {
                    step.observation = Some(Text::Plain(observation));
                }
                if !completion.is_empty() {
                    step.completion = Text::Plain(completion);
                }
                sink(Ok(step))
            }
            Err(refusal) => sink(Err((refusal, Some(fields.name())))),
        }
    }
}

/// What the fields say, without the words that are put together.
fn step<'a>(fields: &Fields<'a>) -> Result<LoggedStep<'a>, Refusal> {
    let named = |field, value: Option<Json<'a>>| value.map_or(Ok(None), |value| name(field, value));
    let worded = |field, value: Option<Json<'a>>| value.map_or(Ok(None), |value| words(field, value));
    let counted = |field, value: Option<Json<'a>>| value.map_or(Ok(None), |value| small_count(field, value));
    let index = counted("step_index", fields.step_index)?;
    Ok(LoggedStep {
        episode_id: named("episode_id", fields.episode_id)?,
        task_id: named("task_id", fields.task_id)?.ok_or_else(|| missing("task_id"))?,
        model: named("model", fields.model)?.ok_or_else(|| missing("model"))?,
        trial: named("trial", fields.trial)?,
        order: index.map_or(Order::Arrival, Order::Index),
        step_id: None,
        observation: worded("observation", fields.observation)?,
        completion: worded("action", fields.action)?.unwrap_or(Text::Plain("")),
        tokens: tokens(fields)?,
        cost: fields.cost_usd.map(cost).transpose()?,
        source: fields.token_source.map(source).transpose()?,
        latency_ms: latency_ms(fields.latency_ms)?,
        reward: fields.step_reward.map_or(Ok(None), step_reward)?,
        extra: "",
        facts: EpisodeFacts {
            task_text: worded("task_text", fields.task_text)?,
            group: named("group", fields.group)?,
            kind: named("hardness", fields.hardness)?,
            dataset: named("dataset", fields.dataset)?,
            split_field: named("split field", fields.split_field)?,
            n_steps: counted("n_steps", fields.n_steps)?,
            horizon: counted("max_steps", fields.max_steps)?,
            success: fields.success.map_or(Ok(None), |value| truth("success", value))?,
            score: fields.terminal_reward.map_or(Ok(None), |value| number("terminal_reward", value))?,
            is_truncated: fields.truncated.map_or(Ok(None), |value| truth("truncated", value))?,
            extra: "",
        },
    })
}

fn tokens(fields: &Fields<'_>) -> Result<LoggedTokens, Refusal> {
    let counted = |field, value: Option<Json<'_>>| value.map_or(Ok(None), |value| count(field, value));
    Ok(LoggedTokens {
        prompt: counted("prompt_tokens", fields.prompt_tokens)?,
        cached: counted("cached_tokens", fields.cached_tokens)?,
        cache_write: counted("cache_write_tokens", fields.cache_write_tokens)?,
        completion: counted("completion_tokens", fields.completion_tokens)?,
    })
}

/// The tables have rewards in single precision, in which a finite number may be infinite.
fn step_reward(value: Json<'_>) -> Result<Option<f32>, Refusal> {
    let in_range = |reward: f64| {
        let reward = reward as f32;
        if reward.is_finite() { Ok(reward) } else { Err(super::bad_value("step_reward", value, "-3.4e38 to 3.4e38")) }
    };
    number("step_reward", value)?.map(in_range).transpose()
}

/// Dollars, exactly.
pub(crate) fn cost(value: Json<'_>) -> Result<ExactUsd, Refusal> {
    ExactUsd::parse(value.raw()).map_err(|error| {
        let expected = match error {
            AmountError::Negative => "0 or more",
            AmountError::TooLarge => "at most a billion",
            AmountError::NoNumber => "a number",
        };
        Refusal { reason: Reason::BadCost, ..super::bad_value("cost_usd", value, expected) }
    })
}

/// How the log says that it knows its tokens. Whatever it does not call recorded or metered is an estimate.
fn source(value: Json<'_>) -> Result<CostSource, Refusal> {
    let text = value.as_text().ok_or_else(|| super::bad_value("token_source", value, "a string"))?;
    let (Text::Escaped(text) | Text::Plain(text)) = text;
    Ok(if text.starts_with("recorded") {
        CostSource::Recorded
    } else if text.starts_with("metered") {
        CostSource::Metered
    } else {
        CostSource::Estimated
    })
}

pub(crate) fn latency_ms(value: Option<Json<'_>>) -> Result<u32, Refusal> {
    let Some(value) = value else { return Ok(0) };
    match number("latency_ms", value)? {
        None => Ok(0),
        Some(latency) if (0.0..=f64::from(i32::MAX)).contains(&latency) => Ok(latency.round() as u32),
        Some(_) => Err(super::bad_value("latency_ms", value, "0 to 2^31 - 1")),
    }
}
