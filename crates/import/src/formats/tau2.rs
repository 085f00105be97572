//! `tau2`: the result file of tau2-bench, one JSON object. Its simulations are read one at a time.
//!
//! A step is a message of the agent that has a usage; the greeting that its harness puts into its mouth is none. The agent sees
//! the user's words and the results of its own tools, not what the user does with theirs.

use tollgate_routing::CostSource;

use super::chat::{has_role, push_answer, push_message, tokens};
use super::steps_jsonl::cost;
use super::{RowReader, number, push_member};
use crate::ImportError;
use crate::json::{Json, Members, Text, object};
use crate::record::{EpisodeFacts, EpisodeName, LoggedStep, Order, StepSink, missing};
use crate::skips::{Reason, Refusal};

/// The members that are read as a whole.
pub(crate) const KEPT: &[&str] = &["info"];
/// The member whose elements are read one by one.
pub(crate) const STREAMED: &str = "simulations";

/// What a simulation says about itself and no column holds.
const EPISODE_FIELDS: [&str; 6] = ["termination_reason", "seed", "timestamp", "duration", "agent_cost", "user_cost"];

/// Reads simulations.
#[derive(Default)]
pub(crate) struct Tau2 {
    model: String,
    domain: String,
}

impl RowReader for Tau2 {
    fn begin_source(&mut self) {
        *self = Self::default();
    }

    fn read(&mut self, member: &str, text: &str, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let value = match object(text) {
            Ok(value) => value,
            Err(error) => return sink(Err((Refusal::new(Reason::NotJson, error.to_string()), None))),
        };
        if member == STREAMED {
            return self.simulation(&value.members(), sink);
        }
        self.note_info(value);
        Ok(())
    }
}

impl Tau2 {
    fn note_info(&mut self, info: Json<'_>) {
        let words = |path: &[&str]| info.at(path).and_then(Json::as_text).map(Text::to_words).unwrap_or_default();
        self.model = words(&["agent_info", "llm"]);
        self.domain = words(&["environment_info", "domain_name"]);
    }

    fn simulation(&self, simulation: &Members<'_>, sink: &mut StepSink<'_>) -> Result<(), ImportError> {
        let name = EpisodeName {
            episode_id: simulation.get("id").and_then(Json::as_text),
            task_id: simulation.get("task_id").and_then(Json::as_text),
            model: Some(Text::Plain(&self.model)),
            trial: simulation.get("trial").map(|trial| Text::Plain(trial.raw())),
        };
        let bad = |refusal| (refusal, Some(name));
        let Some(task_id) = name.task_id else { return sink(Err(bad(missing("task_id")))) };
        if self.model.is_empty() {
            return sink(Err(bad(missing("info.agent_info.llm"))));
        }
        let messages = simulation.get("messages").map(Json::elements).unwrap_or_default();
        let is_step = |message: &Json<'_>| has_role(*message, &["assistant"]) && message.member("usage").is_some();
        let n_steps = messages.iter().filter(|message| is_step(message)).count() as u32;
        if n_steps == 0 {
            return sink(Err(bad(Refusal::new(Reason::MissingUsage, "has no message of the agent with a usage"))));
        }
        let extra = episode_extra(simulation);
        let score = simulation.get("reward_info").and_then(|info| info.member("reward"));
        let score = match score.map_or(Ok(None), |score| number("reward", score)) {
            Ok(score) => score,
            Err(refusal) => return sink(Err(bad(refusal))),
        };
        let ending = simulation.get("termination_reason").and_then(Json::as_text).map(Text::to_words);
        let facts = EpisodeFacts {
            dataset: Some(Text::Plain("tau2")),
            group: (!self.domain.is_empty()).then_some(Text::Plain(&self.domain)),
            n_steps: Some(n_steps),
            score,
            is_truncated: ending.map(|ending| ending == "max_steps"),
            extra: &extra,
            ..EpisodeFacts::default()
        };
        let (mut observation, mut completion) = (String::new(), String::new());
        let mut index = 0;
        for message in &messages {
            if !is_step(message) {
                if is_seen(*message) {
                    push_message(*message, &mut observation);
                }
                continue;
            }
            completion.clear();
            push_answer(*message, &mut completion);
            let step = step(*message, index).map(|step| LoggedStep {
                episode_id: name.episode_id,
                task_id,
                model: Text::Plain(&self.model),
                trial: name.trial,
                observation: Some(Text::Plain(&observation)),
                completion: Text::Plain(&completion),
                facts,
                ..step
            });
            sink(step.map_err(bad))?;
            observation.clear();
            index += 1;
        }
        Ok(())
    }
}

fn episode_extra(simulation: &Members<'_>) -> String {
    let mut extra = String::new();
    for field in EPISODE_FIELDS {
        if let Some(value) = simulation.get(field) {
            push_member(field, value, &mut extra);
        }
    }
    extra
}

/// Whether the agent sees a message of others: not what the user asks of, or gets from, tools of their own.
fn is_seen(message: Json<'_>) -> bool {
    let is_of_user_s_tool = message.member("requestor").and_then(Json::as_text) == Some(Text::Escaped("user"));
    has_role(message, &["user", "tool"]) && message.member("content").is_some() && !is_of_user_s_tool
}

/// What a message of the agent says about its call.
fn step(message: Json<'_>, index: u32) -> Result<LoggedStep<'_>, Refusal> {
    let members = message.members();
    Ok(LoggedStep {
        episode_id: None,
        task_id: Text::Plain(""),
        model: Text::Plain(""),
        trial: None,
        order: Order::Index(index),
        step_id: None,
        observation: None,
        completion: Text::Plain(""),
        tokens: members.get("usage").map(tokens).transpose()?.unwrap_or_default(),
        cost: members.get("cost").map(cost).transpose()?,
        source: Some(CostSource::Recorded),
        latency_ms: 0,
        reward: None,
        extra: "",
        facts: EpisodeFacts::default(),
    })
}
