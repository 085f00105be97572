//! `tasks.parquet`: what can be played.

use arrow::record_batch::RecordBatch;
use tollgate_routing::{Split, Task, TaskId};

use crate::column::columns;
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, ContractError};

columns! {
    TASK_ID = "task_id", Id, required, "", "Stable name of the task, unique in the file.";
    ENVIRONMENT = "environment", Id, required, "", "The environment that can play it, for example `household`.";
    SPLIT = "split", Id, required, "", "What the task is for: `train`, `validation`, `test` or `unseen` (tested beside `test`: tasks of kinds that no other split has).";
    SEED = "seed", UInt64, required, "", "Seed of the scene. An episode has a seed of its own beside it.";
    INSTRUCTION = "instruction", Text, required, "", "The request in words, as the agent gets it.";
    HORIZON = "horizon", Int32, required, "steps", "The most steps that an episode may have.";
    KIND = "kind", Id, nullable, "", "What kind of task it is, as its environment or its log labels it; a router has no such label.";
    GROUP = "group", Id, nullable, "", "What a split must not tear apart, for example the database that a task asks about.";
}

/// A row of `tasks.parquet` is a task.
pub type TaskRow = Task;

impl ArtifactRow for Task {
    const KIND: ArtifactKind = ArtifactKind::Tasks;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        batch.id(&TASK_ID, rows.iter().map(|row| row.id.as_str()));
        batch.id(&ENVIRONMENT, rows.iter().map(|row| &*row.environment));
        batch.id(&SPLIT, rows.iter().map(|row| row.split.as_str()));
        batch.seed(&SEED, rows.iter().map(|row| row.seed));
        batch.text(&INSTRUCTION, rows.iter().map(|row| &*row.instruction));
        batch.count(&HORIZON, rows.iter().map(|row| row.horizon))?;
        batch.id(&KIND, rows.iter().map(|row| row.kind.as_deref()));
        batch.id(&GROUP, rows.iter().map(|row| row.group.as_deref()));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let ids = columns.named(&TASK_ID, TaskId::new)?;
        let environments = columns.shared_text(&ENVIRONMENT)?;
        let splits = columns.parsed(&SPLIT, SPLITS, split)?;
        let seeds = columns.seed(&SEED)?;
        let instructions = columns.shared_text(&INSTRUCTION)?;
        let horizons = columns.count(&HORIZON)?;
        let kinds = columns.optional_shared_text(&KIND)?;
        let groups = columns.optional_shared_text(&GROUP)?;
        let row = |(at, id): (usize, _)| Self {
            id,
            environment: environments[at].clone(),
            split: splits[at],
            seed: seeds.value(at),
            instruction: instructions[at].clone(),
            horizon: horizons[at],
            kind: kinds[at].clone(),
            group: groups[at].clone(),
        };
        Ok(ids.into_iter().enumerate().map(row).collect())
    }
}

pub(crate) const SPLITS: &str = "`train`, `validation`, `test` or `unseen`";

pub(crate) fn split(name: &str) -> Option<Split> {
    Split::ALL.into_iter().find(|split| split.as_str() == name)
}
