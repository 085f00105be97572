//! The features of a step: what they depend on, and what they must not.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use tollgate_policy::{FeatureConfig, RouterFeatures};
use tollgate_rollout::RoutingContext;
use tollgate_routing::{
    BudgetView, CallAllowance, Model, ModelIndex, ModelPool, NanoUsd, Observation, Prices, Split, Task, TaskId,
    TokenUsage, Turn, UsdAllowance,
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
fn a_cap_that_the_steps_left_cannot_reach_looks_like_none() {
    let blank = features(&task(1), &turns(), BudgetView::default(), &[]);
    let under = |remaining| {
        let large_calls = Some(CallAllowance { cap: 30, remaining });
        features(&task(1), &turns(), BudgetView { large_calls, ..BudgetView::default() }, &[])
    };
    // 27 of 30 steps are left.
    assert_eq!(under(30), blank);
    assert_eq!(under(27), blank);
    assert_ne!(under(26), blank);
}

#[test]
fn another_history_is_seen() {
    let mut others = turns();
    others[1].action = ModelIndex::SMALL;
    let budget = BudgetView::default();
    assert_ne!(features(&task(1), &others, budget, &[]), features(&task(1), &turns(), budget, &[]));
}

/// The features of what kind of step the last ones were, after these completions and what followed each.
fn verbs(steps: &[(&str, &str)]) -> Vec<f32> {
    let config = FeatureConfig { verb_buckets: 64, ..FeatureConfig::signals(2, 0, 1_000_000) };
    let turn = |position: usize| Turn {
        observation: Observation::from_text(position.checked_sub(1).map_or("", |before| steps[before].1)),
        action: ModelIndex::new(0),
        completion: steps[position].0.to_owned(),
        usage: TokenUsage::default(),
        cost: NanoUsd::ZERO,
        latency_ms: 0,
    };
    let turns: Vec<Turn> = (0..steps.len()).map(turn).collect();
    let observation = Observation::from_text(steps.last().map_or("", |step| step.1));
    let (task, pool, budget) = (task(1), pool(), BudgetView::default());
    let mut extractor = RouterFeatures::new(config);
    extractor.begin(&task);
    let mut out = Vec::new();
    let allowed = pool.all();
    let context = RoutingContext {
        task: &task,
        turns: &turns,
        observation: &observation,
        pool: &pool,
        quotes: &[],
        budget,
        allowed,
    };
    extractor.extract(&context, &mut out);
    assert_eq!(out.len(), config.n_features());
    out.split_off(out.len() - 128)
}

#[test]
fn a_step_is_known_by_the_first_word_of_its_completion() {
    let show = verbs(&[("SHOW TABLES", "[('song',)]")]);
    assert_eq!(show, verbs(&[("  show columns FROM song", "[('id',)]")]));
    assert_ne!(show, verbs(&[("SELECT id FROM song", "[(1,)]")]));
    // The last verb, and one unfailed call of it.
    assert!((show.iter().sum::<f32>() - 1.25).abs() < 1e-6);
}

#[test]
fn a_failed_step_is_the_last_but_counts_for_nothing() {
    let failed = verbs(&[("SELECT x FROM song", "Error: no such column")]);
    assert!((failed.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    assert_eq!(verbs(&[]), vec![0.0; 128]);
}

#[test]
fn the_time_that_calls_took_is_not_seen() {
    let slower: Vec<Turn> = turns().into_iter().map(|turn| Turn { latency_ms: 9 * turn.latency_ms, ..turn }).collect();
    let budget = BudgetView::default();
    assert_eq!(features(&task(1), &turns(), budget, &[]), features(&task(1), &slower, budget, &[]));
}

#[test]
fn all_prices_and_the_cost_scale_may_be_multiplied_alike() {
    // Powers of two, so that no float is rounded.
    let seen = |factor: u32| {
        let prices = |price: f64| {
            let price = price * f64::from(factor);
            Prices::per_million_usd(price, price / 4.0, price, 4.0 * price).unwrap()
        };
        let models = [("small", 0.5), ("large", 2.0)].map(|(name, price)| Model::new(name, prices(price)).unwrap());
        let pool = ModelPool::new(models.into()).unwrap();
        let dollars = |nano_usd: u64| NanoUsd::new(nano_usd * u64::from(factor));
        let turns: Vec<Turn> = turns().into_iter().map(|turn| Turn { cost: dollars(400_000), ..turn }).collect();
        let usd = Some(UsdAllowance { cap: dollars(9_000_000), remaining: dollars(7_800_000) });
        let (task, observation) = (task(1), Observation::from_text("You see a desk 1."));
        let mut extractor = RouterFeatures::new(FeatureConfig::text(2, 1_000_000 * u64::from(factor)));
        extractor.begin(&task);
        let mut out = Vec::new();
        let context = RoutingContext {
            task: &task,
            turns: &turns,
            observation: &observation,
            pool: &pool,
            quotes: &[],
            budget: BudgetView { lambda: 0.1, usd, ..BudgetView::default() },
            allowed: pool.all(),
        };
        extractor.extract(&context, &mut out);
        out
    };
    assert_eq!(seen(1), seen(64));
}
