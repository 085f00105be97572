//! One small, consistent run: rows of every artifact with every case that a column has.

use std::sync::Arc;

use tollgate_contract::{EpisodeRow, EvaluationRow, FrontierRow, StepRow, TaskRow, TrainingLogRow, TrainingMetrics};
use tollgate_routing::{
    BoundaryLabel, Budget, CostSource, Difficulty, Ending, EpisodeId, ModelIndex, NanoUsd, Observation, ProbeStats,
    Provenance, SftExample, Split, Step, TaskId, TokenUsage, Turn,
};

const SMALL: ModelIndex = ModelIndex::SMALL;
const LARGE: ModelIndex = ModelIndex::new(1);

pub(crate) fn tasks() -> Vec<TaskRow> {
    let task = |id: &str, split, seed| TaskRow {
        id: TaskId::new(id),
        environment: "household".into(),
        split,
        seed,
        instruction: "put a clean mug – \"the blue one\" – on the desk".into(),
        horizon: 30,
        kind: None,
        group: None,
    };
    vec![task("household-train-0", Split::Train, 0), task("household-test-0", Split::Test, u64::MAX)]
}

fn episode(id: &str, policy_id: &str, budget: Budget, ending: Ending) -> EpisodeRow {
    EpisodeRow {
        episode_id: EpisodeId::new(id),
        task_id: TaskId::new("household-train-0"),
        environment: "household".into(),
        split: Split::Train,
        policy_id: policy_id.into(),
        seed: 18_364_758_544_493_064_720,
        lambda: 0.3,
        budget,
        ending,
        n_steps: 0,
        n_large_calls: 0,
        is_success: false,
        score: 0.0,
        total_cost: NanoUsd::ZERO,
    }
}

pub(crate) fn episodes() -> Vec<EpisodeRow> {
    vec![
        EpisodeRow {
            n_steps: 2,
            is_success: true,
            score: 1.0,
            total_cost: NanoUsd::new(1_200_000),
            ..episode("e-0", "always-small", Budget::Unlimited, Ending::Terminated)
        },
        EpisodeRow {
            n_steps: 1,
            n_large_calls: 1,
            score: 0.25,
            total_cost: NanoUsd::new(2_000_000),
            ..episode("e-1", "always-large", Budget::LargeCalls(2), Ending::Horizon)
        },
        EpisodeRow {
            n_steps: 1,
            total_cost: NanoUsd::new(600_000),
            ..episode("e-2", "bopo", Budget::Usd(NanoUsd::new(1_000_000)), Ending::BudgetExhausted)
        },
        episode("e-3", "bopo", Budget::Usd(NanoUsd::new(1)), Ending::BudgetExhausted),
    ]
}

fn step(episode_id: &str, step_idx: u32, action: ModelIndex, cost_nano_usd: u64) -> StepRow {
    let is_small = action == SMALL;
    StepRow {
        episode_id: EpisodeId::new(episode_id),
        step_idx,
        model_id: if is_small { "gpt-4.1-mini".into() } else { "gpt-4.1".into() },
        step: Step {
            turn: Turn {
                observation: Observation {
                    text: format!("You are in the kitchen, for the {step_idx}. time.\n> "),
                    signals: if is_small { Vec::new() } else { vec![0.5, -1.0] },
                },
                action,
                completion: "go to countertop 1".to_owned(),
                usage: TokenUsage {
                    input_tokens: 900,
                    cached_input_tokens: 64,
                    cache_write_tokens: 3,
                    output_tokens: 12,
                },
                cost: NanoUsd::new(cost_nano_usd),
                latency_ms: 420,
            },
            log_prob: -0.25,
            remaining: None,
            reward: if step_idx == 1 { 1.0 } else { 0.0 },
            provenance: Provenance::Played,
            cost_source: CostSource::Simulated,
        },
    }
}

pub(crate) fn steps() -> Vec<StepRow> {
    let mut capped = step("e-2", 0, SMALL, 600_000);
    capped.step.remaining = Some(NanoUsd::new(400_000));
    vec![step("e-0", 0, SMALL, 500_000), step("e-0", 1, SMALL, 700_000), step("e-1", 0, LARGE, 2_000_000), capped]
}

pub(crate) fn labels() -> Vec<BoundaryLabel> {
    let small = ProbeStats { successes: 1, episodes: 1, mean_cost: NanoUsd::new(1_200_000), mean_score: 1.0 };
    let large = ProbeStats { successes: 0, episodes: 1, mean_cost: NanoUsd::new(2_000_000), mean_score: 0.25 };
    let task_id = TaskId::new("household-train-0");
    vec![BoundaryLabel { task_id, difficulty: Difficulty::Easy, is_contested: true, small, large }]
}

pub(crate) fn examples() -> Vec<SftExample> {
    let example = |step_idx, action, weight| SftExample {
        task_id: TaskId::new("household-train-0"),
        episode_id: EpisodeId::new("e-0"),
        step_idx,
        difficulty: Difficulty::Easy,
        action,
        weight,
    };
    vec![example(0, SMALL, 0.5), example(1, LARGE, 1.5)]
}

pub(crate) fn training_log() -> Vec<TrainingLogRow> {
    let row = |variant: &str, iteration: u32, metrics| TrainingLogRow {
        variant: Arc::from(variant),
        train_seed: 7,
        iteration,
        env_steps: u64::from(iteration) * 5_000_000_000,
        metrics,
    };
    let some = TrainingMetrics {
        mean_return: Some(0.5),
        success_rate: Some(0.75),
        mean_cost_norm: Some(1.25),
        large_share: Some(0.1),
        given_up_share: None,
        policy_loss: Some(-0.01),
        value_loss: Some(0.2),
        entropy: Some(0.6),
        approx_kl: Some(0.001),
        reference_kl: Some(0.002),
        clip_fraction: Some(0.05),
        grad_norm: Some(3.0),
        explained_variance: Some(-0.5),
        learning_rate: Some(0.001),
        lambda_mean: Some(0.4),
    };
    vec![row("sft", 0, TrainingMetrics::default()), row("bopo", 0, some), row("bopo", 1, some)]
}

pub(crate) fn evaluations() -> Vec<EvaluationRow> {
    let row = |episode: EpisodeRow, train_seed| EvaluationRow { is_violation: false, train_seed, episode };
    episodes()
        .into_iter()
        .zip([None, None, Some(u64::MAX), Some(0)])
        .map(|(episode, seed)| row(episode, seed))
        .collect()
}

pub(crate) fn frontier() -> Vec<FrontierRow> {
    let row = |policy_id: &str, budget, lambda: Option<f32>| FrontierRow {
        family: policy_id.into(),
        policy_id: policy_id.into(),
        split: Split::Train,
        train_seed: lambda.map(|_| 7),
        lambda,
        budget,
        n_episodes: 1,
        success_rate: 0.5,
        success_rate_low: 0.25,
        success_rate_high: 0.75,
        mean_score: 0.625,
        mean_cost: NanoUsd::new(1_234_567),
        mean_large_calls: 1.5,
        is_on_hull: lambda.is_none(),
    };
    vec![
        row("always-small", Budget::Unlimited, None),
        row("bopo", Budget::LargeCalls(5), Some(0.1)),
        row("bopo", Budget::Usd(NanoUsd::new(4_000_000)), Some(1.0)),
    ]
}
