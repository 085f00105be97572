//! `steps.parquet`: one row per step of the episodes, in the order of the episodes and their steps.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use tollgate_routing::{Episode, EpisodeId, ModelPool, Observation, Step, TokenUsage, Turn};

use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, ContractError};

columns! {
    EPISODE_ID = "episode_id", Id, required, "", "The episode; joins `episodes.episode_id`. The steps of an episode are neighbours.";
    STEP_IDX = "step_idx", Int32, required, "", "Position of the step in its episode, from 0 without gaps.";
    ACTION = "action", Int32, required, "", "The router's choice: index of the model in the pool, 0 is small.";
    MODEL_ID = "model_id", Id, required, "", "Name of that model.";
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
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let episode_ids = columns.named(&EPISODE_ID, EpisodeId::new)?;
        let step_idxs = columns.count(&STEP_IDX)?;
        let model_ids = columns.shared_text(&MODEL_ID)?;
        let turns = turns(&columns)?;
        let log_probs = columns.float32(&LOG_PROB)?;
        let remaining = columns.optional_money(&REMAINING_NANO_USD)?;
        let rewards = columns.float32(&REWARD)?;
        let row = |(at, (episode_id, turn)): (usize, _)| Self {
            episode_id,
            step_idx: step_idxs[at],
            model_id: model_ids[at].clone(),
            step: Step { turn, log_prob: log_probs.value(at), remaining: remaining[at], reward: rewards.value(at) },
        };
        Ok(episode_ids.into_iter().zip(turns).enumerate().map(row).collect())
    }
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
