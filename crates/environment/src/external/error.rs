//! What can go wrong between us and a world outside.

use std::time::Duration;

use thiserror::Error;

use crate::process::ProcessError;

/// A call that a world outside did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The world's process is missing, ended, silent or unreadable.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The connection to the world's server is missing or was lost.
    #[error("{peer}: {reason}")]
    Connection {
        /// The server.
        peer: String,
        /// What happened.
        reason: String,
    },
    /// The server said nothing for too long.
    #[error("{peer} did not answer `{method}` within {} s", waited.as_secs_f64())]
    TimedOut {
        /// The server.
        peer: String,
        /// The call.
        method: &'static str,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The answer is not what the protocol says.
    #[error("{peer} answered `{method}` with {found}: {reason}\nhint: {hint}")]
    Nonsense {
        /// The program or server.
        peer: String,
        /// The call.
        method: &'static str,
        /// The answer's beginning, quoted.
        found: String,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// The world answered that it cannot do what was asked.
    #[error("{peer} refused `{method}`: {message}")]
    Refused {
        /// The program or server.
        peer: String,
        /// The call.
        method: &'static str,
        /// What it said.
        message: String,
    },
    /// The world speaks another version of the protocol.
    #[error(
        "{peer} speaks version {found} of the environment protocol, expected {expected}\nhint: docs/environment-protocol.md describes version {expected}"
    )]
    Version {
        /// The program.
        peer: String,
        /// The version that it speaks.
        found: u32,
        /// The version that is spoken here.
        expected: u32,
    },
    /// The world and the settings do not fit.
    #[error("{peer}: {reason}")]
    Settings {
        /// The program or server.
        peer: String,
        /// What does not fit, with a hint.
        reason: String,
    },
}

impl SessionError {
    /// Whether a new session may go better: this one broke, and nothing says that the next would.
    #[must_use]
    pub const fn is_broken_session(&self) -> bool {
        match self {
            Self::Process(error) => !matches!(error, ProcessError::NotFound { .. } | ProcessError::NotStarted { .. }),
            Self::Connection { .. } | Self::TimedOut { .. } | Self::Nonsense { .. } => true,
            Self::Refused { .. } | Self::Version { .. } | Self::Settings { .. } => false,
        }
    }
}
