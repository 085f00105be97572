//! A static router: one decision per task.

use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{ModelIndex, Task};

/// Asks `policy` before the first step and keeps to its answer, as routers do that route a whole request. Where the answer
/// no longer fits the budget, the nearest model that does acts for it.
#[derive(Debug, Clone)]
pub struct DecideOnce<P> {
    policy: P,
    chosen: Option<ModelIndex>,
}

impl<P: RoutingPolicy> DecideOnce<P> {
    /// The first decision of `policy`, for the whole episode.
    #[must_use]
    pub const fn new(policy: P) -> Self {
        Self { policy, chosen: None }
    }
}

impl<P: RoutingPolicy> RoutingPolicy for DecideOnce<P> {
    fn begin(&mut self, task: &Task, seed: u64) {
        self.chosen = None;
        self.policy.begin(task, seed);
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        if let Some(chosen) = self.chosen {
            return Ok(Verdict::Call(Decision::certain(context.allowed.nearest(chosen).unwrap_or(chosen))));
        }
        let verdict = self.policy.decide(context)?;
        if let Verdict::Call(decision) = verdict {
            self.chosen = Some(decision.action);
        }
        Ok(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scripted;
    use crate::test_arena::{TestArena, actions, play};

    #[test]
    fn the_first_decision_holds_for_the_whole_episode_and_not_for_the_next() {
        let mut policy = DecideOnce::new(Scripted::new([1, 0, 0].map(ModelIndex::new).to_vec()));
        let arena = TestArena::new(2);
        assert_eq!(actions(&play(&arena, &mut policy, 1)), [1; 8]);
        policy.policy = Scripted::new(Vec::new());
        assert_eq!(actions(&play(&arena, &mut policy, 1)), [0; 8]);
    }
}
