//! The log of a training, its progress on disk, from which it resumes exactly, and what says that it is finished.

use std::fs;
use std::path::{Path, PathBuf};

use candle_core::Device;
use serde::{Deserialize, Serialize};
use tollgate_policy::{CheckpointSpec, RouterNetwork, load_checkpoint, save_checkpoint, write_atomically};

use crate::average::WeightAverage;
use crate::error::TrainError;
use crate::optimizer::AdamW;

/// The metrics of one iteration.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct IterationMetrics {
    /// Iteration, from 0.
    pub iteration: u32,
    /// Environment steps since the start.
    pub env_steps: u64,
    /// Mean reward of the iteration's episodes.
    pub mean_return: f32,
    /// Share of solved episodes.
    pub success_rate: f32,
    /// Mean cost, in spreads between the boundary policies.
    pub mean_cost_norm: f32,
    /// Share of steps that the large model answered.
    pub large_share: f32,
    /// Share of episodes that the policy would have given up; in training it plays on.
    pub given_up_share: f32,
    /// The clipped surrogate loss.
    pub policy_loss: f32,
    /// The critic's loss; 0 for the group advantages, which have no critic.
    pub value_loss: f32,
    /// Mean entropy of the policy, in nats.
    pub entropy: f32,
    /// Divergence of the updated policy from the one that acted, in nats (estimated from the chosen actions).
    pub approx_kl: f32,
    /// Share of steps whose ratio was clipped.
    pub clip_fraction: f32,
    /// Mean norm of the gradient, before it was limited.
    pub grad_norm: f32,
    /// Share of the variance of the returns that the critic explains; 0 without a critic.
    pub explained_variance: f32,
    /// Step size.
    pub learning_rate: f32,
    /// Mean `lambda` of the iteration's episodes.
    pub lambda_mean: f32,
}

/// What learns, as it stands between two iterations.
pub(crate) struct Learner<'a> {
    pub(crate) network: &'a RouterNetwork,
    pub(crate) optimizer: AdamW,
    /// Mean of the last weights.
    pub(crate) average: WeightAverage,
}

/// What else there is between two iterations.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Iterations done.
    pub(crate) iteration: u32,
    /// Environment steps done.
    pub(crate) env_steps: u64,
    /// The settings, as text: progress under other settings is not continued.
    pub(crate) settings: String,
    /// The metrics so far.
    pub(crate) log: Vec<IterationMetrics>,
}

/// Beside the checkpoint of a finished training: what it was made with and how it went, so that nobody makes it again.
#[derive(Debug, Serialize, Deserialize)]
struct Finished {
    /// The settings, as text: a training with other settings is another one.
    settings: String,
    /// The metrics of every iteration.
    log: Vec<IterationMetrics>,
}

const FINISHED_FILE: &str = "finished.json";
const PROGRESS_FILE: &str = "progress.json";
const MOMENTS_FILE: &str = "moments.safetensors";
const AVERAGE_FILE: &str = "average.safetensors";

/// Saves progress beside the earlier one, puts it in place with one rename, and removes the earlier one.
pub(crate) fn save_progress(
    directory: &Path,
    progress: &Progress,
    spec: &CheckpointSpec,
    learner: &Learner<'_>,
) -> Result<(), TrainError> {
    let fail =
        |error: &dyn std::fmt::Display| TrainError::Progress { path: directory.to_owned(), reason: error.to_string() };
    let temporary = directory.join("progress.new");
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(|error| fail(&error))?;
    }
    save_checkpoint(&temporary, spec, learner.network)?;
    learner.optimizer.save(&temporary.join(MOMENTS_FILE)).map_err(|error| fail(&error))?;
    learner.average.save(learner.network, &temporary.join(AVERAGE_FILE)).map_err(|error| fail(&error))?;
    let text = serde_json::to_string(progress).map_err(|error| fail(&error))?;
    fs::write(temporary.join(PROGRESS_FILE), text).map_err(|error| fail(&error))?;

    let earlier = saved(directory);
    fs::rename(&temporary, directory.join(format!("progress-{:06}", progress.iteration)))
        .map_err(|error| fail(&error))?;
    for path in earlier {
        fs::remove_dir_all(path).map_err(|error| fail(&error))?;
    }
    Ok(())
}

/// Puts the newest progress of the same settings into `learner`. `None` when there is none; progress of other settings is removed, for
/// the new one would find its place taken.
pub(crate) fn load_progress(
    directory: &Path,
    settings: &str,
    learner: &mut Learner<'_>,
    device: &Device,
) -> Result<Option<Progress>, TrainError> {
    let Some(path) = saved(directory).pop() else { return Ok(None) };
    let fail = |error: &dyn std::fmt::Display| TrainError::Progress { path: path.clone(), reason: error.to_string() };
    let text = fs::read_to_string(path.join(PROGRESS_FILE)).map_err(|error| fail(&error))?;
    let progress: Progress = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    if progress.settings != settings {
        for other in saved(directory) {
            fs::remove_dir_all(&other).map_err(|error| fail(&error))?;
        }
        return Ok(None);
    }
    let (_, saved_network) = load_checkpoint(&path, device)?;
    for ((_, variable), (_, saved)) in learner.network.variables().iter().zip(saved_network.variables()) {
        variable.set(saved.as_tensor())?;
    }
    learner.optimizer.load(&path.join(MOMENTS_FILE)).map_err(|error| fail(&error))?;
    learner.average =
        WeightAverage::load(learner.network, &path.join(AVERAGE_FILE), device).map_err(|error| fail(&error))?;
    Ok(Some(progress))
}

/// Says that the checkpoint in `directory` is that of a finished training, and removes the progress that led there.
pub(crate) fn save_finished(directory: &Path, settings: &str, log: &[IterationMetrics]) -> Result<(), TrainError> {
    let fail =
        |error: &dyn std::fmt::Display| TrainError::Progress { path: directory.to_owned(), reason: error.to_string() };
    let finished = Finished { settings: settings.to_owned(), log: log.to_vec() };
    let text = serde_json::to_string(&finished).map_err(|error| fail(&error))?;
    write_atomically(&directory.join(FINISHED_FILE), text.as_bytes())?;
    for progress in saved(directory) {
        fs::remove_dir_all(&progress).map_err(|error| fail(&error))?;
    }
    Ok(())
}

/// The network and the log of the training that was finished in `directory` with the same settings. `None` when there is none.
pub(crate) fn load_finished(
    directory: &Path,
    settings: &str,
    device: &Device,
) -> Result<Option<(RouterNetwork, Vec<IterationMetrics>)>, TrainError> {
    let path = directory.join(FINISHED_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let fail = |error: &dyn std::fmt::Display| TrainError::Progress {
        path: directory.to_owned(),
        reason: format!("{FINISHED_FILE}: {error}"),
    };
    let text = fs::read_to_string(&path).map_err(|error| fail(&error))?;
    let finished: Finished = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    if finished.settings != settings {
        return Ok(None);
    }
    let (_, network) = load_checkpoint(directory, device)?;
    Ok(Some((network, finished.log)))
}

/// Saved progress, the newest last.
fn saved(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_progress = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("progress-"))
            .is_some_and(|n| n.parse::<u32>().is_ok())
    };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_progress).collect();
    paths.sort();
    paths
}
