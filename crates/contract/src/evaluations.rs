//! `evaluations.parquet`: one row per evaluated episode: the columns of episodes, and the verdict.

use std::sync::LazyLock;

use arrow::array::{Array, RecordBatch};

use crate::column::columns;
use crate::decode::{Decoder, at};
use crate::encode::Encoder;
use crate::{ArtifactKind, ArtifactRow, Column, ContractError, EpisodeRow, episodes};

columns! {
    IS_VIOLATION = "is_violation", Bool, required, "", "Whether the episode spent more than its hard limit allows. Never, if all is well.";
    TRAIN_SEED = "train_seed", UInt64, nullable, "", "Seed of the training run that made the policy; null for policies that are not trained.";
}

/// A row of `evaluations.parquet`.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationRow {
    /// The episode.
    pub episode: EpisodeRow,
    /// Whether it spent more than its hard limit allows.
    pub is_violation: bool,
    /// Seed of the training run that made the policy.
    pub train_seed: Option<u64>,
}

/// The columns of episodes followed by those of this module.
pub(crate) fn all_columns() -> &'static [Column] {
    static ALL: LazyLock<Vec<Column>> = LazyLock::new(|| [episodes::COLUMNS, COLUMNS].concat());
    &ALL
}

impl ArtifactRow for EvaluationRow {
    const KIND: ArtifactKind = ArtifactKind::Evaluations;

    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError> {
        let mut batch = Encoder::new(Self::KIND, rows.len());
        episodes::encode(&mut batch, &rows.iter().map(|row| &row.episode))?;
        batch.bool(&IS_VIOLATION, rows.iter().map(|row| row.is_violation));
        batch.seed(&TRAIN_SEED, rows.iter().map(|row| row.train_seed));
        batch.finish()
    }

    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError> {
        let columns = Decoder::new(Self::KIND, batch);
        let episodes = episodes::decode(&columns)?;
        let violations = columns.bool(&IS_VIOLATION)?;
        let train_seeds = columns.seed(&TRAIN_SEED)?;
        let row = |(at, episode): (usize, _)| Self {
            episode,
            is_violation: violations.value(at),
            train_seed: at!(train_seeds, at),
        };
        Ok(episodes.into_iter().enumerate().map(row).collect())
    }
}
