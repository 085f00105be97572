use tollgate_rollout::{AlwaysLarge, AlwaysSmall, Decision, RolloutError};
use tollgate_routing::Episode;

use super::*;
use crate::RandomMixing;
use crate::test_arena::{HORIZON, TestArena, actions, play, try_play};

/// Remembers what it was shown and asks for one model, mask or no mask.
struct Stubborn {
    wanted: ModelIndex,
    seen: Vec<(BudgetView, ActionMask)>,
}

impl RoutingPolicy for Stubborn {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.seen.push((context.budget, context.allowed));
        Ok(Verdict::Call(Decision::certain(self.wanted)))
    }
}

/// Calls the last model of the pool so many times and then gives up; remembers what it was shown.
struct Quitter {
    n_calls: usize,
    seen: Vec<BudgetView>,
}

impl RoutingPolicy for Quitter {
    fn begin(&mut self, _task: &Task, _seed: u64) {}

    fn decide(&mut self, context: &RoutingContext<'_>) -> Result<Verdict, PolicyError> {
        self.seen.push(context.budget);
        if context.turns.len() == self.n_calls {
            return Ok(Verdict::Stop(Ending::GaveUp));
        }
        Ok(Verdict::Call(Decision::certain(context.pool.large())))
    }
}

fn random_policy(n_models: usize, seed: u64) -> RandomMixing {
    let weights: Vec<f64> =
        (0..n_models as u64).map(|model| 1.0 + (tollgate_rollout::derive_seed(seed, model) % 10) as f64).collect();
    let total: f64 = weights.iter().sum();
    let mut probabilities: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    probabilities[0] = 1.0 - probabilities[1..].iter().sum::<f64>();
    RandomMixing::with_probabilities(probabilities).unwrap()
}

fn constrained(n_models: usize, budget: Budget, seed: u64) -> Episode {
    let mut policy = BudgetConstrained::new(random_policy(n_models, seed), budget, 0.5);
    try_play(&TestArena::new(n_models), &mut policy, budget, seed).unwrap()
}

#[test]
fn no_random_policy_exceeds_any_cap_of_calls_or_money() {
    for n_models in [2, 3] {
        let large = ModelIndex::new(n_models - 1);
        for seed in 0..2_000 {
            let calls = constrained(n_models, Budget::LargeCalls((seed % 10) as u32), seed);
            assert!(!calls.is_violation(large) && calls.steps.len() == HORIZON);
            let cap = NanoUsd::new(seed * 10_000);
            let money = constrained(n_models, Budget::Usd(cap), seed);
            assert!(!money.is_violation(large) && money.total_cost() <= cap);
        }
    }
}

#[test]
fn exactly_k_large_calls_are_allowed() {
    for k in 0..12_u32 {
        let mut policy = BudgetConstrained::new(AlwaysLarge, Budget::LargeCalls(k), 0.0);
        let episode = play(&TestArena::new(3), &mut policy, 1);
        assert_eq!(episode.n_calls(ModelIndex::new(2)), k.min(HORIZON as u32));
    }
}

#[test]
fn money_that_fits_no_model_ends_the_episode_before_any_call() {
    let budget = Budget::Usd(NanoUsd::new(160_000));
    let mut policy = BudgetConstrained::new(Stubborn { wanted: ModelIndex::SMALL, seen: Vec::new() }, budget, 0.0);
    // The output alone, 100 tokens at 1,600 nano-dollars, is all of the budget; the prompt is above it.
    let episode = try_play(&TestArena::new(2), &mut policy, budget, 1).unwrap();
    assert_eq!((episode.ending, episode.steps.len()), (Ending::BudgetExhausted, 0));
    assert!(policy.into_inner().seen.is_empty());
}

#[test]
fn small_is_forced_when_only_small_fits_and_the_episode_goes_on() {
    // Large's output alone may cost 800,000 nano-dollars, so a cap below that leaves small as the only one.
    let budget = Budget::Usd(NanoUsd::new(799_999));
    let mut policy = BudgetConstrained::new(AlwaysLarge, budget, 0.0);
    let episode = try_play(&TestArena::new(2), &mut policy, budget, 3).unwrap();
    assert!(!episode.steps.is_empty() && actions(&episode).iter().all(|&action| action == 0));
}

#[test]
fn what_is_left_is_the_cap_less_the_true_cost_of_every_call() {
    let cap = NanoUsd::new(50_000_000);
    let mut policy =
        BudgetConstrained::new(Stubborn { wanted: ModelIndex::SMALL, seen: Vec::new() }, Budget::Usd(cap), 0.7);
    let episode = try_play(&TestArena::new(2), &mut policy, Budget::Usd(cap), 5).unwrap();
    let seen = policy.into_inner().seen;
    let mut spent = NanoUsd::ZERO;
    for (step, (view, allowed)) in episode.steps.iter().zip(seen) {
        assert_eq!(view.usd, Some(UsdAllowance { cap, remaining: cap - spent }));
        assert!((view.lambda - 0.7).abs() < f32::EPSILON && allowed == ActionMask::first(2));
        spent += step.turn.cost;
        assert_eq!(step.remaining, Some(cap - spent));
    }
}

#[test]
fn the_cap_on_calls_is_shown_as_it_shrinks_and_starts_anew_with_each_episode() {
    let stubborn = Stubborn { wanted: ModelIndex::new(1), seen: Vec::new() };
    let mut policy = BudgetConstrained::new(stubborn, Budget::LargeCalls(9), 0.0);
    for _ in 0..2 {
        play(&TestArena::new(2), &mut policy, 1);
    }
    let remaining: Vec<u32> =
        policy.into_inner().seen.iter().filter_map(|(view, _)| view.large_calls).map(|calls| calls.remaining).collect();
    assert_eq!(remaining, [9, 8, 7, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
}

#[test]
fn giving_up_reserves_and_counts_nothing_and_the_next_episode_starts_anew() {
    let cap = NanoUsd::new(50_000_000);
    let quitter = Quitter { n_calls: 2, seen: Vec::new() };
    let calls = BudgetConstrained::new(quitter, Budget::LargeCalls(2), 0.0);
    let mut policy = BudgetConstrained::new(calls, Budget::Usd(cap), 0.0);
    let mut spent = [NanoUsd::ZERO; 2];
    for spent in &mut spent {
        let episode = try_play(&TestArena::new(2), &mut policy, Budget::Usd(cap), 1).unwrap();
        assert_eq!((episode.ending, episode.steps.len()), (Ending::GaveUp, 2));
        assert!(policy.reservation.is_none());
        *spent = episode.total_cost();
        assert_eq!(policy.ledger.as_ref().map(Ledger::remaining), Some(cap - *spent));
    }
    assert_eq!(spent[0], spent[1]);
    let left = |view: &BudgetView| (view.large_calls.unwrap().remaining, view.usd.unwrap().remaining);
    let seen = policy.into_inner().into_inner().seen;
    assert_eq!((left(&seen[2]), left(&seen[3])), ((0, cap - spent[0]), (2, cap)));
}

#[test]
fn nested_budgets_show_and_enforce_both_caps() {
    let stubborn = Stubborn { wanted: ModelIndex::SMALL, seen: Vec::new() };
    let calls = BudgetConstrained::new(stubborn, Budget::LargeCalls(0), 0.2);
    let mut both = BudgetConstrained::new(calls, Budget::Usd(NanoUsd::new(50_000_000)), 0.2);
    play(&TestArena::new(2), &mut both, 1);
    let (view, allowed) = both.into_inner().into_inner().seen[0];
    assert_eq!(view.large_calls, Some(CallAllowance { cap: 0, remaining: 0 }));
    assert!(view.usd.is_some() && allowed == ActionMask::first(1));
}

#[test]
fn a_choice_outside_the_mask_is_an_error_before_the_call() {
    let stubborn = Stubborn { wanted: ModelIndex::new(1), seen: Vec::new() };
    let mut policy = BudgetConstrained::new(stubborn, Budget::LargeCalls(2), 0.0);
    let error = try_play(&TestArena::new(2), &mut policy, Budget::LargeCalls(2), 1).unwrap_err();
    let expected = PolicyError::Disallowed { model: "model-1".to_owned(), step_idx: 2, allowed: "model-0".to_owned() };
    assert_eq!(error, RolloutError::Policy(expected));
}

#[test]
fn a_call_above_its_reservation_is_an_error_at_the_next_step() {
    let arena = TestArena::new(2);
    let mut policy = BudgetConstrained::new(AlwaysSmall, Budget::Usd(NanoUsd::new(50_000_000)), 0.0);
    let episode = play(&arena, &mut policy, 1);
    let first = &episode.steps[0].turn;
    let quotes =
        [CallQuote { prompt_tokens: 1, expected_output_tokens: 1, max_output_tokens: 1, ..CallQuote::default() }; 2];
    let pool = tollgate_rollout::Arena::pool(&arena);
    let context = RoutingContext {
        task: &episode.task,
        turns: &[],
        observation: &first.observation,
        pool,
        quotes: &quotes,
        budget: BudgetView::default(),
        allowed: pool.all(),
    };
    policy.begin(&episode.task, 1);
    policy.decide(&context).unwrap();
    policy.settle(first);
    let reserved = quotes[0].worst_case(&pool.model(ModelIndex::SMALL).prices);
    assert_eq!(
        policy.decide(&context).unwrap_err(),
        PolicyError::AboveReservation { step_idx: 0, actual: first.cost, reserved }
    );
}
