//! Worlds of words, and what is known about them beyond what an agent sees.

use tollgate_rollout::Environment;

/// An environment whose completions are commands in words.
///
/// Executors ask it for help that a router never gets: real models are told which commands would be taken, simulated models
/// are told what an expert would do.
pub trait TextWorld: Environment {
    /// The commands that the world would take now. Empty where it does not say.
    fn admissible(&self) -> &[String];

    /// How the world is acted in, for real models: its kinds of commands and its rules. Empty where observations say enough.
    #[expect(clippy::unnecessary_literal_bound, reason = "worlds outside bring their own words")]
    fn manual(&self) -> &str {
        ""
    }

    /// What an expert would do now, for simulated models. `None` where nobody knows, or nothing leads to the goal any more.
    fn expert(&self) -> Option<&str>;
}
