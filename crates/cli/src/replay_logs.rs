//! The logs of a replay, as `tollgate import` wrote them.

use std::collections::BTreeMap;

use tollgate_contract::{EpisodeRow, StepRow, TaskRow};
use tollgate_environment::replay::ReplayArena;
use tollgate_routing::{Episode, EpisodeId, ModelPool, Task, TaskId};

use crate::artifact;
use crate::config::{ExperimentConfig, PoolFile};
use crate::failure::{OrBadInput, bad_input};

/// The arena of the logs that the experiment names, for its tasks and the models of its pool.
pub(crate) fn open_replay(experiment: &ExperimentConfig) -> anyhow::Result<ReplayArena> {
    let Some(replay) = &experiment.replay else {
        return Err(bad_input(
            "`experiment.replay.logs` is missing, expected the folder of imported logs\nhint: `tollgate import` writes one",
        ));
    };
    let Some(path) = &experiment.pool else {
        return Err(bad_input(
            "`experiment.pool` is missing, expected the pool that the logs were imported with\nhint: suite `replay` has no pool of its own",
        ));
    };
    let pool = PoolFile::open(path)?.pool(&path.display().to_string())?;
    let episodes = read_episodes(experiment, &replay.logs, &pool)?;
    ReplayArena::new(pool, &episodes, replay.settings()?)
        .map_err(|error| anyhow::Error::new(error).context(replay.logs.display().to_string()))
        .or_bad_input()
}

/// The logged episodes of the experiment's tasks; those of other tasks are left out.
fn read_episodes(
    experiment: &ExperimentConfig,
    logs: &std::path::Path,
    pool: &ModelPool,
) -> anyhow::Result<Vec<Episode>> {
    let tasks: Vec<TaskRow> = artifact::read_rows(&experiment.tasks)?;
    let tasks: BTreeMap<TaskId, Task> = tasks.into_iter().map(|task| (task.id.clone(), task)).collect();
    let mut episodes: Vec<EpisodeRow> = Vec::new();
    artifact::scan::<EpisodeRow>(&logs.join("episodes.parquet"), |rows| {
        episodes.extend(rows.into_iter().filter(|row| tasks.contains_key(&row.task_id)));
        Ok(())
    })?;
    let mut steps: BTreeMap<EpisodeId, Vec<StepRow>> =
        episodes.iter().map(|episode| (episode.episode_id.clone(), Vec::new())).collect();
    let path = logs.join("steps.parquet");
    artifact::scan::<StepRow>(&path, |rows| {
        for row in rows {
            let Some(of_episode) = steps.get_mut(&row.episode_id) else { continue };
            let known = pool.iter().nth(row.step.turn.action.get()).map(|(_, model)| &*model.id);
            if known != Some(&*row.model_id) {
                return Err(bad_input(format!(
                    "{}: episode `{}`: action {} is model `{}`, which is {} in the pool\nhint: import the logs with the pool of the experiment",
                    path.display(),
                    row.episode_id,
                    row.step.turn.action.get(),
                    row.model_id,
                    known.map_or_else(|| "not there".to_owned(), |known| format!("`{known}`")),
                )));
            }
            of_episode.push(row);
        }
        Ok(())
    })?;
    Ok(episodes
        .into_iter()
        .map(|row| {
            let of_episode = steps.remove(&row.episode_id).unwrap_or_default();
            let task = tasks[&row.task_id].clone();
            row.into_episode(task, of_episode)
        })
        .collect())
}
