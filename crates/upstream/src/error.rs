//! What can go wrong with a call, for people: which endpoint, what it said, what to do.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tollgate_ledger::LedgerError;
use tollgate_routing::NanoUsd;
use tollgate_wire::UsageError;

/// A call that brought no answer, or a client that cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum UpstreamError {
    /// The key's variable is not set.
    #[error(
        "environment variable `{variable}` is not set or empty, expected the key of {url}\nhint: export {variable}=.. before the run; keys are read from the environment and nowhere else"
    )]
    MissingKey {
        /// The variable.
        variable: String,
        /// The endpoint that wants it.
        url: String,
    },
    /// A key that no header can carry.
    #[error(
        "environment variable `{variable}` holds characters that no HTTP header can carry\nhint: look for line breaks and quotes in it"
    )]
    UnusableKey {
        /// The variable.
        variable: String,
    },
    /// A base URL that is none.
    #[error(
        "base URL `{url}`: {reason}\nhint: it looks like http://127.0.0.1:8080/v1 and holds no user name, no password and no key"
    )]
    BaseUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client cannot be made.
    #[error(
        "the HTTP client cannot be made: {reason}\nhint: HTTPS needs the system's certificates (package ca-certificates)"
    )]
    Client {
        /// What it said.
        reason: String,
    },
    /// No connection, or one that broke.
    #[error("{url}: {reason} ({attempts})\nhint: is the server up, and is the address right?")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// What the connection said.
        reason: String,
        /// How often it was tried.
        attempts: Attempts,
    },
    /// No answer in time.
    #[error("{url}: no answer within {} s ({attempts})\nhint: raise the timeout, or lower the concurrency: a busy local server answers slowly", timeout.as_secs_f64())]
    TimedOut {
        /// The endpoint.
        url: String,
        /// How long one attempt may take.
        timeout: Duration,
        /// How often it was tried.
        attempts: Attempts,
    },
    /// The endpoint said no.
    #[error("{url}: status {status}: {snippet} ({attempts}){}", status_hint(*status))]
    Status {
        /// The endpoint.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        snippet: String,
        /// How often it was tried.
        attempts: Attempts,
    },
    /// An answer that is no completion.
    #[error("{url}: status {status}: {fault} ({attempts}); it begins: {snippet}")]
    NoCompletion {
        /// The endpoint.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What is wrong with it.
        fault: ReplyFault,
        /// The beginning of the body.
        snippet: String,
        /// How often it was tried.
        attempts: Attempts,
    },
    /// A call that cost more than it can.
    #[error(
        "{url}: the provider counts {prompt_tokens} prompt tokens, {output_tokens} output tokens and {cost}; at most {max_prompt_tokens}, {max_output_tokens} and {max_cost} can be\nhint: it adds a prompt of its own (declare it with `prompt_overhead_tokens`), ignores the limit of output tokens (try the other `max_tokens_field`), asks for more than the prices of the pool say, or counts wrongly; the call is booked at what it says"
    )]
    AboveBound {
        /// The endpoint.
        url: String,
        /// What it counts.
        prompt_tokens: u32,
        /// What it counts.
        output_tokens: u32,
        /// What the call costs.
        cost: NanoUsd,
        /// What was reserved for.
        max_prompt_tokens: u32,
        /// What was reserved for.
        max_output_tokens: u32,
        /// What was reserved.
        max_cost: NanoUsd,
    },
    /// The spending limit is reached.
    #[error(
        "the spending limit is reached: the next call may cost {wanted}, and {remaining} of {limit} are left\nhint: what was paid for is kept; raise `spending_limit_usd` and run the same command again, and it goes on from here"
    )]
    LimitReached {
        /// The next call's worst case.
        wanted: NanoUsd,
        /// What is left.
        remaining: NanoUsd,
        /// The limit.
        limit: NanoUsd,
    },
    /// Somebody asked to stop.
    #[error("stopped before the call was made\nhint: run the same command again, and it goes on from here")]
    Stopped,
    /// The journal cannot be read or written.
    #[error("{}: {reason}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What is wrong with an answer that should be a completion.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ReplyFault {
    /// A page for people.
    #[error("the answer is an HTML page, expected JSON (does the base URL end in /v1?)")]
    Html,
    /// Not JSON, or JSON of another kind.
    #[error("the answer is no chat completion: {0}")]
    Json(String),
    /// The body ended early.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// A body without an end.
    #[error(
        "the answer is longer than {max_bytes} bytes, expected a chat completion (is the base URL that of a chat model?)"
    )]
    TooLong {
        /// The most that is read.
        max_bytes: usize,
    },
    /// A stream that ended before the answer did.
    #[error("the stream broke off before the answer was complete: {0}")]
    BrokenStream(String),
    /// No answer in it.
    #[error("the answer holds no choice")]
    NoChoice,
    /// Counts that cannot be.
    #[error(transparent)]
    Usage(UsageError),
}

/// How often a call was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts(pub u32);

impl std::fmt::Display for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            1 => f.write_str("1 attempt"),
            n => write!(f, "{n} attempts"),
        }
    }
}

impl UpstreamError {
    /// The same failure after so many attempts.
    pub(crate) fn after(mut self, n: Attempts) -> Self {
        match &mut self {
            Self::Unreachable { attempts, .. }
            | Self::TimedOut { attempts, .. }
            | Self::Status { attempts, .. }
            | Self::NoCompletion { attempts, .. } => *attempts = n,
            _ => {}
        }
        self
    }

    /// The limit was reached, in this crate's words.
    pub(crate) const fn limit_reached(error: LedgerError) -> Self {
        match error {
            LedgerError::Exhausted { wanted, remaining, limit } => Self::LimitReached { wanted, remaining, limit },
            LedgerError::AboveReservation { actual, reserved } => {
                Self::LimitReached { wanted: actual, remaining: reserved, limit: reserved }
            }
        }
    }
}

const fn status_hint(status: u16) -> &'static str {
    match status {
        401 | 403 => "\nhint: the key is wrong, or may not use this model",
        404 => "\nhint: the base URL or the model's name is wrong; the URL asked for is <base_url>/chat/completions",
        400 | 422 => {
            "\nhint: the endpoint does not take the request; a model without tools needs `tools = false`, and some want the other `max_tokens_field`"
        }
        429 => "\nhint: too many requests or no quota left; lower the concurrency or wait",
        _ => "",
    }
}
