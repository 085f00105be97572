//! Calls of chat models that are metered, retried, and never cost more than a limit.
//!
//! An [`UpstreamClient`] speaks to one model of one OpenAI-compatible endpoint. Its [`complete`](UpstreamClient::complete) sets
//! the worst case of every attempt aside in an [`Account`] before it is made, retries what may pass (429, 5xx, timeouts, broken
//! connections) with jittered backoff, reads the usage, and books what it cost. What is no completion is told apart and told
//! plainly: an HTML page, a truncated body, a broken stream, counts that cannot be.
//!
//! Who pays for what went wrong:
//!
//! | outcome of an attempt | booked |
//! |---|---|
//! | an answer with its usage | usage times prices, or the provider's own figure |
//! | no connection; status 4xx, 500, 503, 529; an HTML page; a status 200 whose body is an error of code 4xx | nothing |
//! | a timeout after sending; a broken connection or stream; a truncated body; status 502, 504, 520 to 524; any other error in a status 200, or in a stream that has begun; an answer without sound usage | the worst case |
//!
//! It chooses no model, knows no task, and never writes a key anywhere.

mod account;
mod attempt;
mod blocking;
mod client;
mod endpoint;
mod error;
mod journal;
mod open_calls;
mod reply;
mod retry;

pub use account::{Account, Charge, Statement};
pub use blocking::{BlockingUpstream, StopSignal};
pub use client::{Answer, AnswerCost, Call, EstimateUsage, Upstream, UpstreamClient};
pub use endpoint::{ClientConfig, Endpoint, MaxTokensField};
pub use error::{Attempts, ReplyFault, UpstreamError};
pub use journal::{CallKey, RecordedAnswer};
pub use retry::RetryPolicy;
