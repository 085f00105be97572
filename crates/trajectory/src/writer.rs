//! Writing an artifact: rows in, a whole file out, or nothing.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::mem;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tempfile::{Builder, NamedTempFile};
use tollgate_contract::{ArtifactKind, ArtifactRow, CONTRACT_VERSION, ColumnType, Digest, DigestWriter};

use crate::{KIND_KEY, TrajectoryError, VERSION_KEY};

/// Rows per batch. The encoder sees batches of this size however the caller hands over rows, so that equal rows give equal
/// bytes.
const BATCH_ROWS: usize = 4096;

/// Rows per row group: what a reader can skip at once.
const ROW_GROUP_ROWS: usize = 32 * BATCH_ROWS;

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenArtifact {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub kind: ArtifactKind,
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// Writes the rows of one artifact. The file appears, whole and on the disk, when [`ArtifactWriter::finish`] returns; a
/// writer that is dropped before that leaves nothing.
///
/// Equal rows give equal bytes, however they are split over calls: there is no time stamp in the file.
pub struct ArtifactWriter<R: ArtifactRow> {
    path: PathBuf,
    partial: NamedTempFile,
    encoder: RowEncoder<R, File>,
}

impl<R: ArtifactRow> ArtifactWriter<R> {
    /// Starts a file at `path`, and makes the directory that it lies in.
    ///
    /// # Errors
    /// [`TrajectoryError::Io`] or [`TrajectoryError::DiskFull`].
    pub fn create(path: &Path) -> Result<Self, TrajectoryError> {
        let partial = partial_file(path)?;
        let sink = partial.as_file().try_clone().map_err(|source| TrajectoryError::io(path, source))?;
        Ok(Self { path: path.to_owned(), partial, encoder: RowEncoder::new(path, sink)? })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`TrajectoryError::Contract`] for a value that its column cannot hold, [`TrajectoryError::DiskFull`],
    /// [`TrajectoryError::Io`].
    pub fn write(&mut self, row: R) -> Result<(), TrajectoryError> {
        self.encoder.write(row)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// As [`ArtifactWriter::write`].
    pub fn write_all(&mut self, rows: impl IntoIterator<Item = R>) -> Result<(), TrajectoryError> {
        rows.into_iter().try_for_each(|row| self.write(row))
    }

    /// Completes the file, flushes it to the disk and puts it in place of whatever was at its path.
    ///
    /// # Errors
    /// As [`ArtifactWriter::write`]; what was at the path before is still there then.
    pub fn finish(self) -> Result<WrittenArtifact, TrajectoryError> {
        let Self { path, partial, encoder } = self;
        let encoded = encoder.finish()?;
        place(&path, partial)?;
        Ok(WrittenArtifact { path, kind: R::KIND, rows: encoded.rows, bytes: encoded.bytes, digest: encoded.digest })
    }
}

/// Writes a whole artifact.
///
/// # Errors
/// As [`ArtifactWriter`].
pub fn write_rows<R: ArtifactRow>(
    path: &Path,
    rows: impl IntoIterator<Item = R>,
) -> Result<WrittenArtifact, TrajectoryError> {
    let mut writer = ArtifactWriter::create(path)?;
    writer.write_all(rows)?;
    writer.finish()
}

/// Writes batches of one artifact as they are, for writers that build columns themselves. As with [`ArtifactWriter`], the
/// file appears whole or not at all; equal batches give equal bytes.
pub struct BatchWriter {
    path: PathBuf,
    kind: ArtifactKind,
    partial: NamedTempFile,
    parquet: ArrowWriter<DigestWriter<File>>,
    rows: u64,
}

impl BatchWriter {
    /// Bytes of encoded pages after which a row group is closed: batches may hold very long texts.
    const ROW_GROUP_BYTES: usize = 1 << 26;

    /// Starts a file at `path`, and makes the directory that it lies in.
    ///
    /// # Errors
    /// [`TrajectoryError::Io`] or [`TrajectoryError::DiskFull`].
    pub fn create(path: &Path, kind: ArtifactKind) -> Result<Self, TrajectoryError> {
        let partial = partial_file(path)?;
        let sink = partial.as_file().try_clone().map_err(|source| TrajectoryError::io(path, source))?;
        let parquet = ArrowWriter::try_new(DigestWriter::new(sink), kind.schema(), Some(properties(kind, false)))
            .map_err(|source| TrajectoryError::writing(path, source))?;
        Ok(Self { path: path.to_owned(), kind, partial, parquet, rows: 0 })
    }

    /// Adds a batch of the artifact's schema.
    ///
    /// # Errors
    /// [`TrajectoryError::Encode`] for a batch of another schema, [`TrajectoryError::DiskFull`], [`TrajectoryError::Io`].
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TrajectoryError> {
        self.parquet.write(batch).map_err(|source| TrajectoryError::writing(&self.path, source))?;
        self.rows += batch.num_rows() as u64;
        if self.parquet.in_progress_size() >= Self::ROW_GROUP_BYTES {
            self.parquet.flush().map_err(|source| TrajectoryError::writing(&self.path, source))?;
        }
        Ok(())
    }

    /// Completes the file and puts it in place, as [`ArtifactWriter::finish`] does.
    ///
    /// # Errors
    /// As [`BatchWriter::write`].
    pub fn finish(mut self) -> Result<WrittenArtifact, TrajectoryError> {
        self.parquet.finish().map_err(|source| TrajectoryError::writing(&self.path, source))?;
        self.parquet.sync().map_err(|source| TrajectoryError::io(&self.path, source))?;
        let (bytes, digest) = (self.parquet.inner().bytes(), self.parquet.inner().digest());
        place(&self.path, self.partial)?;
        Ok(WrittenArtifact { path: self.path, kind: self.kind, rows: self.rows, bytes, digest })
    }
}

/// Flushes a complete file to the disk and puts it in place of whatever was at `path`.
fn place(path: &Path, partial: NamedTempFile) -> Result<(), TrajectoryError> {
    let io = |source| TrajectoryError::io(path, source);
    partial.as_file().sync_all().map_err(io)?;
    partial.persist(path).map_err(|error| io(error.error))?;
    sync_directory(path)
}

/// Encodes rows into any sink: a file, or in tests a disk without room.
struct RowEncoder<R: ArtifactRow, W: Write + Send> {
    path: PathBuf,
    parquet: ArrowWriter<DigestWriter<W>>,
    waiting: Vec<R>,
    rows: u64,
}

struct Encoded {
    rows: u64,
    bytes: u64,
    digest: Digest,
}

impl<R: ArtifactRow, W: Write + Send> RowEncoder<R, W> {
    fn new(path: &Path, sink: W) -> Result<Self, TrajectoryError> {
        let parquet = ArrowWriter::try_new(DigestWriter::new(sink), R::KIND.schema(), Some(properties(R::KIND, true)))
            .map_err(|source| TrajectoryError::writing(path, source))?;
        Ok(Self { path: path.to_owned(), parquet, waiting: Vec::with_capacity(BATCH_ROWS), rows: 0 })
    }

    fn write(&mut self, row: R) -> Result<(), TrajectoryError> {
        self.waiting.push(row);
        if self.waiting.len() < BATCH_ROWS { Ok(()) } else { self.encode_waiting() }
    }

    fn encode_waiting(&mut self) -> Result<(), TrajectoryError> {
        let rows = mem::take(&mut self.waiting);
        let at_file_row = |source: tollgate_contract::ContractError| source.offset_row(self.rows as usize);
        let batch = R::to_batch(&rows).map_err(|source| TrajectoryError::contract(&self.path, at_file_row(source)))?;
        self.parquet.write(&batch).map_err(|source| TrajectoryError::writing(&self.path, source))?;
        self.rows += rows.len() as u64;
        self.waiting = rows;
        self.waiting.clear();
        Ok(())
    }

    /// The encoder turns errors of the disk into text when it gives back its sink, so it is flushed and keeps it.
    fn finish(mut self) -> Result<Encoded, TrajectoryError> {
        self.encode_waiting()?;
        self.parquet.finish().map_err(|source| TrajectoryError::writing(&self.path, source))?;
        self.parquet.sync().map_err(|source| TrajectoryError::io(&self.path, source))?;
        let sink = self.parquet.inner();
        Ok(Encoded { rows: self.rows, bytes: sink.bytes(), digest: sink.digest() })
    }
}

/// Footer keys go in as properties of the writer: what stands in the Arrow schema alone is hidden from DuckDB. A dictionary of
/// long texts pays only where they repeat, as those of simulations do; real logs are written without, and without the first
/// and last of their texts, which nobody looks up.
fn properties(kind: ArtifactKind, has_text_dictionaries: bool) -> WriterProperties {
    let keys = vec![
        KeyValue::new(KIND_KEY.to_owned(), kind.as_str().to_owned()),
        KeyValue::new(VERSION_KEY.to_owned(), CONTRACT_VERSION.to_string()),
    ];
    let mut builder = WriterProperties::builder();
    let texts = kind.columns().iter().filter(|column| column.column_type == ColumnType::Text);
    for column in texts.filter(|_| !has_text_dictionaries) {
        builder = builder
            .set_column_dictionary_enabled(column.name.into(), false)
            .set_column_statistics_enabled(column.name.into(), EnabledStatistics::None);
    }
    builder
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(keys))
        .build()
}

/// A file of a passing name beside `path`, that is removed when dropped.
fn partial_file(path: &Path) -> Result<NamedTempFile, TrajectoryError> {
    let io = |source| TrajectoryError::io(path, source);
    let directory = directory_of(path);
    fs::create_dir_all(directory).map_err(io)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let prefix = format!(".{name}.");
    let mut builder = Builder::new();
    builder.prefix(&prefix).suffix(".partial");
    // Temporary files are private by default; artifacts are as readable as any other file, less the umask.
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(directory).map_err(io)
}

/// Makes a rename in the directory of `path` last.
pub(crate) fn sync_directory(path: &Path) -> Result<(), TrajectoryError> {
    let directory = directory_of(path);
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(|source| TrajectoryError::io(directory, source))
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tollgate_contract::TaskRow;
    use tollgate_routing::{Split, TaskId};

    use super::*;

    fn task() -> TaskRow {
        TaskRow {
            id: TaskId::new("task-1"),
            environment: "household".into(),
            split: Split::Train,
            seed: 1,
            instruction: "put a mug on the desk".into(),
            horizon: 30,
            kind: None,
            group: None,
        }
    }

    /// Takes `room` bytes and then has no space left.
    struct SmallDisk {
        room: usize,
    }

    impl Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let written = bytes.len().min(self.room);
            self.room -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check_disk_full(sink: impl Write + Send) {
        let path = Path::new("run/tasks.parquet");
        let encode = || {
            let mut encoder = RowEncoder::new(path, sink)?;
            encoder.write(task())?;
            encoder.finish().map(|encoded| encoded.rows)
        };
        let error: TrajectoryError = encode().unwrap_err();
        assert!(matches!(&error, TrajectoryError::DiskFull { path } if path.ends_with("tasks.parquet")), "{error:?}");
        assert!(error.to_string().starts_with("run/tasks.parquet: no space left on the device"), "{error}");
    }

    #[test]
    fn a_full_disk_is_named_wherever_it_strikes() {
        for room in [0, 4, 100, 1_000] {
            check_disk_full(SmallDisk { room });
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_device_is_named() {
        check_disk_full(File::options().write(true).open("/dev/full").unwrap());
    }
}
