//! What every format turns its rows into: one logged step, borrowed from the row that says it.

use tollgate_routing::CostSource;

use crate::decimal::ExactUsd;
use crate::json::Text;
use crate::skips::{Reason, Refusal};

/// Where a step belongs in its episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// The log counts: this step has that index, from 0 without gaps.
    Index(u32),
    /// The log has times: steps follow each other in their order. Nanoseconds.
    Time(i128),
    /// The log has neither: steps come in their order.
    Arrival,
}

/// Tokens as logs count them: the prompt as a whole, and how much of it the cache had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LoggedTokens {
    pub(crate) prompt: Option<i64>,
    pub(crate) cached: Option<i64>,
    pub(crate) cache_write: Option<i64>,
    pub(crate) completion: Option<i64>,
}

/// What a row says about the episode that it is part of. The first row that says something wins; of the outcome, the last.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EpisodeFacts<'a> {
    /// The request in words.
    pub(crate) task_text: Option<Text<'a>>,
    /// What must stay together in a split.
    pub(crate) group: Option<Text<'a>>,
    /// What kind of task it is.
    pub(crate) kind: Option<Text<'a>>,
    /// The data set.
    pub(crate) dataset: Option<Text<'a>>,
    /// The value of the field that the map splits by.
    pub(crate) split_field: Option<Text<'a>>,
    /// Steps that the episode has in all.
    pub(crate) n_steps: Option<u32>,
    /// The most steps that it could have had.
    pub(crate) horizon: Option<u32>,
    /// Whether the task was solved.
    pub(crate) success: Option<bool>,
    /// The environment's grade, as logged.
    pub(crate) score: Option<f64>,
    /// Whether the log says that it was cut off at its horizon.
    pub(crate) is_truncated: Option<bool>,
    /// Members of a JSON object, without its braces: what no column holds.
    pub(crate) extra: &'a str,
}

/// One step as a log has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedStep<'a> {
    /// The episode's own name, where the log has one.
    pub(crate) episode_id: Option<Text<'a>>,
    /// The task.
    pub(crate) task_id: Text<'a>,
    /// The model's name in the log.
    pub(crate) model: Text<'a>,
    /// Which of several tries of the task.
    pub(crate) trial: Option<Text<'a>>,
    pub(crate) order: Order,
    /// The step's own name in the log, by which a repetition is known.
    pub(crate) step_id: Option<Text<'a>>,
    /// What arrived before the step.
    pub(crate) observation: Option<Text<'a>>,
    /// What the model said.
    pub(crate) completion: Text<'a>,
    pub(crate) tokens: LoggedTokens,
    /// The log's own figure.
    pub(crate) cost: Option<ExactUsd>,
    /// How the log knows tokens and cost, where it says.
    pub(crate) source: Option<CostSource>,
    pub(crate) latency_ms: u32,
    /// The environment's reward, where the log has one per step.
    pub(crate) reward: Option<f32>,
    /// Members of a JSON object, without its braces: what no column holds.
    pub(crate) extra: &'a str,
    pub(crate) facts: EpisodeFacts<'a>,
}

/// Takes the steps of a row. An error ends the import; refusals do not come back.
pub(crate) type StepSink<'a> =
    dyn FnMut(Result<LoggedStep<'_>, (Refusal, Option<EpisodeName<'_>>)>) -> Result<(), crate::ImportError> + 'a;

/// Enough of a bad row to know the episode that it breaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EpisodeName<'a> {
    pub(crate) episode_id: Option<Text<'a>>,
    pub(crate) task_id: Option<Text<'a>>,
    pub(crate) model: Option<Text<'a>>,
    pub(crate) trial: Option<Text<'a>>,
}

/// A refusal for want of a field.
pub(crate) fn missing(field: &str) -> Refusal {
    Refusal::new(Reason::MissingField, format!("has no `{field}`"))
}
