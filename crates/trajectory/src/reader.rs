//! Reading an artifact: its footer and schema are checked before the first row.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, FileMetaData, ParquetMetaData, RowGroupMetaData};
use tollgate_contract::{ArtifactKind, ArtifactRow, CONTRACT_VERSION};

use crate::{KIND_KEY, TrajectoryError, VERSION_KEY};

/// Rows per batch that a reader yields.
const BATCH_ROWS: usize = 8192;

/// An opened artifact of the kind that was asked for, in a schema that can be read.
pub struct ArtifactReader {
    path: PathBuf,
    kind: ArtifactKind,
    columns: Vec<&'static str>,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl ArtifactReader {
    /// Opens a file and checks its footer and schema.
    ///
    /// # Errors
    /// [`TrajectoryError::Missing`], [`NotParquet`](TrajectoryError::NotParquet),
    /// [`Truncated`](TrajectoryError::Truncated), [`Corrupt`](TrajectoryError::Corrupt),
    /// [`NoFooterKey`](TrajectoryError::NoFooterKey), [`WrongKind`](TrajectoryError::WrongKind),
    /// [`Version`](TrajectoryError::Version), or [`Contract`](TrajectoryError::Contract) for a column that is missing or of
    /// another type.
    pub fn open(path: &Path, kind: ArtifactKind) -> Result<Self, TrajectoryError> {
        let file = File::open(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => TrajectoryError::Missing { path: path.to_owned(), what: kind.into() },
            _ => TrajectoryError::io(path, source),
        })?;
        let bytes = check_magic(&file, path, kind)?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|source| match source {
            // The magic bytes at the end are there by chance, or the middle is missing.
            ParquetError::EOF(_) => TrajectoryError::Truncated { path: path.to_owned(), bytes },
            source => TrajectoryError::reading(path, source),
        })?;
        check_chunks(path, bytes, builder.metadata())?;
        check_footer(path, kind, builder.metadata().file_metadata())?;
        kind.check_schema(builder.schema()).map_err(|source| TrajectoryError::contract(path, source))?;
        let columns = kind.columns().iter().map(|column| column.name).collect();
        Ok(Self { path: path.to_owned(), kind, columns, builder })
    }

    /// How many rows the file has.
    #[must_use]
    pub fn n_rows(&self) -> u64 {
        self.builder.metadata().file_metadata().num_rows().unsigned_abs()
    }

    /// Reads only these columns, which is much faster where the rest is text.
    ///
    /// # Errors
    /// [`TrajectoryError::NoSuchColumn`] for a name that the artifact does not have.
    pub fn with_columns(mut self, names: &[&str]) -> Result<Self, TrajectoryError> {
        let known = |name: &&str| {
            self.kind.column(name).map(|column| column.name).ok_or_else(|| TrajectoryError::NoSuchColumn {
                path: self.path.clone(),
                kind: self.kind,
                column: (*name).to_owned(),
            })
        };
        self.columns = names.iter().map(known).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The rows as batches. Columns that the contract does not know are skipped.
    ///
    /// # Errors
    /// [`TrajectoryError::Corrupt`].
    pub fn batches(self) -> Result<Batches, TrajectoryError> {
        let schema = self.builder.parquet_schema();
        let is_wanted = |position: &usize| self.columns.contains(&schema.root_schema().get_fields()[*position].name());
        let wanted = (0..schema.root_schema().get_fields().len()).filter(is_wanted);
        let mask = ProjectionMask::roots(schema, wanted);
        let reader = self.builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
        let reader = reader.map_err(|source| TrajectoryError::reading(&self.path, source))?;
        Ok(Batches { path: self.path, reader })
    }

    /// The rows in the types of the domain, a batch at a time.
    ///
    /// # Errors
    /// [`TrajectoryError::WrongKind`] where the reader was opened for another artifact than `R`'s.
    pub fn rows<R: ArtifactRow>(
        self,
    ) -> Result<impl Iterator<Item = Result<Vec<R>, TrajectoryError>>, TrajectoryError> {
        if R::KIND != self.kind {
            let found = self.kind.as_str().to_owned();
            return Err(TrajectoryError::WrongKind { path: self.path, found, expected: R::KIND });
        }
        let path = self.path.clone();
        let mut first_row = 0;
        Ok(self.batches()?.map(move |batch| {
            let batch = batch?;
            let rows =
                R::from_batch(&batch).map_err(|source| TrajectoryError::contract(&path, source.offset_row(first_row)));
            first_row += batch.num_rows();
            rows
        }))
    }
}

/// Reads a whole artifact.
///
/// # Errors
/// As [`ArtifactReader::open`], and [`TrajectoryError::Contract`] for a null or a value outside of its column's domain.
pub fn read_rows<R: ArtifactRow>(path: &Path) -> Result<Vec<R>, TrajectoryError> {
    let reader = ArtifactReader::open(path, R::KIND)?;
    let mut all = Vec::with_capacity(reader.n_rows() as usize);
    for rows in reader.rows::<R>()? {
        all.append(&mut rows?);
    }
    Ok(all)
}

/// The batches of an artifact, one after the other.
pub struct Batches {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, TrajectoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The decoder panics on some damaged levels of nullable columns; the reader is of no use to anybody afterwards.
        let batch = catch_unwind(AssertUnwindSafe(|| self.reader.next()))
            .unwrap_or_else(|_| Some(Err(ArrowError::ParquetError("a page cannot be decoded".to_owned()))))?;
        Some(batch.map_err(|source| TrajectoryError::reading(&self.path, source.into())))
    }
}

/// A Parquet file begins and ends with the same four bytes. Returns the size of the file.
fn check_magic(mut file: &File, path: &Path, kind: ArtifactKind) -> Result<u64, TrajectoryError> {
    const MAGIC: [u8; 4] = *b"PAR1";
    let io = |source| TrajectoryError::io(path, source);
    let bytes = file.metadata().map_err(io)?.len();
    let not_parquet = || TrajectoryError::NotParquet { path: path.to_owned(), kind };
    let truncated = || TrajectoryError::Truncated { path: path.to_owned(), bytes };
    if bytes == 0 {
        return Err(truncated());
    }
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| not_parquet())?;
    if magic != MAGIC {
        return Err(not_parquet());
    }
    file.seek(SeekFrom::End(-4)).map_err(io)?;
    file.read_exact(&mut magic).map_err(io)?;
    if magic != MAGIC || bytes < 12 {
        return Err(truncated());
    }
    Ok(bytes)
}

/// A damaged footer may place column chunks anywhere; the decoder panics where a place or size is negative.
fn check_chunks(path: &Path, bytes: u64, metadata: &ParquetMetaData) -> Result<(), TrajectoryError> {
    let lies_in_file = |chunk: &ColumnChunkMetaData| {
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let end = u64::try_from(start).ok().zip(u64::try_from(chunk.compressed_size()).ok());
        let end = end.and_then(|(start, size)| start.checked_add(size));
        end.is_some_and(|end| end <= bytes) && (0..=i64::from(i32::MAX)).contains(&chunk.num_values())
    };
    if metadata.row_groups().iter().flat_map(RowGroupMetaData::columns).all(lies_in_file) {
        return Ok(());
    }
    let source = ParquetError::General(format!("a column lies outside of the file's {bytes} bytes"));
    Err(TrajectoryError::Corrupt { path: path.to_owned(), source })
}

fn check_footer(path: &Path, kind: ArtifactKind, footer: &FileMetaData) -> Result<(), TrajectoryError> {
    let value = |key: &'static str| {
        let entry = footer.key_value_metadata().and_then(|entries| entries.iter().find(|entry| entry.key == key));
        entry
            .and_then(|entry| entry.value.as_deref())
            .ok_or(TrajectoryError::NoFooterKey { path: path.to_owned(), key })
    };
    let version = value(VERSION_KEY)?;
    if !version.parse().is_ok_and(|version| (1..=CONTRACT_VERSION).contains(&version)) {
        return Err(TrajectoryError::Version { path: path.to_owned(), found: version.to_owned() });
    }
    let found = value(KIND_KEY)?;
    if found != kind.as_str() {
        return Err(TrajectoryError::WrongKind { path: path.to_owned(), found: found.to_owned(), expected: kind });
    }
    Ok(())
}
