//! Arrow arrays into values of the domain.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, UInt64Array, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use tollgate_routing::{Budget, ModelIndex, ModelPool, NanoUsd};

use crate::{ArtifactKind, Column, ColumnType, ContractError};

/// The value at a row, or `None` where it is null.
macro_rules! at {
    ($array:expr, $row:expr) => {
        if $array.is_null($row) { None } else { Some($array.value($row)) }
    };
}
pub(crate) use at;

/// The columns of one batch, checked as they are taken: there, of their type, without nulls where none may be.
pub(crate) struct Decoder<'a> {
    kind: ArtifactKind,
    batch: &'a RecordBatch,
}

impl<'a> Decoder<'a> {
    pub(crate) const fn new(kind: ArtifactKind, batch: &'a RecordBatch) -> Self {
        Self { kind, batch }
    }

    pub(crate) fn text(&self, column: &Column) -> Result<StringArray, ContractError> {
        let array = self.array(column)?;
        if array.data_type() == &DataType::Utf8 {
            return Ok(array.to_data().into());
        }
        Ok(cast(&array, &DataType::Utf8)?.to_data().into())
    }

    /// Text of few distinct values; neighbouring rows share one allocation.
    pub(crate) fn shared_text(&self, column: &Column) -> Result<Vec<Arc<str>>, ContractError> {
        self.named(column, |text| Arc::from(text))
    }

    /// Text of few distinct values, where it is not null; neighbouring rows share one allocation.
    pub(crate) fn optional_shared_text(&self, column: &Column) -> Result<Vec<Option<Arc<str>>>, ContractError> {
        let texts = self.text(column)?;
        let mut shared: Vec<Option<Arc<str>>> = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            let text = at!(texts, row);
            let is_repeated = row > 0 && shared[row - 1].as_deref() == text;
            shared.push(if is_repeated { shared[row - 1].clone() } else { text.map(Arc::from) });
        }
        Ok(shared)
    }

    /// Text of a closed set, or `default` where it is null; `expected` lists it.
    pub(crate) fn parsed_or<T: Clone>(
        &self,
        column: &Column,
        default: &T,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ContractError> {
        let texts = self.text(column)?;
        let parsed = |row| match at!(texts, row) {
            None => Ok(default.clone()),
            Some(found) => parse(found).ok_or_else(|| self.value_error(column, row, format!("`{found}`"), expected)),
        };
        (0..texts.len()).map(parsed).collect()
    }

    /// Names as a type of their own; equal neighbours share one allocation.
    pub(crate) fn named<T: Clone>(&self, column: &Column, name: impl Fn(&str) -> T) -> Result<Vec<T>, ContractError> {
        let texts = self.text(column)?;
        let mut names: Vec<T> = Vec::with_capacity(texts.len());
        for row in 0..texts.len() {
            let repeated = row > 0 && texts.value(row) == texts.value(row - 1);
            names.push(if repeated { names[row - 1].clone() } else { name(texts.value(row)) });
        }
        Ok(names)
    }

    /// Text of a closed set; `expected` lists it.
    pub(crate) fn parsed<T>(
        &self,
        column: &Column,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, ContractError> {
        let texts = self.text(column)?;
        (0..texts.len())
            .map(|row| {
                let found = texts.value(row);
                parse(found).ok_or_else(|| self.value_error(column, row, format!("`{found}`"), expected))
            })
            .collect()
    }

    pub(crate) fn bool(&self, column: &Column) -> Result<BooleanArray, ContractError> {
        Ok(self.array(column)?.to_data().into())
    }

    pub(crate) fn count(&self, column: &Column) -> Result<Vec<u32>, ContractError> {
        let array: Int32Array = self.array(column)?.to_data().into();
        let to_count = |(row, &value): (usize, &i32)| {
            u32::try_from(value).map_err(|_| self.value_error(column, row, value, "0 or more"))
        };
        array.values().iter().enumerate().map(to_count).collect()
    }

    pub(crate) fn action(&self, column: &Column) -> Result<Vec<ModelIndex>, ContractError> {
        let actions = self.optional_action(column)?.into_iter().enumerate();
        actions.map(|(row, action)| action.ok_or_else(|| ContractError::null(self.kind, column, row))).collect()
    }

    /// Actions, where they are not null.
    pub(crate) fn optional_action(&self, column: &Column) -> Result<Vec<Option<ModelIndex>>, ContractError> {
        let array: Int32Array = self.array(column)?.to_data().into();
        let to_action = |(row, position): (usize, Option<i32>)| match position {
            None => Ok(None),
            Some(position) if usize::try_from(position).is_ok_and(|position| position < ModelPool::MAX_MODELS) => {
                Ok(Some(ModelIndex::new(position as usize)))
            }
            Some(position) => {
                let expected = format_args!("an index of a pool of at most {} models", ModelPool::MAX_MODELS);
                Err(self.value_error(column, row, position, expected))
            }
        };
        array.iter().enumerate().map(to_action).collect()
    }

    pub(crate) fn optional_int64(&self, column: &Column) -> Result<Vec<Option<u64>>, ContractError> {
        let array: Int64Array = self.array(column)?.to_data().into();
        let to_u64 = |(row, value): (usize, Option<i64>)| match value {
            None => Ok(None),
            Some(value) => {
                u64::try_from(value).map(Some).map_err(|_| self.value_error(column, row, value, "0 or more"))
            }
        };
        array.iter().enumerate().map(to_u64).collect()
    }

    pub(crate) fn int64(&self, column: &Column) -> Result<Vec<u64>, ContractError> {
        Ok(self.optional_int64(column)?.into_iter().flatten().collect())
    }

    pub(crate) fn money(&self, column: &Column) -> Result<Vec<NanoUsd>, ContractError> {
        Ok(self.int64(column)?.into_iter().map(NanoUsd::new).collect())
    }

    pub(crate) fn optional_money(&self, column: &Column) -> Result<Vec<Option<NanoUsd>>, ContractError> {
        Ok(self.optional_int64(column)?.into_iter().map(|value| value.map(NanoUsd::new)).collect())
    }

    pub(crate) fn seed(&self, column: &Column) -> Result<UInt64Array, ContractError> {
        Ok(self.array(column)?.to_data().into())
    }

    pub(crate) fn float32(&self, column: &Column) -> Result<Float32Array, ContractError> {
        Ok(self.array(column)?.to_data().into())
    }

    pub(crate) fn float64(&self, column: &Column) -> Result<Float64Array, ContractError> {
        Ok(self.array(column)?.to_data().into())
    }

    /// Lists of numbers; null is an empty one.
    pub(crate) fn float32_list(&self, column: &Column) -> Result<Vec<Vec<f32>>, ContractError> {
        let lists: ListArray = cast(&self.array(column)?, &ColumnType::Float32List.data_type())?.to_data().into();
        let to_list = |list: Option<ArrayRef>| {
            list.map_or_else(Vec::new, |list| Float32Array::from(list.to_data()).values().to_vec())
        };
        Ok(lists.iter().map(to_list).collect())
    }

    /// A budget from its two columns.
    pub(crate) fn budget(&self, kind_column: &Column, value_column: &Column) -> Result<Vec<Budget>, ContractError> {
        let kinds = self.text(kind_column)?;
        let values = self.optional_int64(value_column)?;
        let to_budget = |(row, value): (usize, Option<u64>)| match (kinds.value(row), value) {
            ("none", None) => Ok(Budget::Unlimited),
            ("large_calls", Some(cap)) => u32::try_from(cap)
                .map(Budget::LargeCalls)
                .map_err(|_| self.value_error(value_column, row, cap, "a number of calls, at most 2^32 - 1")),
            ("usd", Some(cap)) => Ok(Budget::Usd(NanoUsd::new(cap))),
            ("none", Some(cap)) => Err(self.value_error(value_column, row, cap, "null where `budget_kind` is `none`")),
            ("large_calls" | "usd", None) => {
                Err(self.value_error(value_column, row, "null", "a value where `budget_kind` is not `none`"))
            }
            (kind, _) => Err(self.value_error(kind_column, row, format!("`{kind}`"), "`none`, `large_calls` or `usd`")),
        };
        values.into_iter().enumerate().map(to_budget).collect()
    }

    pub(crate) fn value_error(
        &self,
        column: &Column,
        row: usize,
        found: impl Display,
        expected: impl Display,
    ) -> ContractError {
        ContractError::value(self.kind, column, row, found, expected)
    }

    fn array(&self, column: &Column) -> Result<ArrayRef, ContractError> {
        let Some(array) = self.batch.column_by_name(column.name) else {
            return if column.is_nullable {
                Ok(new_null_array(&column.column_type.data_type(), self.batch.num_rows()))
            } else {
                Err(ContractError::missing_column(self.kind, column))
            };
        };
        if !column.column_type.accepts(array.data_type()) {
            return Err(ContractError::column_type(self.kind, column, array.data_type()));
        }
        if !column.is_nullable
            && array.null_count() > 0
            && let Some(row) = (0..array.len()).find(|&row| array.is_null(row))
        {
            return Err(ContractError::null(self.kind, column, row));
        }
        Ok(Arc::clone(array))
    }
}
