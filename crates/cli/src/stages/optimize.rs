//! `optimize`: every variant with every training seed, side by side on all cores; or the policies of an earlier run as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rayon::prelude::*;
use tollgate_bopo::{IterationMetrics, TrainError, TrainedPolicy, TrainingInputs, Variant, train};
use tollgate_contract::{
    ArtifactKind, BoundaryLabelRow, EpisodeRow, ProductKind, SftExampleRow, StepRow, TaskRow, TrainingLogRow,
    TrainingMetrics,
};
use tollgate_routing::{Episode, EpisodeId, Task, TaskId};
use tollgate_taxonomy::Boundary;

use crate::arena::{open_arena, open_playing};
use crate::artifact::{self, LoggedFiles};
use crate::config::OptimizeConfig;
use crate::failure::{bad_input, blame_input};
use crate::progress;
use crate::stage_call::StageCall;
use crate::stored_policies::{policy_dir, retain_policies, stored_policies};

/// What the training reads, in memory.
struct Inputs {
    tasks: Vec<Task>,
    labels: Vec<BoundaryLabelRow>,
    examples: Vec<SftExampleRow>,
    episodes: Vec<Episode>,
}

/// Runs the stage.
pub(crate) fn run(call: &StageCall) -> anyhow::Result<()> {
    let config = OptimizeConfig::read(&call.table)?;
    if let Some(from) = &config.from {
        return take_over(call, from);
    }
    let device = config.device.open()?;
    let arena = open_playing(call)?;
    let inputs = read_inputs(call, config.variants.iter().any(|variant| variant.is_value_based()))?;
    let inputs = TrainingInputs {
        arena: &*arena,
        tasks: &inputs.tasks,
        labels: &inputs.labels,
        examples: &inputs.examples,
        episodes: &inputs.episodes,
        objective: call.experiment.outcome.into(),
    };
    let checkpoint = call.request.output(ProductKind::Checkpoint);
    let runs: Vec<(Variant, u64)> = config
        .variants
        .iter()
        .flat_map(|&variant| config.train_seeds.iter().map(move |&train_seed| (variant, train_seed)))
        .collect();
    let progress = progress::bar("optimize", runs.len() * config.train.bopo.iterations as usize);
    let observer = |_: &IterationMetrics| progress.inc(1);
    let trained: Vec<(Variant, u64, TrainedPolicy)> = runs
        .par_iter()
        .map(|&(variant, train_seed)| {
            let directory = policy_dir(&checkpoint, variant.as_str(), train_seed);
            let trained = train(&inputs, &config.train, variant, train_seed, &directory, &device, &observer)
                .map_err(blame)
                .with_context(|| format!("training `{}` with seed {train_seed}", variant.as_str()))?;
            let n_iterations = trained.log.len();
            let done = if trained.is_kept { "kept from an earlier run" } else { "trained" };
            tracing::info!(variant = variant.as_str(), train_seed, n_iterations, "{done}");
            Ok((variant, train_seed, trained))
        })
        .collect::<anyhow::Result<_>>()?;
    progress.finish_and_clear();
    // Not before all are done: whoever stops the stage and goes back to the earlier config finds everything there.
    retain_policies(&checkpoint, |policy| {
        runs.iter().any(|&(variant, train_seed)| policy_dir(&checkpoint, variant.as_str(), train_seed) == policy)
    })?;
    let rows = trained.iter().flat_map(log_rows);
    artifact::write_rows(&call.request.output(ArtifactKind::TrainingLog), rows)?;
    Ok(())
}

/// Puts the policies in `from` into the stage's checkpoint, unchanged and by the names of their variants and seeds.
fn take_over(call: &StageCall, from: &Path) -> anyhow::Result<()> {
    let arena = open_arena(&call.experiment)?;
    let checkpoint = call.request.output(ProductKind::Checkpoint);
    let policies = stored_policies(from, Some(arena.pool()))?;
    for policy in &policies {
        policy.save(&checkpoint)?;
        tracing::info!(variant = policy.spec.policy_id, train_seed = policy.spec.train_seed, "taken over");
    }
    let taken: BTreeSet<PathBuf> = policies.iter().map(|policy| policy.place_in(&checkpoint)).collect();
    retain_policies(&checkpoint, |policy| taken.contains(policy))?;
    let no_rows: [TrainingLogRow; 0] = [];
    artifact::write_rows(&call.request.output(ArtifactKind::TrainingLog), no_rows)?;
    Ok(())
}

fn read_inputs(call: &StageCall, reads_every_episode: bool) -> anyhow::Result<Inputs> {
    let labels: Vec<BoundaryLabelRow> = artifact::read_some_rows(
        call.input(ArtifactKind::BoundaryLabels)?,
        "`classify` writes one row per train task",
    )?;
    let examples: Vec<SftExampleRow> =
        artifact::read_some_rows(call.input(ArtifactKind::SftExamples)?, "`synthesize` writes them")?;
    let path = call.input(ArtifactKind::Tasks)?;
    let all: Vec<TaskRow> = artifact::read_rows(path)?;
    let by_id: BTreeMap<&TaskId, &Task> = all.iter().map(|task| (&task.id, task)).collect();
    let find = |id: &TaskId| {
        by_id.get(id).map(|&task| task.clone()).ok_or_else(|| {
            bad_input(format!(
                "{}: no task `{id}`, which the labels name\nhint: labels, examples and task set must come from the same run",
                path.display()
            ))
        })
    };
    let tasks = labels.iter().map(|label| find(&label.task_id)).collect::<anyhow::Result<Vec<Task>>>()?;
    let episodes = read_episodes(call, &examples, reads_every_episode, find)?;
    Ok(Inputs { tasks, labels, examples, episodes })
}

/// The logged episodes that training looks at, with their steps: boundary probes and what the examples refer to, or all.
fn read_episodes(
    call: &StageCall,
    examples: &[SftExampleRow],
    reads_every_episode: bool,
    find_task: impl Fn(&TaskId) -> anyhow::Result<Task>,
) -> anyhow::Result<Vec<Episode>> {
    let imitated: BTreeSet<&EpisodeId> = examples.iter().map(|example| &example.episode_id).collect();
    let is_used = |episode: &EpisodeRow| {
        reads_every_episode
            || Boundary::from_policy_id(&episode.policy_id).is_some()
            || imitated.contains(&episode.episode_id)
    };
    let files = LoggedFiles { episodes: call.input(ArtifactKind::Episodes)?, steps: call.input(ArtifactKind::Steps)? };
    let logged = artifact::read_episodes(files, is_used, |_| Ok(()))?;
    let episode = |(row, steps): (EpisodeRow, Vec<StepRow>)| {
        let task = find_task(&row.task_id)?;
        Ok(row.into_episode(task, steps))
    };
    logged.into_iter().map(episode).collect()
}

/// Inputs that do not fit together are the caller's to mend; a training that diverged is not.
fn blame(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Missing { .. } | TrainError::Config { .. } | TrainError::Progress { .. } => blame_input(error),
        other => other.into(),
    }
}

fn log_rows((variant, train_seed, trained): &(Variant, u64, TrainedPolicy)) -> impl Iterator<Item = TrainingLogRow> {
    let (variant, train_seed) = (*variant, *train_seed);
    trained.log.iter().map(move |iteration| TrainingLogRow {
        variant: variant.as_str().into(),
        train_seed,
        iteration: iteration.iteration,
        env_steps: iteration.env_steps,
        metrics: metrics(iteration),
    })
}

fn metrics(iteration: &IterationMetrics) -> TrainingMetrics {
    TrainingMetrics {
        mean_return: Some(iteration.mean_return),
        success_rate: Some(iteration.success_rate),
        mean_cost_norm: Some(iteration.mean_cost_norm),
        large_share: Some(iteration.large_share),
        given_up_share: Some(iteration.given_up_share),
        policy_loss: Some(iteration.policy_loss),
        value_loss: Some(iteration.value_loss),
        entropy: Some(iteration.entropy),
        approx_kl: Some(iteration.approx_kl),
        reference_kl: None,
        clip_fraction: Some(iteration.clip_fraction),
        grad_norm: Some(iteration.grad_norm),
        explained_variance: Some(iteration.explained_variance),
        learning_rate: Some(iteration.learning_rate),
        lambda_mean: Some(iteration.lambda_mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored_policies::fixture;

    #[test]
    fn what_is_not_taken_over_this_time_goes() {
        let directory = tempfile::tempdir().unwrap();
        let [from, out] = ["from", "optimize"].map(|name| directory.path().join(name));
        let call = fixture::taking_over(&from, &out);
        let checkpoint = call.request.output(ProductKind::Checkpoint);
        for (policy_id, train_seed) in [("bopo", 2), ("ppo", 1)] {
            fixture::policy(policy_id, train_seed).save(&checkpoint).unwrap();
        }
        fixture::policy("bopo", 1).save(&from).unwrap();
        run(&call).unwrap();
        let left = stored_policies(&checkpoint, None).unwrap();
        let left: Vec<_> = left.iter().map(|policy| (&*policy.spec.policy_id, policy.spec.train_seed)).collect();
        assert_eq!(left, [("bopo", 1)]);
    }
}
