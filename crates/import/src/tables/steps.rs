//! `steps.parquet`.

use std::mem;

use arrow::array::{Float32Array, Int32Array, Int64Array, RecordBatch, StringBuilder};
use tollgate_contract::{ArtifactKind, ContractError, steps};
use tollgate_routing::{CostSource, NanoUsd, Provenance};

use super::columns::{BatchColumns, NameRuns, constant, names};
use crate::assembly::LogModels;
use crate::open_episode::{OpenEpisode, OpenStep};

/// The steps of some episodes.
#[derive(Default)]
pub(super) struct StepColumns {
    episode_ids: NameRuns,
    step_idx: Vec<i32>,
    action: Vec<Option<i32>>,
    source_model: Vec<Option<i32>>,
    observation: StringBuilder,
    completion: StringBuilder,
    extra: StringBuilder,
    input_tokens: Vec<i32>,
    cached_input_tokens: Vec<i32>,
    cache_write_tokens: Vec<i32>,
    output_tokens: Vec<i32>,
    cost: Vec<i64>,
    cost_source: Vec<Option<i32>>,
    latency_ms: Vec<i32>,
    reward: Vec<f32>,
}

/// The sources of costs, in the order of their keys.
const COST_SOURCES: [CostSource; 3] = [CostSource::Estimated, CostSource::Metered, CostSource::Recorded];

impl StepColumns {
    pub(super) const fn n_rows(&self) -> usize {
        self.step_idx.len()
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.observation.values_slice().len() + self.completion.values_slice().len() + self.extra.values_slice().len()
    }

    /// Starts an episode of `n` steps.
    pub(super) fn begin(&mut self, episode: &OpenEpisode) {
        self.episode_ids.push(Some(episode.text(&episode.id)), episode.steps.len());
    }

    /// Adds a step of the episode.
    pub(super) fn push(
        &mut self,
        episode: &OpenEpisode,
        (position, step): (usize, &OpenStep),
        (cost, source): (NanoUsd, CostSource),
        models: &LogModels,
        reward: f32,
    ) {
        let in_pool = models.get(step.model).in_pool.as_ref();
        self.step_idx.push(position as i32);
        self.action.push(in_pool.map(|(index, _)| index.get() as i32));
        self.source_model.push(Some(step.model as i32));
        let observation = match &step.observation {
            Some(observation) => episode.text(observation),
            None if position == 0 => episode.optional_text(episode.task_text.as_ref()).unwrap_or_default(),
            None => "",
        };
        self.observation.append_value(observation);
        self.completion.append_value(episode.text(&step.completion));
        let extra = episode.text(&step.extra);
        if extra.is_empty() {
            self.extra.append_null();
        } else {
            push_object(extra, &mut self.extra);
        }
        self.input_tokens.push(step.usage.input_tokens as i32);
        self.cached_input_tokens.push(step.usage.cached_input_tokens as i32);
        self.cache_write_tokens.push(step.usage.cache_write_tokens as i32);
        self.output_tokens.push(step.usage.output_tokens as i32);
        self.cost.push(i64::try_from(cost.get()).unwrap_or(i64::MAX));
        self.cost_source.push(COST_SOURCES.iter().position(|&known| known == source).map(|key| key as i32));
        self.latency_ms.push(step.latency_ms as i32);
        self.reward.push(reward);
    }

    /// The batch, and an empty start.
    pub(super) fn finish(&mut self, models: &LogModels) -> Result<RecordBatch, ContractError> {
        let n_rows = self.n_rows();
        let counts = |values: &mut Vec<i32>| Int32Array::from(mem::take(values));
        let mut batch = BatchColumns::new(ArtifactKind::Steps, n_rows);
        let source_models = mem::take(&mut self.source_model);
        let in_pool = |key: &Option<i32>| key.filter(|&key| models.get(key as usize).in_pool.is_some());
        let model_ids = source_models.iter().map(in_pool).collect();
        let pool_ids = models.iter().map(|model| model.in_pool.as_ref().map_or("", |(_, id)| id));
        batch.set(&steps::EPISODE_ID, self.episode_ids.finish()?);
        batch.set(&steps::STEP_IDX, counts(&mut self.step_idx));
        batch.set(&steps::ACTION, Int32Array::from(mem::take(&mut self.action)));
        batch.set(&steps::MODEL_ID, names(model_ids, pool_ids)?);
        batch.set(&steps::LOG_PROB, Float32Array::from(vec![0.0; n_rows]));
        batch.set(&steps::OBSERVATION, self.observation.finish());
        batch.set(&steps::COMPLETION, self.completion.finish());
        batch.set(&steps::INPUT_TOKENS, counts(&mut self.input_tokens));
        batch.set(&steps::CACHED_INPUT_TOKENS, counts(&mut self.cached_input_tokens));
        batch.set(&steps::CACHE_WRITE_TOKENS, counts(&mut self.cache_write_tokens));
        batch.set(&steps::OUTPUT_TOKENS, counts(&mut self.output_tokens));
        batch.set(&steps::COST_NANO_USD, Int64Array::from(mem::take(&mut self.cost)));
        batch.set(&steps::LATENCY_MS, counts(&mut self.latency_ms));
        batch.set(&steps::REWARD, Float32Array::from(mem::take(&mut self.reward)));
        batch.set(&steps::PROVENANCE, constant(Provenance::Logged.as_str(), n_rows)?);
        let sources = COST_SOURCES.iter().map(|source| source.as_str());
        batch.set(&steps::COST_SOURCE, names(mem::take(&mut self.cost_source), sources)?);
        batch.set(&steps::SOURCE_MODEL, names(source_models, models.iter().map(|model| &*model.name))?);
        batch.set(&steps::EXTRA, self.extra.finish());
        batch.finish()
    }
}

/// Adds the JSON object of these members.
pub(super) fn push_object(members: &str, texts: &mut StringBuilder) {
    use std::fmt::Write;
    // Writing into a builder's memory cannot fail.
    let _ = texts.write_str("{");
    let _ = texts.write_str(members);
    texts.append_value("}");
}
