//! Rows into Arrow arrays.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float32Builder, Float64Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringDictionaryBuilder, UInt64Array, new_null_array,
};
use arrow::datatypes::Int32Type;
use tollgate_routing::{Budget, NanoUsd};

use crate::column::list_item;
use crate::{ArtifactKind, Column, ContractError};

/// Collects the columns of one batch, in any order.
pub(crate) struct Encoder {
    kind: ArtifactKind,
    n_rows: usize,
    arrays: Vec<Option<ArrayRef>>,
}

impl Encoder {
    pub(crate) fn new(kind: ArtifactKind, n_rows: usize) -> Self {
        Self { kind, n_rows, arrays: vec![None; kind.columns().len()] }
    }

    pub(crate) fn id<'a, T: Into<Option<&'a str>>>(&mut self, column: &Column, values: impl Iterator<Item = T>) {
        let mut builder = StringDictionaryBuilder::<Int32Type>::new();
        values.for_each(|value| builder.append_option(value.into()));
        self.set(column, Arc::new(builder.finish()));
    }

    pub(crate) fn text<'a>(&mut self, column: &Column, values: impl Iterator<Item = &'a str>) {
        self.set(column, Arc::new(values.map(Some).collect::<StringArray>()));
    }

    pub(crate) fn bool(&mut self, column: &Column, values: impl Iterator<Item = bool>) {
        self.set(column, Arc::new(values.map(Some).collect::<BooleanArray>()));
    }

    pub(crate) fn count(&mut self, column: &Column, values: impl Iterator<Item = u32>) -> Result<(), ContractError> {
        let values = self.checked(column, values, |value| i32::try_from(value).ok())?;
        self.set(column, Arc::new(Int32Array::from(values)));
        Ok(())
    }

    pub(crate) fn int64<T: Into<Option<u64>>>(
        &mut self,
        column: &Column,
        values: impl Iterator<Item = T>,
    ) -> Result<(), ContractError> {
        let kind = self.kind;
        let to_i64 = |(row, value): (usize, T)| match value.into() {
            None => Ok(None),
            Some(value) => i64::try_from(value)
                .map(Some)
                .map_err(|_| ContractError::value(kind, column, row, value, "at most 2^63 - 1")),
        };
        let array = values.enumerate().map(to_i64).collect::<Result<Int64Array, _>>()?;
        self.set(column, Arc::new(array));
        Ok(())
    }

    pub(crate) fn money<T: Into<Option<NanoUsd>>>(
        &mut self,
        column: &Column,
        values: impl Iterator<Item = T>,
    ) -> Result<(), ContractError> {
        self.int64(column, values.map(|value| value.into().map(NanoUsd::get)))
    }

    pub(crate) fn seed<T: Into<Option<u64>>>(&mut self, column: &Column, values: impl Iterator<Item = T>) {
        self.set(column, Arc::new(values.map(Into::into).collect::<UInt64Array>()));
    }

    pub(crate) fn float32<T: Into<Option<f32>>>(&mut self, column: &Column, values: impl Iterator<Item = T>) {
        self.set(column, Arc::new(values.map(Into::into).collect::<Float32Array>()));
    }

    pub(crate) fn float64<T: Into<Option<f64>>>(&mut self, column: &Column, values: impl Iterator<Item = T>) {
        self.set(column, Arc::new(values.map(Into::into).collect::<Float64Array>()));
    }

    /// A setting of single precision, written as the double that prints alike: 0.3 is 0.3 and not 0.30000001192, so that
    /// `lambda = 0.3` finds it in any tool.
    pub(crate) fn setting<T: Into<Option<f32>>>(&mut self, column: &Column, values: impl Iterator<Item = T>) {
        self.float64(column, values.map(|value| value.into().map(shortest_double)));
    }

    /// Lists of numbers; an empty one is null.
    pub(crate) fn float32_list<'a>(&mut self, column: &Column, values: impl Iterator<Item = &'a [f32]>) {
        let mut builder = ListBuilder::new(Float32Builder::new()).with_field(list_item());
        for list in values {
            builder.values().append_slice(list);
            builder.append(!list.is_empty());
        }
        self.set(column, Arc::new(builder.finish()));
    }

    /// A budget as its two columns.
    pub(crate) fn budget(
        &mut self,
        kind_column: &Column,
        value_column: &Column,
        budgets: impl Iterator<Item = Budget> + Clone,
    ) -> Result<(), ContractError> {
        self.id(kind_column, budgets.clone().map(budget_kind));
        self.int64(
            value_column,
            budgets.map(|budget| match budget {
                Budget::Unlimited => None,
                Budget::LargeCalls(cap) => Some(u64::from(cap)),
                Budget::Usd(cap) => Some(cap.get()),
            }),
        )
    }

    pub(crate) fn finish(self) -> Result<RecordBatch, ContractError> {
        let schema = self.kind.schema();
        let fill = |(position, array): (usize, Option<ArrayRef>)| {
            array.unwrap_or_else(|| new_null_array(schema.field(position).data_type(), self.n_rows))
        };
        let arrays = self.arrays.into_iter().enumerate().map(fill).collect();
        Ok(RecordBatch::try_new(schema.clone(), arrays)?)
    }

    fn checked<T: Copy + Display, U>(
        &self,
        column: &Column,
        values: impl Iterator<Item = T>,
        convert: impl Fn(T) -> Option<U>,
    ) -> Result<Vec<U>, ContractError> {
        values
            .enumerate()
            .map(|(row, value)| {
                convert(value).ok_or_else(|| ContractError::value(self.kind, column, row, value, "at most 2^31 - 1"))
            })
            .collect()
    }

    fn set(&mut self, column: &Column, array: ArrayRef) {
        let position = self.kind.columns().iter().position(|known| known.name == column.name);
        debug_assert!(position.is_some(), "`{}` is no column of {}", column.name, self.kind);
        if let Some(position) = position {
            self.arrays[position] = Some(array);
        }
    }
}

/// The name of a budget's kind in files and in summary.json.
#[must_use]
pub const fn budget_kind(budget: Budget) -> &'static str {
    match budget {
        Budget::Unlimited => "none",
        Budget::LargeCalls(_) => "large_calls",
        Budget::Usd(_) => "usd",
    }
}

/// The double with the shortest decimal form of `value`: 0.3 for 0.3, where a cast gives 0.30000001192092896.
#[must_use]
pub fn shortest_double(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}
