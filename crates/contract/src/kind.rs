//! The artifacts and their schemas.

use std::fmt;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use crate::{
    Column, ContractError, boundary_labels, episodes, evaluations, frontier, sft_examples, steps, tasks, training_log,
};

/// One kind of Parquet file that stages exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// What can be played.
    Tasks,
    /// One row per episode played.
    Episodes,
    /// One row per step of those episodes.
    Steps,
    /// How hard each task is, with the evidence.
    BoundaryLabels,
    /// The steps that the warm start imitates.
    SftExamples,
    /// One row per iteration of training.
    TrainingLog,
    /// One row per evaluated episode.
    Evaluations,
    /// One row per policy and operating point: the averages that the cost-success frontier is drawn from.
    Frontier,
}

impl ArtifactKind {
    /// Every kind, in the order of the pipeline.
    pub const ALL: [Self; 8] = [
        Self::Tasks,
        Self::Episodes,
        Self::Steps,
        Self::BoundaryLabels,
        Self::SftExamples,
        Self::TrainingLog,
        Self::Evaluations,
        Self::Frontier,
    ];

    /// The name in requests, manifests and file footers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Episodes => "episodes",
            Self::Steps => "steps",
            Self::BoundaryLabels => "boundary_labels",
            Self::SftExamples => "sft_examples",
            Self::TrainingLog => "training_log",
            Self::Evaluations => "evaluations",
            Self::Frontier => "frontier",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The file's name in a slot's directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks.parquet",
            Self::Episodes => "episodes.parquet",
            Self::Steps => "steps.parquet",
            Self::BoundaryLabels => "boundary_labels.parquet",
            Self::SftExamples => "sft_examples.parquet",
            Self::TrainingLog => "training_log.parquet",
            Self::Evaluations => "evaluations.parquet",
            Self::Frontier => "frontier.parquet",
        }
    }

    /// The columns in the order in which they are written.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Tasks => tasks::COLUMNS,
            Self::Episodes => episodes::COLUMNS,
            Self::Steps => steps::COLUMNS,
            Self::BoundaryLabels => boundary_labels::COLUMNS,
            Self::SftExamples => sft_examples::COLUMNS,
            Self::TrainingLog => training_log::COLUMNS,
            Self::Evaluations => evaluations::all_columns(),
            Self::Frontier => frontier::COLUMNS,
        }
    }

    /// The column of that name.
    #[must_use]
    pub fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().iter().find(|column| column.name == name)
    }

    /// The Arrow schema that is written.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<Vec<SchemaRef>> = LazyLock::new(|| {
            let schema = |kind: ArtifactKind| Schema::new(kind.columns().iter().map(Column::field).collect::<Vec<_>>());
            ArtifactKind::ALL.into_iter().map(|kind| Arc::new(schema(kind))).collect()
        });
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// Checks that a file with this schema can be read as this artifact: every required column is there, and every column
    /// that we know has our type. Unknown columns are none of our business. Files of other writers call every column
    /// nullable, so nulls are looked for in the data and not here.
    ///
    /// # Errors
    /// [`ContractError::MissingColumn`] or [`ContractError::ColumnType`], for the first column that is wrong.
    pub fn check_schema(self, found: &Schema) -> Result<(), ContractError> {
        for column in self.columns() {
            match found.field_with_name(column.name) {
                Ok(field) if column.column_type.accepts(field.data_type()) => {}
                Ok(field) => return Err(ContractError::column_type(self, column, field.data_type())),
                Err(_) if column.is_nullable => {}
                Err(_) => return Err(ContractError::missing_column(self, column)),
            }
        }
        Ok(())
    }
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A row of an artifact in the types of the domain, and its way into Arrow and back.
pub trait ArtifactRow: Sized {
    /// The artifact that it is a row of.
    const KIND: ArtifactKind;

    /// The rows as a batch of the artifact's schema.
    ///
    /// # Errors
    /// [`ContractError::Value`] for a count or an amount that the column cannot hold.
    fn to_batch(rows: &[Self]) -> Result<RecordBatch, ContractError>;

    /// The rows of a batch; unknown columns are ignored and missing nullable ones read as null.
    ///
    /// # Errors
    /// A [`ContractError`] for a missing column, another type, a null, or a value outside of the column's domain.
    fn from_batch(batch: &RecordBatch) -> Result<Vec<Self>, ContractError>;
}
