//! What can go wrong with ScienceWorld.

use std::path::PathBuf;

use thiserror::Error;
use tollgate_rollout::EnvironmentError;

use super::ENVIRONMENT;
use super::installation::SETUP_HINT;
use super::py4j::Py4jError;
use crate::process::ProcessError;

/// A simulator that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScienceWorldError {
    /// The JAR is nowhere.
    #[error("the simulator `scienceworld.jar` is not found in {searched}\nhint: {SETUP_HINT}")]
    NoSimulator {
        /// Where it was looked for.
        searched: String,
    },
    /// There is no place to keep answers in.
    #[error(
        "answers of the simulator cannot be kept in `{}`: {reason}\nhint: name another directory as `experiment.scienceworld.answers`, or none to keep no answers",
        directory.display()
    )]
    NoArchive {
        /// Where they were to be kept.
        directory: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// The JVM cannot be started, or ended.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The JVM does not answer as it should.
    #[error("{0}")]
    Conversation(String),
    /// The simulator refuses what it was asked to load.
    #[error("the simulator does not load `{kind}`, variation {variation}: {reason}")]
    Refused {
        /// The task type.
        kind: String,
        /// The number of the variation.
        variation: i32,
        /// What the simulator said.
        reason: String,
    },
    /// The simulator is not the one that the task set was made with.
    #[error(
        "{what} is {found}, expected {expected}\nhint: the JAR is of another version than this program knows; install `scienceworld=={VERSION}`, or make the task set anew with `tollgate tasks --suite scienceworld`"
    )]
    Version {
        /// What differs.
        what: String,
        /// How it is.
        found: String,
        /// How it should be.
        expected: String,
    },
    /// Models and simulated profiles do not pair up.
    #[error(
        "the pool has {models} models, found {profiles} simulated profiles\nhint: give each model of the pool one `simulated_profile`"
    )]
    ProfileCount {
        /// Models in the pool.
        models: usize,
        /// Profiles given.
        profiles: usize,
    },
}

/// The version that this program was made with.
pub(crate) const VERSION: &str = "1.2.3";

impl ScienceWorldError {
    /// Whether a fresh JVM may do better.
    pub(crate) fn is_worth_a_restart(&self) -> bool {
        match self {
            Self::Process(error) => !matches!(error, ProcessError::NotFound { .. } | ProcessError::NotStarted { .. }),
            Self::Conversation(_) => true,
            _ => false,
        }
    }
}

impl From<Py4jError> for ScienceWorldError {
    fn from(error: Py4jError) -> Self {
        Self::Conversation(error.to_string())
    }
}

impl From<ScienceWorldError> for EnvironmentError {
    fn from(error: ScienceWorldError) -> Self {
        Self::Failed { environment: ENVIRONMENT.to_owned(), reason: error.to_string() }
    }
}
