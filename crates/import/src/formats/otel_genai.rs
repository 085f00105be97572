//! `otel-genai`: JSON lines of the OpenTelemetry protocol, with the semantic conventions for generative AI.
//!
//! A step is a span of a chat operation that did not fail. Its conversation is its episode (`gen_ai.conversation.id`, or
//! `session.id`, or its trace), its messages are attributes (`gen_ai.input.messages`, `gen_ai.output.messages`), or span events in
//! the form before them. By the conventions `gen_ai.usage.input_tokens` includes what the cache had.

use tollgate_routing::CostSource;

use super::chat::{first, push_answer, push_content, push_news, push_words};
use super::labels::{labels, latency_ms, nanoseconds};
use super::steps_jsonl::cost;
use super::{RowReader, count, push_member, split_field};
use crate::ImportError;
use crate::json::{Json, Members, Text, object, push_quoted};
use crate::plan::ImportPlan;
use crate::record::{EpisodeFacts, EpisodeName, LoggedStep, LoggedTokens, Order, StepSink, missing};
use crate::skips::{Reason, Refusal};

/// Names of the episode's id.
const EPISODE_FIELDS: [&str; 4] = ["episode_id", "gen_ai.conversation.id", "session.id", "langfuse.session.id"];
/// Prefix under which Tollgate's own labels may stand, as attributes should have one.
const LABEL_PREFIX: &str = "tollgate.";
/// Attributes that columns hold.
const KNOWN_PREFIXES: [&str; 5] =
    ["gen_ai.usage.", "gen_ai.input.", "gen_ai.output.", "gen_ai.system_instructions", LABEL_PREFIX];

/// Reads spans.
pub(crate) struct OtelGenAi {
    split_field: Option<String>,
}

impl OtelGenAi {
    pub(crate) fn new(plan: &ImportPlan) -> Self {
        Self { split_field: split_field(plan).map(ToOwned::to_owned) }
    }
}

impl RowReader for OtelGenAi {
    fn read(&mut self, _: &str, row: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let line = match object(row) {
            Ok(line) => line,
            Err(error) => return sink(Err((Refusal::new(Reason::NotJson, error.to_string()), None))),
        };
        if line.member("spanId").is_some() {
            return self.span(line, sink);
        }
        let Some(resources) = line.member("resourceSpans") else {
            return sink(Err((missing("resourceSpans"), None)));
        };
        let scopes = resources.elements().into_iter().filter_map(|resource| resource.member("scopeSpans"));
        let spans = scopes.flat_map(Json::elements).filter_map(|scope| scope.member("spans"));
        spans.flat_map(Json::elements).try_for_each(|span| self.span(span, sink))
    }
}

/// The attributes of a span or an event as a plain JSON object: the protocol wraps every value in its type.
fn attributes(holder: Json<'_>) -> String {
    let mut plain = String::from("{");
    for attribute in holder.member("attributes").map(Json::elements).unwrap_or_default() {
        let (Some(key), Some(value)) = (attribute.member("key"), attribute.member("value")) else { continue };
        let Some(name) = key.as_text().map(Text::to_words) else { continue };
        if plain.len() > 1 {
            plain.push(',');
        }
        push_quoted(name.strip_prefix(LABEL_PREFIX).unwrap_or(&name), &mut plain);
        plain.push(':');
        push_plain(value, &mut plain);
    }
    plain.push('}');
    plain
}

/// Adds a value of the protocol as plain JSON.
fn push_plain(value: Json<'_>, out: &mut String) {
    let members = value.members();
    if let Some(integer) = members.get("intValue") {
        // 64-bit integers are strings in the protocol's JSON.
        integer.as_text().unwrap_or(Text::Plain(integer.raw())).push_to(out);
    } else if let Some(list) = members.get("arrayValue") {
        out.push('[');
        for (position, element) in list.member("values").map(Json::elements).unwrap_or_default().into_iter().enumerate()
        {
            out.push_str(if position > 0 { "," } else { "" });
            push_plain(element, out);
        }
        out.push(']');
    } else if let Some(map) = members.get("kvlistValue") {
        out.push('{');
        for (position, entry) in map.member("values").map(Json::elements).unwrap_or_default().into_iter().enumerate() {
            out.push_str(if position > 0 { "," } else { "" });
            out.push_str(entry.member("key").map_or("\"\"", Json::raw));
            out.push(':');
            match entry.member("value") {
                Some(value) => push_plain(value, out),
                None => out.push_str("null"),
            }
        }
        out.push('}');
    } else {
        let scalar = ["stringValue", "boolValue", "doubleValue"].iter().find_map(|name| members.get(name));
        out.push_str(scalar.map_or("null", Json::raw));
    }
}

impl OtelGenAi {
    fn span(&self, span: Json<'_>, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let plain = attributes(span);
        let parsed = match object(&plain) {
            Ok(parsed) => parsed.members(),
            Err(error) => return sink(Err((Refusal::new(Reason::BadValue, format!("attributes: {error}")), None))),
        };
        let span = span.members();
        if let Some(why) = not_a_step(&span, &parsed) {
            return sink(Err((Refusal::new(Reason::NotAStep, why), None)));
        }
        let labels = match labels(&[&parsed], &EPISODE_FIELDS, self.split_field.as_deref()) {
            Ok(labels) => labels,
            Err(refusal) => return sink(Err((refusal, None))),
        };
        let trace = span.get("traceId").and_then(Json::as_text);
        let Some(episode_id) = labels.name.episode_id.or(trace) else {
            return sink(Err((missing("gen_ai.conversation.id"), None)));
        };
        let words = words(&span, &parsed);
        let extra = extra(&parsed);
        let name = EpisodeName { episode_id: Some(episode_id), model: None, ..labels.name };
        let step = call(&span, &parsed).map(|step| LoggedStep {
            episode_id: Some(episode_id),
            task_id: labels.name.task_id.unwrap_or(episode_id),
            trial: labels.name.trial,
            order: labels.order.unwrap_or(step.order),
            observation: (!words.observation.is_empty()).then_some(Text::Plain(&words.observation)),
            completion: Text::Plain(&words.completion),
            extra: &extra,
            facts: EpisodeFacts { score: labels.facts.score.or(words.score), ..labels.facts },
            ..step
        });
        sink(step.map_err(|refusal| (refusal, Some(name))))
    }
}

/// Why the span is no answered call of a chat model, if it is none.
fn not_a_step(span: &Members<'_>, attributes: &Members<'_>) -> Option<String> {
    let operation = attributes.get("gen_ai.operation.name").and_then(Json::as_text).map(Text::to_words);
    match operation.as_deref() {
        Some("chat" | "text_completion" | "generate_content") => {}
        Some(other) => return Some(format!("a span of operation `{other}`")),
        None if attributes.get("gen_ai.request.model").is_some() => {}
        None => return Some("a span without `gen_ai.operation.name`".to_owned()),
    }
    let status = span.get("status").and_then(|status| status.member("code"));
    let is_error = status.is_some_and(|code| matches!(code.raw(), "2" | "\"STATUS_CODE_ERROR\""));
    is_error.then(|| "the call failed".to_owned())
}

/// What a span says about its call.
fn call<'a>(span: &Members<'a>, attributes: &Members<'a>) -> Result<LoggedStep<'a>, Refusal> {
    let model = first(&[attributes], &["gen_ai.request.model", "gen_ai.response.model"]).and_then(Json::as_text);
    let counted = |names: &[&str]| first(&[attributes], names).map_or(Ok(None), |value| count(names[0], value));
    let tokens = LoggedTokens {
        prompt: counted(&["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"])?,
        cached: counted(&["gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"])?,
        cache_write: counted(&[
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ])?,
        completion: counted(&["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"])?,
    };
    let times = ["startTimeUnixNano", "endTimeUnixNano"].map(|name| span.get(name).and_then(whole_nanoseconds));
    Ok(LoggedStep {
        episode_id: None,
        task_id: Text::Plain(""),
        model: model.ok_or_else(|| missing("gen_ai.request.model"))?,
        trial: None,
        order: times[0].map_or(Order::Arrival, Order::Time),
        step_id: span.get("spanId").and_then(Json::as_text),
        observation: None,
        completion: Text::Plain(""),
        tokens,
        // The conventions have no cost; those that instrumentations add are tokens times a price table.
        cost: first(&[attributes], &["gen_ai.usage.cost", "cost_usd"]).map(cost).transpose()?,
        source: Some(CostSource::Metered),
        latency_ms: latency_ms(times),
        reward: None,
        extra: "",
        facts: EpisodeFacts::default(),
    })
}

/// A time of the protocol: nanoseconds, as a string or a number.
fn whole_nanoseconds(time: Json<'_>) -> Option<i128> {
    time.raw().parse().ok().or_else(|| nanoseconds(time))
}

/// What a span's messages say.
#[derive(Default)]
struct Words {
    observation: String,
    completion: String,
    score: Option<f64>,
}

fn words(span: &Members<'_>, attributes: &Members<'_>) -> Words {
    let mut words = Words::default();
    words.take_messages(attributes);
    for event in span.get("events").map(Json::elements).unwrap_or_default() {
        let name = event.member("name").and_then(Json::as_text).map(Text::to_words).unwrap_or_default();
        let plain = self::attributes(event);
        let Ok(fields) = object(&plain).map(Json::members) else { continue };
        match name.as_str() {
            "gen_ai.client.inference.operation.details" => words.take_messages(&fields),
            "gen_ai.user.message" | "gen_ai.tool.message" => words.add_news(&fields),
            "gen_ai.choice" => words.add_answer(&fields),
            "gen_ai.evaluation.result" => {
                words.score = fields.get("gen_ai.evaluation.score.value").and_then(Json::as_f64);
            }
            _ => {}
        }
    }
    words
}

impl Words {
    /// Input and output messages, structured or as the text of JSON.
    fn take_messages(&mut self, fields: &Members<'_>) {
        let text = |name: &str| {
            let words = fields.get(name).map(|value| (value.as_text().map(Text::to_words), value.raw().to_owned()));
            let json = words.map(|(words, raw)| words.unwrap_or(raw)).unwrap_or_default();
            format!("{{\"messages\":{}}}", if json.is_empty() { "[]" } else { &json })
        };
        let (input, output) = (text("gen_ai.input.messages"), text("gen_ai.output.messages"));
        if let Some(messages) = object(&input).ok().and_then(|input| input.member("messages")) {
            push_news(&messages.elements(), &mut self.observation);
        }
        if let Some(messages) = object(&output).ok().and_then(|output| output.member("messages")) {
            for message in messages.elements() {
                push_parts(message, &mut self.completion);
            }
        }
    }

    fn add_news(&mut self, fields: &Members<'_>) {
        if let Some(content) = first(&[fields], &["content", "gen_ai.event.content"]) {
            if !self.observation.is_empty() {
                self.observation.push_str("\n\n");
            }
            push_content(content, &mut self.observation);
        }
    }

    fn add_answer(&mut self, fields: &Members<'_>) {
        let message = fields
            .get("message")
            .map(|message| message.as_text().map_or_else(|| message.raw().to_owned(), Text::to_words));
        match message.as_deref().map(object) {
            Some(Ok(message)) => push_answer(message, &mut self.completion),
            _ => {
                if let Some(content) = fields.get("content") {
                    push_content(content, &mut self.completion);
                }
            }
        }
    }
}

/// Adds an output message of the conventions: parts of type `text`, and of type `tool_call` with name and arguments.
fn push_parts(message: Json<'_>, out: &mut String) {
    let Some(parts) = message.member("parts") else { return push_answer(message, out) };
    for part in parts.elements() {
        let part = part.members();
        if !out.is_empty() {
            out.push('\n');
        }
        match part.get("name") {
            Some(name) => {
                push_words(Some(name), out);
                out.push('(');
                push_words(part.get("arguments"), out);
                out.push(')');
            }
            None => push_words(part.get("content"), out),
        }
    }
}

/// What no column holds.
fn extra(attributes: &Members<'_>) -> String {
    let mut extra = String::new();
    let is_known = |name: &str| KNOWN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    for (name, value) in
        attributes.iter().filter(|(name, value)| name.contains('.') && !is_known(name) && !value.is_null())
    {
        push_member(name, value, &mut extra);
    }
    extra
}
