//! `openai-jsonl`: chat completions, one per line. Four forms are told apart by their members:
//!
//! - a pair, `{"request": {..., "messages"}, "response": {..., "choices", "usage"}}`;
//! - a line of OpenAI's batch output, `{"custom_id", "response": {"status_code", "body"}}`, which has no request;
//! - a bare response, `{"object": "chat.completion", "choices", "usage"}`;
//! - a conversation, `{"messages": [...]}` as for fine-tuning: each message of the assistant is a step, with a `usage` (and
//!   `model`, `cost_usd`) of its own, or the line's where it has only one such message.
//!
//! Labels (`episode_id`, `task_id`, `success`, ...) stand beside these members, or in `metadata` there or in the request.

use tollgate_routing::CostSource;

use super::chat::{first, has_role, push_answer, push_news, tokens};
use super::labels::{Labels, labels, nanoseconds};
use super::steps_jsonl::{cost, latency_ms};
use super::{RowReader, push_member, split_field};
use crate::ImportError;
use crate::json::{Json, Members, Text, object};
use crate::plan::ImportPlan;
use crate::record::{EpisodeFacts, EpisodeName, LoggedStep, Order, StepSink, missing};
use crate::skips::{Reason, Refusal};

/// Names of the episode's id among the labels.
const EPISODE_FIELDS: [&str; 5] = ["episode_id", "conversation_id", "session_id", "trace_id", "custom_id"];
/// Members that columns hold.
const KNOWN: [&str; 9] =
    ["request", "response", "messages", "choices", "usage", "metadata", "object", "model", "created"];

/// Reads chat completions.
pub(crate) struct OpenAiJsonl {
    split_field: Option<String>,
    /// Rows so far, for those that name no episode: each is one by itself.
    n_rows: u64,
}

impl OpenAiJsonl {
    pub(crate) fn new(plan: &ImportPlan) -> Self {
        Self { split_field: split_field(plan).map(ToOwned::to_owned), n_rows: 0 }
    }
}

impl RowReader for OpenAiJsonl {
    fn read(&mut self, _: &str, row: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        self.n_rows += 1;
        let value = match object(row) {
            Ok(value) => value,
            Err(error) => return sink(Err((Refusal::new(Reason::NotJson, error.to_string()), None))),
        };
        let line = value.members();
        let request = line.get("request").map(Json::members).unwrap_or_default();
        let metadata = line.get("metadata").map(Json::members).unwrap_or_default();
        let request_metadata = request.get("metadata").map(Json::members).unwrap_or_default();
        let row_name = format!("row-{}", self.n_rows);
        let places = [&line, &metadata, &request_metadata];
        let labels = match labels(&places, &EPISODE_FIELDS, self.split_field.as_deref()) {
            Ok(labels) => named(labels, &row_name),
            Err(refusal) => return sink(Err((refusal, None))),
        };
        let extra = extra(&line);
        if line.get("response").is_none() && line.get("choices").is_none() {
            return conversation(&line, &metadata, labels, &extra, sink);
        }
        let (mut observation, mut completion) = (String::new(), String::new());
        let step = response(value, &line).and_then(|response| {
            let response = response.members();
            let messages = request.get("messages").or_else(|| line.get("messages"));
            push_news(&messages.map(Json::elements).unwrap_or_default(), &mut observation);
            let message = response.get("choices").and_then(|choices| choices.elements().first()?.member("message"));
            push_answer(message.ok_or_else(|| missing("choices[0].message"))?, &mut completion);
            let places = [&response, &request, &line, &metadata];
            let model = first(&places, &["model"]).and_then(Json::as_text).ok_or_else(|| missing("model"))?;
            call(model, &places, response.get("usage"), response.get("id"))
        });
        let name = EpisodeName { model: None, ..labels.name };
        let step = step.map(|step| LoggedStep {
            observation: (!observation.is_empty()).then_some(Text::Plain(&observation)),
            completion: Text::Plain(&completion),
            order: labels.order.unwrap_or(step.order),
            ..of_episode(&step, &labels, &extra)
        });
        let harmless = |refusal: &Refusal| refusal.reason.is_harmless();
        sink(step.map_err(|refusal| if harmless(&refusal) { (refusal, None) } else { (refusal, Some(name)) }))
    }
}

/// What no column holds.
fn extra(line: &Members<'_>) -> String {
    let mut extra = String::new();
    for (name, value) in line.iter().filter(|(name, value)| !KNOWN.contains(name) && !value.is_null()) {
        push_member(name, value, &mut extra);
    }
    extra
}

/// The labels with names for what has none: an episode of its own, and a task of its episode's name.
fn named<'a>(mut labels: Labels<'a>, row_name: &'a str) -> Labels<'a> {
    let name = &mut labels.name;
    if name.episode_id.is_none() {
        name.episode_id = Some(Text::Plain(row_name));
    }
    name.task_id = name.task_id.or(name.episode_id);
    labels
}

/// The step as one of its episode.
fn of_episode<'a>(step: &LoggedStep<'a>, labels: &Labels<'a>, extra: &'a str) -> LoggedStep<'a> {
    LoggedStep {
        episode_id: labels.name.episode_id,
        task_id: labels.name.task_id.unwrap_or(step.task_id),
        trial: labels.name.trial,
        facts: labels.facts,
        extra,
        ..*step
    }
}

/// The completion, in whichever form the line has it.
fn response<'a>(line: Json<'a>, members: &Members<'a>) -> Result<Json<'a>, Refusal> {
    let Some(response) = members.get("response") else { return Ok(line) };
    let failed = |detail: String| Err(Refusal::new(Reason::NotAStep, detail));
    if let Some(error) = members.get("error").or_else(|| response.member("error")) {
        return failed(format!("the call failed: {}", error.raw().chars().take(80).collect::<String>()));
    }
    match response.member("status_code").and_then(Json::as_f64) {
        Some(status) if !(200.0..300.0).contains(&status) => failed(format!("the call failed with status {status}")),
        _ => Ok(response.member("body").unwrap_or(response)),
    }
}

/// What a call says about itself in several places; the usage is the provider's, and so is a cost in it.
fn call<'a>(
    model: Text<'a>,
    places: &[&Members<'a>],
    usage: Option<Json<'a>>,
    id: Option<Json<'a>>,
) -> Result<LoggedStep<'a>, Refusal> {
    let stated = first(places, &["cost_usd", "response_cost", "cost"]).or_else(|| usage?.member("cost"));
    let cost = stated.filter(|cost| cost.is_number()).map(cost).transpose()?;
    let created = first(places, &["created", "created_at", "timestamp"]).and_then(nanoseconds);
    Ok(LoggedStep {
        episode_id: None,
        task_id: Text::Plain(""),
        model,
        trial: None,
        order: created.map_or(Order::Arrival, Order::Time),
        step_id: id.and_then(Json::as_text),
        observation: None,
        completion: Text::Plain(""),
        tokens: usage.map(tokens).transpose()?.unwrap_or_default(),
        source: Some(if cost.is_some() { CostSource::Recorded } else { CostSource::Metered }),
        cost,
        latency_ms: latency_ms(first(places, &["latency_ms"]))?,
        reward: None,
        extra: "",
        facts: EpisodeFacts::default(),
    })
}

/// Every message of the assistant is a step of one episode.
fn conversation(
    line: &Members<'_>,
    metadata: &Members<'_>,
    labels: Labels<'_>,
    extra: &str,
    sink: &mut StepSink<'_>,
) -> Result<(), ImportError> {
    let name = labels.name;
    let Some(messages) = line.get("messages") else {
        let refusal = missing("messages`, `choices` or `response");
        return sink(Err((refusal, None)));
    };
    let messages = messages.elements();
    let answers = || messages.iter().enumerate().filter(|(_, message)| has_role(**message, &["assistant"]));
    let n_steps = answers().count() as u32;
    if n_steps == 0 {
        return sink(Err((Refusal::new(Reason::NotAStep, "has no message of the assistant"), None)));
    }
    let mut labels = labels;
    labels.facts.n_steps = Some(n_steps);
    for (index, (position, message)) in answers().enumerate() {
        let (mut observation, mut completion) = (String::new(), String::new());
        push_news(&messages[..position], &mut observation);
        push_answer(*message, &mut completion);
        let own = message.members();
        // What a line says of itself is a step's only where it has one step; its model is that of all.
        let whole: &[&Members<'_>] = if n_steps == 1 { &[line, metadata] } else { &[] };
        let usage = own.get("usage").or_else(|| first(whole, &["usage"]));
        let places: Vec<&Members<'_>> = std::iter::once(&own).chain(whole.iter().copied()).collect();
        let model = first(&[&own, line, metadata], &["model"]).and_then(Json::as_text);
        let step = model.ok_or_else(|| missing("model")).and_then(|model| call(model, &places, usage, None));
        let step = step.map(|step| LoggedStep {
            observation: Some(Text::Plain(&observation)),
            completion: Text::Plain(&completion),
            order: Order::Index(index as u32),
            ..of_episode(&step, &labels, extra)
        });
        sink(step.map_err(|refusal| (refusal, Some(name))))?;
    }
    Ok(())
}
