//! What a client asks.

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{Extra, Message};

/// The body of `POST /v1/chat/completions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatRequest {
    /// The model, by the name that the endpoint knows.
    pub model: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// How much chance there is in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<Number>,
    /// Tokens at which the answer is cut, by the name that most providers know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Tokens at which the answer is cut, by OpenAI's newer name; thinking counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u32>,
    /// Seed of the chance, where the provider supports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Whether the answer comes in pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// What the pieces carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// The tools that the model may call.
    #[serde(default, deserialize_with = "crate::message::null_is_empty", skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Which tool it has to call: `auto`, `required`, or one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ChatRequest {
    /// A request of nothing but a conversation.
    #[must_use]
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self {
            model: model.into(),
            messages,
            temperature: None,
            max_tokens: None,
            max_completion_tokens: None,
            seed: None,
            stream: None,
            stream_options: None,
            tools: Vec::new(),
            tool_choice: None,
            extra: Extra::new(),
        }
    }

    /// Tokens at which the answer is cut, under either name.
    #[must_use]
    pub fn output_limit(&self) -> Option<u32> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

/// What a stream carries beside the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOptions {
    /// Whether the last chunk counts the tokens.
    #[serde(default)]
    pub include_usage: bool,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A tool that the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it does.
    pub function: FunctionDefinition,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a function is called, does and takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionDefinition {
    /// Its name.
    pub name: String,
    /// What it does, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
