//! What can go wrong between an artifact and the disk.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use thiserror::Error;
use tollgate_contract::{ArtifactKind, CONTRACT_VERSION, ContractError, ProductKind, Slot};

/// Why an artifact could not be read, written or published.
#[derive(Debug, Error)]
pub enum TrajectoryError {
    /// There is no such file.
    #[error("{}: no such file, expected {what}\nhint: {}", path.display(), origin(*what))]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// What it should be.
        what: ProductKind,
    },
    /// An output without content.
    #[error("{}: empty, expected {what}\nhint: the stage ended before it was written", path.display())]
    Empty {
        /// Where it is.
        path: PathBuf,
        /// What it should be.
        what: ProductKind,
    },
    /// A file that is no Parquet file at all.
    #[error("{}: not a Parquet file, expected {kind} as Parquet\nhint: is it another format under this name?", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        kind: ArtifactKind,
    },
    /// A Parquet file without its end.
    #[error(
        "{}: Parquet file is cut off after {bytes} bytes, expected a footer at its end\nhint: it was copied or written only in part; make it again, or copy it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A Parquet file that the decoder cannot make sense of.
    #[error("{}: damaged Parquet file: {source}\nhint: make it again, or copy it again", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        source: ParquetError,
    },
    /// A Parquet file that does not say which artifact it is.
    #[error(
        "{}: footer has no key `{key}`, expected `tollgate.kind` and `tollgate.contract_version`\nhint: write them as file metadata: in pyarrow `schema.with_metadata`, in DuckDB `COPY ... (KV_METADATA {{...}})`",
        path.display()
    )]
    NoFooterKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: &'static str,
    },
    /// An artifact of another kind.
    #[error("{}: holds `{found}`, expected `{expected}`\nhint: the path may belong to another input", path.display())]
    WrongKind {
        /// The file.
        path: PathBuf,
        /// The kind that its footer names.
        found: String,
        /// The kind that was asked for.
        expected: ArtifactKind,
    },
    /// An artifact of a contract that this build does not know.
    #[error(
        "{}: contract version is `{found}`, expected 1 to {}\nhint: a newer version of Tollgate wrote it; use that version",
        path.display(),
        CONTRACT_VERSION
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that its footer names.
        found: String,
    },
    /// A file whose content breaks the contract.
    #[error("{}: {source}", path.display())]
    Contract {
        /// The file, or the directory where several files disagree.
        path: PathBuf,
        /// How.
        source: ContractError,
    },
    /// A projection onto a column that the artifact does not have.
    #[error("{}: {kind} has no column `{column}`\nhint: see docs/contract/{kind}.md", path.display())]
    NoSuchColumn {
        /// The file.
        path: PathBuf,
        /// The artifact.
        kind: ArtifactKind,
        /// The name that was asked for.
        column: String,
    },
    /// No room left.
    #[error(
        "{}: no space left on the device; nothing was left behind\nhint: free some space, or choose a run directory on another disk",
        path.display()
    )]
    DiskFull {
        /// The file that was being written.
        path: PathBuf,
    },
    /// Rows that cannot be encoded.
    #[error("{}: cannot encode rows: {source}", path.display())]
    Encode {
        /// The file that was being written.
        path: PathBuf,
        /// What the encoder says.
        source: ParquetError,
    },
    /// Any other failure of the file system.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn origin(what: ProductKind) -> String {
    Slot::producer(what).map_or_else(
        || "task sets come with the repository in datasets/tasks; `tollgate tasks` makes them".to_owned(),
        |slot| format!("slot `{slot}` writes it; run the pipeline from there"),
    )
}

impl TrajectoryError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::StorageFull { Self::DiskFull { path } } else { Self::Io { path, source } }
    }

    pub(crate) fn contract(path: &Path, source: ContractError) -> Self {
        Self::Contract { path: path.to_owned(), source }
    }

    /// An error of the encoder, which wraps those of the disk.
    pub(crate) fn writing(path: &Path, source: ParquetError) -> Self {
        match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(inner) => Self::io(path, *inner),
                Err(inner) => Self::Encode { path: path.to_owned(), source: ParquetError::External(inner) },
            },
            source => Self::Encode { path: path.to_owned(), source },
        }
    }

    /// An error of the decoder, which wraps those of the disk.
    pub(crate) fn reading(path: &Path, source: ParquetError) -> Self {
        match source {
            ParquetError::External(inner) if is_io(&*inner) => Self::writing(path, ParquetError::External(inner)),
            source => Self::Corrupt { path: path.to_owned(), source },
        }
    }
}

fn is_io(error: &(dyn Error + 'static)) -> bool {
    error.is::<io::Error>()
}
