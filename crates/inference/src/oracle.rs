//! What could be had by trying: the reference of worlds whose optimum nobody can compute.

use tollgate_rollout::{
    Arena, Decision, PolicyError, RolloutError, RolloutRequest, RoutingContext, RoutingPolicy, Verdict,
};
use tollgate_routing::{Budget, BudgetView, Episode, EpisodeId, ModelIndex, NanoUsd, Objective, Task};

use crate::{BudgetConstrained, Scripted};

const NAME: &str = "oracle";

/// An oracle that may try every model from a copy of the state: it knows the luck of the episode that it plays, and no router can.
///
/// Before the first step it looks for the list of actions that is worth most,
/// `value - lambda (C - C_small) / (C_large - C_small)`, the cheaper one of equals. It begins with the best of the lists that call one
/// model throughout. Then, at every step in turn, it plays the episode again up to that step, lets every other model answer, and plays
/// on with each model throughout and with what was planned before; the best of these it keeps. It goes over the steps until nothing gets
/// better. What it finds is within the budget, since it tries within it.
///
/// It is a lower bound of what a list of actions can reach with this luck: lists that differ in two steps at once, neither of which
/// helps alone, are not tried. Ours; the environment has to play the same after the same seed and actions, as [`Arena`] asks.
pub struct Oracle<'a> {
    arena: &'a dyn Arena,
    scale: OracleScale,
    seed: u64,
    plan: Vec<ModelIndex>,
}

/// What episodes are worth to an [`Oracle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OracleScale {
    /// What counts.
    pub objective: Objective,
    /// Mean cost of an episode of always-small: cost 0 on the normalised scale.
    pub small_cost: NanoUsd,
    /// Mean cost of an episode of always-large: cost 1 on the normalised scale.
    pub large_cost: NanoUsd,
}

impl OracleScale {
    /// What an episode is worth where cost weighs `lambda`.
    fn worth(&self, episode: &Episode, lambda: f32) -> f64 {
        let [cost, small, large] =
            [episode.total_cost(), self.small_cost, self.large_cost].map(|cost| cost.get() as f64);
        let share = if large > small { (cost - small) / (large - small) } else { 0.0 };
        f64::from(self.objective.value(episode.is_success, episode.score)) - f64::from(lambda) * share
    }
}

/// A list of actions that was tried.
struct Trial {
    actions: Vec<ModelIndex>,
    worth: f64,
    cost: NanoUsd,
}

impl Trial {
    fn is_better_than(&self, other: &Self) -> bool {
        self.worth.total_cmp(&other.worth).then(other.cost.cmp(&self.cost)).is_gt()
    }
}

impl<'a> Oracle<'a> {
    /// An oracle of the episodes that are played in `arena`.
    #[must_use]
    pub fn new(arena: &'a dyn Arena, scale: OracleScale) -> Self {
        Self { arena, scale, seed: 0, plan: Vec::new() }
    }

    fn best_plan(&self, task: &Task, view: BudgetView) -> Result<Vec<ModelIndex>, PolicyError> {
        let models: Vec<ModelIndex> = self.arena.pool().all().iter().collect();
        let horizon = task.horizon as usize;
        let mut best: Option<Trial> = None;
        for &model in &models {
            let trial = self.try_out(task, view, vec![model; horizon])?;
            if best.as_ref().is_none_or(|best| trial.is_better_than(best)) {
                best = Some(trial);
            }
        }
        let Some(mut best) = best else { return Ok(Vec::new()) };
        loop {
            let before = (best.worth, best.cost);
            let mut step = 0;
            while step < best.actions.len() {
                for actions in alternatives(&best.actions, step, &models, horizon) {
                    let trial = self.try_out(task, view, actions)?;
                    if trial.is_better_than(&best) {
                        best = trial;
                    }
                }
                step += 1;
            }
            if (best.worth, best.cost) == before {
                return Ok(best.actions);
            }
        }
    }

    /// Plays `actions` with the luck of the episode, within its budget.
    fn try_out(&self, task: &Task, view: BudgetView, actions: Vec<ModelIndex>) -> Result<Trial, PolicyError> {
        let budget = match (view.large_calls, view.usd) {
            (Some(calls), None) => Budget::LargeCalls(calls.remaining),
            (None, Some(usd)) => Budget::Usd(usd.remaining),
            (None, None) => Budget::Unlimited,
            (Some(_), Some(_)) => return Err(failed("a cap on calls and one on money at once are not supported")),
        };
        let request = RolloutRequest {
            episode_id: EpisodeId::new("trial"),
            policy_id: NAME.into(),
            seed: self.seed,
            lambda: view.lambda,
            budget,
        };
        let mut policy = BudgetConstrained::new(Scripted::new(actions), budget, view.lambda);
        let episode = self.arena.play(task, &request, &mut policy).map_err(|error| match error {
            RolloutError::Policy(error) => error,
            error => failed(&error.to_string()),
        })?;
        Ok(Trial {
            actions: episode.steps.iter().map(|step| step.turn.action).collect(),
            worth: self.scale.worth(&episode, view.lambda),
            cost: episode.total_cost(),
        })
    }
}

/// Every list that answers `step` with another model than `planned` does, and goes on with each model throughout, or as planned.
fn alternatives(planned: &[ModelIndex], step: usize, models: &[ModelIndex], horizon: usize) -> Vec<Vec<ModelIndex>> {
    let mut lists = Vec::new();
    for &other in models.iter().filter(|&&model| model != planned[step]) {
        let begun = [&planned[..step], &[other]].concat();
        for &tail in models {
            let mut actions = begun.clone();
            actions.resize(horizon, tail);
            lists.push(actions);
        }
        lists.push([&begun, &planned[step + 1..]].concat());
    }
    lists
}

fn failed(reason: &str) -> PolicyError {
    PolicyError::Failed { policy: NAME.to_owned(), reason: reason.to_owned() }
}

impl RoutingPolicy for Oracle<'_> {
    fn begin(&mut self, _task: &Task, seed: u64) {
        self.seed = seed;
        self.plan.clear();
    }

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        if context.turns.is_empty() {
            self.plan = self.best_plan(context.task, context.budget)?;
        }
        // A plan is shorter than the episode only where a cap ended its trial, and then nothing is allowed here either.
        let wanted = self.plan.get(context.turns.len()).copied().unwrap_or(ModelIndex::SMALL);
        let action = context.allowed.nearest(wanted).ok_or_else(|| failed("no action is allowed"))?;
        Ok(Verdict::Call(Decision::certain(action)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_arena::{TestArena, actions, task};

    /// The test world is solved when the indices of the models that answered add up to `difficulty`.
    #[track_caller]
    fn check(difficulty: u64, lambda: f32, budget: Budget, n_large: usize, is_success: bool) {
        let arena = TestArena::new(2);
        let scale = OracleScale {
            objective: Objective::Success,
            small_cost: NanoUsd::new(1_000_000),
            large_cost: NanoUsd::new(5_000_000),
        };
        let request =
            RolloutRequest { episode_id: EpisodeId::new("e"), policy_id: "p".into(), seed: 3, lambda, budget };
        let mut policy = BudgetConstrained::new(Oracle::new(&arena, scale), budget, lambda);
        let episode = arena.play(&task("t", difficulty), &request, &mut policy).unwrap();
        let found = actions(&episode).into_iter().filter(|&action| action == 1).count();
        assert_eq!((found, episode.is_success), (n_large, is_success));
        assert!(!episode.is_violation(arena.pool().large()));
    }

    #[test]
    fn it_solves_with_as_few_dear_calls_as_it_takes() {
        check(4, 0.1, Budget::Unlimited, 4, true);
        check(4, 0.0, Budget::Unlimited, 4, true);
        check(0, 0.1, Budget::Unlimited, 0, true);
        check(8, 0.1, Budget::Unlimited, 8, true);
    }

    #[test]
    fn it_spends_nothing_on_what_cannot_be_solved_or_is_not_worth_it() {
        check(9, 0.1, Budget::Unlimited, 0, false);
        check(4, 1e3, Budget::Unlimited, 0, false);
    }

    #[test]
    fn it_tries_within_the_cap() {
        check(4, 0.0, Budget::LargeCalls(4), 4, true);
        check(4, 0.0, Budget::LargeCalls(3), 0, false);
        check(1, 0.0, Budget::Usd(NanoUsd::new(10_000_000)), 1, true);
    }

    #[test]
    fn of_equally_good_plans_it_plays_the_cheapest_call() {
        let arena = TestArena::new(2);
        let scale = OracleScale { objective: Objective::Success, small_cost: NanoUsd::ZERO, large_cost: NanoUsd::ZERO };
        let mut oracle = Oracle::new(&arena, scale);
        oracle.begin(&task("t", 1), 5);
        let best = oracle.best_plan(&task("t", 1), BudgetView::default()).unwrap();
        let cost = |plan: Vec<ModelIndex>| oracle.try_out(&task("t", 1), BudgetView::default(), plan).unwrap().cost;
        for step in 0..8 {
            let mut other = vec![ModelIndex::SMALL; 8];
            other[step] = ModelIndex::new(1);
            assert!(cost(best.clone()) <= cost(other));
        }
    }
}
