//! `episodes.parquet`, up to the splits, which are known when all tasks are.

use std::mem;

use arrow::array::{
    BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringBuilder, UInt64Array,
};
use tollgate_contract::{ArtifactKind, ContractError, budget_kind, episodes};
use tollgate_routing::{Budget, Ending, NanoUsd, Split};

use super::columns::{BatchColumns, NameRuns, constant};
use super::steps::push_object;
use crate::open_episode::OpenEpisode;

/// What is reckoned of an episode.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reckoned<'a> {
    pub(super) environment: &'a str,
    pub(super) policy_id: &'a str,
    pub(super) seed: u64,
    pub(super) n_large_calls: u32,
    pub(super) is_success: bool,
    pub(super) score: f32,
    pub(super) ending: Ending,
    pub(super) total_cost: NanoUsd,
}

/// Some episodes.
#[derive(Default)]
pub(super) struct EpisodeColumns {
    episode_ids: NameRuns,
    task_ids: NameRuns,
    environments: NameRuns,
    policy_ids: NameRuns,
    endings: NameRuns,
    seeds: Vec<u64>,
    n_steps: Vec<i32>,
    n_large_calls: Vec<i32>,
    is_success: Vec<bool>,
    scores: Vec<f32>,
    terminated: Vec<bool>,
    total_costs: Vec<i64>,
    extra: StringBuilder,
}

impl EpisodeColumns {
    pub(super) fn push(&mut self, episode: &OpenEpisode, reckoned: &Reckoned<'_>) {
        self.episode_ids.push(Some(episode.text(&episode.id)), 1);
        self.task_ids.push(Some(episode.text(&episode.task_id)), 1);
        self.environments.push(Some(reckoned.environment), 1);
        self.policy_ids.push(Some(reckoned.policy_id), 1);
        self.endings.push(Some(reckoned.ending.as_str()), 1);
        self.seeds.push(reckoned.seed);
        self.n_steps.push(episode.steps.len() as i32);
        self.n_large_calls.push(reckoned.n_large_calls as i32);
        self.is_success.push(reckoned.is_success);
        self.scores.push(reckoned.score);
        self.terminated.push(reckoned.ending == Ending::Terminated);
        self.total_costs.push(i64::try_from(reckoned.total_cost.get()).unwrap_or(i64::MAX));
        match episode.optional_text(episode.extra.as_ref()) {
            Some(extra) => push_object(extra, &mut self.extra),
            None => self.extra.append_null(),
        }
    }

    /// The batch, and an empty start. Every split is `train` so far.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ContractError> {
        let n_rows = self.seeds.len();
        let terminated = mem::take(&mut self.terminated);
        let truncated: Vec<bool> = terminated.iter().map(|terminated| !terminated).collect();
        let mut batch = BatchColumns::new(ArtifactKind::Episodes, n_rows);
        batch.set(&episodes::EPISODE_ID, self.episode_ids.finish()?);
        batch.set(&episodes::TASK_ID, self.task_ids.finish()?);
        batch.set(&episodes::ENVIRONMENT, self.environments.finish()?);
        batch.set(&episodes::SPLIT, constant(Split::Train.as_str(), n_rows)?);
        batch.set(&episodes::POLICY_ID, self.policy_ids.finish()?);
        batch.set(&episodes::SEED, UInt64Array::from(mem::take(&mut self.seeds)));
        batch.set(&episodes::LAMBDA, Float64Array::from(vec![0.0; n_rows]));
        batch.set(&episodes::BUDGET_KIND, constant(budget_kind(Budget::Unlimited), n_rows)?);
        batch.set(&episodes::N_STEPS, Int32Array::from(mem::take(&mut self.n_steps)));
        batch.set(&episodes::N_LARGE_CALLS, Int32Array::from(mem::take(&mut self.n_large_calls)));
        batch.set(&episodes::IS_SUCCESS, BooleanArray::from(mem::take(&mut self.is_success)));
        batch.set(&episodes::SCORE, Float32Array::from(mem::take(&mut self.scores)));
        batch.set(&episodes::TERMINATED, BooleanArray::from(terminated));
        batch.set(&episodes::TRUNCATED, BooleanArray::from(truncated));
        batch.set(&episodes::ENDING, self.endings.finish()?);
        batch.set(&episodes::TOTAL_COST_NANO_USD, Int64Array::from(mem::take(&mut self.total_costs)));
        batch.set(&episodes::EXTRA, self.extra.finish());
        batch.finish()
    }
}
