//! The features of a step: what they depend on, and what they must not.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use tollgate_policy::{FeatureConfig, RouterFeatures};
use tollgate_rollout::RoutingContext;
use tollgate_routing::{
    BudgetView, CallAllowance, Model, ModelIndex, ModelPool, NanoUsd, Observation, Prices, Split, Task, TaskId,
    TokenUsage, Turn,
};

fn pool() -> ModelPool {
    let prices = |scale: f64| Prices::per_million_usd(0.4 * scale, 0.1 * scale, 0.4 * scale, 1.6 * scale).unwrap();
    ModelPool::new(vec![Model::new("small", prices(1.0)).unwrap(), Model::new("large", prices(5.0)).unwrap()]).unwrap()
}

fn task(seed: u64) -> Task {
    Task {
        id: TaskId::new("t"),
        environment: "household".into(),
        split: Split::Test,
        seed,
        instruction: "Put a hot mug on the desk.".into(),
        horizon: 30,
        kind: None,
        group: None,
    }
}

fn turns() -> Vec<Turn> {
    [
        ("You are in the kitchen.", "go to counter 1", 0),
        ("You see a mug 1.", "take mug 1", 1),
        ("Nothing happens.", "look", 0),
    ]
    .into_iter()
    .map(|(text, completion, model)| Turn {
        observation: Observation::from_text(text),
        action: ModelIndex::new(model),
        completion: completion.to_owned(),
        usage: TokenUsage { input_tokens: 900, output_tokens: 40, ..TokenUsage::default() },
        cost: NanoUsd::new(424_000),
        latency_ms: 700,
    })
    .collect()
}

/// The features of the step after `turns`, by an extractor that has seen `earlier` steps before.
fn features(task: &Task, turns: &[Turn], budget: BudgetView, earlier: &[usize]) -> Vec<f32> {
    let (pool, observation) = (pool(), Observation::from_text("You see a desk 1."));
    let mut extractor = RouterFeatures::new(FeatureConfig::text(2, 1_000_000));
    extractor.begin(task);
    let mut out = Vec::new();
    for &n_turns in earlier.iter().chain(&[turns.len()]) {
        let observation = turns.get(n_turns).map_or(&observation, |turn| &turn.observation);
        let (turns, allowed) = (&turns[..n_turns], pool.all());
        extractor
            .extract(&RoutingContext { task, turns, observation, pool: &pool, quotes: &[], budget, allowed }, &mut out);
    }
    out
}

#[test]
fn following_turn_by_turn_gives_the_same_as_catching_up_at_once() {
    let budget = BudgetView::default();
    let at_once = features(&task(1), &turns(), budget, &[]);
    assert_eq!(at_once.len(), FeatureConfig::text(2, 1_000_000).n_features());
    assert_eq!(features(&task(1), &turns(), budget, &[0, 1, 2]), at_once);
}

#[test]
fn the_seed_of_a_task_is_not_seen() {
    let budget = BudgetView::default();
    assert_eq!(features(&task(1), &turns(), budget, &[]), features(&task(2), &turns(), budget, &[]));
}

#[test]
fn the_operating_point_is_seen() {
    let blank = features(&task(1), &turns(), BudgetView::default(), &[]);
    let weighed = BudgetView { lambda: 0.3, ..BudgetView::default() };
    let capped = BudgetView { large_calls: Some(CallAllowance { cap: 5, remaining: 4 }), ..BudgetView::default() };
    assert_ne!(features(&task(1), &turns(), weighed, &[]), blank);
    assert_ne!(features(&task(1), &turns(), capped, &[]), blank);
}

#[test]
fn another_history_is_seen() {
    let mut others = turns();
    others[1].action = ModelIndex::SMALL;
    let budget = BudgetView::default();
    assert_ne!(features(&task(1), &others, budget, &[]), features(&task(1), &turns(), budget, &[]));
}
