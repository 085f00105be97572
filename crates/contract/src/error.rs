//! What can be wrong with an artifact, a request or a manifest.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use thiserror::Error;

use crate::check::Findings;
use crate::{ArtifactKind, CONTRACT_VERSION, Column, ProductKind, Slot};

/// Why something breaks the contract. Messages about an artifact leave its path to whoever opened it.
#[derive(Debug, Error)]
pub enum ContractError {
    /// A column that has to be there is not.
    #[error("column `{column}` is missing, expected type {expected}\nhint: {hint}")]
    MissingColumn {
        /// The column's name.
        column: &'static str,
        /// The type that it should have.
        expected: &'static str,
        /// Where to read on.
        hint: String,
    },
    /// A column has another type.
    #[error("column `{column}` has type {found}, expected {expected}\nhint: {hint}")]
    ColumnType {
        /// The column's name.
        column: &'static str,
        /// The type that it has.
        found: DataType,
        /// The type that it should have.
        expected: &'static str,
        /// Where to read on.
        hint: String,
    },
    /// A required value is null.
    #[error("column `{column}` is null in row {row}, expected a value in every row\nhint: {hint}")]
    Null {
        /// The column's name.
        column: &'static str,
        /// The first such row, from 0.
        row: usize,
        /// Where to read on.
        hint: String,
    },
    /// A value is outside of its column's domain.
    #[error("column `{column}` is {found} in row {row}, expected {expected}\nhint: {hint}")]
    Value {
        /// The column's name.
        column: &'static str,
        /// The first such row, from 0.
        row: usize,
        /// The value.
        found: String,
        /// What it may be.
        expected: String,
        /// Where to read on.
        hint: String,
    },
    /// Rows that are well formed and contradict each other or common sense.
    #[error("{0}")]
    Semantics(Findings),
    /// A request or manifest that is no such JSON.
    #[error("{}: {source}\nhint: docs/contract/README.md shows the fields; unknown ones are refused", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        source: serde_json::Error,
    },
    /// A request or manifest of a contract that this build does not speak.
    #[error(
        "{}: contract version is {found}, expected 1 to {}\nhint: a newer version of Tollgate wrote it; use that version",
        path.display(),
        CONTRACT_VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that it names.
        found: u32,
    },
    /// A request for another slot.
    #[error("request is for slot `{found}`, expected `{expected}`\nhint: run `tollgate {found}` with it")]
    WrongSlot {
        /// The slot that the request names.
        found: Slot,
        /// The slot that was called.
        expected: Slot,
    },
    /// A request without an input that the slot needs.
    #[error("request for slot `{slot}` has no input `{kind}`\nhint: list it under `inputs` with its path and digest")]
    MissingInput {
        /// The slot.
        slot: Slot,
        /// The input.
        kind: ProductKind,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Arrow refuses to build or to convert an array.
    #[error("{0}")]
    Arrow(#[from] ArrowError),
}

impl ContractError {
    pub(crate) fn missing_column(kind: ArtifactKind, column: &Column) -> Self {
        Self::MissingColumn { column: column.name, expected: column.column_type.name(), hint: hint(kind, column) }
    }

    pub(crate) fn column_type(kind: ArtifactKind, column: &Column, found: &DataType) -> Self {
        Self::ColumnType {
            column: column.name,
            found: found.clone(),
            expected: column.column_type.name(),
            hint: hint(kind, column),
        }
    }

    pub(crate) fn null(kind: ArtifactKind, column: &Column, row: usize) -> Self {
        Self::Null { column: column.name, row, hint: hint(kind, column) }
    }

    pub(crate) fn value(
        kind: ArtifactKind,
        column: &Column,
        row: usize,
        found: impl Display,
        expected: impl Display,
    ) -> Self {
        Self::Value {
            column: column.name,
            row,
            found: found.to_string(),
            expected: expected.to_string(),
            hint: hint(kind, column),
        }
    }

    /// The same error with its row counted from `first_row`: batches count from 0, a file's reader knows better.
    #[must_use]
    pub fn offset_row(mut self, first_row: usize) -> Self {
        if let Self::Null { row, .. } | Self::Value { row, .. } = &mut self {
            *row += first_row;
        }
        self
    }
}

fn hint(kind: ArtifactKind, column: &Column) -> String {
    let page = format!("see docs/contract/{kind}.md");
    match column.unit {
        "nano-USD" => format!("money is integer nano-dollars; {page}"),
        _ => page,
    }
}
