//! What can go wrong with a child process.

use std::time::Duration;

use thiserror::Error;

/// A child process that cannot be used, or not any more.
///
/// After [`NotStarted`](Self::NotStarted) and [`NotFound`](Self::NotFound) there is none; after every other error the child
/// is out of step and has to be thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error("`{program}` is not found\nhint: {hint}")]
    NotFound {
        /// What was to be started.
        program: String,
        /// What to install.
        hint: String,
    },
    /// The program cannot be started.
    #[error("`{program}` cannot be started: {reason}")]
    NotStarted {
        /// What was to be started.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// The child ended, or closed its standard output, while more was expected of it.
    #[error("`{program}` {how}{}", said(stderr))]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        how: String,
        /// The last lines of its standard error; empty when it said nothing.
        stderr: String,
    },
    /// The child said nothing, or took nothing in, for too long.
    #[error("`{program}` did not {what} within {}{}", seconds(*waited), said(stderr))]
    TimedOut {
        /// The program.
        program: String,
        /// What it was to do.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its standard error; empty when it said nothing.
        stderr: String,
    },
    /// A line is longer than what is taken.
    #[error("`{program}` wrote a line of more than {limit_bytes} bytes, beginning with {beginning}")]
    LineTooLong {
        /// The program.
        program: String,
        /// The most that is taken.
        limit_bytes: usize,
        /// The line's beginning, quoted.
        beginning: String,
    },
    /// A line is no text.
    #[error("`{program}` wrote a line that is not UTF-8: {line}\nhint: messages are UTF-8 text, one a line")]
    NotText {
        /// The program.
        program: String,
        /// The line's beginning, quoted, with what is no text replaced.
        line: String,
    },
}

/// The beginning of a text, quoted, short enough for an error message.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 160;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}..", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!("; its last words on stderr:\n{stderr}") }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
