//! Whole imports, from logs to tables.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![expect(clippy::print_stderr, reason = "a test says what it cannot check for want of development data")]

mod bad_input;
mod formats;
mod steps_jsonl;
mod support;
