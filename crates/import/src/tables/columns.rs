//! Columns of the contract, built directly: no row is a value of its own in between.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StringBuilder, new_null_array,
};
use arrow::datatypes::Int32Type;
use tollgate_contract::{ArtifactKind, Column, ContractError};

/// A batch in the making. Columns that are not set are null.
pub(super) struct BatchColumns {
    kind: ArtifactKind,
    n_rows: usize,
    arrays: Vec<Option<ArrayRef>>,
}

impl BatchColumns {
    pub(super) fn new(kind: ArtifactKind, n_rows: usize) -> Self {
        Self { kind, n_rows, arrays: vec![None; kind.columns().len()] }
    }

    pub(super) fn set(&mut self, column: &Column, array: impl Array + 'static) {
        self.set_shared(column, Arc::new(array));
    }

    pub(super) fn set_shared(&mut self, column: &Column, array: ArrayRef) {
        let position = self.kind.columns().iter().position(|known| known.name == column.name);
        debug_assert!(position.is_some(), "`{}` is no column of {}", column.name, self.kind);
        if let Some(position) = position {
            self.arrays[position] = Some(array);
        }
    }

    pub(super) fn finish(self) -> Result<RecordBatch, ContractError> {
        let schema = self.kind.schema();
        let fill = |(position, array): (usize, Option<ArrayRef>)| {
            array.unwrap_or_else(|| new_null_array(schema.field(position).data_type(), self.n_rows))
        };
        let arrays = self.arrays.into_iter().enumerate().map(fill).collect();
        Ok(RecordBatch::try_new(schema.clone(), arrays)?)
    }
}

/// Names that repeat in runs: each run has its name once, and nothing is looked up.
#[derive(Default)]
pub(super) struct NameRuns {
    names: StringBuilder,
    n_names: i32,
    keys: Vec<Option<i32>>,
}

impl NameRuns {
    /// Adds `n` rows of one name.
    pub(super) fn push(&mut self, name: Option<&str>, n: usize) {
        let key = name.map(|name| {
            self.names.append_value(name);
            self.n_names += 1;
            self.n_names - 1
        });
        self.keys.extend(std::iter::repeat_n(key, n));
    }

    pub(super) fn finish(&mut self) -> Result<DictionaryArray<Int32Type>, ContractError> {
        let keys = Int32Array::from(std::mem::take(&mut self.keys));
        self.n_names = 0;
        Ok(DictionaryArray::try_new(keys, Arc::new(self.names.finish()))?)
    }
}

/// Rows that point into a list of names.
pub(super) fn names<'a>(
    keys: Vec<Option<i32>>,
    names: impl Iterator<Item = &'a str>,
) -> Result<DictionaryArray<Int32Type>, ContractError> {
    Ok(DictionaryArray::try_new(Int32Array::from(keys), Arc::new(names.map(Some).collect::<StringArray>()))?)
}

/// One name in all rows.
pub(super) fn constant(name: &str, n_rows: usize) -> Result<DictionaryArray<Int32Type>, ContractError> {
    names(vec![Some(0); n_rows], std::iter::once(name))
}
