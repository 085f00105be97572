//! Where a world is, and what is expected of it.

use std::time::Duration;

use crate::process::ProcessSpec;

/// Where a world is, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalSettings {
    /// Where it is.
    pub connection: Connection,
    /// How long each call may take.
    pub timeouts: Timeouts,
    /// Numbers that each observation carries beside its text.
    pub n_signals: usize,
    /// How often a world that broke is replaced within one episode.
    pub max_restarts: u32,
    /// The longest message that is taken. Bytes.
    pub max_message_bytes: usize,
}

impl ExternalSettings {
    /// A world at `connection`, with the limits that fit most.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection, timeouts: Timeouts::default(), n_signals: 0, max_restarts: 2, max_message_bytes: 4 << 20 }
    }
}

/// Where a world is.
#[derive(Debug, Clone, PartialEq)]
pub enum Connection {
    /// A child that speaks JSON Lines on its standard input and output.
    JsonLines(ProcessSpec),
    /// An OpenEnv server at a base URL such as `http://127.0.0.1:8000`.
    OpenEnvUrl {
        /// The base URL.
        url: String,
        /// Sessions at once; the server has a limit of its own.
        max_sessions: usize,
        /// Where an observation's text and a command's place are.
        fields: OpenEnvFields,
    },
    /// A child that serves OpenEnv on the port that it is given: `{port}` in its arguments, and `PORT` in its environment.
    OpenEnvCommand {
        /// The child.
        process: ProcessSpec,
        /// Where an observation's text and a command's place are.
        fields: OpenEnvFields,
    },
}

impl Connection {
    /// The program or server, as errors name it.
    #[must_use]
    pub fn peer(&self) -> String {
        match self {
            Self::JsonLines(process) | Self::OpenEnvCommand { process, .. } => format!("`{}`", process.program()),
            Self::OpenEnvUrl { url, .. } => url.clone(),
        }
    }

    /// How many sessions there may be at once, where that is limited.
    #[must_use]
    pub const fn max_sessions(&self) -> Option<usize> {
        match self {
            Self::OpenEnvUrl { max_sessions, .. } => Some(*max_sessions),
            Self::JsonLines(_) | Self::OpenEnvCommand { .. } => None,
        }
    }
}

/// What OpenEnv leaves to each environment: it types actions and observations, and has no word for determinism.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenEnvFields {
    /// The action's field that takes the command. `None`: its only text field, by the server's schema.
    pub action: Option<String>,
    /// The observation's field that holds the text. `None`: its only text field, or `observation`, or `text`.
    pub observation: Option<String>,
    /// The observation's field that holds the info of this protocol, if it has one.
    pub info: String,
    /// Whether the same seed, options and commands give the same observations.
    pub is_deterministic: bool,
}

impl Default for OpenEnvFields {
    fn default() -> Self {
        Self { action: None, observation: None, info: "info".to_owned(), is_deterministic: false }
    }
}

/// How long each call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start to the end of the handshake.
    pub start: Duration,
    /// A reset.
    pub reset: Duration,
    /// A step.
    pub step: Duration,
    /// What a world gets to end by itself before it is killed.
    pub close: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            start: Duration::from_mins(1),
            reset: Duration::from_mins(1),
            step: Duration::from_secs(30),
            close: Duration::from_secs(2),
        }
    }
}
