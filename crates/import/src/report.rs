//! What an import found, for people and for programs.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate_routing::{CostSource, Split};

use crate::assembly::LogModels;
use crate::decimal::ExactUsd;
use crate::open_episode::OpenEpisode;
use crate::outcome::{Outcome, StepCost};
use crate::skips::{Reason, SkippedRow};

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportReport {
    /// Rows that were read.
    pub n_rows: u64,
    /// Steps in the tables.
    pub n_steps: u64,
    /// Episodes in the tables.
    pub n_episodes: u64,
    /// Tasks in the tables.
    pub n_tasks: u64,
    /// Bytes of the logs, decompressed.
    pub n_bytes: u64,
    /// Episodes by the model that played them and by how their costs are known: figures of different sources stay apart.
    pub models: Vec<ModelReport>,
    /// Tasks and episodes by split.
    pub splits: Vec<SplitReport>,
    /// The models that became the pool, small first; empty without a pool.
    pub pool: Vec<String>,
    /// What the log does not say and was decided.
    pub assumptions: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<String>,
    /// Rows that were left out, by reason.
    pub skipped: BTreeMap<Reason, u64>,
    /// The first of them; all are in `skipped.jsonl` beside the tables.
    pub first_skipped: Vec<SkippedRow>,
}

/// The episodes of one model and one source of costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// The model's name in the log; `mixed` for episodes of several models.
    pub model: String,
    /// Its id in the pool, if it is in it.
    pub model_id: Option<String>,
    /// How the costs are known: `recorded`, `metered` or `estimated`; `mixed` where steps of one episode differ.
    pub cost_source: &'static str,
    /// Episodes.
    pub n_episodes: u64,
    /// Those that were solved.
    pub n_successes: u64,
    /// Steps.
    pub n_steps: u64,
    /// Share of episodes that were solved.
    pub success_rate: f64,
    /// Mean cost of an episode; none where the sources are mixed.
    pub mean_cost_usd: Option<f64>,
    /// What all episodes cost in the tables; none where the sources are mixed.
    pub total_cost_nano_usd: Option<u64>,
    /// How much rounding each step to a nano-dollar changed the sum of what the log says. Dollars.
    pub rounding_usd: f64,
    /// Steps whose cost in the log is not tokens times price.
    pub n_off_price: u64,
    /// The most that one of them is off. Nano-dollars.
    pub most_off_price_nano_usd: u64,
}

/// A split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitReport {
    /// Its name.
    pub split: &'static str,
    /// Its tasks.
    pub n_tasks: u64,
    /// Its groups.
    pub n_groups: u64,
    /// Its episodes.
    pub n_episodes: u64,
}

/// Sums over episodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    models: BTreeMap<(usize, &'static str), ModelSums>,
    splits: Vec<SplitReport>,
    pub(crate) n_tasks: u64,
    pub(crate) n_episodes: u64,
    pub(crate) n_steps: u64,
    pub(crate) n_inferred: u64,
    pub(crate) n_unsaid_sources: u64,
    pub(crate) n_without_horizon: u64,
    pub(crate) longest_episode: u32,
    pub(crate) n_unmapped_steps: u64,
}

#[derive(Debug, Clone, Default)]
struct ModelSums {
    n_episodes: u64,
    n_successes: u64,
    n_steps: u64,
    nano_usd: u64,
    /// Of the steps whose cost the log has: its sum, and the sum in nano-dollars.
    logged: ExactUsd,
    logged_nano_usd: u64,
    n_off_price: u64,
    most_off_price: u64,
}

/// Stands for several models.
const MIXED: usize = usize::MAX;

impl Figures {
    pub(crate) fn note_episode(
        &mut self,
        episode: &OpenEpisode,
        outcome: Outcome,
        costs: &[StepCost],
        models: &LogModels,
    ) {
        let first = episode.steps[0].model;
        let is_one = episode.steps.iter().all(|step| step.model == first);
        let source = costs[0].source;
        let is_one_source = costs.iter().all(|cost| cost.source == source);
        let key = (if is_one { first } else { MIXED }, if is_one_source { source.as_str() } else { "mixed" });
        let sums = self.models.entry(key).or_default();
        sums.n_episodes += 1;
        sums.n_successes += u64::from(outcome.is_success);
        sums.n_steps += costs.len() as u64;
        for cost in costs {
            sums.nano_usd = sums.nano_usd.saturating_add(cost.nano_usd.get());
            if let Some(logged) = cost.logged {
                sums.logged.add(logged);
                sums.logged_nano_usd = sums.logged_nano_usd.saturating_add(cost.nano_usd.get());
            }
            sums.n_off_price += u64::from(cost.off_price.is_some());
            sums.most_off_price = sums.most_off_price.max(cost.off_price.unwrap_or(0));
        }
        self.n_episodes += 1;
        self.n_steps += costs.len() as u64;
        self.n_inferred += u64::from(outcome.is_inferred);
        let is_unsaid = |(step, cost): (&crate::open_episode::OpenStep, &StepCost)| {
            step.source.is_none() && cost.source == CostSource::Recorded
        };
        self.n_unsaid_sources += episode.steps.iter().zip(costs).filter(|&pair| is_unsaid(pair)).count() as u64;
        let is_unmapped = |model: usize| models.get(model).in_pool.is_none();
        self.n_unmapped_steps += episode.steps.iter().filter(|step| is_unmapped(step.model)).count() as u64;
    }

    pub(crate) fn note_split(&mut self, split: Split, n_tasks: u64, n_groups: u64, n_episodes: u64) {
        if n_tasks > 0 {
            self.splits.push(SplitReport { split: split.as_str(), n_tasks, n_groups, n_episodes });
        }
    }

    pub(crate) fn splits(&self) -> Vec<SplitReport> {
        self.splits.clone()
    }

    /// The rows of the report, by the models' names.
    pub(crate) fn models(&self, models: &LogModels) -> Vec<ModelReport> {
        let report = |(&(model, source), sums): (&(usize, &'static str), &ModelSums)| {
            let known = (model != MIXED).then(|| models.get(model));
            let is_one_source = source != "mixed";
            ModelReport {
                model: known.map_or_else(|| "mixed".to_owned(), |known| known.name.to_string()),
                model_id: known.and_then(|known| known.in_pool.as_ref()).map(|(_, id)| id.to_string()),
                cost_source: source,
                n_episodes: sums.n_episodes,
                n_successes: sums.n_successes,
                n_steps: sums.n_steps,
                success_rate: sums.n_successes as f64 / sums.n_episodes as f64,
                mean_cost_usd: is_one_source.then(|| sums.nano_usd as f64 * 1e-9 / sums.n_episodes as f64),
                total_cost_nano_usd: is_one_source.then_some(sums.nano_usd),
                rounding_usd: sums.logged_nano_usd as f64 * 1e-9 - sums.logged.as_usd(),
                n_off_price: sums.n_off_price,
                most_off_price_nano_usd: sums.most_off_price,
            }
        };
        let mut rows: Vec<ModelReport> = self.models.iter().map(report).collect();
        rows.sort_by(|one, other| (&one.model, one.cost_source).cmp(&(&other.model, other.cost_source)));
        rows
    }
}
