//! Reading and writing artifacts, with the blame where it belongs: a file that cannot be read is bad input.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_contract::{ArtifactRow, EpisodeRow, StepRow};
use tollgate_routing::EpisodeId;
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

/// Where logged episodes and their steps are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedFiles<'a> {
    /// Path of `episodes.parquet`.
    pub(crate) episodes: &'a Path,
    /// Path of `steps.parquet`.
    pub(crate) steps: &'a Path,
}

/// The logged episodes that are used, each with its steps, in the order of the file. `check` sees every step of theirs.
pub(crate) fn read_episodes(
    files: LoggedFiles<'_>,
    is_used: impl Fn(&EpisodeRow) -> bool,
    check: impl Fn(&StepRow) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<(EpisodeRow, Vec<StepRow>)>> {
    let mut rows: Vec<EpisodeRow> = Vec::new();
    scan::<EpisodeRow>(files.episodes, |episodes| {
        rows.extend(episodes.into_iter().filter(&is_used));
        Ok(())
    })?;
    let mut steps: BTreeMap<EpisodeId, Vec<StepRow>> =
        rows.iter().map(|episode| (episode.episode_id.clone(), Vec::new())).collect();
    scan::<StepRow>(files.steps, |all| {
        for step in all {
            if let Some(of_episode) = steps.get_mut(&step.episode_id) {
                check(&step)?;
                of_episode.push(step);
            }
        }
        Ok(())
    })?;
    let with_steps = rows.into_iter().map(|row| {
        let steps = steps.remove(&row.episode_id).unwrap_or_default();
        check_steps(&row, steps.len())?;
        Ok((row, steps))
    });
    with_steps.collect()
}

/// Refuses an episode that has not as many rows in the steps as it says.
pub(crate) fn check_steps(episode: &EpisodeRow, n_rows: usize) -> anyhow::Result<()> {
    if n_rows == episode.n_steps as usize {
        return Ok(());
    }
    Err(bad_input(format!(
        "episode `{}` has {n_rows} rows in the steps, expected {}\nhint: episodes and steps must come from the same run of `simulate`, or the same import",
        episode.episode_id, episode.n_steps
    )))
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
