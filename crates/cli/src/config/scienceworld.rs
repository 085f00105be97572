//! `[experiment.scienceworld]`: where the simulator is, and how it is used.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_environment::scienceworld::ScienceWorldSettings;

/// The table; every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ScienceWorldConfig {
    /// The simulator's JAR; without it, the one inside the installed Python package `scienceworld`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jar: Option<PathBuf>,
    /// The program `java`; without it, the one in `JAVA_HOME`, else the one in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) java: Option<PathBuf>,
    /// The Python whose packages are searched for the JAR; without it, `.venv/bin/python`, then `python3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PathBuf>,
    /// The most memory of one JVM's heap.
    pub(crate) heap_mib: u32,
    /// How long the simulator may take for one answer before its JVM is replaced.
    pub(crate) call_timeout_secs: u64,
    /// The most answers that a process remembers.
    pub(crate) max_transitions: usize,
    /// A directory where answers are kept from one process to the next; without it, each process asks anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) answers: Option<PathBuf>,
    /// Streams of chance events per task; 0 gives each episode a stream of its own, which is slower.
    pub(crate) n_chance_streams: u64,
}

impl ScienceWorldConfig {
    /// Keys that say how the simulator is run, and nothing about what it answers.
    pub(super) const OPERATION: [&str; 5] = ["java", "heap_mib", "call_timeout_secs", "max_transitions", "answers"];

    /// What the environment is told.
    pub(crate) fn settings(&self) -> ScienceWorldSettings {
        ScienceWorldSettings {
            jar: self.jar.clone(),
            java: self.java.clone(),
            python: self.python.clone(),
            heap_mib: self.heap_mib,
            call_timeout: Duration::from_secs(self.call_timeout_secs),
            max_transitions: self.max_transitions,
            answers: self.answers.clone(),
        }
    }
}

impl Default for ScienceWorldConfig {
    fn default() -> Self {
        let settings = ScienceWorldSettings::default();
        Self {
            jar: settings.jar,
            java: settings.java,
            python: settings.python,
            heap_mib: settings.heap_mib,
            call_timeout_secs: settings.call_timeout.as_secs(),
            max_transitions: settings.max_transitions,
            answers: settings.answers,
            n_chance_streams: 16,
        }
    }
}
