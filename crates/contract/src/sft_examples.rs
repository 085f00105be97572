//! `sft_examples.parquet`: the steps that the warm start imitates.

use arrow::record_batch::RecordBatch;
use tollgate_routing::{EpisodeId, SftExample, TaskId};

use crate::boundary_labels::{DIFFICULTIES, difficulty};
use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, ContractError};

columns! {
    TASK_ID = "task_id", Id, required, "", "The task; joins `tasks.task_id`.";
    EPISODE_ID = "episode_id", Id, required, "", "The episode whose history leads to the step; joins `episodes.episode_id`.";
    STEP_IDX = "step_idx", Int32, required, "", "The step in that episode; joins `steps.step_idx`.";
    DIFFICULTY = "difficulty", Id, required, "", "The task's class, as in `boundary_labels.difficulty`.";
    ACTION = "action", Int32, required, "", "The model to choose: index in the pool, 0 is small. It need not be the model that answered in the episode.";
    WEIGHT = "weight", Float32, required, "", "How much the example counts, above 0; the mean over the file is 1.";
}

impl ArtifactRow for SftExample {
    const KIND: ArtifactKind = ArtifactKind::SftExamples;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&TASK_ID, rows.iter().map(|row| row.task_id.as_str()));
        batch.id(&EPISODE_ID, rows.iter().map(|row| row.episode_id.as_str()));
        batch.count(&STEP_IDX, rows.iter().map(|row| row.step_idx))?;
        batch.id(&DIFFICULTY, rows.iter().map(|row| row.difficulty.as_str()));
        batch.count(&ACTION, rows.iter().map(|row| row.action.get() as u32))?;
        batch.float32(&WEIGHT, rows.iter().map(|row| row.weight));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let task_ids = columns.named(&TASK_ID, TaskId::new)?;
        let episode_ids = columns.named(&EPISODE_ID, EpisodeId::new)?;
        let step_idxs = columns.count(&STEP_IDX)?;
        let difficulties = columns.parsed(&DIFFICULTY, DIFFICULTIES, difficulty)?;
        let actions = columns.action(&ACTION)?;
        let weights = columns.float32(&WEIGHT)?;
        let row = |(at, task_id): (usize, _)| Self {
            task_id,
            episode_id: episode_ids[at].clone(),
            step_idx: step_idxs[at],
            difficulty: difficulties[at],
            action: actions[at],
            weight: weights.value(at),
        };
        Ok(task_ids.into_iter().enumerate().map(row).collect())
    }
}
