//! `litellm`: one call per line, as the proxy's spend logs or as the standard logging payload of its callbacks.
//!
//! Its cost is the provider's usage times LiteLLM's price table, so it counts as metered. Episodes are sessions: `session_id`,
//! or `trace_id`, or those of the metadata.

use tollgate_routing::CostSource;

use super::chat::{first, push_answer, push_news, tokens};
use super::labels::{labels, latency_ms, nanoseconds};
use super::steps_jsonl::cost;
use super::{RowReader, count, push_member, split_field};
use crate::ImportError;
use crate::json::{Json, Members, Text, object};
use crate::plan::ImportPlan;
use crate::record::{EpisodeFacts, EpisodeName, LoggedStep, LoggedTokens, Order, StepSink, missing};
use crate::skips::{Reason, Refusal};

/// Names of the episode's id.
const EPISODE_FIELDS: [&str; 4] = ["episode_id", "session_id", "litellm_session_id", "trace_id"];
/// What is kept of the rest.
const EXTRA_FIELDS: [&str; 6] =
    ["request_tags", "model_group", "custom_llm_provider", "cache_hit", "end_user", "saved_cache_cost"];

/// Reads calls.
pub(crate) struct LiteLlm {
    split_field: Option<String>,
}

impl LiteLlm {
    pub(crate) fn new(plan: &ImportPlan) -> Self {
        Self { split_field: split_field(plan).map(ToOwned::to_owned) }
    }
}

/// A member that is an object, or the text of one: databases export both.
fn unpacked(value: Option<Json<'_>>) -> String {
    match value.map(|value| (value, value.as_text())) {
        Some((_, Some(text))) => text.to_words(),
        Some((value, None)) => value.raw().to_owned(),
        None => String::new(),
    }
}

/// The value that a text holds, under the name `value`.
fn wrapped(text: &str) -> String {
    format!("{{\"value\":{}}}", if text.trim().is_empty() { "null" } else { text })
}

fn value(wrapped: &str) -> Option<Json<'_>> {
    object(wrapped).ok()?.member("value")
}

impl RowReader for LiteLlm {
    fn read(&mut self, _: &str, row: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let line = match object(row) {
            Ok(line) => line.members(),
            Err(error) => return sink(Err((Refusal::new(Reason::NotJson, error.to_string()), None))),
        };
        if let Some(why) = not_a_step(&line) {
            return sink(Err((Refusal::new(Reason::NotAStep, why), None)));
        }
        let [metadata, messages, response] =
            ["metadata", "messages", "response"].map(|name| wrapped(&unpacked(line.get(name))));
        let metadata = value(&metadata).map(Json::members).unwrap_or_default();
        let inner = ["requester_metadata", "spend_logs_metadata"];
        let [requester, spend_logs] = inner.map(|name| metadata.get(name).map(Json::members).unwrap_or_default());
        let places = [&line, &metadata, &requester, &spend_logs];
        let labels = match labels(&places, &EPISODE_FIELDS, self.split_field.as_deref()) {
            Ok(labels) => labels,
            Err(refusal) => return sink(Err((refusal, None))),
        };
        let id = first(&[&line], &["id", "request_id"]).and_then(Json::as_text);
        let Some(episode_id) = labels.name.episode_id.or(labels.name.task_id).or(id) else {
            return sink(Err((missing("session_id"), None)));
        };
        let (mut observation, mut completion, mut extra) = (String::new(), String::new(), String::new());
        push_news(&value(&messages).map(Json::elements).unwrap_or_default(), &mut observation);
        let response = value(&response);
        if let Some(message) =
            response.and_then(|response| response.member("choices")?.elements().first()?.member("message"))
        {
            push_answer(message, &mut completion);
        }
        for name in EXTRA_FIELDS {
            if let Some(value) = line.get(name) {
                push_member(name, value, &mut extra);
            }
        }
        let name = EpisodeName { episode_id: Some(episode_id), model: None, ..labels.name };
        let step = call(&line, &metadata, response, id).map(|step| LoggedStep {
            episode_id: Some(episode_id),
            task_id: labels.name.task_id.unwrap_or(episode_id),
            trial: labels.name.trial,
            order: labels.order.unwrap_or(step.order),
            observation: (!observation.is_empty()).then_some(Text::Plain(&observation)),
            completion: Text::Plain(&completion),
            extra: &extra,
            facts: labels.facts,
            ..step
        });
        sink(step.map_err(|refusal| (refusal, Some(name))))
    }
}

/// Why the row is no answered call of a chat model, if it is none.
fn not_a_step(line: &Members<'_>) -> Option<String> {
    let words = |name: &str| line.get(name).and_then(Json::as_text).map(Text::to_words);
    if let Some(status) = words("status").filter(|status| status != "success") {
        return Some(format!("the call's status is `{status}`"));
    }
    let is_chat = |kind: &str| ["completion", "responses", "anthropic_messages"].iter().any(|chat| kind.contains(chat));
    words("call_type").filter(|kind| !kind.is_empty() && !is_chat(kind)).map(|kind| format!("a call of type `{kind}`"))
}

/// What a row says about its call.
fn call<'a>(
    line: &Members<'a>,
    metadata: &Members<'a>,
    response: Option<Json<'a>>,
    id: Option<Text<'a>>,
) -> Result<LoggedStep<'a>, Refusal> {
    let model = line.get("model").and_then(Json::as_text).ok_or_else(|| missing("model"))?;
    let counted = |name| line.get(name).map_or(Ok(None), |value| count(name, value));
    let usage = metadata.get("usage_object").or_else(|| response?.member("usage"));
    let detailed = usage.map(tokens).transpose()?.unwrap_or_default();
    let tokens = LoggedTokens {
        prompt: counted("prompt_tokens")?.or(detailed.prompt),
        completion: counted("completion_tokens")?.or(detailed.completion),
        ..detailed
    };
    let times = ["startTime", "endTime"].map(|name| line.get(name).and_then(nanoseconds));
    Ok(LoggedStep {
        episode_id: None,
        task_id: Text::Plain(""),
        model,
        trial: None,
        order: times[0].map_or(Order::Arrival, Order::Time),
        step_id: id,
        observation: None,
        completion: Text::Plain(""),
        tokens,
        cost: first(&[line], &["response_cost", "spend"]).map(cost).transpose()?,
        source: Some(CostSource::Metered),
        latency_ms: latency_ms(times),
        reward: None,
        extra: "",
        facts: EpisodeFacts::default(),
    })
}
