//! The logs of a replay, as `tollgate import` wrote them.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_contract::{StepRow, TaskRow};
use tollgate_environment::replay::ReplayArena;
use tollgate_routing::{Episode, ModelPool, Task, TaskId};

use crate::artifact::{self, LoggedFiles};
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
    let pool = PoolFile::open_pool(path)?;
    let episodes = read_episodes(experiment, &replay.logs, &pool)?;
    ReplayArena::new(pool, &episodes, replay.settings()?)
        .map_err(|error| anyhow::Error::new(error).context(replay.logs.display().to_string()))
        .or_bad_input()
}

/// The logged episodes of the experiment's tasks; those of other tasks are left out.
fn read_episodes(experiment: &ExperimentConfig, logs: &Path, pool: &ModelPool) -> anyhow::Result<Vec<Episode>> {
    let tasks: Vec<TaskRow> = artifact::read_rows(&experiment.tasks)?;
    let tasks: BTreeMap<TaskId, Task> = tasks.into_iter().map(|task| (task.id.clone(), task)).collect();
    let (episodes_path, steps_path) = (logs.join("episodes.parquet"), logs.join("steps.parquet"));
    let logged = artifact::read_episodes(
        LoggedFiles { episodes: &episodes_path, steps: &steps_path },
        |row| tasks.contains_key(&row.task_id),
        |row| check_model(row, pool, &steps_path),
    )?;
    Ok(logged
        .into_iter()
        .map(|(row, steps)| {
            let task = tasks[&row.task_id].clone();
            row.into_episode(task, steps)
        })
        .collect())
}

/// Refuses a step whose model is another one in the experiment's pool than in the pool that the logs were imported with.
fn check_model(row: &StepRow, pool: &ModelPool, path: &Path) -> anyhow::Result<()> {
    let action = row.step.turn.action.get();
    let known = pool.iter().nth(action).map(|(_, model)| &*model.id);
    if known == Some(&*row.model_id) {
        return Ok(());
    }
    Err(bad_input(format!(
        "{}: episode `{}`: action {action} is model `{}`, which is {} in the pool\nhint: import the logs with the pool of the experiment",
        path.display(),
        row.episode_id,
        row.model_id,
        known.map_or_else(|| "not there".to_owned(), |known| format!("`{known}`")),
    )))
}
