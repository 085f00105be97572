//! Steps as checks see them: without their words.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use tollgate_routing::{EpisodeId, ModelIndex, NanoUsd};

use crate::decode::Decoder;
use crate::{ArtifactKind, ContractError, steps};

/// What is checked of a step.
#[derive(Debug)]
pub(super) struct StepFacts {
    pub(super) episode_id: EpisodeId,
    pub(super) step_idx: u32,
    /// The model that answered: its place in the pool and its name. None where it is in no pool.
    pub(super) model: Option<(ModelIndex, Arc<str>)>,
    pub(super) log_prob: f32,
    pub(super) cost: NanoUsd,
    pub(super) remaining: Option<NanoUsd>,
    pub(super) n_tokens: u64,
}

impl StepFacts {
    /// The steps of a batch; only those of an import may be of a model in no pool.
    pub(super) fn from_batch(batch: &RecordBatch, is_import: bool) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(ArtifactKind::Steps, batch);
        let is_unmapped = batch.column_by_name(steps::ACTION.name).is_some_and(|actions| actions.null_count() > 0);
        let models = if is_import && is_unmapped { optional_models(&columns)? } else { models(&columns)? };
        // Types, nulls and domains of the rest.
        columns.text(&steps::OBSERVATION)?;
        columns.text(&steps::COMPLETION)?;
        columns.float32_list(&steps::SIGNALS)?;
        columns.count(&steps::LATENCY_MS)?;
        columns.float32(&steps::REWARD)?;
        steps::check_sources(&columns)?;
        let episode_ids = columns.named(&steps::EPISODE_ID, EpisodeId::new)?;
        let step_idxs = columns.count(&steps::STEP_IDX)?;
        let log_probs = columns.float32(&steps::LOG_PROB)?;
        let costs = columns.money(&steps::COST_NANO_USD)?;
        let remaining = columns.optional_money(&steps::REMAINING_NANO_USD)?;
        let tokens = [
            columns.count(&steps::INPUT_TOKENS)?,
            columns.count(&steps::CACHED_INPUT_TOKENS)?,
            columns.count(&steps::CACHE_WRITE_TOKENS)?,
            columns.count(&steps::OUTPUT_TOKENS)?,
        ];
        let facts = |(at, (episode_id, model)): (usize, _)| Self {
            episode_id,
            step_idx: step_idxs[at],
            model,
            log_prob: log_probs.value(at),
            cost: costs[at],
            remaining: remaining[at],
            n_tokens: tokens.iter().map(|tokens| u64::from(tokens[at])).sum(),
        };
        Ok(episode_ids.into_iter().zip(models).enumerate().map(facts).collect())
    }
}

type Models = Vec<Option<(ModelIndex, Arc<str>)>>;

fn models(columns: &Decoder<'_>) -> Result<Models, ContractError> {
    let model_ids = steps::model_ids(columns)?;
    Ok(columns.action(&steps::ACTION)?.into_iter().zip(model_ids).map(Some).collect())
}

/// Models where some are in no pool: then neither place nor name is given.
fn optional_models(columns: &Decoder<'_>) -> Result<Models, ContractError> {
    let actions = columns.optional_action(&steps::ACTION)?;
    let model_ids = columns.optional_shared_text(&steps::MODEL_ID)?;
    let model = |(row, (action, model_id)): (usize, (Option<ModelIndex>, Option<Arc<str>>))| match (action, model_id) {
        (Some(action), Some(model_id)) => Ok(Some((action, model_id))),
        (None, None) => Ok(None),
        (action, _) => {
            let expected =
                if action.is_some() { "a name where `action` is not null" } else { "null where `action` is" };
            Err(columns.value_error(&steps::MODEL_ID, row, "the other way round", expected))
        }
    };
    actions.into_iter().zip(model_ids).enumerate().map(model).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int32Array, StringArray, UInt64Array};

    use super::*;
    use crate::Checks;

    /// A batch of steps, one per action.
    fn batch(actions: &[Option<i32>], model_ids: &[Option<&str>]) -> RecordBatch {
        let n_rows = actions.len();
        let schema = ArtifactKind::Steps.schema();
        let array = |column: &crate::Column| -> ArrayRef {
            if *column == steps::ACTION {
                return Arc::new(Int32Array::from(actions.to_vec()));
            }
            let words = if *column == steps::MODEL_ID { model_ids.to_vec() } else { vec![Some("e"); n_rows] };
            let of_type = column.column_type.data_type();
            if column.is_nullable && *column != steps::MODEL_ID {
                return arrow::array::new_null_array(&of_type, n_rows);
            }
            let numbers: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..n_rows as u64));
            let zeros: ArrayRef = Arc::new(UInt64Array::from(vec![0; n_rows]));
            let plain: ArrayRef = match column.column_type {
                crate::ColumnType::Id | crate::ColumnType::Text => Arc::new(StringArray::from(words)),
                _ if *column == steps::STEP_IDX => numbers,
                _ => zeros,
            };
            arrow::compute::cast(&plain, &of_type).unwrap()
        };
        RecordBatch::try_new(schema, ArtifactKind::Steps.columns().iter().map(array).collect()).unwrap()
    }

    #[track_caller]
    fn check(mut checks: Checks, batch: &RecordBatch, expected: Result<(), &str>) {
        let result = checks.feed(ArtifactKind::Steps, batch).and_then(|()| checks.finish()).map(|_| ());
        let message = result.map_err(|error| error.to_string());
        let told = message.as_ref().map_err(|message| message.lines().next().unwrap());
        assert_eq!(told.copied(), expected);
    }

    #[test]
    fn only_imports_have_steps_of_models_in_no_pool() {
        let unmapped = batch(&[Some(1), None], &[Some("large"), None]);
        check(Checks::of_import(Some(2)), &unmapped, Ok(()));
        let refusal = "column `model_id` is null in row 1, expected a model of the pool";
        check(Checks::new(Some(2)), &unmapped, Err(refusal));
    }

    #[test]
    fn place_and_name_of_a_model_come_together() {
        let half = batch(&[None, None], &[Some("large"), None]);
        let refusal = "column `model_id` is the other way round in row 0, expected null where `action` is";
        check(Checks::of_import(Some(2)), &half, Err(refusal));
        let beyond = batch(&[Some(2), None], &[Some("large"), None]);
        let refusal = "steps.parquet: column `action` is 2 in row 0, expected an index of a pool of 2 models";
        check(Checks::of_import(Some(2)), &beyond, Err(refusal));
    }
}
