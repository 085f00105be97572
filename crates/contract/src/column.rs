//! What a column is: its name, type and unit, whether it may be null, and what it means.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

/// The types that columns have. Each is read without loss by DuckDB, pyarrow, pandas and Polars.
///
/// Counts and money are signed: in DuckDB and pandas the difference of two unsigned columns overflows or wraps around. Seeds
/// are the exception, for they use all 64 bits and nobody subtracts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A name, dictionary-encoded. Names that join artifacts are so in all of them: Polars joins no other way.
    Id,
    /// Text of any length.
    Text,
    /// True or false.
    Bool,
    /// A count or an index.
    Int32,
    /// Money in nano-dollars, or a large count.
    Int64,
    /// A seed.
    UInt64,
    /// A measurement in single precision.
    Float32,
    /// A statistic, or a setting that people type.
    Float64,
    /// A list of measurements.
    Float32List,
}

impl ColumnType {
    /// The Arrow type that is written.
    #[must_use]
    pub fn data_type(self) -> DataType {
        match self {
            Self::Id => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Text => DataType::Utf8,
            Self::Bool => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::UInt64 => DataType::UInt64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Float32List => DataType::List(list_item()),
        }
    }

    /// The name of the type in messages and in the generated docs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "Utf8 (dictionary-encoded)",
            Self::Text => "Utf8",
            Self::Bool => "Boolean",
            Self::Int32 => "Int32",
            Self::Int64 => "Int64",
            Self::UInt64 => "UInt64",
            Self::Float32 => "Float32",
            Self::Float64 => "Float64",
            Self::Float32List => "List<Float32>",
        }
    }

    /// Whether values are floating-point numbers, which may be none.
    #[must_use]
    pub const fn is_measured(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64 | Self::Float32List)
    }

    /// Whether a column of `found` can be read as this type. Parquet stores all kinds of Arrow strings alike, so any of
    /// them will do, and so will lists of either offset width; every other type has to be the one that is written.
    #[must_use]
    pub fn accepts(self, found: &DataType) -> bool {
        match self {
            Self::Id | Self::Text => is_text(found),
            Self::Float32List => match found {
                DataType::List(item) | DataType::LargeList(item) => item.data_type() == &DataType::Float32,
                _ => false,
            },
            exact => found == &exact.data_type(),
        }
    }
}

fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// The item field of a list column, under the name that Parquet prescribes.
pub(crate) fn list_item() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

/// One column of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The name, with the unit in it where there is one.
    pub name: &'static str,
    /// The type.
    pub column_type: ColumnType,
    /// Whether values may be null. A nullable column may also be missing altogether, as it is in files written before it
    /// came up.
    pub is_nullable: bool,
    /// The unit, or an empty text.
    pub unit: &'static str,
    /// What a value says, in one or two sentences.
    pub meaning: &'static str,
}

impl Column {
    /// The Arrow field that is written.
    #[must_use]
    pub fn field(&self) -> Field {
        Field::new(self.name, self.column_type.data_type(), self.is_nullable)
    }
}

/// Declares the columns of an artifact in their order: a constant each, whose meaning is its documentation as well, and
/// `COLUMNS`, which lists them all.
macro_rules! columns {
    ($($constant:ident = $name:literal, $column_type:ident, $nullability:ident, $unit:literal, $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: $crate::Column = $crate::Column {
                name: $name,
                column_type: $crate::ColumnType::$column_type,
                is_nullable: $crate::column::columns!(@is_nullable $nullability),
                unit: $unit,
                meaning: $meaning,
            };
        )*
        /// The columns that this module declares, in the order in which they are written.
        pub const COLUMNS: &[$crate::Column] = &[$($constant),*];
    };
    (@is_nullable required) => { false };
    (@is_nullable nullable) => { true };
}
pub(crate) use columns;
