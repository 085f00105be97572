//! Why an import ends without a result.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tollgate_contract::ContractError;
use tollgate_trajectory::TrajectoryError;

use crate::SkippedRow;

/// Why nothing was imported. Nothing is left at the place of the output then.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A log that cannot be opened.
    #[error("{name}: {source}\nhint: give the paths of log files, or `-` for standard input")]
    Open {
        /// The log.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A row that strict rules refuse.
    #[error("{row}\nhint: {}\nhint: without --strict such rows are left out and reported", row.reason.hint())]
    Refused {
        /// The row.
        row: SkippedRow,
    },
    /// Logs without one whole episode.
    #[error(
        "no whole episode in {n_rows} rows of the log; {n_skipped} rows were skipped, the first: {}\nhint: {}",
        first.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
        first.as_ref().map_or("is --format right?", |row| row.reason.hint())
    )]
    NoEpisodes {
        /// Rows that were read.
        n_rows: u64,
        /// Rows that were left out.
        n_skipped: u64,
        /// The first of them.
        first: Option<SkippedRow>,
    },
    /// Episodes whose steps lie too far apart, in a log that cannot be read once more to leave them out.
    #[error(
        "{place}: a step of an episode that had to be closed to make room; of {n_episodes} such episodes only parts were read\nhint: give the log as a file, which can be read once more, or name `n_steps` in each row"
    )]
    CutEpisodes {
        /// The first step that came too late: log and line.
        place: String,
        /// How many episodes.
        n_episodes: usize,
    },
    /// Models that no pool can be made of.
    #[error("{detail}\nhint: {hint}")]
    Pool {
        /// What is wrong.
        detail: String,
        /// What to do.
        hint: &'static str,
    },
    /// Something is at the place of the output.
    #[error("{}: exists already\nhint: an import never overwrites; remove it or name another --out", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// What was written breaks the contract: a fault of the importer.
    #[error("the imported rows break the contract: {0}")]
    Contract(#[from] ContractError),
    /// A table that cannot be written.
    #[error(transparent)]
    Artifact(#[from] TrajectoryError),
    /// A file that cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ImportError {
    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::StorageFull {
            Self::Artifact(TrajectoryError::DiskFull { path })
        } else {
            Self::Write { path, source }
        }
    }

    /// Whether the log or the map is at fault, not the machine.
    #[must_use]
    pub const fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Refused { .. }
                | Self::NoEpisodes { .. }
                | Self::CutEpisodes { .. }
                | Self::Pool { .. }
                | Self::Exists { .. }
        )
    }
}
