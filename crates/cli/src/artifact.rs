//! Reading and writing artifacts, with the blame where it belongs: a file that cannot be read is bad input.

use std::path::Path;

use tollgate_contract::ArtifactRow;
use tollgate_trajectory::{ArtifactReader, TrajectoryError};

use crate::failure::{OrBadInput, bad_input, blame_input};

/// All rows of an artifact.
pub(crate) fn read_rows<R: ArtifactRow>(path: &Path) -> anyhow::Result<Vec<R>> {
    tollgate_trajectory::read_rows(path).or_bad_input()
}

/// All rows of an artifact that must have some; `hint` says where they come from.
pub(crate) fn read_some_rows<R: ArtifactRow>(path: &Path, hint: &str) -> anyhow::Result<Vec<R>> {
    let rows: Vec<R> = read_rows(path)?;
    if rows.is_empty() {
        return Err(bad_input(format!("{}: no rows, expected at least one\nhint: {hint}", path.display())));
    }
    Ok(rows)
}

/// Hands over the rows of an artifact, a batch at a time.
pub(crate) fn scan<R: ArtifactRow>(
    path: &Path,
    mut take: impl FnMut(Vec<R>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let reader = ArtifactReader::open(path, R::KIND).and_then(ArtifactReader::rows::<R>).or_bad_input()?;
    for rows in reader {
        take(rows.or_bad_input()?)?;
    }
    Ok(())
}

/// Writes a whole artifact.
pub(crate) fn write_rows<R: ArtifactRow>(path: &Path, rows: impl IntoIterator<Item = R>) -> anyhow::Result<u64> {
    Ok(tollgate_trajectory::write_rows(path, rows).map_err(blame)?.rows)
}

/// Rows that the contract refuses come from an input; a disk that is full does not.
pub(crate) fn blame(error: TrajectoryError) -> anyhow::Error {
    match error {
        TrajectoryError::Contract { .. } => blame_input(error),
        other => other.into(),
    }
}
