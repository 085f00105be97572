//! Escalate on failure.

use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict, reports_failure};
use tollgate_routing::{ModelIndex, Task};

use crate::InferenceError;

/// When a cascade climbs and how long it stays up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CascadeConfig {
    /// Whether a command that repeats the one before counts as a failure. Off where commands are few, as in skill-chain.
    pub repeated_command_fails: bool,
    /// Whether an observation that repeats the one before counts as a failure.
    pub repeated_observation_fails: bool,
    /// Failures in a row after which the next model up takes over. 1 or more.
    pub failures_to_escalate: u32,
    /// Steps it stays after the last climb, before the small model is back. 1 or more.
    pub escalated_steps: u32,
}

impl Default for CascadeConfig {
    fn default() -> Self {
        Self {
            repeated_command_fails: true,
            repeated_observation_fails: true,
            failures_to_escalate: 1,
            escalated_steps: 3,
        }
    }
}

/// Starts with the small model. After `failures_to_escalate` failures in a row the next model up takes over; failures of
/// that one count anew and climb further. `escalated_steps` steps after the last climb the small model is back.
///
/// A failure is read from what the router may see and from nothing else: the words of the observation, which mean to it what they mean
/// to the router's features ([`reports_failure`]), a repeated command, a repeated observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cascade {
    config: CascadeConfig,
    level: usize,
    failures: u32,
    steps_left: u32,
}

impl Cascade {
    /// A cascade.
    ///
    /// # Errors
    /// [`InferenceError::Setting`] when it would climb after no failure or stay up for no step.
    pub fn new(config: CascadeConfig) -> Result<Self, InferenceError> {
        for (name, value) in
            [("failures_to_escalate", config.failures_to_escalate), ("escalated_steps", config.escalated_steps)]
        {
            if value == 0 {
                return Err(InferenceError::Setting { name, value: 0.0, expected: "1 or more" });
            }
        }
        Ok(Self { config, level: 0, failures: 0, steps_left: 0 })
    }

    /// Whether the step before has visibly failed.
    fn has_failed(&self, context: &RoutingContext<'_>) -> bool {
        let [earlier @ .., last] = context.turns else { return false };
        let repeats_command = || earlier.last().is_some_and(|turn| turn.completion == last.completion);
        let repeats_observation = || last.observation == *context.observation;
        self.config.repeated_command_fails && repeats_command()
            || self.config.repeated_observation_fails && repeats_observation()
            || reports_failure(&context.observation.text)
    }

    fn advance(&mut self, has_failed: bool, top: usize) {
        self.failures = if has_failed { self.failures + 1 } else { 0 };
        if self.failures >= self.config.failures_to_escalate {
            self.level = (self.level + 1).min(top);
            self.failures = 0;
            self.steps_left = self.config.escalated_steps;
        }
        if self.steps_left == 0 {
            self.level = 0;
        }
        self.steps_left = self.steps_left.saturating_sub(1);
    }
}

impl RoutingPolicy for Cascade {
    fn begin(&mut self, _task: &Task, _seed: u64) {
        self.level = 0;
        self.failures = 0;
        self.steps_left = 0;
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.advance(self.has_failed(context), context.pool.large().get());
        let wanted = ModelIndex::new(self.level);
        Ok(Verdict::Call(Decision::certain(context.allowed.nearest(wanted).unwrap_or(wanted))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_arena::{TestArena, actions, play};

    fn config(failures_to_escalate: u32, escalated_steps: u32) -> CascadeConfig {
        CascadeConfig { failures_to_escalate, escalated_steps, ..CascadeConfig::default() }
    }

    #[track_caller]
    fn check(config: CascadeConfig, n_models: usize, observations: [&str; 8], expected: [usize; 8]) {
        let arena = TestArena::new(n_models).observing(&observations);
        assert_eq!(actions(&play(&arena, &mut Cascade::new(config).unwrap(), 1)), expected);
    }

    const FAILING: &str = "Nothing happens.";

    #[test]
    fn one_failure_calls_large_for_the_set_number_of_steps() {
        check(config(1, 2), 2, ["a", "b", FAILING, "d", "e", "f", "g", "h"], [0, 0, 1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn two_failures_have_to_be_in_a_row() {
        let observations = ["a", FAILING, "c", "it failed", "No known action matches that input.", "f", "g", "h"];
        check(config(2, 2), 2, observations, [0, 0, 0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn a_failure_while_escalated_extends_the_stay() {
        check(config(1, 2), 2, ["a", FAILING, "ERROR", "d", "e", "f", "g", "h"], [0, 1, 1, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn three_models_are_climbed_one_by_one() {
        check(config(1, 2), 3, ["a", FAILING, "error", "d", "e", "f", "g", "h"], [0, 1, 2, 2, 0, 0, 0, 0]);
    }

    #[test]
    fn a_repeated_observation_or_command_is_a_failure_unless_switched_off() {
        let observations = ["a", "b", "b", "c", "d", "e", "f", "g"];
        check(config(1, 1), 2, observations, [0, 0, 1, 0, 0, 0, 0, 0]);
        let config = CascadeConfig { repeated_observation_fails: false, ..config(1, 1) };
        check(config, 2, observations, [0; 8]);
        let mut arena = TestArena::new(2);
        arena.completions = ["go", "go", "take", "put", "open", "take", "put", "look"].map(str::to_owned).to_vec();
        let mut cascade = Cascade::new(self::config(1, 1)).unwrap();
        assert_eq!(actions(&play(&arena, &mut cascade, 1)), [0, 0, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_cascade_that_never_waits_is_refused() {
        assert_eq!(
            Cascade::new(config(0, 1)).unwrap_err().to_string(),
            "`failures_to_escalate` is 0, expected 1 or more"
        );
    }
}
