//! Live models: executors that call chat models over the network, in any world of words.
//!
//! [`LiveModels`] are the models of a pool, shared by all episodes of a run: their endpoints, the money, and what their answers
//! taught about how they count tokens. A [`LiveExecutor`] plays one episode at a time with them: it renders the episode as messages
//! in the manner of `ReAct` (Yao et al., 2023: thought, action, observation), or as calls of a tool `act`, and reads commands out of
//! the answers. An answer without a command goes to the world as it is, and the observation says that it came to nothing.
//!
//! # Tokens before the call
//! A quote has two numbers. `prompt_tokens` is the expectation: a tokenizer's count, times what this model's reported counts were
//! against it so far. `prompt_slack_tokens` reaches up to a bound that no count can pass, because a budget is kept by it:
//! - no tokenizer makes more tokens than bytes (byte-level pairs and byte fallback alike), and a template's frame around a message
//!   is below 16 tokens;
//! - of the part that the model has counted before (the episode so far, or at least the system prompt that all episodes share)
//!   its own count is known, so only the rest is bounded by bytes.
//!
//! A provider that counts more nevertheless (a hidden prompt of its own) is booked at what it says, and its first such call ends
//! the run with an error that says so; `prompt_overhead_tokens` declares a hidden prompt beforehand.

mod arena;
mod executor;
mod learned;
mod models;
mod parse;
mod prompt;

pub use arena::LiveArena;
pub use executor::LiveExecutor;
pub use models::{LiveModel, LiveModels};
