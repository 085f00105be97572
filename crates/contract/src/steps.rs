//! `steps.parquet`: one row per step of the episodes, in the order of the episodes and their steps.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tollgate_routing::{CostSource, Episode, EpisodeId, ModelPool, Observation, Provenance, Step, TokenUsage, Turn};

use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, ContractError};

columns! {
    EPISODE_ID = "episode_id", Id, required, "", "The episode; joins `episodes.episode_id`. The steps of an episode are neighbours.";
    STEP_IDX = "step_idx", Int32, required, "", "Position of the step in its episode, from 0 without gaps.";
    ACTION = "action", Int32, nullable, "", "The router's choice: index of the model in the pool, 0 is small; null for an imported step whose model is in no pool.";
    MODEL_ID = "model_id", Id, nullable, "", "Name of that model; null where `action` is.";
    LOG_PROB = "log_prob", Float32, required, "nats", "Logarithm of the probability with which the policy chose the action; 0 for a deterministic policy.";
    OBSERVATION = "observation", Text, required, "", "What the agent, and with it the router, saw before the step, in words.";
    SIGNALS = "signals", Float32List, nullable, "", "Numbers that the environment shows beside its words; null where it shows none.";
    COMPLETION = "completion", Text, required, "", "What the model said.";
    INPUT_TOKENS = "input_tokens", Int32, required, "tokens", "Prompt tokens billed at the full input price: neither read from nor written to the cache.";
    CACHED_INPUT_TOKENS = "cached_input_tokens", Int32, required, "tokens", "Prompt tokens read from the model's prompt cache.";
    CACHE_WRITE_TOKENS = "cache_write_tokens", Int32, required, "tokens", "Prompt tokens written to the prompt cache, where that is billed apart.";
    OUTPUT_TOKENS = "output_tokens", Int32, required, "tokens", "Generated tokens.";
    COST_NANO_USD = "cost_nano_usd", Int64, required, "nano-USD", "What the call cost.";
    REMAINING_NANO_USD = "remaining_nano_usd", Int64, nullable, "nano-USD", "What was left of a cap in money after this step was settled; null without such a cap.";
    LATENCY_MS = "latency_ms", Int32, required, "ms", "How long the call took.";
    REWARD = "reward", Float32, required, "", "The environment's reward for the step.";
    PROVENANCE = "provenance", Id, nullable, "", "Whether the step happened as it is written: null for a step that was played, `logged` where it is read from the log of the very history that led to it, `matched` where from the log of another history of the same task in the same state, `drawn` where from other steps in a similar state.";
    COST_SOURCE = "cost_source", Id, nullable, "", "How the cost is known: null for simulated models, `estimated` from tokens that a tokenizer counted afterwards, `metered` from tokens that the provider reported, both at list prices, `recorded` for the provider's own figure.";
    SOURCE_MODEL = "source_model", Id, nullable, "", "Name of the model in the log that the step was imported from; null otherwise.";
    EXTRA = "extra", Text, nullable, "", "JSON object of what that log says about the step and no column holds; null otherwise.";
}

/// A row of `steps.parquet`: a step and the episode it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRow {
    /// The episode.
    pub episode_id: EpisodeId,
    /// Position in the episode, from 0.
    pub step_idx: u32,
    /// Name of the model that answered.
    pub model_id: Arc<str>,
    /// The step.
    pub step: Step,
}

impl StepRow {
    /// The rows of an episode that was played with the models of `pool`.
    ///
    /// # Panics
    /// When an action is no index of the pool, that is, when it is another pool.
    pub fn of<'a>(episode: &'a Episode, pool: &'a ModelPool) -> impl Iterator<Item = Self> + 'a {
        episode.steps.iter().enumerate().map(|(position, step)| Self {
            episode_id: episode.id.clone(),
            step_idx: position as u32,
            model_id: pool.model(step.turn.action).id.clone(),
            step: step.clone(),
        })
    }
}

impl ArtifactRow for StepRow {
    const KIND: ArtifactKind = ArtifactKind::Steps;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let turns = || rows.iter().map(|row| &row.step.turn);
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&EPISODE_ID, rows.iter().map(|row| row.episode_id.as_str()));
        batch.count(&STEP_IDX, rows.iter().map(|row| row.step_idx))?;
        batch.count(&ACTION, turns().map(|turn| turn.action.get() as u32))?;
        batch.id(&MODEL_ID, rows.iter().map(|row| &*row.model_id));
        batch.float32(&LOG_PROB, rows.iter().map(|row| row.step.log_prob));
        batch.text(&OBSERVATION, turns().map(|turn| turn.observation.text.as_str()));
        batch.float32_list(&SIGNALS, turns().map(|turn| turn.observation.signals.as_slice()));
        batch.text(&COMPLETION, turns().map(|turn| turn.completion.as_str()));
        batch.count(&INPUT_TOKENS, turns().map(|turn| turn.usage.input_tokens))?;
        batch.count(&CACHED_INPUT_TOKENS, turns().map(|turn| turn.usage.cached_input_tokens))?;
        batch.count(&CACHE_WRITE_TOKENS, turns().map(|turn| turn.usage.cache_write_tokens))?;
        batch.count(&OUTPUT_TOKENS, turns().map(|turn| turn.usage.output_tokens))?;
        batch.money(&COST_NANO_USD, turns().map(|turn| turn.cost))?;
        batch.money(&REMAINING_NANO_USD, rows.iter().map(|row| row.step.remaining))?;
        batch.count(&LATENCY_MS, turns().map(|turn| turn.latency_ms))?;
        batch.float32(&REWARD, rows.iter().map(|row| row.step.reward));
        batch.id(&PROVENANCE, rows.iter().map(|row| provenance_name(row.step.provenance)));
        batch.id(&COST_SOURCE, rows.iter().map(|row| cost_source_name(row.step.cost_source)));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let episode_ids = columns.named(&EPISODE_ID, EpisodeId::new)?;
        let step_idxs = columns.count(&STEP_IDX)?;
        let model_ids = model_ids(&columns)?;
        let turns = turns(&columns)?;
        let log_probs = columns.float32(&LOG_PROB)?;
        let remaining = columns.optional_money(&REMAINING_NANO_USD)?;
        let rewards = columns.float32(&REWARD)?;
        let provenances = provenances(&columns)?;
        let cost_sources = cost_sources(&columns)?;
        let row = |(at, (episode_id, turn)): (usize, _)| Self {
            episode_id,
            step_idx: step_idxs[at],
            model_id: model_ids[at].clone(),
            step: Step {
                turn,
                log_prob: log_probs.value(at),
                remaining: remaining[at],
                reward: rewards.value(at),
                provenance: provenances[at],
                cost_source: cost_sources[at],
            },
        };
        Ok(episode_ids.into_iter().zip(turns).enumerate().map(row).collect())
    }
}

const PROVENANCES: &str = "null, `logged`, `matched` or `drawn`";
const COST_SOURCES: &str = "null, `estimated`, `metered` or `recorded`";

/// The name in files; steps that were played have none, as in files that were written before there were others.
#[must_use]
pub fn provenance_name(provenance: Provenance) -> Option<&'static str> {
    (provenance != Provenance::Played).then(|| provenance.as_str())
}

/// The name in files; the cost of simulated models has none.
#[must_use]
pub fn cost_source_name(source: CostSource) -> Option<&'static str> {
    (source != CostSource::Simulated).then(|| source.as_str())
}

fn provenances(columns: &Decoder<'_>) -> Result<Vec<Provenance>, ContractError> {
    columns.parsed_or(&PROVENANCE, &Provenance::Played, PROVENANCES, provenance)
}

fn cost_sources(columns: &Decoder<'_>) -> Result<Vec<CostSource>, ContractError> {
    columns.parsed_or(&COST_SOURCE, &CostSource::Simulated, COST_SOURCES, cost_source)
}

/// Checks that provenance and source of cost are of their closed sets.
pub(crate) fn check_sources(columns: &Decoder<'_>) -> Result<(), ContractError> {
    provenances(columns)?;
    cost_sources(columns).map(|_| ())
}

fn provenance(name: &str) -> Option<Provenance> {
    Provenance::ALL.into_iter().find(|&known| provenance_name(known) == Some(name))
}

fn cost_source(name: &str) -> Option<CostSource> {
    CostSource::ALL.into_iter().find(|&known| cost_source_name(known) == Some(name))
}

/// Steps without a model have no place in a pipeline: only imported logs hold some.
pub(crate) fn model_ids(columns: &Decoder<'_>) -> Result<Vec<Arc<str>>, ContractError> {
    let sources = columns.optional_shared_text(&SOURCE_MODEL)?;
    let model_ids = columns.optional_shared_text(&MODEL_ID)?;
    let known = |(row, model_id): (usize, Option<Arc<str>>)| {
        model_id.ok_or_else(|| {
            let model = sources[row].as_deref().unwrap_or("unknown");
            let expected = format!("a model of the pool\nhint: the log's model is `{model}`; map it with `tollgate import --map`, or leave its steps out");
            columns.value_error(&MODEL_ID, row, "null", expected)
        })
    };
    model_ids.into_iter().enumerate().map(known).collect()
}

fn turns(columns: &Decoder<'_>) -> Result<Vec<Turn>, ContractError> {
    let actions = columns.action(&ACTION)?;
    let observations = columns.text(&OBSERVATION)?;
    let signals = columns.float32_list(&SIGNALS)?;
    let completions = columns.text(&COMPLETION)?;
    let input_tokens = columns.count(&INPUT_TOKENS)?;
    let cached_input_tokens = columns.count(&CACHED_INPUT_TOKENS)?;
    let cache_write_tokens = columns.count(&CACHE_WRITE_TOKENS)?;
    let output_tokens = columns.count(&OUTPUT_TOKENS)?;
    let costs = columns.money(&COST_NANO_USD)?;
    let latencies = columns.count(&LATENCY_MS)?;
    let turn = |(at, signals): (usize, _)| Turn {
        observation: Observation { text: observations.value(at).to_owned(), signals },
        action: actions[at],
        completion: completions.value(at).to_owned(),
        usage: TokenUsage {
            input_tokens: input_tokens[at],
            cached_input_tokens: cached_input_tokens[at],
            cache_write_tokens: cache_write_tokens[at],
            output_tokens: output_tokens[at],
        },
        cost: costs[at],
        latency_ms: latencies[at],
    };
    Ok(signals.into_iter().enumerate().map(turn).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray, new_null_array};
    use tollgate_routing::ModelIndex;

    use super::*;

    fn row() -> StepRow {
        StepRow {
            episode_id: EpisodeId::new("e"),
            step_idx: 0,
            model_id: "small".into(),
            step: Step {
                turn: Turn {
                    observation: Observation::from_text("seen"),
                    action: ModelIndex::SMALL,
                    completion: "said".to_owned(),
                    usage: TokenUsage::default(),
                    cost: tollgate_routing::NanoUsd::new(7),
                    latency_ms: 1,
                },
                log_prob: 0.0,
                remaining: None,
                reward: 0.0,
                provenance: Provenance::Played,
                cost_source: CostSource::Simulated,
            },
        }
    }

    /// `row` with one column replaced.
    fn with(column: &crate::Column, array: ArrayRef) -> RecordBatch {
        let batch = StepRow::to_batch(&[row()]).unwrap();
        let mut columns = batch.columns().to_vec();
        columns[batch.schema().index_of(column.name).unwrap()] = array;
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    }

    #[test]
    fn every_provenance_and_cost_source_survives_a_file() {
        for provenance in Provenance::ALL {
            for cost_source in CostSource::ALL {
                let mut row = row();
                (row.step.provenance, row.step.cost_source) = (provenance, cost_source);
                let rows = [row];
                assert_eq!(StepRow::from_batch(&StepRow::to_batch(&rows).unwrap()).unwrap(), rows);
            }
        }
    }

    #[test]
    fn a_step_whose_model_is_in_no_pool_is_refused_with_the_model_of_its_log() {
        let names = StringArray::from(vec!["gpt-9"]);
        let id = crate::ColumnType::Id.data_type();
        let batch = with(&SOURCE_MODEL, arrow::compute::cast(&names, &id).unwrap());
        let mut columns = batch.columns().to_vec();
        for column in [&ACTION, &MODEL_ID] {
            let position = batch.schema().index_of(column.name).unwrap();
            columns[position] = new_null_array(&column.column_type.data_type(), 1);
        }
        let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
        let message = StepRow::from_batch(&batch).unwrap_err().to_string();
        assert!(message.contains("`model_id`") && message.contains("the log's model is `gpt-9`"), "{message}");
    }

    #[test]
    fn a_null_action_of_a_named_model_is_refused() {
        let batch = with(&ACTION, new_null_array(&ACTION.column_type.data_type(), 1));
        let message = StepRow::from_batch(&batch).unwrap_err().to_string();
        assert!(message.contains("`action`"), "{message}");
    }
}
