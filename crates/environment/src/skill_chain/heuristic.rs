//! A rule of thumb that a practitioner would write: look at the cue, and escalate after failures.

use tollgate_rollout::{Decision, PolicyError, RoutingContext, RoutingPolicy, Verdict};
use tollgate_routing::Task;

use super::visible::VisibleState;

/// Calls the large model when the cue names a skill from `min_large_cue` on, or once the current subgoal was failed
/// `failures_to_escalate` times; otherwise the small one. Our design; its two settings are for the caller to tune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CueHeuristic {
    /// The lowest cue, 0 to 5, that calls the large model at once. 6 never does.
    pub min_large_cue: usize,
    /// Failed attempts at a subgoal after which the large model takes it over. 0 always calls the large model.
    pub failures_to_escalate: usize,
    /// Failed large attempts at a subgoal after which the rest of the task is left to the small model: the subgoal is
    /// impossible or the task is lost.
    pub failures_to_give_up: usize,
}

impl RoutingPolicy for CueHeuristic {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        let visible = visible_state("cue-heuristic", context)?;
        let [small_failures, large_failures] = visible.failures_here;
        let looks_hard = visible.cue.is_some_and(|cue| cue >= self.min_large_cue);
        let calls_large = (looks_hard || small_failures + large_failures >= self.failures_to_escalate)
            && large_failures < self.failures_to_give_up;
        let wanted = if calls_large { context.pool.large() } else { context.pool.small() };
        Ok(Verdict::Call(Decision::certain(context.allowed.nearest(wanted).unwrap_or(wanted))))
    }
}

/// The visible state of a skill-chain, or an error that names the policy that cannot do without.
pub(crate) fn visible_state(policy: &str, context: &RoutingContext<'_>) -> Result<VisibleState, PolicyError> {
    let signals = &context.observation.signals;
    VisibleState::from_signals(signals).ok_or_else(|| PolicyError::Mismatch {
        policy: policy.to_owned(),
        expected: format!("skill-chain observations with {} signals", VisibleState::N_SIGNALS),
        found: format!("{} signals", signals.len()),
    })
}

#[cfg(test)]
mod tests {
    use tollgate_routing::{ActionMask, BudgetView, ModelIndex, Observation};

    use super::super::generate_tasks;
    use super::super::rules::pool;
    use super::*;

    #[track_caller]
    fn check(cue: usize, failures_here: [usize; 2], allowed: ActionMask, expected: usize) {
        let task = &generate_tasks(0, super::super::TaskCounts { train: 1, validation: 0, test: 0 })[0];
        let observation =
            VisibleState { cue: Some(cue), left: 1, failures_here, ..VisibleState::default() }.observation();
        let pool = pool().unwrap();
        let context = RoutingContext {
            task,
            turns: &[],
            observation: &observation,
            pool: &pool,
            quotes: &[],
            budget: BudgetView::default(),
            allowed,
        };
        let mut policy = CueHeuristic { min_large_cue: 4, failures_to_escalate: 2, failures_to_give_up: 3 };
        let expected = Verdict::Call(Decision::certain(ModelIndex::new(expected)));
        assert_eq!(policy.decide(&context), Ok(expected));
    }

    #[test]
    fn it_escalates_on_hard_cues_and_repeated_failures_and_gives_up_in_the_end() {
        let all = ActionMask::first(2);
        check(3, [0, 0], all, 0);
        check(4, [0, 0], all, 1);
        check(0, [2, 0], all, 1);
        check(5, [0, 3], all, 0);
        check(5, [0, 0], all.without(ModelIndex::new(1)), 0);
    }

    #[test]
    fn it_refuses_observations_without_signals() {
        let task = &generate_tasks(0, super::super::TaskCounts { train: 1, validation: 0, test: 0 })[0];
        let pool = pool().unwrap();
        let context = RoutingContext {
            task,
            turns: &[],
            observation: &Observation::from_text("a kitchen"),
            pool: &pool,
            quotes: &[],
            budget: BudgetView::default(),
            allowed: pool.all(),
        };
        let error = visible_state("cue-heuristic", &context).unwrap_err().to_string();
        assert_eq!(
            error,
            "policy `cue-heuristic` was made for skill-chain observations with 22 signals, found 0 signals"
        );
    }
}
