//! Read, write and publish artifacts as Parquet.
