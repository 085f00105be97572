//! OpenAI-compatible chat completions as they travel: requests, answers, streams, usage and errors.
//!
//! What this crate does not know it keeps: every type has an `extra` map, so that a body that is read and written again says
//! the same. It opens no connection and judges no answer, but for one thing: [`Usage::token_usage`] sorts a provider's counts
//! into the four disjoint buckets that have prices, and refuses counts that cannot be.
//!
//! ```
//! use tollgate_wire::ChatResponse;
//!
//! let body = r#"{"choices": [{"index": 0, "message": {"role": "assistant", "content": "go to shelf 1"}, "finish_reason": "stop"}],
//!     "usage": {"prompt_tokens": 1500, "completion_tokens": 6, "prompt_tokens_details": {"cached_tokens": 1024}}}"#;
//! let response: ChatResponse = serde_json::from_str(body)?;
//! let usage = response.usage.unwrap_or_default().token_usage()?;
//! assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (476, 1024, 6));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod failure;
mod message;
mod request;
mod response;
mod stream;
mod usage;

pub use failure::error_message;
pub use message::{Arguments, Content, FunctionCall, Message, Part, Role, ToolCall};
pub use request::{ChatRequest, FunctionDefinition, StreamOptions, Tool};
pub use response::{ChatResponse, Choice};
pub use stream::{ChatChunk, ChunkAssembler, ChunkChoice, Delta, FunctionCallDelta, SseEvents, ToolCallDelta};
pub use usage::{CompletionTokensDetails, PromptTokensDetails, Usage, UsageError};

/// Fields that a type has no name for, in their order.
pub type Extra = serde_json::Map<String, serde_json::Value>;
