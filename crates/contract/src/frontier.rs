//! `frontier.parquet`: one row per policy and operating point, the averages that the frontier is drawn from.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use tollgate_routing::{Budget, NanoUsd, Split};

use crate::column::columns;
use crate::decode::{Decoder, at};
use crate::encode::Encoder;
use crate::tasks::{SPLITS, split};
use crate::{ArtifactKind, ArtifactRow, ContractError};

columns! {
    FAMILY = "family", Id, required, "", "The policy up to its parameter, for example `random-mixing` for `random-0.3`. A frontier belongs to a family.";
    POLICY_ID = "policy_id", Id, required, "", "The policy, as in `evaluations.policy_id`.";
    SPLIT = "split", Id, required, "", "The split that was played: `validation` or `test`.";
    TRAIN_SEED = "train_seed", UInt64, nullable, "", "Seed of the training run that made the policy; null for policies that are not trained and for means over seeds.";
    LAMBDA = "lambda", Float64, nullable, "", "Weight of the cost that the policy was given; null for policies that do not look at it.";
    BUDGET_KIND = "budget_kind", Id, required, "", "What the hard limit counts: `none`, `large_calls` or `usd`.";
    BUDGET_VALUE = "budget_value", Int64, nullable, "calls or nano-USD", "The hard limit, as in `evaluations.budget_value`.";
    N_EPISODES = "n_episodes", Int32, required, "episodes", "How many episodes the averages are over.";
    SUCCESS_RATE = "success_rate", Float64, required, "0 to 1", "Share of solved episodes.";
    SUCCESS_RATE_LOW = "success_rate_low", Float64, required, "0 to 1", "Lower end of the 95 % bootstrap interval over tasks.";
    SUCCESS_RATE_HIGH = "success_rate_high", Float64, required, "0 to 1", "Upper end of the 95 % bootstrap interval over tasks.";
    MEAN_SCORE = "mean_score", Float64, required, "0 to 1", "Mean grade.";
    MEAN_COST_NANO_USD = "mean_cost_nano_usd", Int64, required, "nano-USD", "Mean cost of an episode, rounded down.";
    MEAN_LARGE_CALLS = "mean_large_calls", Float64, required, "calls", "Mean number of calls of the large model.";
    IS_ON_HULL = "is_on_hull", Bool, required, "", "Whether the point is on the family's frontier: the non-decreasing concave hull of success over mean cost.";
}

/// A row of `frontier.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierRow {
    /// The policy up to its parameter.
    pub family: Arc<str>,
    /// The policy.
    pub policy_id: Arc<str>,
    /// The split that was played.
    pub split: Split,
    /// Seed of the training run that made the policy.
    pub train_seed: Option<u64>,
    /// Weight of the cost that the policy was given.
    pub lambda: Option<f32>,
    /// The hard limit.
    pub budget: Budget,
    /// How many episodes the averages are over.
    pub n_episodes: u32,
    /// Share of solved episodes, 0 to 1.
    pub success_rate: f64,
    /// Lower end of its 95 % interval.
    pub success_rate_low: f64,
    /// Upper end of its 95 % interval.
    pub success_rate_high: f64,
    /// Mean grade, 0 to 1.
    pub mean_score: f64,
    /// Mean cost of an episode, rounded down.
    pub mean_cost: NanoUsd,
    /// Mean number of calls of the large model.
    pub mean_large_calls: f64,
    /// Whether the point is on the family's frontier.
    pub is_on_hull: bool,
}

impl ArtifactRow for FrontierRow {
    const KIND: ArtifactKind = ArtifactKind::Frontier;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&FAMILY, rows.iter().map(|row| &*row.family));
        batch.id(&POLICY_ID, rows.iter().map(|row| &*row.policy_id));
        batch.id(&SPLIT, rows.iter().map(|row| row.split.as_str()));
        batch.seed(&TRAIN_SEED, rows.iter().map(|row| row.train_seed));
        batch.setting(&LAMBDA, rows.iter().map(|row| row.lambda));
        batch.budget(&BUDGET_KIND, &BUDGET_VALUE, rows.iter().map(|row| row.budget))?;
        batch.count(&N_EPISODES, rows.iter().map(|row| row.n_episodes))?;
        batch.float64(&SUCCESS_RATE, rows.iter().map(|row| row.success_rate));
        batch.float64(&SUCCESS_RATE_LOW, rows.iter().map(|row| row.success_rate_low));
        batch.float64(&SUCCESS_RATE_HIGH, rows.iter().map(|row| row.success_rate_high));
        batch.float64(&MEAN_SCORE, rows.iter().map(|row| row.mean_score));
        batch.money(&MEAN_COST_NANO_USD, rows.iter().map(|row| row.mean_cost))?;
        batch.float64(&MEAN_LARGE_CALLS, rows.iter().map(|row| row.mean_large_calls));
        batch.bool(&IS_ON_HULL, rows.iter().map(|row| row.is_on_hull));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let families = columns.shared_text(&FAMILY)?;
        let policy_ids = columns.shared_text(&POLICY_ID)?;
        let splits = columns.parsed(&SPLIT, SPLITS, split)?;
        let train_seeds = columns.seed(&TRAIN_SEED)?;
        let lambdas = columns.float64(&LAMBDA)?;
        let budgets = columns.budget(&BUDGET_KIND, &BUDGET_VALUE)?;
        let n_episodes = columns.count(&N_EPISODES)?;
        let success_rates = columns.float64(&SUCCESS_RATE)?;
        let success_rate_lows = columns.float64(&SUCCESS_RATE_LOW)?;
        let success_rate_highs = columns.float64(&SUCCESS_RATE_HIGH)?;
        let mean_scores = columns.float64(&MEAN_SCORE)?;
        let mean_costs = columns.money(&MEAN_COST_NANO_USD)?;
        let mean_large_calls = columns.float64(&MEAN_LARGE_CALLS)?;
        let on_hull = columns.bool(&IS_ON_HULL)?;
        let row = |(at, family): (usize, _)| Self {
            family,
            policy_id: policy_ids[at].clone(),
            split: splits[at],
            train_seed: at!(train_seeds, at),
            lambda: at!(lambdas, at).map(|lambda| lambda as f32),
            budget: budgets[at],
            n_episodes: n_episodes[at],
            success_rate: success_rates.value(at),
            success_rate_low: success_rate_lows.value(at),
            success_rate_high: success_rate_highs.value(at),
            mean_score: mean_scores.value(at),
            mean_cost: mean_costs[at],
            mean_large_calls: mean_large_calls.value(at),
            is_on_hull: on_hull.value(at),
        };
        Ok(families.into_iter().enumerate().map(row).collect())
    }
}
