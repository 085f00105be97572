//! A list of actions, played in order.

use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::{ModelIndex, Task};

/// Plays the actions of a script, for example those of a logged episode with one of them changed. Past its end the small
/// model answers. An action that does not fit becomes the nearest that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripted {
    actions: Vec<ModelIndex>,
}

impl Scripted {
    /// A script: the model of each step.
    #[must_use]
    pub fn new(actions: Vec<ModelIndex>) -> Self {
        Self { actions }
    }
}

impl RoutingPolicy for Scripted {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let wanted = self.actions.get(context.turns.len()).copied().unwrap_or(ModelIndex::SMALL);
        if wanted.get() >= context.pool.len() {
            return Err(PolicyError::Mismatch {
                policy: "scripted".to_owned(),
                expected: format!("a pool of more than {} models", wanted.get()),
                found: format!("a pool of {}", context.pool.len()),
            });
        }
        Ok(Verdict::Call(Decision::certain(context.allowed.nearest(wanted).unwrap_or(wanted))))
    }
}

#[cfg(test)]
mod tests {
    use tollgate_routing::Budget;

    use super::*;
    use crate::BudgetConstrained;
    use crate::test_arena::{TestArena, actions, play};

    fn script(actions: &[usize]) -> Scripted {
        Scripted::new(actions.iter().copied().map(ModelIndex::new).collect())
    }

    #[test]
    fn a_script_is_played_in_order_and_ends_small() {
        assert_eq!(actions(&play(&TestArena::new(3), &mut script(&[0, 2, 1]), 1)), [0, 2, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn under_a_cap_a_script_falls_to_the_nearest_model_below() {
        let mut policy = BudgetConstrained::new(script(&[2, 2, 1, 2]), Budget::LargeCalls(1), 0.0);
        assert_eq!(actions(&play(&TestArena::new(3), &mut policy, 1)), [2, 1, 1, 1, 0, 0, 0, 0]);
    }
}
