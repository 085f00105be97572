//! What a model answers.

use serde::{Deserialize, Serialize};

use crate::{Extra, Message, Usage};

/// The body of an answer that comes in one piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatResponse {
    /// The provider's name for the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The answers; one, unless more were asked for.
    pub choices: Vec<Choice>,
    /// What was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Its place among the answers.
    #[serde(default)]
    pub index: u32,
    /// What the model says.
    pub message: Message,
    /// Why it ended: `stop`, `length`, `tool_calls` and others.
    #[serde(default)]
    pub finish_reason: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
